"""Errors as a client sees them: `application/problem+json` with a stable code, a hint, and facts.

    {"type": "about:blank", "title": "Conflict", "status": 409, "code": "conflict",
     "detail": "the stream lidar is being recorded already", "hint": "…", "facts": {"recording_id": "…"}}

Nothing that was not written for a client's eyes gets into one: an unexpected exception says only that it
happened, and the log has the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, cast

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kymograph.model.errors import Forbidden, InvalidInput, KeyNeeded, KymographError, NotFound, TooMany

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = "2"
"""When to come back to what is away: an engine or a database that starts again takes some seconds."""

STATUS: Final[Mapping[str, int]] = {
    "internal": 500,
    "config": 422,
    "invalid_input": 422,
    "not_found": 404,
    "conflict": 409,
    "refused": 409,
    "forbidden": 403,
    "key_needed": 401,
    "too_many": 429,
    "timed_out": 504,
    "unavailable": 503,
    "device": 502,
    "port": 502,
    "device_silent": 502,
    "storage": 500,
    "disk_full": 507,
    "disk_failed": 500,
    "folder_locked": 503,
    "corrupt": 500,
}
"""The HTTP status of each code in `model/errors.py`."""

_BY_STATUS: Final = {
    400: "invalid_input",
    401: "key_needed",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "invalid_input",
    422: "invalid_input",
    424: "object_missing",
    429: "too_many",
    503: "unavailable",
}


def _plain(value: Any) -> Any:
    """Return facts as JSON can say them; what it cannot is spelled."""
    try:
        return msgspec.to_builtins(value, str_keys=True, enc_hook=str)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return str(value)


def encode(value: Any) -> bytes:
    """Return JSON in which NaN and infinities are null."""
    return msgspec.json.encode(value, enc_hook=str)


def problem(error: KymographError, status: int = 0, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error as an answer; its status is that of its code unless given."""
    status = status or STATUS.get(error.code, 500)
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": error.code,
        "detail": error.message,
        "hint": error.hint,
        "facts": _plain(error.facts),
    }
    extra = dict(headers or {})
    if isinstance(error, KeyNeeded):
        extra.setdefault("WWW-Authenticate", "Bearer")
    if isinstance(error, TooMany) and "retry_after_s" in error.facts:
        extra.setdefault("Retry-After", str(int(error.facts["retry_after_s"]) or 1))
    if status == 503:
        extra.setdefault("Retry-After", RETRY_AFTER_S)
    return Response(encode(body), status, extra, MEDIA_TYPE)


class HttpProblem(KymographError):
    """A problem that only HTTP knows (a method, a length), with the code of its status."""

    def __init__(self, status: int, message: str, *, hint: str = "", **facts: Any) -> None:
        super().__init__(message, hint=hint, **facts)
        self.status = status
        self.code = _BY_STATUS.get(status, "http")  # type: ignore[misc]


async def _on_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, KymographError)
    if isinstance(error, HttpProblem):
        return problem(error, error.status)
    if not isinstance(error, (InvalidInput, NotFound, Forbidden, KeyNeeded)):
        log.info("answered %s: %s", error.code, error)
    return problem(error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    if status == 405 and getattr(request.scope.get("endpoint"), "kymograph_any_path", False):
        status = 404
    if status == 404:
        return problem(NotFound("there is nothing at this path", hint="/docs lists what there is"), 404)
    return problem(HttpProblem(status, str(error.detail)), status, error.headers)


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong: list[dict[str, Any]] = []
    for one in cast("list[dict[str, Any]]", error.errors())[:10]:
        where = ".".join(str(part) for part in one["loc"])
        wrong.append({"where": where[:200], "what": str(one["msg"])[:200]})
    first = wrong[0] if wrong else {"where": "request", "what": "is not valid"}
    return problem(InvalidInput(f"{first['where']}: {first['what']}", errors=wrong))


async def _on_surprise(_request: Request, _error: Exception) -> Response:
    return problem(
        KymographError("something went wrong inside", hint="the log of the station says more"), 500
    )


def install(app: FastAPI) -> None:
    """Have every error of an application answered as a problem."""
    app.add_exception_handler(KymographError, _on_error)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_surprise)
