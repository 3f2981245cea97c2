"""Nested shares as rectangles, squarish ones; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_ai.domain.image_contents import TreeNode


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A rectangle in parts of its parent's, from 0 to 1, with the rectangles inside."""

    node: TreeNode
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Room:
    left: float
    top: float
    width: float
    height: float


def squarified(nodes: Sequence[TreeNode], aspect: float) -> list[Cell]:
    """Divide a rectangle of some aspect (width by height) by the nodes' bytes."""
    total = sum(node.size_bytes for node in nodes)
    if total <= 0:
        return []
    rest = sorted((n for n in nodes if n.size_bytes > 0), key=lambda node: -node.size_bytes)
    room = _Room(left=0.0, top=0.0, width=aspect, height=1.0)
    scale = aspect / total
    cells: list[Cell] = []
    while rest:
        row = _row(rest, min(room.width, room.height), scale)
        rest = rest[len(row) :]
        made, room = _lay(row, room, scale)
        cells += made
    return [
        Cell(
            node=one.node, left=one.left / aspect, top=one.top,
            width=one.width / aspect, height=one.height,
        )
        for one in cells
    ]  # fmt: skip


def _row(nodes: Sequence[TreeNode], side: float, scale: float) -> list[TreeNode]:
    """Take as many as make the worst rectangle squarer."""
    row = [nodes[0]]
    for node in nodes[1:]:
        if _worst([*row, node], side, scale) > _worst(row, side, scale):
            break
        row.append(node)
    return row


def _worst(row: Sequence[TreeNode], side: float, scale: float) -> float:
    areas = [node.size_bytes * scale for node in row]
    thick = sum(areas) / side
    return max(max(thick * thick / area, area / (thick * thick)) for area in areas)


def _lay(row: Sequence[TreeNode], room: _Room, scale: float) -> tuple[list[Cell], _Room]:
    area = sum(node.size_bytes for node in row) * scale
    is_upright = room.width >= room.height
    thick = area / (room.height if is_upright else room.width)
    cells, at = [], room.top if is_upright else room.left
    for node in row:
        long = node.size_bytes * scale / thick
        if is_upright:
            cells.append(Cell(node=node, left=room.left, top=at, width=thick, height=long))
        else:
            cells.append(Cell(node=node, left=at, top=room.top, width=long, height=thick))
        at += long
    if is_upright:
        left, width = room.left + thick, max(room.width - thick, 1e-9)
        return cells, _Room(left=left, top=room.top, width=width, height=room.height)
    top, height = room.top + thick, max(room.height - thick, 1e-9)
    return cells, _Room(left=room.left, top=top, width=room.width, height=height)
