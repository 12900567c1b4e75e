"""One HTTP connection to one hub, kept open. Nothing is repeated here: who asks decides.

The standard library's client and not httpx: the process that ships stays small, and it has to be known
whether a request may have arrived.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from kymograph.model.errors import KeyNeeded, KymographError, Unavailable

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
IDLE_S_MAX: Final = 4.0
"""A connection silent for longer is not used again: servers close theirs after five seconds, and a request
that meets the closing may or may not have arrived."""
RETRY_AFTER_S_MAX: Final = 600.0
_PIECE: Final = 65_536
_LINE_BYTES: Final = 200
"""About what a request's and an answer's first line and standard headers take on the line."""


class Away(Unavailable):
    """The hub does not answer, or cannot do its work now."""

    def __init__(self, message: str, retry_s: float = 0.0, doubtful: bool = True, status: int = 0) -> None:
        """Say why; `retry_s` is what the hub asks for; `doubtful`: the request may have been carried out."""
        super().__init__(message, hint="it is tried again")
        self.retry_s = retry_s
        self.doubtful = doubtful
        self.status = status


class Overlong(Away):
    """The answer is larger than anything that is waited for."""


class _Endless(HTTPException):
    pass


class Denied(KeyNeeded):
    """The hub does not accept the key."""


class Misplaced(KymographError):
    """What answers there is no hub, or one that does not understand."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; names of headers are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON, None if it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None

    @property
    def reason(self) -> str:
        """What the body says in a sentence, at most a line."""
        told: Any = self.json()
        if isinstance(told, dict):
            for name in ("detail", "reason", "message", "title"):
                if isinstance(text := told.get(name), str) and text:  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
                    return _line(text)
        return _line(self.body[:300].decode("utf-8", "replace"))

    @property
    def retry_s(self) -> float:
        """What `Retry-After` asks for, in seconds; 0 if nothing."""
        text = self.headers.get("retry-after", "")
        try:
            wait_s = (
                float(text)
                if text.strip().isdigit()
                else parsedate_to_datetime(text).timestamp() - time.time()
            )
        except (ValueError, TypeError, IndexError):
            return 0.0
        return min(max(wait_s, 0.0), RETRY_AFTER_S_MAX)


class Wire:
    """Used by one thread; `cut` by any."""

    def __init__(self, url: str, key: str, connect_timeout_s: float, answer_timeout_s: float) -> None:
        """Name the hub; connects when it is first asked."""
        parts = urlsplit(url)
        self.url = url
        self._path = parts.path.rstrip("/")
        self._tls = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._headers = {"authorization": f"Bearer {key}", "x-api-key": key} if key else {}
        self._connect_timeout_s = connect_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._http: HTTPConnection | None = None
        self._used = 0.0
        self.nbytes = 0
        """Sent and received since the beginning, about."""

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and return its answer, whatever its status.

        Raises:
            Away: there is none; `doubtful` if the request may have arrived all the same.
        """
        http = self._connected()
        sent = {"user-agent": "kymograph", **self._headers, **(headers or {})}
        self.nbytes += (
            len(body) + _LINE_BYTES + sum(len(name) + len(value) + 4 for name, value in sent.items())
        )
        try:
            answer = self._exchange(http, method, self._path + path, body, sent)
        except _Endless:
            self.close()
            raise Overlong(f"{self.url} gives an answer without end") from None
        except (OSError, HTTPException) as error:
            self.close()
            raise Away(f"{self.url} broke off: {_said(error)}") from None
        self.nbytes += len(answer.body) + _LINE_BYTES
        self._used = time.monotonic()
        return answer

    def _connected(self) -> HTTPConnection:
        if self._http is not None and (time.monotonic() - self._used > IDLE_S_MAX or _ended(self._http)):
            self.close()
        if self._http is not None:
            return self._http
        try:
            http = self._made()
            http.connect()
            assert http.sock is not None
            http.sock.settimeout(self._answer_timeout_s)
        except (OSError, HTTPException, ValueError) as error:
            raise Away(f"{self.url} cannot be reached: {_said(error)}", doubtful=False) from None
        http.auto_open = 0
        self._http = http
        return http

    def _made(self) -> HTTPConnection:
        if not self._tls:
            return HTTPConnection(self._host, self._port, timeout=self._connect_timeout_s)
        context = ssl.create_default_context()
        return HTTPSConnection(self._host, self._port, timeout=self._connect_timeout_s, context=context)

    def _exchange(
        self, http: HTTPConnection, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        try:
            http.request(method, path, body if body or method != "HEAD" else None, dict(headers))
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have answered before it had everything: too large, no key
        with http.getresponse() as response:
            answer = Answer(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                self._read(response),
            )
            if response.will_close:
                self.close()
        return answer

    def _read(self, response: HTTPResponse) -> bytes:
        deadline = time.monotonic() + self._answer_timeout_s
        body = bytearray()
        while piece := response.read1(_PIECE):
            body += piece
            if len(body) > ANSWER_BYTES_MAX:
                raise _Endless
            if time.monotonic() > deadline:
                raise TimeoutError("its answer takes too long")
        if response.length:  # `read1` says nothing of it
            raise IncompleteRead(bytes(body), response.length)
        if response.length is None and not response.chunked and _goes_on(response):
            raise HTTPException("its answer breaks off before its end")  # among its headers
        return bytes(body)

    def cut(self) -> None:
        """End whatever is under way at once."""
        http = self._http
        sock: socket.socket | None = None if http is None else http.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next request makes another."""
        http, self._http = self._http, None
        if http is not None:
            http.close()


def checked(answer: Answer, url: str) -> Answer:
    """Return an answer that is none of the ways in which a hub says that it cannot now, or never will.

    Raises:
        Away: 5xx, 408, 425 or 429.
        Denied: 401 or 403.
        Misplaced: it sends us elsewhere, or knows no such address.
    """
    status = answer.status
    if status >= 500 or status in (408, 425, 429):
        said = f": {answer.reason}" if answer.reason else ""
        raise Away(f"{url} answered {status}{said}", answer.retry_s, status=status)
    if status in (401, 403):
        said = f" ({answer.reason})" if answer.reason else ""
        raise Denied(
            f"{url} does not accept the key{said}",
            hint="make one on the hub for this station, and put it into `key` of the destination",
        )
    if 300 <= status < 400:
        where = answer.headers.get("location", "elsewhere")
        raise Misplaced(f"{url} sends us to {where}", hint="if that is the hub, put it into `url`")
    if status in (404, 405, 410):
        raise Misplaced(
            f"{url} answered {status}: it is no hub of this kind",
            hint="look at `url` and `kind` of the destination",
        )
    return answer


def _ended(http: HTTPConnection) -> bool:
    """Whether the other side has closed, or said something that nobody asked for."""
    sock = http.sock
    if sock is None or sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _goes_on(response: HTTPResponse) -> bool:
    """Whether the other side means to keep the connection: then it has to say how long an answer is."""
    return response.version > 10 and "close" not in response.headers.get("connection", "").lower()


def _line(text: str) -> str:
    return " ".join(text.split())[:200]


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate cannot be trusted: {error.verify_message}"
    text = error.strerror if isinstance(error, OSError) else str(error)
    return _line(text or type(error).__name__)
