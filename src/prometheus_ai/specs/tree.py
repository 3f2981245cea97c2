"""YAML text as a tree of values that know their line.

Scalars follow the core schema of YAML 1.2: ``no`` is text, ``010`` is ten, and nothing becomes a date.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from prometheus_ai.domain.errors import InvalidSpec, SpecProblem

TEXT_LEN_MAX = 262_144
"""A spec is small; a longer text is another file given by mistake."""
VALUES_MAX = 10_000
"""Values in one spec, counted after aliases are expanded."""
DEPTH_MAX = 32

_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]{1,4000}")
_BASED = re.compile(r"0o[0-7]{1,1000}|0x[0-9a-fA-F]{1,1000}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./+@-]*")
_TEXT_TAGS = (None, "!", "tag:yaml.org,2002:str")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where something stands, counted from 1."""

    line: int
    column: int


@dataclass(kw_only=True, slots=True)
class Node:
    """One value of the text. Exactly one of ``scalar``, ``items`` and ``entries`` carries it."""

    place: Place
    kind: str
    """``scalar``, ``list`` or ``mapping``."""
    scalar: str | int | float | bool | None = None
    source: str = ""
    """A plain scalar as it was written: ``1.10`` where the value is 1.1."""
    items: list["Node"] = field(default_factory=list)
    entries: dict[str, "Node"] = field(default_factory=dict)
    key_places: dict[str, Place] = field(default_factory=dict)
    count: int = 1

    def value(self) -> Any:
        """Return the plain Python value."""
        if self.kind == "mapping":
            return {key: child.value() for key, child in self.entries.items()}
        if self.kind == "list":
            return [child.value() for child in self.items]
        return self.scalar


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """The root value, and what is wrong with the text although it could be read."""

    root: Node
    problems: tuple[SpecProblem, ...]


def parse_tree(text: str, source: str) -> Tree:
    """Read one YAML document.

    Raises:
        InvalidSpec: the text is empty, no YAML, or beyond a bound.
    """
    if len(text) > TEXT_LEN_MAX:
        raise _invalid(
            source,
            f"the text has {len(text):,} characters; a spec has at most {TEXT_LEN_MAX:,}",
            hint="is this the right file?",
        )
    builder = _Builder()
    events = YAML(typ="safe", pure=True).parse(text.removeprefix("\ufeff"))
    try:
        root = builder.document(events)
    except MarkedYAMLError as error:
        raise InvalidSpec((_syntax_problem(error),), source=source) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _invalid(
            source,
            f"character U+{error.character:04X} is not allowed in YAML",
            place=Place(line=line, column=1),
        ) from error
    except (YAMLError, ValueError) as error:
        raise _invalid(source, f"this is not YAML: {error}") from error
    except _Bound as bound:
        raise InvalidSpec((bound.problem,), source=source) from bound
    if root is None or (root.kind == "scalar" and root.scalar is None):
        raise _invalid(
            source, "the spec is empty", hint="`pai init MODEL_FILE` writes one to start from"
        )
    return Tree(root=root, problems=tuple(builder.problems))


def is_plain_text(text: str) -> bool:
    """Whether text means itself when it is written without quotes."""
    return _PLAIN.fullmatch(text) is not None and _resolve(text) == text


class _Bound(Exception):
    def __init__(self, message: str, place: Place, hint: str = "") -> None:
        super().__init__(message)
        self.problem = SpecProblem(
            field="", message=message, line=place.line, column=place.column, hint=hint
        )


class _Builder:
    def __init__(self) -> None:
        self.problems: list[SpecProblem] = []
        self._anchors: dict[str, Node] = {}
        self._count = 0

    def document(self, events: Iterator[Event]) -> Node | None:
        """Build the first document; a second one is an error."""
        root: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Bound(
                        "a second document starts here",
                        _place(event),
                        hint="one file holds one backend; put the other one in its own file",
                    )
            elif isinstance(event, NodeEvent):
                root = self._node(event, events, path="", depth=0)
        return root

    def _node(self, event: Event, events: Iterator[Event], *, path: str, depth: int) -> Node:
        place = _place(event)
        if depth > DEPTH_MAX:
            raise _Bound(f"values are nested more than {DEPTH_MAX} deep", place)
        if isinstance(event, AliasEvent):
            return self._alias(event, place)
        self._add(1, place)
        if isinstance(event, ScalarEvent):
            node = self._scalar(event, place, path)
        elif isinstance(event, SequenceStartEvent):
            node = self._list(events, place, path, depth)
        elif isinstance(event, MappingStartEvent):
            node = self._mapping(events, place, path, depth)
        else:
            raise _Bound(f"unexpected {type(event).__name__}", place)
        if not isinstance(event, ScalarEvent) and event.tag not in (None, "!"):
            self._problem(path, f"tag {_short_tag(event.tag)} is not allowed in a spec", place)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: AliasEvent, place: Place) -> Node:
        target = self._anchors.get(event.anchor)
        if target is None:
            raise _Bound(f"alias *{event.anchor} has no complete anchor before it", place)
        self._add(target.count, place)
        return target

    def _list(self, events: Iterator[Event], place: Place, path: str, depth: int) -> Node:
        node = Node(place=place, kind="list")
        for event in events:
            if isinstance(event, CollectionEndEvent):
                break
            child = self._node(event, events, path=f"{path}[{len(node.items)}]", depth=depth + 1)
            node.items.append(child)
            node.count += child.count
        return node

    def _mapping(self, events: Iterator[Event], place: Place, path: str, depth: int) -> Node:
        node = Node(place=place, kind="mapping")
        for event in events:
            if isinstance(event, CollectionEndEvent):
                break
            key, key_place = self._key(event, events, path, depth), _place(event)
            child_path = f"{path}.{key}" if path else key
            child = self._node(next(events), events, path=child_path, depth=depth + 1)
            node.count += child.count
            if key in node.entries:
                first = node.key_places[key].line
                self._problem(
                    child_path,
                    f"appears twice, first on line {first}",
                    key_place,
                    "keep one of the two",
                )
            else:
                node.entries[key] = child
                node.key_places[key] = key_place
        return node

    def _key(self, event: Event, events: Iterator[Event], path: str, depth: int) -> str:
        node = self._node(event, events, path=path, depth=depth + 1)
        if node.kind != "scalar":
            raise _Bound(f"a {node.kind} cannot be a field's name", node.place)
        if not isinstance(node.scalar, str):
            written = node.source or "null"
            self._problem(
                path,
                f"the key {written} is not text",
                node.place,
                f'write it in quotes: "{written}"',
            )
            return written
        return node.scalar

    def _scalar(self, event: ScalarEvent, place: Place, path: str) -> Node:
        is_plain = event.style is None and event.tag is None
        if event.tag not in _TEXT_TAGS:
            self._problem(
                path,
                f"tag {_short_tag(event.tag)} is not allowed in a spec",
                place,
                "write the value without it",
            )
        value = _resolve(event.value) if is_plain else event.value
        return Node(
            place=place, kind="scalar", scalar=value, source=event.value if is_plain else ""
        )

    def _add(self, count: int, place: Place) -> None:
        self._count += count
        if self._count > VALUES_MAX:
            raise _Bound(
                f"the spec holds more than {VALUES_MAX:,} values once its aliases are expanded",
                place,
            )

    def _problem(self, path: str, message: str, place: Place, hint: str = "") -> None:
        self.problems.append(
            SpecProblem(
                field=path, message=message, line=place.line, column=place.column, hint=hint
            )
        )


def _resolve(text: str) -> str | int | float | bool | None:
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text) or _INFINITE.fullmatch(text) or _NAN.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _place(event: Event) -> Place:
    return Place(line=event.start_mark.line + 1, column=event.start_mark.column + 1)


def _short_tag(tag: object) -> str:
    return str(tag).replace("tag:yaml.org,2002:", "!!")


def _syntax_problem(error: MarkedYAMLError) -> SpecProblem:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else None
    column = mark.column + 1 if mark else None
    message = error.problem or error.context or "this is not YAML"
    hint = ""
    if "'\\t'" in message:
        message, hint = "a tab is used for indentation", "YAML allows only spaces there"
    elif line is not None and "mapping values are not allowed" in message:
        hint = "a value with `: ` in it needs quotes; fields of one mapping start in one column"
    elif error.context and error.problem:
        message = f"{error.problem} {error.context}"
    return SpecProblem(field="", message=message, line=line, column=column, hint=hint)


def _invalid(
    source: str, message: str, *, hint: str = "", place: Place | None = None
) -> InvalidSpec:
    problem = SpecProblem(
        field="",
        message=message,
        line=place.line if place else None,
        column=place.column if place else None,
        hint=hint,
    )
    return InvalidSpec((problem,), source=source)
