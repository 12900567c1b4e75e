"""How this face answers: JSON, and errors under the statuses that its contract gives them.

The body of an error is that of `/v1`: old clients read its `detail`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, cast

import msgspec
from anyio import CapacityLimiter, to_thread
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from kymograph.model.errors import Conflict, Forbidden, InvalidInput, KeyNeeded, KymographError, TooMany
from kymograph.web.problems import HttpProblem, encode, problem

STATUS: Final[Mapping[str, int]] = {
    "config": 400,
    "conflict": 400,
    "refused": 503,
    "port": 503,
    "device": 503,
    "unavailable": 503,
    "device_silent": 504,
    "timed_out": 504,
}
"""The contract's status of an error by its code; a code that is not here has that of `/v1`."""
_BODY_BYTES_MAX: Final = 256 * 1024


class Route(APIRoute):
    """Answers errors under the contract's statuses."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute`."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except (KeyNeeded, Forbidden, TooMany, HttpProblem):
                raise
            except KymographError as error:
                if error.code not in STATUS:
                    raise
                return problem(error, STATUS[error.code])

        return answer


class Lane:
    """Calls that may take long, so many at a time, in threads of their own: whoever else asks is not held up.

    A lane of one is also what keeps two clients from doing one thing twice: the second looks at the state
    that the first has left.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._limiter: CapacityLimiter | None = None

    async def run(self, work: Callable[[], Response]) -> Response:
        """Do it when its turn comes; call on the event loop."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(self._width)
        return await to_thread.run_sync(work, limiter=self._limiter)


def said(body: Any, status: int = 200) -> Response:
    """Return a body as JSON."""
    return Response(encode(body), status, media_type="application/json")


def bad(message: str, hint: str = "", **facts: Any) -> HttpProblem:
    """Return what the contract calls 400: a state or a value that does not fit."""
    return HttpProblem(400, message, hint=hint, **facts)


def conflict(error: Conflict, message: str) -> HttpProblem:
    """Return a conflict in the contract's words, with who holds what."""
    return bad(message, error.hint, **error.facts)


async def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object that was sent, whatever media type its sender gave it; empty if nothing was.

    Raises:
        InvalidInput: it is no JSON object.
    """
    sent = bytearray()
    async for piece in request.stream():
        sent += piece
        if len(sent) > _BODY_BYTES_MAX:
            raise InvalidInput("the request's body is too large")
    if not sent.strip():
        return {}
    try:
        body = msgspec.json.decode(sent)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise InvalidInput("the request's body is not JSON") from None
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise InvalidInput("the request's body is no JSON object")
    return cast("dict[str, Any]", body)
