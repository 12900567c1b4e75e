"""The streams of a recording's folder as sources of plots, also while it is being recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from kymograph.model.channel import Stream
from kymograph.model.errors import Corrupt, NotFound
from kymograph.plot.source import Piece, Quantity, Watch
from kymograph.service.archive.reduce import View
from kymograph.service.archive.viewing import view_recording
from kymograph.store.parts import Span
from kymograph.store.reader import RecordingReader
from kymograph.store.recording_folder import RecordingFolder


class RecordedStream:
    """See `Source`."""

    def __init__(self, reader: RecordingReader, stream: Stream) -> None:
        self._reader = reader
        self.name = stream.name
        self.rate_hz = stream.rate_hz
        self.quantities = tuple(Quantity(c.name, c.unit, c.labels) for c in stream.channels)
        found = reader.summary(stream.name)
        self._extent = (found.first_ns, found.last_ns) if found.rows else None
        self.rows = found.rows

    def extent(self) -> tuple[int, int] | None:
        """See `Source.extent`."""
        return self._extent

    def view(self, names: Sequence[str], span: Span, points_max: int, watch: Watch) -> View:
        """See `Source.view`; previews beside the segments make it quick."""
        return view_recording(self._reader, self.name, names, span, points_max, watch)

    def pieces(self, names: Sequence[str], spans: Sequence[Span]) -> Iterator[Piece]:
        """See `Source.pieces`."""
        for span in spans:
            for block in self._reader.blocks(self.name, span.start_ns, span.stop_ns, channels=names):
                yield Piece(block.time_ns, block.columns())


def recorded(folder: Path) -> list[RecordedStream]:
    """Return the streams of a recording's folder, or of its mirror.

    Raises:
        NotFound: it is no recording's folder.
        Corrupt: what says so is damaged.
    """
    try:
        reader = RecordingReader(folder)
    except NotFound:
        hint = (
            "name one of the recordings in it"
            if (folder / "recordings").is_dir()
            else "see `kymograph plot -h`"
        )
        raise NotFound(f"{folder} is not a recording's folder", hint=hint) from None
    return [RecordedStream(reader, stream) for stream in reader.recording.streams]


def recording_name(folder: Path) -> str:
    """Return what a recording is called; its folder's name where that cannot be read."""
    try:
        return RecordingFolder(folder).recording().name
    except (NotFound, Corrupt):
        return folder.absolute().name
