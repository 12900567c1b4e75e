"""A Kymograph hub: `/v1/ingest`."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast
from urllib.parse import quote

import msgspec

from kymograph import __version__
from kymograph.model.errors import Corrupt
from kymograph.model.ranges import Ranges
from kymograph.sync.pusher.hub import About, Aside, Held, Missing, Receipt, TooLarge
from kymograph.sync.pusher.outbox import STREAMS, Batch, Extent
from kymograph.sync.pusher.wire import Answer, Misplaced, Wire, checked

_JSON: Final = {"content-type": "application/json"}
_GZIP_LEVEL: Final = 6


class NativeHub:
    """Batches by range and hash, objects by hash and offset."""

    kind = "kymograph"
    streams = STREAMS

    def __init__(self, wire: Wire, station: str, about: About) -> None:
        """Take the name under which the hub knows this station, and what it says of itself."""
        self._wire = wire
        self._about = about
        self._base = f"/v1/ingest/{quote(station, safe='')}"

    def _ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = _JSON) -> Answer:
        return self._wire.ask(method, self._base + path, body, headers)

    def hello(self, extents: Sequence[Extent]) -> Held | None:
        """See `Hub.hello`."""
        told = {
            "version": __version__,
            **self._about(),
            "streams": [
                {
                    "stream": e.stream,
                    "epoch": e.epoch,
                    "first": e.first,
                    "next": e.next,
                    "newest_ns": e.newest_ns,
                }
                for e in extents
            ],
        }
        answer = checked(self._ask("POST", "/hello", msgspec.json.encode(told)), self._wire.url)
        said: Any = answer.json()
        try:
            if answer.status >= 300:
                raise ValueError(answer.reason)
            return _held(said["streams"])
        except (LookupError, TypeError, ValueError) as error:
            raise Misplaced(
                f"{self._wire.url} answered {answer.status} to our hello: {error}",
                hint="is it another version, or another program?",
            ) from None

    def put(self, batch: Batch) -> Receipt | Missing:
        """See `Hub.put`."""
        path = f"/{batch.stream}/{batch.epoch}/{batch.first}-{batch.last}"
        headers = {
            "content-type": "application/x-ndjson",
            "content-encoding": "gzip",
            "x-content-sha256": batch.sha256,
        }
        body = gzip.compress(batch.body, _GZIP_LEVEL, mtime=0)
        answer = self._ask("PUT", path, body, headers)
        if answer.status in (409, 422):
            reason = f"{answer.status}: {answer.reason}"
            return Receipt(0, 0, (Aside(batch.first, batch.last, reason),))
        if answer.status == 413:
            raise TooLarge(f"{self._wire.url} does not take {len(batch.body)} bytes at once")
        said: Any = answer.json()
        if answer.status == 424:
            return Missing(_missing(said))
        checked(answer, self._wire.url)
        if answer.status not in (200, 201):
            raise Misplaced(
                f"{self._wire.url} answered {answer.status} to a batch: {answer.reason}",
                hint="is it another version, or another program?",
            )
        counts = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
        if answer.status == 200:
            return Receipt(0, batch.rows)
        return Receipt(_count(counts, "committed"), _count(counts, "duplicates"))

    def offset(self, sha256: str) -> int | None:
        """See `Hub.offset`."""
        answer = self._ask("HEAD", f"/objects/{sha256}", headers={})
        if answer.status == 200:
            return None
        offset = answer.headers.get("upload-offset", "")
        if answer.status == 404 and offset.isdigit():
            return int(offset)
        checked(answer, self._wire.url)
        raise Misplaced(f"{self._wire.url} answered {answer.status} when asked for an object")

    def append(self, sha256: str, offset: int, piece: bytes, size_bytes: int) -> bool:
        """See `Hub.append`."""
        headers = {
            "content-type": "application/octet-stream",
            "upload-offset": str(offset),
            "upload-length": str(size_bytes),
        }
        answer = self._ask("PATCH", f"/objects/{sha256}", piece, headers)
        if answer.status == 409:
            return False
        if answer.status == 413:
            raise TooLarge(f"{self._wire.url} does not take {len(piece)} bytes at once")
        if answer.status == 422:
            raise Corrupt(f"{self._wire.url} says that its bytes have another hash: {answer.reason}")
        checked(answer, self._wire.url)
        if answer.status >= 300:
            raise Misplaced(f"{self._wire.url} answered {answer.status} to a piece of an object")
        return True


def _held(streams: Iterable[Mapping[str, Any]]) -> Held:
    return {
        (str(one["stream"]), int(one["epoch"])): Ranges(
            (int(first), int(last)) for first, last in one["held"]
        )
        for one in streams
    }


def _missing(said: Any) -> tuple[str, ...]:
    told = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    found: Any = told.get("missing") or cast("dict[str, Any]", told.get("facts") or {}).get("missing")
    return tuple(str(one) for one in cast("list[Any]", found)) if isinstance(found, list) else ()


def _count(counts: Mapping[str, Any], name: str) -> int:
    value = counts.get(name)
    return value if isinstance(value, int) else 0
