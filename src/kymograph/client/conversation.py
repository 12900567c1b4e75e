"""What is said on a live connection, and after a break on the next: the client's half of docs/format/live.md.

No socket and no clock: frames go in, rows and gaps come out. The places reached are kept here, so that the
next connection goes on where the last one broke.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from kymograph.client.connection import with_hint
from kymograph.client.frame import Batch, Gap
from kymograph.model.block import Column, Cursor
from kymograph.model.channel import Channel, stream_from_dict
from kymograph.model.errors import Corrupt, InvalidInput, error_from_dict

Mode = Literal["raw", "minmax", "latest"]
MODES: Final = ("raw", "minmax", "latest")
NOT_TOLD: Final = "not told"
_ID: Final = "rows"


@dataclass(frozen=True, slots=True)
class Wish:
    """What of which streams is wanted live."""

    streams: tuple[str, ...]
    channels: tuple[str, ...] | None = None
    mode: Mode = "raw"
    max_rate_hz: float | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InvalidInput(f"there is no mode {self.mode}", modes=list(MODES))


class _Track:
    """One stream's rows so far: which came last, and what was told of those that did not."""

    def __init__(self, at: Cursor | None) -> None:
        self.channels: tuple[Channel, ...] = ()
        self.next = at
        """Where another connection would go on: after the last rows, and after gaps that were told."""
        self._heard = at
        self._told: list[Gap] = []
        self._past: deque[int] = deque(maxlen=64)

    def gap(self, gap: Gap) -> bool:
        """Take note of a gap; return whether it is news."""
        if gap in self._told:
            return False
        self._told.append(gap)
        if gap.to_seq is not None and gap.epoch not in self._past:
            self._go_to(Cursor(gap.epoch, gap.to_seq))
        return True

    def _go_to(self, place: Cursor) -> None:
        """Move on, never back. Epochs are compared by their order of coming: a clock may have been set."""
        if self.next is None or self.next.epoch != place.epoch:
            if self.next is not None:
                self._past.append(self.next.epoch)
            self.next = place
        elif self.next.seq < place.seq:
            self.next = place

    def fresh_from(self, epoch: int, seq_from: int, seq_to: int) -> int:
        """Return the first of these rows that has not come yet; `seq_to` if all have."""
        heard = self._heard
        if heard is None or heard.epoch != epoch:
            return seq_to if epoch in self._past else seq_from
        return min(max(heard.seq, seq_from), seq_to)

    def untold(self, stream: str, epoch: int, seq: int) -> Iterator[Gap]:
        """Yield the gaps before rows that nobody has told of."""
        heard = self._heard
        ends = [(g.from_seq, seq if g.to_seq is None else g.to_seq) for g in self._told if g.epoch == epoch]
        told, at = sorted(ends), 0
        if heard is None:
            at = told[0][0] if told else seq  # what was before the first is not missed
        elif heard.epoch == epoch:
            at = heard.seq
        for begin, end in [*told, (seq, seq)]:
            if at < min(begin, seq):
                yield Gap(stream, epoch, at, min(begin, seq), NOT_TOLD)
            at = max(at, end)

    def rows(self, after: Cursor) -> None:
        """Take note that rows came; `after` is the place behind them."""
        self._go_to(after)
        self._heard = after
        self._told.clear()


class Conversation:
    """One subscription over any number of connections."""

    def __init__(self, wish: Wish, since: Mapping[str, tuple[int, int]], key: str | None) -> None:
        self._wish = wish
        self._key = key
        self._tracks = {name: _Track(None) for name in wish.streams}
        for name, at in since.items():
            if name not in self._tracks:
                raise InvalidInput(f"since names {name}, which is not asked for", streams=list(wish.streams))
            self._tracks[name] = _Track(Cursor(*at))

    @property
    def cursors(self) -> dict[str, Cursor]:
        """The place of the next row of each stream that has come so far."""
        return {name: track.next for name, track in self._tracks.items() if track.next is not None}

    def opening(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what is to be said at the beginning of a connection: hello, and subscribe."""
        hello: dict[str, Any] = {"type": "hello"}
        if self._key:
            hello["token"] = self._key
        wish = self._wish
        subscribe: dict[str, Any] = {
            "type": "subscribe", "id": _ID, "streams": list(wish.streams), "mode": wish.mode,
            "encoding": "msgpack",
        }  # fmt: skip
        if wish.channels is not None:
            subscribe["channels"] = list(wish.channels)
        if wish.max_rate_hz is not None:
            subscribe["max_rate_hz"] = wish.max_rate_hz
        if wish.mode != "latest":
            subscribe["since"] = {name: list(at) for name, at in self.cursors.items()}
        return hello, subscribe

    def take(self, message: Mapping[str, Any]) -> Iterator[Batch | Gap]:
        """Yield what a message brings.

        Raises:
            KymographError: what the station said, or that it makes no sense.
        """
        kind = message.get("type")
        if kind == "error":
            raise with_hint(error_from_dict(message))
        track = self._tracks.get(str(message.get("stream")))
        if track is None:
            return
        if kind == "schema":
            track.channels = stream_from_dict({"name": message["stream"], **message}).channels
        elif kind == "gap":
            gap = Gap(
                message["stream"], message["epoch"], message["from_seq"], message["to_seq"], message["reason"]
            )
            if track.gap(gap):
                yield gap
        elif kind == "data":
            yield from self._rows(track, message)

    def _rows(self, track: _Track, message: Mapping[str, Any]) -> Iterator[Batch | Gap]:
        stream, epoch, mode = message["stream"], message["epoch"], self._wish.mode
        seq_from, seq_to = message["seq_from"], message["seq_to"]
        time_ns, columns = _decoded(message["columns"])
        if mode != "latest":
            first = track.fresh_from(epoch, seq_from, seq_to)
            if first == seq_to:
                return
            for gap in list(track.untold(stream, epoch, first)):
                track.gap(gap)
                yield gap
            if mode == "raw" and first > seq_from:
                cut = slice(first - seq_from, None)
                time_ns, columns = time_ns[cut], {name: column[cut] for name, column in columns.items()}
                seq_from = first
        elif track.next == (epoch, seq_to):
            return  # the newest row, once more after a break
        track.rows(Cursor(epoch, seq_to))
        rows = 1 if mode == "latest" else seq_to - seq_from
        yield Batch(stream, mode, rows, track.channels, time_ns, columns, epoch, seq_from, seq_to)


def _decoded(columns: Mapping[str, Any]) -> tuple[Any, dict[str, Column]]:
    """Return times and columns; the peaks of a channel are two columns."""
    found: dict[str, Column] = {}
    for name, column in columns.items():
        if "data" in column:
            found[name] = _array(column)
        else:
            found[f"{name}:min"], found[f"{name}:max"] = _array(column["min"]), _array(column["max"])
    return found.pop("time_ns"), found


def _array(column: Mapping[str, Any]) -> Column:
    try:
        return np.frombuffer(column["data"], column["dtype"])
    except (ValueError, TypeError, KeyError) as error:
        raise Corrupt(f"a live message makes no sense: {error}") from None
