"""Keras: a JSON description of layers, in a ZIP archive or inside HDF5."""

import json
import re
from typing import Any

from prometheus_ai.adapters.scanners.model_files.formats.skops import read_all
from prometheus_ai.adapters.scanners.model_files.scan import Scan
from prometheus_ai.adapters.scanners.model_files.source import Source, Unreadable

CONFIG_BYTES_MAX = 64 * 2**20
OVERLAP_BYTES = 1 << 12
_OWN_MODULES = re.compile(r"^(keras|tf_keras|tensorflow\.keras|tensorflow\.python\.keras)(\.|$)")
_CODE_CLASSES = frozenset({"Lambda", "__lambda__", "TFOpLambda", "SlicingOpLambda"})
_CODE_IN_BYTES = re.compile(
    rb'"(Lambda|__lambda__|TFOpLambda|SlicingOpLambda|__typespec__)"|"function_type"'
)
_MODULE_IN_BYTES = re.compile(rb'"module"\s*:\s*"([\w.]{1,200})"')


def describe(names: frozenset[str]) -> str:
    """Return ``keras`` when these are its members."""
    return "keras" if {"config.json", "metadata.json"} <= names else ""


def read_config(source: Source, scan: Scan) -> None:
    """Check every layer that the description names."""
    try:
        pending: list[Any] = [json.loads(read_all(source, CONFIG_BYTES_MAX))]
    except (ValueError, RecursionError) as error:
        raise Unreadable("config.json is no JSON") from error
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            _check(node, scan)
            pending += node.values()
        elif isinstance(node, list):
            pending += node


def _check(node: dict[str, Any], scan: Scan) -> None:
    kind, module = node.get("class_name"), node.get("module")
    if kind in _CODE_CLASSES or (kind == "function" and module not in (None, "builtins")):
        scan.notes.unsafe(f"holds a {kind} layer, whose code is in the file", "", str(kind))
    if isinstance(module, str) and module != "builtins" and not _OWN_MODULES.match(module):
        scan.notes.unsafe(f"names {module}.{kind}", "", f"{module}.{kind}")


def read_hdf5(source: Source, scan: Scan) -> None:
    """Search HDF5 for descriptions of layers that carry code; attributes are never compressed in it."""
    scan.notes.is_format("hdf5")
    before = b""
    while chunk := source.peek(1 << 20):
        window = before + source.read(len(chunk))
        if match := _CODE_IN_BYTES.search(window):
            scan.notes.unsafe(f"holds a layer whose code is in the file: {match[0].decode()}")
        for found in _MODULE_IN_BYTES.finditer(window):
            module = found[1].decode()
            if module != "builtins" and not _OWN_MODULES.match(module):
                scan.notes.unsafe(f"names the module {module}", "", module)
        before = window[-OVERLAP_BYTES:]
