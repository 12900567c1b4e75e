"""The rows of a recording as one sequence a stream, whatever files they are in at this moment.

Rows are in sealed segments, and those not yet sealed in journals; while it is read, journals roll, are sealed
and deleted, and segments are merged into one. What was read is remembered by its identity, so a file that is
gone is no harm: the manifest is read again, and reading goes on behind the last row.

Nothing is written here, and no lock is taken.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import Final

from kymograph.model.block import Block, Cursor
from kymograph.model.channel import Stream
from kymograph.model.errors import Corrupt, NotFound
from kymograph.model.recording import Recording, Segment
from kymograph.store.parts import Gate, JournalPart, Part, SegmentPart, Span, Summary
from kymograph.store.recording_folder import RecordingFolder, stem

_RELOADS_MAX: Final = 100
"""How often files may vanish one after the other before it is taken for damage and not for sealing."""


class RecordingReader:
    """Reads one recording's folder, also while it is written to by another process."""

    def __init__(self, folder: Path) -> None:
        """Read what the recording is.

        Raises:
            NotFound: there is no recording in that folder.
            Corrupt: its `recording.json` is damaged.
        """
        self.folder = folder
        self._files = RecordingFolder(folder)
        self.recording: Recording = self._files.recording()

    def stream(self, name: str, channels: Sequence[str] | None = None) -> Stream:
        """Return a stream of the recording, with some of its channels in the order they are named.

        Raises:
            NotFound: the recording has no such stream.
            InvalidInput: the stream has no such channel.
        """
        for stream in self.recording.streams:
            if stream.name == name:
                break
        else:
            known = [stream.name for stream in self.recording.streams]
            raise NotFound(f"recording {self.recording.name} has no stream {name}", streams=known)
        if channels is None:
            return stream
        chosen = tuple(stream.channels[stream.index(channel)] for channel in channels)
        return Stream(stream.name, chosen, stream.rate_hz, stream.description)

    def segments(self, stream: str | None = None) -> list[Segment]:
        """Return what the manifest lists now, of one stream or all."""
        listed, _ = self._files.manifest()
        return [s for s in listed if stream is None or s.stream == stream]

    def blocks(
        self,
        stream: str,
        start_ns: int | None = None,
        stop_ns: int | None = None,
        since: Cursor | None = None,
        channels: Sequence[str] | None = None,
    ) -> Iterator[Block]:
        """Yield the rows of a stream in the order they were recorded, each once, in blocks of bounded size.

        Rows are those with `start_ns` ≤ time < `stop_ns` from the cursor on. What is added to a running
        recording after the first block was asked for is left out.

        Raises:
            NotFound, InvalidInput: no such stream or channel.
            Corrupt: a sealed file is damaged.
        """
        wanted = self.stream(stream, channels)
        gate = Gate(since)
        span = Span(start_ns, stop_ns)
        for _ in range(_RELOADS_MAX):
            try:
                with self.parts(wanted) as parts:
                    gate.look_for(parts)
                    yield from chain.from_iterable(part.blocks(span, gate) for part in parts)
                return
            except FileNotFoundError:
                gate.rewind()
        raise Corrupt(f"files of {self.folder.name} that its manifest lists are not there")

    @contextmanager
    def parts(self, stream: Stream) -> Generator[list[Part]]:
        """Give the files that hold a stream now, in order; journals are held open meanwhile."""
        with ExitStack() as closing:
            yield self._find_parts(stream, closing)

    def rows(self, stream: str) -> int:
        """Return how many rows of a stream there are."""
        return self.summary(stream).rows

    def extent(self, stream: str) -> tuple[int, int] | None:
        """Return the times of the first and the last row of a stream, None if there are none."""
        found = self.summary(stream)
        return (found.first_ns, found.last_ns) if found.rows else None

    def summary(self, stream: str) -> Summary:
        """Return how many rows of a stream there are, and the times of the first and the last."""
        total = Summary()
        with self.parts(self.stream(stream)) as parts:
            for part in parts:
                total = total.then(part.summary())
        return total

    def _find_parts(self, stream: Stream, closing: ExitStack) -> list[Part]:
        for _ in range(_RELOADS_MAX):
            try:
                return self._look(stream, closing)
            except NotFound:
                # A journal was sealed between looking and opening; unless the whole recording is gone.
                closing.close()
                self._files.manifest()
        raise Corrupt(f"journals of {self.folder.name} vanish as fast as they are found")

    def _look(self, stream: Stream, closing: ExitStack) -> list[Part]:
        # Journals first: one that is sealed meanwhile is then in both, and one that was sealed before is in
        # the manifest. The other way round it could be in neither.
        found: dict[int, Part] = {}
        for (name, index), path in self._files.journals().items():
            if name == stream.name:
                found[index] = part = JournalPart(path, stream)
                closing.callback(part.close)
        listed, replaced = self._files.manifest()
        merged = {Path(name).stem for name in replaced}
        found = {
            i: part for i, part in found.items() if stem(self.recording.stem_of(stream.name), i) not in merged
        }
        for segment in listed:
            if segment.stream == stream.name:
                found[segment.index] = SegmentPart(self.folder, self.recording, segment, stream)
        return [found[index] for index in sorted(found)]
