"""What layers show together, and what they hide; pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from prometheus_ai.domain.image_contents import StoredFile, StoredLayer

DUPLICATE_BYTES_MIN = 16 * 1024
DeadReason = Literal["deleted", "overwritten", "rewritten"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dead:
    """A file that no container sees."""

    file: StoredFile
    layer: int
    """The layer, from 0, that carries it."""
    by: int
    """The layer that hides it."""
    reason: DeadReason
    """``rewritten``: hidden by the same content again, as a change of owner or mode does."""


@dataclass(kw_only=True)
class View:
    """The files that are seen, with the layer of each, and those that are not."""

    live: dict[str, tuple[int, StoredFile]] = field(default_factory=dict)
    dead: list[Dead] = field(default_factory=list)


def view_of(layers: Sequence[StoredLayer]) -> View:
    """Lay the layers over each other."""
    view = View()
    for number, layer in enumerate(layers):
        gone = {file.path for file in layer.files if file.kind == "removed"}
        emptied = {file.path for file in layer.files if file.kind == "opaque"}
        if gone or emptied:
            _hide(view, number, gone, emptied)
        for file in layer.files:
            if file.kind in ("file", "link"):
                _lay(view, number, file)
    return view


def duplicates_of(view: View, told: Collection[str] = ()) -> list[list[StoredFile]]:
    """Return groups of seen files with the same content, largest waste first, without the paths already told."""
    groups: dict[bytes, list[StoredFile]] = {}
    for _, file in view.live.values():
        is_large = file.kind == "file" and file.size_bytes >= DUPLICATE_BYTES_MIN
        if is_large and file.path not in told:
            groups.setdefault(file.digest, []).append(file)
    found = [sorted(group, key=lambda one: one.path) for group in groups.values() if len(group) > 1]
    return sorted(found, key=lambda group: -wasted(group))


def wasted(group: Sequence[StoredFile]) -> int:
    """Return the bytes of all but one file."""
    return sum(file.size_bytes for file in group[1:])


def _lay(view: View, number: int, file: StoredFile) -> None:
    known = view.live.get(file.path)
    if known is not None and known[0] != number:
        layer, old = known
        is_same = old.digest == file.digest and old.size_bytes == file.size_bytes
        reason: DeadReason = "rewritten" if is_same and old.kind == "file" else "overwritten"
        view.dead.append(Dead(file=old, layer=layer, by=number, reason=reason))
    view.live[file.path] = (number, file)


def _hide(view: View, number: int, gone: set[str], emptied: set[str]) -> None:
    hidden = [path for path in view.live if _is_hidden(path, gone, emptied)]
    for path in hidden:
        layer, file = view.live.pop(path)
        view.dead.append(Dead(file=file, layer=layer, by=number, reason="deleted"))


def _is_hidden(path: str, gone: set[str], emptied: set[str]) -> bool:
    if path in gone:
        return True
    folder = path.rpartition("/")[0]
    while folder:
        if folder in gone or folder in emptied:
            return True
        folder = folder.rpartition("/")[0]
    return "" in emptied
