"""Where `kymograph recordings` finds recordings: in a data folder, or on a running station."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kymograph.model.errors import InvalidInput, NotFound, Unavailable, error_from_dict

if TYPE_CHECKING:
    import httpx

Plain = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a recording is to be exported; None is all of it."""

    format: str
    stream: str | None = None
    start: str | None = None
    stop: str | None = None
    channels: tuple[str, ...] = ()

    def query(self) -> dict[str, str]:
        """Return the parameters of the export request."""
        asked = {
            "format": self.format, "stream": self.stream, "start": self.start, "stop": self.stop,
            "channels": ",".join(self.channels),
        }  # fmt: skip
        return {key: value for key, value in asked.items() if value}


@dataclass(frozen=True, slots=True)
class Export:
    """An export under way: the name it suggests, and its bytes in pieces."""

    filename: str
    pieces: Iterator[bytes]
    size_bytes: int | None = None


class Source(Protocol):
    """Recordings, wherever they are."""

    def list(self) -> list[Plain]:
        """Return every recording, newest first."""
        ...

    def events(self, recording_id: str) -> list[Plain]:
        """Return what happened during a recording, oldest first."""
        ...

    def segments(self, recording_id: str) -> list[Plain]:
        """Return the sealed files of a recording."""
        ...

    def export(self, recording_id: str, wanted: Wanted) -> AbstractContextManager[Export]:
        """Begin an export."""
        ...

    def remove(self, recording_id: str) -> None:
        """Delete an ended recording with all its files."""
        ...


def find(source: Source, which: str) -> Plain:
    """Return the recording of that id, of that name, or whose id begins so.

    Of several recordings of one name, the newest is meant.

    Raises:
        NotFound: there is none.
        InvalidInput: the beginning of an id fits several.
    """
    items = source.list()
    for key in ("id", "name"):
        for item in items:
            if item[key] == which:
                return item
    begin = [item for item in items if len(which) >= 4 and item["id"].startswith(which)]
    if len(begin) > 1:
        raise InvalidInput(f"{which} fits {len(begin)} recordings", hint="give more of the id")
    if not begin:
        raise NotFound(f"there is no recording {which}", hint="see `kymograph recordings ls`")
    return begin[0]


class Server:
    """The recordings of a running station, by its interface `/v1`."""

    def __init__(self, url: str, key: str = "") -> None:
        import httpx

        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(10.0, read=60.0)
        self._client = httpx.Client(base_url=url.rstrip("/") + "/v1", headers=headers, timeout=timeout)

    def _get(self, path: str, **query: Any) -> Any:
        return self._request("GET", path, query).json()

    def send(self, path: str, body: Mapping[str, Any]) -> Plain:
        """Ask for something to be done, and return what is answered."""
        return reached(self._client, "POST", path, body)

    def _request(self, method: str, path: str, query: Mapping[str, Any] | None = None) -> httpx.Response:
        with _reachable(self._client):
            return _checked(self._client.request(method, path, params=dict(query or {})))

    def items(self, path: str) -> list[Plain]:
        """Return all items of a list, page by page."""
        items: list[Plain] = []
        cursor: str | None = None
        while True:
            page = self._get(path, **({"cursor": cursor} if cursor else {}))
            items += page["items"]
            cursor = page.get("next")
            if not cursor:
                return items

    def list(self) -> list[Plain]:
        """Return every recording, newest first."""
        return sorted(self.items("/recordings"), key=lambda item: item["started_ns"], reverse=True)

    def shipping(self) -> Plain:
        """Return how it stands with each destination of the station."""
        return self._get("/shipping")

    def retention(self) -> Plain:
        """Return what the station's retention would delete, holds back and did."""
        return self._get("/retention")

    def retain(self) -> Plain:
        """Have the station do a pass of retention, and return what came of it."""
        return self.send("/retention/run", {})

    def events(self, recording_id: str) -> list[Plain]:
        """Return what happened during a recording, oldest first."""
        return self.items(f"/recordings/{recording_id}/events")

    def segments(self, recording_id: str) -> list[Plain]:
        """Return the sealed files of a recording."""
        return self.items(f"/recordings/{recording_id}/segments")

    @contextmanager
    def export(self, recording_id: str, wanted: Wanted) -> Generator[Export]:
        """Begin an export."""
        path = f"/recordings/{recording_id}/export"
        with _reachable(self._client), self._client.stream("GET", path, params=wanted.query()) as response:
            if response.is_error:
                response.read()
            _checked(response)
            length = response.headers.get("content-length")
            named = re.search(
                r'filename="([A-Za-z0-9._-]+)"', response.headers.get("content-disposition", "")
            )
            name = named[1] if named else f"{recording_id}.{wanted.format}"
            yield Export(name, response.iter_bytes(), int(length) if length else None)

    def remove(self, recording_id: str) -> None:
        """Delete an ended recording with all its files."""
        self._request("DELETE", f"/recordings/{recording_id}")


@contextmanager
def _reachable(client: httpx.Client) -> Generator[None]:
    import httpx

    try:
        yield
    except (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        url = str(client.base_url).removesuffix("/v1/")
        raise Unavailable(
            f"no station answers at {url}: {error}", hint="is it running, and is the address right?"
        ) from None


def reached(client: httpx.Client, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """Return what a station answers to one request, as plain data.

    Raises:
        KymographError: what the station says is wrong.
        Unavailable: no station answers.
    """
    with _reachable(client):
        return _checked(client.request(method, path, json=body)).json()


def _checked(response: httpx.Response) -> httpx.Response:
    if not response.is_error:
        return response
    try:
        problem = response.json()
        message = problem.get("detail") or problem["title"]
        raise error_from_dict({**problem, "message": message})
    except (ValueError, KeyError, AttributeError):
        raise Unavailable(
            f"{response.request.url.host} answered {response.status_code} {response.reason_phrase}",
            hint="is this the address of a Kymograph station?",
        ) from None


def open_source(data: Path | None, url: str, key: str) -> Source:
    """Return the recordings of a station if a URL is given, else those of a data folder.

    Raises:
        InvalidInput: neither is given, or both.
    """
    by_environment = str(data) == os.environ.get("KYMOGRAPH_DATA")
    if url and data is not None and not by_environment:
        raise InvalidInput("--data and --url are both given", hint="a folder, or a running station")
    if url:
        return Server(url, key)
    if data is None:
        raise InvalidInput(
            "where are the recordings?", hint="give --data FOLDER, or --url http://… of a running station"
        )
    if not data.is_dir():
        raise NotFound(f"there is no folder {data}", hint="give the station's data folder")
    from kymograph.cli.folder_source import Folder

    return Folder(data)
