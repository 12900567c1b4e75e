"""HTTP for a mirror: small answers whole, large ones in pieces from an offset, never faster than allowed."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

from kymograph.model.errors import (
    KeyNeeded,
    KymographError,
    NotFound,
    StorageError,
    Unavailable,
    error_from_dict,
)

CONNECT_S: Final = 5.0
READ_S: Final = 15.0


class Away(Unavailable):
    """The source does not answer at all, or broke off: nothing else need be asked of it now."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A small answer: its body, and the entity tag it can be asked about with."""

    status: int
    body: bytes
    tag: str

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            Unavailable: it is none.
        """
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            raise Unavailable("the source answered something that is no JSON") from None


@dataclass(frozen=True, slots=True)
class Pieces:
    """A file on its way: where in it the first piece belongs."""

    offset: int
    pieces: Iterator[bytes]


class Transfer:
    """Requests to one source. Any thread may use it; the limit is on all together."""

    def __init__(self, url: str, key: str = "", bytes_per_s: float = 0.0) -> None:
        """Name the source; `bytes_per_s` 0 is as fast as it goes."""
        self.url = url.rstrip("/")
        headers = {"authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(READ_S, connect=CONNECT_S)
        self._http = httpx.Client(headers=headers, timeout=timeout, follow_redirects=True)
        self._bytes_per_s = bytes_per_s
        self._due_s = 0.0
        self._guard = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, tag: str = "", **query: Any) -> Answer:
        """Return an answer; with the tag of an earlier one, status 304 if nothing has changed.

        Raises:
            Away: the source is.
            KymographError: it refuses, or fails.
        """
        headers = {"if-none-match": tag} if tag else {}
        try:
            response = self._http.get(self.url + path, params=query, headers=headers)
        except httpx.HTTPError as error:
            raise self._away(error) from None
        if response.status_code != 304:
            _check(response, response.content)
        return Answer(response.status_code, response.content, response.headers.get("etag", ""))

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        """Send a small body, and expect nothing."""
        try:
            self._http.request(method, self.url + path, json=body)
        except httpx.HTTPError as error:
            raise self._away(error) from None

    @contextmanager
    def open(self, path: str, offset: int = 0, tag: str = "") -> Generator[Pieces | None]:
        """Give a file's bytes from an offset on; from its beginning if it is not the tagged file any more, or
        the source knows no ranges; None if nothing lies behind the offset.

        Raises:
            Away: the source is, or goes away in the middle.
            KymographError: it refuses, or fails.
        """
        headers = {"accept-encoding": "identity"}
        if offset:
            headers["range"] = f"bytes={offset}-"
            if tag:
                headers["if-range"] = f'"{tag}"'
        try:
            with self._http.stream("GET", self.url + path, headers=headers) as response:
                if response.status_code == 416:
                    yield None
                    return
                if response.is_error:
                    _check(response, response.read())
                partial = response.status_code == 206
                yield Pieces(offset if partial else 0, self._paced(response))
        except httpx.HTTPError as error:
            raise self._away(error) from None

    def _paced(self, response: httpx.Response) -> Iterator[bytes]:
        expected = response.headers.get("content-length")
        got = 0
        for piece in response.iter_raw():  # as they come: what a cut leaves is kept
            got += len(piece)
            self._rest(len(piece))
            yield piece
        if expected is not None and got != int(expected):
            raise Away(f"{self.url} broke off in the middle of a file")

    def _rest(self, nbytes: int) -> None:
        if not self._bytes_per_s:
            return
        with self._guard:
            now = time.monotonic()
            self._due_s = max(self._due_s, now) + nbytes / self._bytes_per_s
            wait_s = self._due_s - now
        time.sleep(max(0.0, wait_s))

    def _away(self, error: httpx.HTTPError) -> Away:
        return Away(
            f"{self.url} is away: {error or type(error).__name__}", hint="it is tried again", url=self.url
        )


def _check(response: httpx.Response, body: bytes) -> None:
    if not response.is_error:
        return
    told: Any = None
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError):
        pass
    text = f"{response.url} answered {response.status_code}"
    if response.status_code in (401, 403):
        raise KeyNeeded(text, hint="give a key of that station, with --key or in KYMOGRAPH_KEY")
    if isinstance(told, dict) and "code" in told and "detail" in told:
        error = error_from_dict({**told, "message": told["detail"]})  # pyright: ignore[reportUnknownArgumentType]
        if isinstance(error, StorageError):  # the source's disk, not ours
            raise Unavailable(f"{text}: {error.message}", hint=error.hint, **error.facts)
        raise error
    if response.status_code == 404:
        raise NotFound(text)
    raise Unavailable(text) if response.status_code >= 500 else KymographError(text)
