"""The gate that every request passes before any route sees it.

It refuses names and origins that are not ours (`origin.py`), bounds bodies in size and in silence, lets the
pages of listed origins in (CORS), and puts the headers on every answer that keep a browser from doing more
with it than we mean.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kymograph.model.errors import Forbidden, KymographError
from kymograph.model.limits import REQUEST_BODY_BYTES_MAX, REQUEST_BODY_SILENCE_S_MAX
from kymograph.web.origin import Origins
from kymograph.web.problems import HttpProblem, problem

_CSP: Final = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'self'"
)
"""Frames of our own pages (behind a proxy: of the proxy's address); those of listed origins are added."""
SECURITY_HEADERS: Final = (
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=(), serial=(), usb=()"),
)
_PREFLIGHT: Final = {
    "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "access-control-allow-headers": (
        "authorization, x-api-key, content-type, idempotency-key, range, if-none-match"
    ),
    "access-control-max-age": "600",
}
_EXPOSED: Final = "etag, content-disposition, content-range, retry-after"


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins
        csp = " ".join((_CSP, *origins.all_listed()))
        self._headers = (("content-security-policy", csp), *SECURITY_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(headers)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await problem(refusal)(scope, receive, send)
            return
        guarded = self._with_headers(send, headers.get("origin", ""))
        if refusal is None:
            refusal = self._too_large(headers)
        if refusal is not None:
            status = refusal.status if isinstance(refusal, HttpProblem) else 0
            await problem(refusal, status)(scope, receive, guarded)
        elif scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            listed = self._origins.listed(headers.get("origin", ""))
            await Response(status_code=204, headers=_PREFLIGHT if listed else {})(scope, receive, guarded)
        else:
            await self._app(scope, _bounded(receive), guarded)

    def _refusal(self, headers: Headers) -> KymographError | None:
        try:
            if len(headers.getlist("host")) != 1:
                raise Forbidden("a request needs one Host header")
            self._origins.check_host(headers.get("host"))
            self._origins.check_origin(headers)
        except KymographError as error:
            return error
        return None

    @staticmethod
    def _too_large(headers: Headers) -> KymographError | None:
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and int(length[:20]) <= REQUEST_BODY_BYTES_MAX:
            return None
        return HttpProblem(413, "the request's body is too large", bytes_max=REQUEST_BODY_BYTES_MAX)

    def _with_headers(self, send: Send, origin: str) -> Send:
        listed = bool(origin) and self._origins.listed(origin)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers:
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
                headers.add_vary_header("Origin")
                if listed:
                    headers["access-control-allow-origin"] = origin
                    headers["access-control-expose-headers"] = _EXPOSED
            await send(message)

        return sending


def _bounded(receive: Receive) -> Receive:
    """Return a `receive` that gives up on a body that is too long or falls silent."""
    taken = 0
    whole = False

    async def receiving() -> Message:
        nonlocal taken, whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout(REQUEST_BODY_SILENCE_S_MAX):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "the request's body did not come") from None
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            whole = not message.get("more_body", False)
        if taken > REQUEST_BODY_BYTES_MAX:
            raise HTTPException(413, "the request's body is too large")
        return message

    return receiving
