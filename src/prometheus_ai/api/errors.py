"""Errors of the platform as HTTP answers: the only place that maps them to a status."""

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from prometheus_ai.api.guard import error_body
from prometheus_ai.domain.errors import (
    Conflict,
    Corrupted,
    InvalidInput,
    InvalidSpec,
    NotFound,
    NotReady,
    PlatformError,
    Refused,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

log = structlog.get_logger()

STATUS_BY_ERROR: dict[type[PlatformError], int] = {
    Unauthenticated: 401,
    Refused: 403,
    NotFound: 404,
    Conflict: 409,
    InvalidInput: 422,
    Unsupported: 422,
    Corrupted: 500,
    NotReady: 503,
    Unavailable: 503,
    PlatformError: 500,
}
_RETRY_AFTER_S = "1"


class Problem(BaseModel):
    """One thing wrong with what was sent."""

    field: str
    message: str
    line: int | None = None
    column: int | None = None
    hint: str = ""


class ErrorDetail(BaseModel):
    """What happened, why, and what to do."""

    code: str
    message: str
    hint: str = ""
    problems: list[Problem] = []
    source: str = ""
    """The file that the problems are in."""


class ErrorBody(BaseModel):
    """The one shape that every error has."""

    error: ErrorDetail


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": description}
    for status, description in (
        (401, "No valid token was sent"),
        (403, "The token's role is too small, or a rule forbids it"),
        (404, "The named thing does not exist"),
        (409, "It changed meanwhile, or is in the way"),
        (413, "The body is too large"),
        (422, "What was sent cannot be accepted"),
        (503, "Try again later"),
    )
}


def status_of(error: PlatformError) -> int:
    """Return the HTTP status of an error."""
    return next(STATUS_BY_ERROR[kind] for kind in type(error).__mro__ if kind in STATUS_BY_ERROR)


def body_of(error: PlatformError) -> dict[str, Any]:
    """Return the body of an error's answer."""
    problems = error.problems if isinstance(error, InvalidSpec) else ()
    return error_body(
        error,
        (
            Problem(
                field=one.field,
                message=one.message,
                line=one.line,
                column=one.column,
                hint=one.hint,
            ).model_dump()
            for one in problems
        ),
        source=error.source if isinstance(error, InvalidSpec) else "",
    )


def install(app: FastAPI) -> None:
    """Answer every error in the one shape."""

    @app.exception_handler(PlatformError)
    async def platform_error(_request: Request, error: PlatformError) -> JSONResponse:
        status = status_of(error)
        body = body_of(error)
        headers = {}
        if status == 401:
            headers["www-authenticate"] = "Bearer"
        if status == 503:
            headers["retry-after"] = _RETRY_AFTER_S
        return JSONResponse(body, status_code=status, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def wrong_request(_request: Request, error: RequestValidationError) -> JSONResponse:
        problems = [_problem(one) for one in error.errors()]
        first = problems[0] if problems else Problem(field="", message="invalid")
        wrong = InvalidInput(f"{first.field}: {first.message}" if first.field else first.message)
        return JSONResponse(
            error_body(wrong, (problem.model_dump() for problem in problems)), status_code=422
        )

    @app.exception_handler(HTTPException)
    async def http_error(_request: Request, error: HTTPException) -> JSONResponse:
        kind = {401: Unauthenticated, 403: Refused, 404: NotFound}.get(
            error.status_code, InvalidInput
        )
        # FastAPI answers 400 to a body that is no text at all; one status says "not acceptable".
        status = 422 if error.status_code == 400 else error.status_code
        body = error_body(kind(str(error.detail)))
        return JSONResponse(body, status_code=status, headers=error.headers)

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> JSONResponse:
        log.error("request_failed", method=request.method, path=request.url.path, error=repr(error))
        body = error_body(
            PlatformError(
                "the control plane met a fault of its own",
                hint="its log in the home folder's logs/ says more",
            )
        )
        return JSONResponse(body, status_code=500)


def _problem(error: Any) -> Problem:
    parts = [str(part) for part in error["loc"] if part not in ("body", "query", "path")]
    return Problem(field=".".join(parts), message=str(error["msg"]))
