"""Where fields stand in a spec file, for problems that are found only after it was read."""

from collections.abc import Iterator

from prometheus_ai.specs.tree import Node, parse_tree


def field_lines(text: str, source: str) -> dict[str, int]:
    """Return the line of every field that is written: ``{"model.path": 3}``.

    Raises:
        InvalidSpec: the text is no YAML.
    """
    return dict(_lines(parse_tree(text, source).root, ""))


def _lines(node: Node, prefix: str) -> Iterator[tuple[str, int]]:
    for name, inner in node.entries.items():
        yield f"{prefix}{name}", node.key_places[name].line
        yield from _lines(inner, f"{prefix}{name}.")
