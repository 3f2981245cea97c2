"""What fields a spec has: names, allowed values and where a misplaced one belongs."""

import difflib
import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from prometheus_ai.domain.spec import Spec

Loc = Sequence[int | str]


def model_at(loc: Loc) -> type[BaseModel] | None:
    """Return the class of the mapping at a place in a spec, or None where there is none."""
    found: Any = Spec
    for part in loc:
        found = _step(found, part)
        if found is None:
            return None
    return _model(found)


def allowed_values(loc: Loc) -> tuple[str, ...]:
    """Return the values that the field at ``loc`` may have, when they are a fixed list."""
    if not loc:
        return ()
    found: Any = Spec
    for part in loc:
        found = _step(found, part)
    return tuple(
        str(value)
        for choice in _choices(found)
        if get_origin(choice) is Literal
        for value in get_args(choice)
    )


def example_of(loc: Loc) -> str:
    """Return one example value of a field, as text, or an empty string."""
    parent = model_at(loc[:-1])
    info = parent.model_fields.get(str(loc[-1])) if parent else None
    return str(info.examples[0]) if info and info.examples else ""


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return the known word that was most likely meant."""
    folded = {name.lower().replace("-", "_"): name for name in known}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), list(folded), n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def unknown_field_hint(loc: Loc) -> str:
    """Say what to write instead of an unknown field."""
    name, parent = str(loc[-1]), model_at(loc[:-1])
    known = list(parent.model_fields) if parent else []
    if name == "<<":
        return "YAML 1.2 has no merge keys; write the fields out"
    close = nearest(name, known)
    if close:
        return f"did you mean {close}?"
    places = [path for path in _paths(Spec) if path.rpartition(".")[2] == name]
    if places:
        return f"it belongs at {' or '.join(places)}"
    return f"known fields here: {', '.join(known)}"


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield prefix + name
        inner = _model(info)
        if inner is not None:
            yield from _paths(inner, f"{prefix}{name}.")


def _step(found: Any, part: int | str) -> Any:
    """Go from an annotation to that of one of its fields or items."""
    if isinstance(part, int):
        for choice in _choices(found):
            if get_origin(choice) in (tuple, list):
                return get_args(choice)[0]
        return None
    model = _model(found)
    if model is not None:
        return model.model_fields.get(part)
    for choice in _choices(found):
        if get_origin(choice) is dict:
            return get_args(choice)[1]
    return None


def _model(found: Any) -> type[BaseModel] | None:
    for choice in _choices(found):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            return choice
    return None


def _choices(found: Any) -> tuple[Any, ...]:
    """Return the alternatives of an annotation, optional ones unwrapped."""
    if isinstance(found, FieldInfo):
        found = found.annotation
    if get_origin(found) is Annotated:
        found = get_args(found)[0]
    if get_origin(found) in (Union, types.UnionType):
        return tuple(inner for choice in get_args(found) for inner in _choices(choice))
    return (found,)
