"""skops: a JSON tree of types beside arrays."""

import json
from typing import Any

from prometheus_ai.adapters.scanners.model_files.scan import Scan
from prometheus_ai.adapters.scanners.model_files.source import Source, Unreadable

SCHEMA_BYTES_MAX = 256 * 2**20
# What skops itself writes for containers and text; none of it is looked up by name from the file.
_OWN = frozenset({"builtins.type", "builtins.NoneType", "builtins.function", "builtins.method"})


def describe(names: frozenset[str]) -> str:
    """Return ``skops`` when these are its members."""
    return "skops" if "schema.json" in names else ""


def read_schema(source: Source, scan: Scan) -> None:
    """Check every type that the tree names."""
    try:
        schema = json.loads(read_all(source, SCHEMA_BYTES_MAX))
    except (ValueError, RecursionError) as error:
        raise Unreadable("schema.json is no JSON") from error
    pending: list[Any] = [schema]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            _check(node, scan)
            pending += node.values()
        elif isinstance(node, list):
            pending += node


def _check(node: dict[str, Any], scan: Scan) -> None:
    module, name = node.get("__module__"), node.get("__class__")
    if node.get("__loader__") == "FunctionNode":
        content = node.get("content")
        if isinstance(content, dict):
            module = content.get("module_path", module)
            name = content.get("function", name)
    if module is None and name is None:
        return
    full = f"{module}.{name}"
    if full not in _OWN and not scan.allow.has_class(full):
        scan.notes.unsafe(f"names {full}", "", full)


def read_all(source: Source, bytes_max: int) -> bytes:
    """Return everything that is left.

    Raises:
        Unreadable: it is more than ``bytes_max``.
    """
    parts = bytearray()
    while chunk := source.peek(1 << 16):
        parts += source.read(len(chunk))
        if len(parts) > bytes_max:
            raise Unreadable(f"is longer than {bytes_max} bytes", "bomb")
    return bytes(parts)
