"""Answers of the API that are errors, as errors of the platform."""

import json
from typing import Any

from prometheus_ai.domain.errors import (
    Conflict,
    Corrupted,
    InvalidInput,
    InvalidSpec,
    NotFound,
    NotReady,
    PlatformError,
    Refused,
    SpecProblem,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

_BY_CODE: dict[str, type[PlatformError]] = {
    kind.code: kind
    for kind in (
        Conflict, Corrupted, InvalidInput, NotFound, NotReady, PlatformError, Refused,
        Unauthenticated, Unavailable, Unsupported,
    )
}  # fmt: skip
_BY_STATUS: dict[int, type[PlatformError]] = {
    401: Unauthenticated,
    403: Refused,
    404: NotFound,
    409: Conflict,
    413: InvalidInput,
    422: InvalidInput,
    503: Unavailable,
}
_AGAIN = (429, 503, 504)
"""What a gateway or model server answers when the same request may succeed later."""
_WITHOUT_WORDS = {
    401: ("the token is not valid", "make one with `pai token create`, and set PAI_TOKEN"),
    403: ("the token's role is too small for this", "use one of the role deployer or admin"),
}
"""What an answer to HEAD, which has no body, would have said."""
_TEXT_LEN_MAX = 300


def fault(status: int, body: bytes, source: str = "spec") -> PlatformError:
    """Return the error that an answer stands for."""
    error = _error_object(body)
    if isinstance(error, str):
        kind = _BY_STATUS.get(status, InvalidInput if status < 500 else Unavailable)
        return NotReady(error) if status in _AGAIN else kind(error)
    if error is None:
        text = body.decode("utf-8", "replace").strip()[:_TEXT_LEN_MAX]
        kind = _BY_STATUS.get(status, Unavailable if status >= 500 else InvalidInput)
        if text:
            return kind(f"the server answered {status}: {text}")
        message, hint = _WITHOUT_WORDS.get(status, (f"HTTP status {status}", ""))
        return kind(message, hint=hint)
    problems = error.get("problems")
    if error.get("code") == InvalidSpec.code and problems:
        return InvalidSpec(
            tuple(_problem(problem) for problem in problems), source=error.get("source") or source
        )
    kind = _BY_CODE.get(str(error.get("code")), _BY_STATUS.get(status, PlatformError))
    return kind(str(error.get("message", "")), hint=str(error.get("hint") or ""))


def _problem(values: dict[str, Any]) -> SpecProblem:
    return SpecProblem(
        field=str(values.get("field", "")),
        message=str(values.get("message", "")),
        line=values.get("line"),
        column=values.get("column"),
        hint=str(values.get("hint") or ""),
    )


def _error_object(body: bytes) -> dict[str, Any] | str | None:
    """Return the API's error object, the plain text of the Open Inference Protocol, or None."""
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        return error if "message" in error else None
    return error if isinstance(error, str) else None
