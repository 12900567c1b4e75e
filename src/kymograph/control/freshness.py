"""The newest known value of every channel, and how old it is.

A value that is NaN is no value: it does not replace the one before, which grows older until it is too old.
So one spoiled line of a device trips nothing, and a sensor that says nothing for longer than its patience
counts as silent, whether its stream stopped or only its own numbers.

`take` is cheap, and called for every block: nothing is looked at until somebody asks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from kymograph.control.expression import Floats, Unknown, Value
from kymograph.control.grammar import Known
from kymograph.model.block import Block, Times
from kymograph.model.channel import Stream


def names_of(streams: Iterable[Stream]) -> dict[str, Known]:
    """Return the names that expressions may use for the channels of these streams: `stream.channel`."""
    return {
        f"{stream.name}.{channel.name}": Known(channel.unit, channel.labels)
        for stream in streams
        for channel in stream.channels
    }


class Sample(NamedTuple):
    """A value and when it was so, in monotonic nanoseconds."""

    value: float | str
    time_ns: int


class _Newest:
    """The last block of a stream, and the last known values of channels that were NaN at its end."""

    __slots__ = ("at_ns", "block", "columns", "earlier")

    def __init__(self) -> None:
        self.block: Block | None = None
        self.columns: list[Any] = []
        self.at_ns = 0
        self.earlier: dict[int, Sample] = {}


class Freshness:
    """The newest values of some names. One thread feeds and asks it."""

    def __init__(self, streams: Iterable[Stream] = ()) -> None:
        self._places: dict[str, tuple[str, int]] = {}
        self._newest: dict[str, _Newest] = {}
        self._put: dict[str, Sample] = {}
        self._watched: dict[str, set[int]] = {}
        for stream in streams:
            self._newest[stream.name] = _Newest()
            self._watched[stream.name] = set()
            for index, channel in enumerate(stream.channels):
                self._places[f"{stream.name}.{channel.name}"] = (stream.name, index)

    def watch(self, names: Iterable[str]) -> None:
        """Keep the last known value of these names, also while their newest is NaN."""
        for name in names:
            if name in self._places:
                stream, index = self._places[name]
                self._watched[stream].add(index)

    def stream_of(self, name: str) -> str:
        """Return the stream that a name is a channel of, or ""."""
        return self._places.get(name, ("", 0))[0]

    def take(self, block: Block, now_ns: int, age_ns: int = 0) -> None:
        """Take a block whose last row was measured `age_ns` before `now_ns` (0: just now)."""
        newest = self._newest.get(block.stream.name)
        if newest is None:
            return
        for index in self._watched[block.stream.name]:
            before = self._known(newest, index)
            if before is not None:
                newest.earlier[index] = before
        newest.block, newest.columns = block, []
        newest.at_ns = max(newest.at_ns, now_ns - max(age_ns, 0))

    def put(self, name: str, value: float | str | None, now_ns: int) -> None:
        """Say what something is that has no channel: a word of a status, a read-back. None: not known."""
        if value is None or value != value:
            self._put.pop(name, None)
        else:
            self._put[name] = Sample(value, now_ns)

    def forget(self, stream: str) -> None:
        """Forget the values of a stream: its link is lost, and what it said last means nothing now."""
        if stream in self._newest:
            self._newest[stream] = _Newest()

    def newest(self, name: str) -> Sample | None:
        """Return the newest known value and when it was measured, or None."""
        place = self._places.get(name)
        if place is None:
            return self._put.get(name)
        newest = self._newest[place[0]]
        return self._known(newest, place[1]) or newest.earlier.get(place[1])

    def fresh(self, name: str, now_ns: int, max_age_s: float) -> bool:
        """Return whether a name has a value that is not older than that."""
        sample = self.newest(name)
        return sample is not None and _fresh(sample, now_ns, max_age_s)

    def value(self, name: str, now_ns: int, max_age_s: float) -> Value:
        """Return a name's value, or Unknown with a sentence that says how old the last one is."""
        sample = self.newest(name)
        if sample is None:
            return Unknown(f"{name} has no value yet")
        if not _fresh(sample, now_ns, max_age_s):
            age_s = (now_ns - sample.time_ns) / 1e9
            return Unknown(
                f"{name} is stale: its last value is {age_s:.3g} s old, {max_age_s:g} s are allowed"
            )
        return sample.value

    def values(self, names: Iterable[str], now_ns: int, max_age_s: float) -> dict[str, Value]:
        """Return several values as `Expression.evaluate` takes them."""
        return {name: self.value(name, now_ns, max_age_s) for name in names}

    def rows(
        self, block: Block, names: Iterable[str], now_ns: int, max_age_s: float
    ) -> tuple[dict[str, Floats | Value], bool]:
        """Return what `Expression.truth_rows` takes for the rows of a block that was just taken.

        Channels of the block are arrays, in which NaN is filled with the last known value while that is
        fresh; other names are their newest value, or Unknown. The bool says whether every value is known.
        """
        found: dict[str, Floats | Value] = {}
        sure = True
        for name in names:
            stream, index = self._places.get(name, ("", 0))
            if stream == block.stream.name:
                column, whole = self._column(block, index, max_age_s)
                found[name], sure = column, sure and whole
            else:
                value = self.value(name, now_ns, max_age_s)
                found[name], sure = value, sure and isinstance(value, float)
        return found, sure

    def row_times(self, block: Block) -> Times:
        """Return when each row of the block just taken was measured, in monotonic nanoseconds."""
        newest = self._newest[block.stream.name]
        return newest.at_ns - (block.time_ns[-1] - block.time_ns)

    def _columns(self, newest: _Newest) -> list[Any]:
        if not newest.columns and newest.block is not None:
            newest.columns = newest.block.columns()
        return newest.columns

    def _known(self, newest: _Newest, index: int) -> Sample | None:
        """Return the last known value of a channel in the newest block."""
        block = newest.block
        if block is None:
            return None
        column = self._columns(newest)[index]
        last = float(column[-1])
        if math.isfinite(last):
            return Sample(last, newest.at_ns)
        known = np.flatnonzero(np.isfinite(column))
        if not len(known):
            return None
        row = int(known[-1])
        return Sample(float(column[row]), newest.at_ns - int(block.time_ns[-1] - block.time_ns[row]))

    def _column(self, block: Block, index: int, max_age_s: float) -> tuple[Floats, bool]:
        newest = self._newest[block.stream.name]
        column = np.asarray(self._columns(newest)[index], np.float64)
        known = np.isfinite(column)
        if known.all():
            return column, True
        times = self.row_times(block)
        last = np.maximum.accumulate(np.where(known, np.arange(block.rows), -1))
        earlier = newest.earlier.get(index)
        filled = np.where(last >= 0, column[last], earlier.value if earlier else np.nan)
        since = np.where(last >= 0, times[last], earlier.time_ns if earlier else times)
        return np.where(times - since <= max_age_s * 1e9, filled, np.nan), False


def _fresh(sample: Sample, now_ns: int, max_age_s: float) -> bool:
    return now_ns - sample.time_ns <= max_age_s * 1e9
