"""safetensors: a JSON header, then tensors side by side."""

import json
from math import prod
from typing import Any

from prometheus_ai.adapters.scanners.model_files.scan import Scan
from prometheus_ai.adapters.scanners.model_files.source import Source, Unreadable

HEADER_BYTES_MAX = 100_000_000
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16,
    "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
    "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


def is_safetensors(head: bytes) -> bool:
    """Whether a file that begins so is one."""
    return len(head) >= 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**40


def read_safetensors(source: Source, scan: Scan) -> None:
    """Read a file to its end."""
    scan.notes.is_format("safetensors")
    length = int.from_bytes(source.read(8), "little")
    if length > HEADER_BYTES_MAX:
        raise Unreadable(f"has a header of {length} bytes", "bomb")
    try:
        header = json.loads(source.read(length), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the header cannot be read: {error}") from error
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise Unreadable("the metadata holds more than texts")
    end = 0
    try:
        spans = sorted((*one["data_offsets"], name, one) for name, one in header.items())
        for start, stop, name, one in spans:
            bits = prod(one["shape"]) * _BITS[one["dtype"]]
            if start != end or (stop - start) * 8 != bits:
                raise Unreadable(f"tensor {name!r} does not follow the one before it", "trailing")
            end = stop
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"the header describes a tensor wrongly: {error}") from error
    source.skip(end)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found
