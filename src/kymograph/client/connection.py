"""One station's address, and requests to it.

Nothing is opened before the first request. Whatever goes wrong is an error of `kymograph.model.errors`: those
of the station as it said them, those on the way with what to do about them.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from kymograph.client.moments import in_query
from kymograph.model.errors import (
    InvalidInput,
    KeyNeeded,
    KymographError,
    TimedOut,
    Unavailable,
    error_from_dict,
)
from kymograph.model.limits import PAGE_ITEMS_MAX

if TYPE_CHECKING:
    import httpx

Plain = dict[str, Any]

CONNECT_S: Final = 5.0
"""How long a station may take to take a connection."""
_AGAIN_S: Final = (0.2, 0.8, 2.0)
"""Waits before a request that broke off is sent again, if it may be: a front is back within two seconds."""
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_NO_STATION: Final = (
    "is it running (`kymograph serve`), are address and port right, and does it listen there?"
)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a station. `again` says that asking twice does no harm."""

    method: str
    path: str
    query: Mapping[str, Any] | None = None
    body: Any = None
    again: bool = False
    timeout_s: float | None = None
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """A file on its way: the name it suggests, and its bytes in pieces."""

    filename: str
    pieces: Iterator[bytes]
    size_bytes: int | None = None


def station_url(text: str) -> str:
    """Return a station's address in its one spelling, without `/` at its end.

    Raises:
        InvalidInput: it is no address of a station, or has a name or a key in it.
    """
    url = (text if "://" in text else f"http://{text}").rstrip("/").removesuffix("/v1")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidInput(f"{text} is no address of a station", hint="write it as http://192.168.0.7:8000")
    if "@" in parts.netloc:
        raise InvalidInput("a key does not belong into an address", hint="give it as key=…")
    return url


class Connection:
    """Requests to one station. Any thread may use it."""

    def __init__(self, url: str, key: str | None, timeout_s: float) -> None:
        self.url = station_url(url)
        self.key = key
        self.timeout_s = timeout_s
        self._lock = threading.Lock()
        self._http: httpx.Client | None = None

    @property
    def local(self) -> bool:
        """Whether the station is on this computer, where no proxy has any business."""
        return urlsplit(self.url).hostname in _LOCAL

    def _client(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._http is None:
                headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
                timeout = httpx.Timeout(self.timeout_s, connect=min(CONNECT_S, self.timeout_s))
                self._http = httpx.Client(headers=headers, timeout=timeout, trust_env=not self.local)
            return self._http

    def close(self) -> None:
        """Close what is open; the next request opens it again."""
        with self._lock:
            http, self._http = self._http, None
        if http is not None:
            http.close()

    # -- requests ------------------------------------------------------------------------------------------
    def get(self, path: str, timeout_s: float | None = None, **query: Any) -> Any:
        """Return what the station says to a GET."""
        return self.ask(Request("GET", path, query, again=True, timeout_s=timeout_s))

    def items(self, path: str, **query: Any) -> Iterator[Plain]:
        """Yield the items of a list, page after page."""
        cursor: str | None = None
        while True:
            page = self.get(path, **query, limit=PAGE_ITEMS_MAX, cursor=cursor)
            yield from page["items"]
            cursor = page.get("next")
            if not cursor:
                return

    def ask(self, request: Request) -> Any:
        """Return the JSON of an answer, None if it has none.

        Raises:
            KymographError: as the station said it; Unavailable or TimedOut if it said nothing.
        """
        with self._telling(request.timeout_s):
            response = self._send_again(request) if request.again else self._send(request)
            return response.json() if response.content else None

    def _send_again(self, request: Request) -> httpx.Response:
        """Send a request, and once more if the connection broke in the middle."""
        import httpx

        for wait_s in _AGAIN_S:
            try:
                return self._send(request)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError, httpx.CloseError):
                time.sleep(wait_s)
        return self._send(request)

    def _send(self, request: Request) -> httpx.Response:
        import httpx

        timeout = httpx.USE_CLIENT_DEFAULT
        if request.timeout_s is not None:
            timeout = httpx.Timeout(request.timeout_s, connect=CONNECT_S)
        return checked(
            self._client().request(
                request.method, self.url + "/v1" + request.path, params=in_query(dict(request.query or {})),
                json=request.body, headers=dict(request.headers or {}), timeout=timeout,
            )
        )  # fmt: skip

    @contextmanager
    def download(self, path: str, **query: Any) -> Generator[Download]:
        """Begin a download. An answer that ends before its end is an error, never a short file."""
        url = self.url + "/v1" + path
        with self._telling(), self._client().stream("GET", url, params=in_query(query)) as response:
            if response.is_error:
                response.read()
            checked(response)
            length = response.headers.get("content-length")
            named = re.search(
                r'filename="([A-Za-z0-9_-][A-Za-z0-9._-]*)"', response.headers.get("content-disposition", "")
            )
            yield Download(named[1] if named else "", response.iter_bytes(), int(length) if length else None)

    @contextmanager
    def _telling(self, timeout_s: float | None = None) -> Generator[None]:
        """Turn what a library says of a connection into what a person can do."""
        import httpx

        try:
            yield
        except httpx.ConnectTimeout:
            raise unreachable(self.url, f"no connection within {CONNECT_S:g} s") from None
        except httpx.ConnectError as error:
            raise unreachable(self.url, str(error)) from None
        except httpx.TimeoutException:
            patience_s = timeout_s or self.timeout_s
            raise TimedOut(
                f"{self.url} did not answer within {patience_s:g} s",
                hint="it may be done all the same; look before you ask again, or give connect(timeout_s=…)",
                url=self.url,
            ) from None
        except httpx.TransportError as error:
            raise Unavailable(
                f"the connection to {self.url} broke: {error or type(error).__name__}",
                hint="try again; if it stays so, look at the station's log",
                url=self.url,
            ) from None


def unreachable(url: str, why: str) -> KymographError:
    """Return the error of a station that cannot be reached."""
    return Unavailable(f"no station answers at {url}: {why}", hint=_NO_STATION, url=url)


def checked(response: httpx.Response) -> httpx.Response:
    """Return an answer, unless it is an error.

    Raises:
        KymographError: what the station said.
    """
    if not response.is_error:
        return response
    raise problem(response.content, f"{response.status_code} {response.reason_phrase}", str(response.url))


def problem(body: bytes | bytearray | None, status: str, url: str) -> KymographError:
    """Return the error that a refusal tells of: the station's own, or that this is no station."""
    import msgspec

    try:
        told = msgspec.json.decode(body or b"", type=Plain)
        message = told.get("detail") or told["title"]
        return with_hint(error_from_dict({**told, "message": message}))
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return Unavailable(
            f"{url} answered {status}", hint="is this the address of a Kymograph station?", url=url
        )


def with_hint(error: KymographError) -> KymographError:
    """Return an error of the station with the hint that a user of this client needs."""
    if isinstance(error, KeyNeeded):
        error.hint = "give connect(…, key=…); `kymograph key add` on the station makes one"
    return error
