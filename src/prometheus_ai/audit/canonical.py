"""One way to write an event as bytes: plain JSON without secrets, then RFC 8785."""

import math
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import rfc8785
from pydantic import BaseModel

from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.event import Event
from prometheus_ai.domain.secret import MASK, Secret, mask_tokens

EVENT_BYTES_MAX = 1 << 20
INTEGER_MAX = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly; beyond it the digits are written as text."""

_SECRET_NAMES = re.compile(
    r"(^|[_-])(password|passwd|secret|secret_hash|api[_-]?key|private[_-]key|access[_-]key|authorization)$",
    re.IGNORECASE,
)
_URL_USER = re.compile(r"(?<=://)[^/\s?#]*@")


def canonical_json(event: Mapping[str, Any]) -> bytes:
    """Return the RFC 8785 bytes of plain JSON.

    Raises:
        InvalidInput: the content is not plain JSON.
    """
    try:
        return rfc8785.dumps(event)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidInput(f"an audit record is not plain JSON: {error}") from error


def record_content(event: Event, index: int) -> dict[str, Any]:
    """Return the JSON object that stands for an event at a position of the log."""
    return {
        "index": index,
        "kind": event.kind.value,
        "actor": plain(event.actor),
        "reason": plain(event.reason),
        "backend": event.backend,
        "version": event.version,
        "before": plain(event.before),
        "after": plain(event.after),
        "at": time_text(event.at),
    }


def time_text(at: datetime) -> str:
    """Write a time in UTC with microseconds and ``Z``.

    Raises:
        InvalidInput: the time has no zone.
    """
    if at.tzinfo is None:
        raise InvalidInput(f"the time {at.isoformat()} has no zone")
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def plain(value: object) -> Any:
    """Turn a value into plain JSON; secrets become ``***``.

    Raises:
        InvalidInput: bytes, or a type that has no plain form.
    """
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, str):
        return _plain_text(value.value if isinstance(value, Enum) else value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return int(value) if -INTEGER_MAX <= value <= INTEGER_MAX else str(int(value))
    if isinstance(value, Mapping):
        return dict(map(_plain_item, value.items()))
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return _plain_object(value)


def _plain_item(item: tuple[object, object]) -> tuple[str, Any]:
    key = item[0]
    name = _plain_text(key) if isinstance(key, str) else str(key)
    is_shown = item[1] is None or not _SECRET_NAMES.search(name)
    return name, plain(item[1]) if is_shown else MASK


def _plain_text(text: str) -> str:
    text = str(text)
    if not text.isascii():
        # A lone surrogate, such as a file name that is not UTF-8, has no JSON form.
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if "://" in text:
        text = _URL_USER.sub(f"{MASK}@", text)
    return mask_tokens(text)


def _plain_object(value: object) -> Any:
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, BaseModel):
        return plain(value.model_dump(mode="json"))
    if is_dataclass(value) and not isinstance(value, type):
        return plain({field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, AbstractSet):
        return sorted((plain(item) for item in value), key=lambda item: canonical_json({"": item}))
    raise InvalidInput(f"a {type(value).__name__} cannot be recorded in the audit log")
