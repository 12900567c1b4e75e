"""Fetching sealed files of one recording, several at a time: ways and disks are waited for side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Final

from kymograph.model.errors import Corrupt, KymographError, StorageError
from kymograph.model.recording import Segment
from kymograph.service.archive.mirror_folder import MirrorFolder
from kymograph.sync.source import Source
from kymograph.sync.transfer import Away

FETCHES: Final = 4
"""At a time: each costs the source a request, and this side a thread."""
LANDINGS: Final = 4
"""Files that are here and on their way to the disk, while the next ones come."""
_LOOK_S: Final = 0.25

Fetched = tuple[Segment, KymographError | None]


class Fetching:
    """The files of one recording on their way."""

    def __init__(self, source: Source, folder: MirrorFolder, id: str) -> None:
        self._source = source
        self._folder = folder
        self._id = id
        self._ended = threading.Event()
        self.arrived: dict[str, int] = {}
        """By file on its way: how many of its bytes are here."""

    def run(self, segments: Iterable[Segment], waiting: Callable[[], None]) -> Iterator[Fetched]:
        """Fetch files; yield each when it is here, or with what is wrong with it alone. `waiting` is called
        now and then.

        Raises:
            Away: the source is; what has come of each file is kept.
            StorageError: this side's disk is full or fails.
        """
        left = iter(segments)
        with (
            ThreadPoolExecutor(FETCHES, "fetch") as fetchers,
            ThreadPoolExecutor(LANDINGS, "land") as landers,
        ):
            try:
                yield from self._run(left, fetchers, landers, waiting)
            finally:
                self._ended.set()

    def _run(
        self,
        left: Iterator[Segment],
        fetchers: ThreadPoolExecutor,
        landers: ThreadPoolExecutor,
        waiting: Callable[[], None],
    ) -> Iterator[Fetched]:
        coming: dict[Future[None], Segment] = {}
        landing: dict[Future[None], Segment] = {}
        while True:
            while len(coming) < FETCHES and len(landing) < LANDINGS and (segment := next(left, None)):
                coming[fetchers.submit(self._fetch, segment)] = segment
            if not coming and not landing:
                return
            done, _ = wait([*coming, *landing], _LOOK_S, FIRST_COMPLETED)
            waiting()
            for future in done:
                error = _outcome(future)
                if future in landing:
                    yield landing.pop(future), error
                elif error is not None:
                    yield coming.pop(future), error
                else:
                    segment = coming.pop(future)
                    landing[landers.submit(self._folder.land, segment)] = segment

    def _fetch(self, segment: Segment) -> None:
        begun = self._folder.part_bytes(segment)
        try:
            with self._source.fetch(self._id, segment.filename, begun, segment.sha256) as found:
                if found is None:
                    raise Corrupt("it is shorter at its source than its manifest says")
                pieces = self._watched(segment.filename, found.offset, found.pieces)
                self._folder.receive(segment, pieces, found.offset)
        finally:
            self.arrived.pop(segment.filename, None)

    def _watched(self, filename: str, offset: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if self._ended.is_set():
                raise Away("given up in the middle of a file")
            offset += len(piece)
            self.arrived[filename] = offset
            yield piece


def _outcome(future: Future[None]) -> KymographError | None:
    try:
        future.result()
    except Corrupt as error:
        return error
    except (Away, StorageError):
        raise
    except KymographError as error:
        return error
    return None
