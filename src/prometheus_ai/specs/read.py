"""Text of a spec file to a checked ``Spec``, or every problem at once."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from prometheus_ai.domain.errors import InvalidSpec, SpecProblem
from prometheus_ai.domain.spec import Spec
from prometheus_ai.specs.fields import allowed_values, example_of, nearest, unknown_field_hint
from prometheus_ai.specs.tree import Node, Place, parse_tree

_TYPE_NAMES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of names to text",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
}
_PATTERN_WORDS = {
    "name": "1 to 48 lower-case letters, digits and hyphens, starting with a letter",
    "target": "1 to 48 lower-case letters, digits and hyphens, starting with a letter",
    "version": "1 to 32 lower-case letters, digits, dots, hyphens and underscores",
    "python": 'a Python version in quotes, such as "3.11"',
    "sha256": "64 lower-case hexadecimal digits",
    "env": "a variable of the control plane whose name starts with PAI_SECRET_",
    "header": "a header name of letters, digits and hyphens",
    "cookie": "a cookie name of letters, digits, hyphens and underscores",
}
_EXAMPLES = {"name": "digits", "model": "{path: model.onnx}"}
_MISSING = "is required"
_SHOWN_LEN_MAX = 60


def decode(data: bytes, source: str) -> str:
    """Turn the bytes of a spec file into text.

    Raises:
        InvalidSpec: the bytes are not UTF-8; names the line.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = SpecProblem(
            field="",
            message=f"byte 0x{data[error.start]:02x} is not UTF-8",
            line=line,
            hint="save the file as UTF-8",
        )
        raise InvalidSpec((problem,), source=source) from error


def read(text: str, source: str) -> Spec:
    """Read the text of a spec file; ``source`` names it in messages.

    Raises:
        InvalidSpec: with all problems, each with line, column, field and what to write instead.
    """
    tree = parse_tree(text, source)
    root = tree.root
    problems = list(tree.problems)
    if root.kind != "mapping":
        problems.append(
            SpecProblem(
                field="",
                message=f"a spec is a mapping of fields, not {_kind(root)}",
                line=root.place.line,
                column=root.place.column,
                hint="start with `name: NAME`",
            )
        )
        raise InvalidSpec(tuple(problems), source=source)
    try:
        # Strict JSON mode: "3" is no number and `no` is no boolean, while lists stand for tuples.
        spec = Spec.model_validate_json(json.dumps(root.value()), strict=True)
    except ValidationError as error:
        problems += _explain(error.errors(include_url=False), root)
    if problems:
        problems.sort(key=_reading_order)
        raise InvalidSpec(tuple(problems), source=source)
    return spec


def check(values: Mapping[str, Any], source: str) -> Spec:
    """Check a spec given as plain values, for callers that hold no text.

    Raises:
        InvalidSpec: with all problems; they have no lines.
    """
    try:
        text = json.dumps(values)
    except (TypeError, ValueError) as error:
        problem = SpecProblem(field="", message=f"the spec is no plain JSON: {error}")
        raise InvalidSpec((problem,), source=source) from error
    try:
        return Spec.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise InvalidSpec(
            tuple(_explain(error.errors(include_url=False), None)), source=source
        ) from error


def _reading_order(problem: SpecProblem) -> tuple[int, int, bool]:
    """Sort by place; what is missing comes after what is written there, which often explains it."""
    return problem.line or 0, problem.column or 0, problem.message == _MISSING


def _explain(errors: Sequence[ErrorDetails], root: Node | None) -> list[SpecProblem]:
    """Turn pydantic's errors into problems; the branches of a union become one problem."""
    grouped: dict[tuple[int | str, ...], list[ErrorDetails]] = {}
    for error in errors:
        grouped.setdefault(_field_loc(error), []).append(error)
    # A list item's own error says more than "must be text" said by another branch of its union.
    merged = {
        loc: group
        for loc, group in grouped.items()
        if not any(other[: len(loc)] == loc and len(other) > len(loc) for other in grouped)
        or any(error["type"] == "value_error" for error in group)
    }
    return [_problem(loc, group, root) for loc, group in merged.items()]


def _field_loc(error: ErrorDetails) -> tuple[int | str, ...]:
    """Return the place without the union branches that pydantic writes into it."""
    return tuple(
        part
        for part in error["loc"]
        if isinstance(part, int) or not (part in ("str", "int", "float") or "[" in part)
    )


def _problem(
    loc: tuple[int | str, ...], group: list[ErrorDetails], root: Node | None
) -> SpecProblem:
    error = group[0]
    place, node = _locate(loc, root, is_key=error["type"] == "extra_forbidden")
    message, hint = _words(loc, group, node)
    return SpecProblem(
        field=_field(loc),
        message=message,
        line=place.line if place else None,
        column=place.column if place else None,
        hint=hint,
    )


def _words(
    loc: tuple[int | str, ...], group: list[ErrorDetails], node: Node | None
) -> tuple[str, str]:
    error, kind = group[0], group[0]["type"]
    if kind == "missing":
        example = _EXAMPLES.get(str(loc[-1])) or example_of(loc)
        return _MISSING, f"for example `{loc[-1]}: {example}`" if example else ""
    if kind == "extra_forbidden":
        return "unknown field", unknown_field_hint(loc)
    if kind == "literal_error":
        return _choice_words(loc, error["input"])
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, "), ""
    if kind == "string_pattern_mismatch":
        wanted = _PATTERN_WORDS.get(str(loc[-1]), f"text like {error['ctx']['pattern']}")
        return f"{_shown(error['input'])} is not {wanted}", ""
    wanted_types = [_TYPE_NAMES[one["type"]] for one in group if one["type"] in _TYPE_NAMES]
    if wanted_types:
        return _type_words(loc, wanted_types, error["input"], node)
    message = error["msg"].replace("Input should be", "must be").replace("String should", "must")
    return f"{message}, not {_shown(error['input'])}", ""


def _choice_words(loc: tuple[int | str, ...], given: Any) -> tuple[str, str]:
    allowed = allowed_values(loc)
    close = nearest(str(given), allowed)
    meant = f"did you mean {close}? " if close else ""
    return f"{_shown(given)} is not allowed", f"{meant}allowed: {', '.join(allowed)}"


def _type_words(
    loc: tuple[int | str, ...], wanted: list[str], given: Any, node: Node | None
) -> tuple[str, str]:
    written = node.source if node is not None and node.source else None
    shown = written if written is not None else _shown(given)
    message = f"must be {' or '.join(dict.fromkeys(wanted))}, not {shown or 'empty'}"
    if wanted[0] == "text" and isinstance(given, bool | int | float) and written:
        label = "" if isinstance(loc[-1], int) else f"{loc[-1]}: "
        return message, f'write it in quotes: {label}"{written}"'
    if wanted[0] == "true or false" and str(given).lower() in ("yes", "on", "y"):
        return message, "write true"
    if wanted[0] == "true or false" and str(given).lower() in ("no", "off", "n"):
        return message, "write false"
    if given is None:
        return message, "give a value, or remove the line"
    if isinstance(given, str) and "number" in wanted[0]:
        return message, "write the number without quotes and units"
    return message, ""


def _locate(
    loc: tuple[int | str, ...], root: Node | None, *, is_key: bool
) -> tuple[Place | None, Node | None]:
    """Find the deepest written value on the way to ``loc``; its key's place where that says more."""
    if root is None:
        return None, None
    node, place = root, root.place
    for position, part in enumerate(loc):
        is_last = position == len(loc) - 1
        if node.kind == "list" and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            place = node.place
        elif node.kind == "mapping" and part in node.entries:
            place = node.key_places[str(part)]
            node = node.entries[str(part)]
            if is_last and not is_key and node.kind == "scalar":
                place = node.place
        else:
            return place, None
    return place, node


def _field(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _kind(node: Node) -> str:
    return "a list" if node.kind == "list" else f"{_shown(node.scalar)}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_LEN_MAX else text[: _SHOWN_LEN_MAX - 1] + "…"
