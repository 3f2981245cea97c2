"""Formats that are text: JSON, LightGBM, vocabularies, Python source."""

import codecs
import json
import re

from prometheus_ai.adapters.scanners.model_files.formats.skops import read_all
from prometheus_ai.adapters.scanners.model_files.formats.templates import check_template
from prometheus_ai.adapters.scanners.model_files.scan import Scan
from prometheus_ai.adapters.scanners.model_files.source import Source, Unreadable

JSON_BYTES_MAX = 2 * 2**30
_SCALARS = {
    0x69: 1, 0x55: 1, 0x49: 2, 0x6C: 4, 0x4C: 8, 0x64: 4, 0x44: 8, 0x5A: 0, 0x4E: 0, 0x54: 0,
    0x46: 0, 0x43: 1,
}  # fmt: skip
_LENGTHS = frozenset({0x69, 0x55, 0x49, 0x6C, 0x4C})
_UBJSON = re.compile(rb"^\{(\$.)?(\#|[iUIlL][\x00-\xff])")
DEPTH_MAX = 64


def is_ubjson(head: bytes) -> bool:
    """Whether a stream that begins so is XGBoost's binary JSON."""
    return _UBJSON.match(head) is not None and head[1:2] not in b" \n\r\t\"'}"


def read_json(source: Source, scan: Scan, name: str) -> None:
    """Read a JSON document: a booster, a tokenizer, a configuration."""
    scan.notes.is_format("json")
    try:
        found = json.loads(read_all(source, JSON_BYTES_MAX))
    except (ValueError, RecursionError, UnicodeDecodeError) as error:
        raise Unreadable(f"is no JSON: {error}") from error
    if not isinstance(found, dict):
        return
    template = found.get("chat_template")
    templates = template if isinstance(template, list) else [{"template": template}]
    for one in templates:
        if isinstance(one, dict) and isinstance(one.get("template"), str):
            check_template(one["template"], scan.notes)
    if found.get("auto_map"):
        scan.notes.unsafe(f"{name} names Python code to load beside it (auto_map)")
    if found.get("class_name") and "config" in found and "keras" in json.dumps(found)[:20000]:
        scan.notes.is_format("keras")
        if re.search(r'"(Lambda|__lambda__)"', json.dumps(found)):
            scan.notes.unsafe("holds a Lambda layer, whose code is in the file")


def read_ubjson(source: Source, scan: Scan) -> None:
    """Read XGBoost's binary JSON to its end."""
    scan.notes.is_format("ubjson")
    _ubjson_value(source, source.byte(), 0)


def _ubjson_value(source: Source, kind: int, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise Unreadable(f"nested deeper than {DEPTH_MAX}", "bomb")
    if kind in _SCALARS:
        source.skip(_SCALARS[kind])
    elif kind in (0x53, 0x48):
        source.skip(_ubjson_length(source))
    elif kind in (0x5B, 0x7B):
        _ubjson_container(source, is_object=kind == 0x7B, depth=depth)
    else:
        raise Unreadable(f"0x{kind:02x} is no UBJSON type")


def _ubjson_container(source: Source, *, is_object: bool, depth: int) -> None:
    end = b"}" if is_object else b"]"
    kind, count = None, None
    if source.peek(1) == b"$":
        source.read(1)
        kind = source.byte()
    if source.peek(1) == b"#":
        source.read(1)
        count = _ubjson_length(source)
    if kind in _SCALARS and count is not None and not is_object:
        source.skip(_SCALARS[kind] * count)
        return
    done = 0
    while count is None or done < count:
        if count is None and source.peek(1) == end:
            source.read(1)
            return
        if is_object:
            source.skip(_ubjson_length(source))
        _ubjson_value(source, source.byte() if kind is None else kind, depth + 1)
        done += 1


def _ubjson_length(source: Source) -> int:
    kind = source.byte()
    if kind not in _LENGTHS:
        raise Unreadable("a length in UBJSON is no number")
    length = int.from_bytes(source.read(_SCALARS[kind]), "big", signed=kind != 0x55)
    if length < 0:
        raise Unreadable("a length in UBJSON is negative")
    return length


def read_text(source: Source, scan: Scan, name: str) -> None:
    """Read UTF-8 text to its end."""
    if name.endswith(".py"):
        scan.notes.is_format("python", is_source=True)
    elif source.peek(5) == b"tree\n":
        scan.notes.is_format("lightgbm")
    elif name.endswith((".jinja", ".j2")):
        scan.notes.is_format("template")
        check_template(read_all(source, JSON_BYTES_MAX).decode("utf-8", "replace"), scan.notes)
        return
    else:
        scan.notes.is_format("text")
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk := source.peek(1 << 16):
            text = decoder.decode(source.read(len(chunk)))
            if "\0" in text:
                raise Unreadable("is of a format that is not known", "unrecognised")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise Unreadable("is of a format that is not known", "unrecognised") from error
