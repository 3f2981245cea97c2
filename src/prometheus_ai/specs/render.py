"""A spec as annotated text: what ``pai init`` writes."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from prometheus_ai.domain.spec import Spec
from prometheus_ai.specs.tree import is_plain_text

_ALWAYS_SHOWN = frozenset({"name", "model", "resources", "replicas"})
_ALWAYS_SHOWN_INSIDE = frozenset({"path", "cpu", "memory"})
_WIDTH = 100
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def render(spec: Spec, *, schema_file: str | None = None) -> str:
    """Write a spec with a comment for each field; reading the text gives the same spec.

    ``schema_file`` is the path, seen from the spec, of a schema that editors should use.
    """
    lines = [f"# yaml-language-server: $schema={schema_file}"] if schema_file else []
    lines += [
        "# One backend: a named AI service and how to run it.",
        "# `pai deploy FILE` runs it, `pai diff FILE` shows what that would change.",
    ]
    omitted = []
    for name, info in Spec.model_fields.items():
        value = getattr(spec, name)
        if name in _ALWAYS_SHOWN or value != info.get_default(call_default_factory=True):
            lines.append("")
            lines += _section(name, value, info)
        else:
            omitted.append((name, value, info))
    if omitted:
        lines += ["", "# Also possible; these are the defaults:"]
        lines += [_default_line(name, value, info) for name, value, info in omitted]
    return "\n".join(lines) + "\n"


def _section(name: str, value: Any, info: FieldInfo) -> Iterator[str]:
    if not isinstance(value, BaseModel):
        yield from _commented(f"{name}: {_flow(value)}", info.description, "")
        return
    comment = info.description or (type(value).__doc__ or "").partition("\n")[0]
    yield from _commented(f"{name}:", comment, "")
    for inner, inner_info in type(value).model_fields.items():
        given = getattr(value, inner)
        default = inner_info.get_default(call_default_factory=True)
        if inner in _ALWAYS_SHOWN_INSIDE or given != default:
            yield from _field(inner, given, inner_info)


def _field(name: str, value: Any, info: FieldInfo) -> Iterator[str]:
    if not _has_tensors(value):
        yield from _commented(f"  {name}: {_flow(value)}", info.description, "  ")
        return
    yield from _commented(f"  {name}:", info.description, "  ")
    for inner in type(value).model_fields:
        yield f"    {inner}:"
        for item in getattr(value, inner):
            yield f"      - {_flow(item)}"


def _has_tensors(value: Any) -> bool:
    return isinstance(value, BaseModel) and all(
        isinstance(getattr(value, name), tuple) for name in type(value).model_fields
    )


def _commented(line: str, comment: str | None, indent: str) -> list[str]:
    if not comment:
        return [line]
    if len(line) + len(comment) + 4 <= _WIDTH:
        return [f"{line}  # {comment}"]
    return [f"{indent}# {comment}", line]


def _default_line(name: str, value: Any, info: FieldInfo) -> str:
    # Nothing is the default of sections that change what happens when they are there, even empty.
    nothing = "v1" if name == "version" else "{}"
    shown = nothing if value is None else _flow(value)
    comment = f"  # {info.description}" if info.description else ""
    line = f"# {name}: {shown}{comment}"
    return line if len(line) <= _WIDTH else f"# {name}: {shown}"


def _flow(value: Any) -> str:
    if isinstance(value, BaseModel):
        given = {
            name: getattr(value, name)
            for name in type(value).model_fields
            if getattr(value, name) is not None
        }
        return _flow(given)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return "null" if value is None else str(value) if isinstance(value, int) else _text(value)


def _text(text: str) -> str:
    if is_plain_text(text):
        return text
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    if 0x20 <= code < 0x7F or (character.isprintable() and code < 0xD800):
        return character
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
