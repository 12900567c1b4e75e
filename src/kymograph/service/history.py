"""Looking back into the rings: the same on the engine's side and, through shared memory, on the front's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from kymograph.acquire.ring import RingView
from kymograph.model.block import Block, Column, Cursor, Times


class RingHistory(ABC):
    """The three questions of `StationService` that a ring answers, costing the instrument nothing."""

    @abstractmethod
    def ring_view(self, stream: str) -> RingView:
        """Return the ring of a stream.

        Raises:
            NotFound: there is no such stream.
        """

    def latest(self, stream: str) -> dict[str, Any] | None:
        """Return the newest row as `stream epoch seq time_ns values{channel: value}`."""
        view = self.ring_view(stream)
        _, last = view.extent
        blocks = view.blocks(max(last - 1, 0), last)
        if not blocks:
            return None
        block = blocks[-1]
        names = block.stream.channel_names
        values = {name: column[-1].item() for name, column in zip(names, block.columns(), strict=True)}
        at = {"epoch": block.epoch, "seq": block.seq + block.rows - 1, "time_ns": block.last_ns}
        return {"stream": stream, **at, "values": values}

    def history(self, stream: str, since: Cursor | None = None, rows_max: int = 0) -> Sequence[Block]:
        """Return the rows from a cursor on, the first `rows_max` of them; without one, the newest."""
        view = self.ring_view(stream)
        first, last = view.extent
        if since is not None:
            start = view.row_at(since)
            return view.blocks(start, min(start + rows_max, last) if rows_max else last)
        return view.blocks(max(first, last - rows_max) if rows_max else first, last)

    def window(
        self, stream: str, channels: Sequence[str], start_ns: int, stop_ns: int
    ) -> tuple[Times, list[Column]]:
        """Return times and values of the named channels from `start_ns` up to, not with, `stop_ns`."""
        view = self.ring_view(stream)
        wanted = [view.stream.index(channel) for channel in channels]
        _, times, columns = view.read(view.row_at_time(start_ns), view.row_at_time(stop_ns), wanted)
        return times, columns
