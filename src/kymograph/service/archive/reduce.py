"""Many rows for few pixels: each stretch of rows as its minimum and maximum, so that no peak is lost.

Used on recordings and on rings alike. Rows and ready-made bins go in, in order; a view comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from kymograph.model.block import Column, Times

RAW: Final = "raw"
MINMAX: Final = "minmax"
Watch = Callable[[int], None]
_SLACK: Final = 4
"""Bins held for each point of the view: more is memory, fewer is stretches of unequal length."""


class Extremes(NamedTuple):
    """Minimum and maximum of each stretch; NaN only where there was nothing else."""

    min: Column
    max: Column


@dataclass(frozen=True)
class View:
    """What a plot needs of a stretch of rows.

    `rows` is how many rows there are. In mode `raw` they are all here; in mode `minmax`, `time_ns` is the
    time of the first row of each stretch, and each channel's column is its `Extremes`.
    """

    stream: str
    mode: str
    rows: int
    time_ns: Times
    columns: Mapping[str, Column | Extremes]

    def to_dict(self) -> dict[str, Any]:
        """Return the view as plain data; what JSON has no number for is None."""
        columns: dict[str, Any] = {}
        for name, column in self.columns.items():
            if isinstance(column, Extremes):
                columns[name] = {"min": plain_numbers(column.min), "max": plain_numbers(column.max)}
            else:
                columns[name] = plain_numbers(column)
        return {
            "stream": self.stream, "mode": self.mode, "rows": self.rows,
            "time_ns": self.time_ns.tolist(), "columns": columns,
        }  # fmt: skip


def plain_numbers(column: Column) -> list[Any]:
    """Return a column as a list of numbers, None in place of NaN and infinities."""
    values: list[Any] = column.tolist()
    if column.dtype.kind == "f":
        for i in np.flatnonzero(~np.isfinite(column)).tolist():
            values[i] = None
    return values


def reduce_minmax(stream: str, time_ns: Times, columns: Mapping[str, Column], points_max: int) -> View:
    """Return a view of rows that are all here, in at most `points_max` points."""
    reducer = Reducer(stream, list(columns), points_max)
    reducer.add_rows(time_ns, list(columns.values()))
    return reducer.view()


class Reducer:
    """Makes a view of rows that come bit by bit, in memory that depends on the points alone."""

    def __init__(
        self, stream: str, channels: Sequence[str], points_max: int, watch: Watch | None = None
    ) -> None:
        """Begin without rows. `watch` is told how many more have been added, each time."""
        self._stream = stream
        self._channels = list(channels)
        self._points_max = max(1, points_max)
        self._watch = watch
        self._parts: list[_Bins] = []
        self._bins = 0
        self._rows = 0

    def add_rows(self, time_ns: Times, columns: Sequence[Column]) -> None:
        """Add rows behind those that were added before; the arrays are copied if they are kept."""
        count = len(time_ns)
        if not count:
            return
        step = max(1, (self._rows + count) // (_SLACK * self._points_max) // 2)
        if step == 1:
            kept = [np.array(column) for column in columns]
            self._keep(_Bins(np.array(time_ns), np.ones(count, np.int64), kept, kept))
            return
        starts = np.arange(0, count, step)
        pairs = [_fold(column, step) for column in columns]
        rows = np.diff(np.append(starts, count))
        self._keep(_Bins(time_ns[starts], rows, [p[0] for p in pairs], [p[1] for p in pairs]))

    def add_bins(
        self, time_ns: Times, rows: npt.NDArray[np.int64], lows: Sequence[Column], highs: Sequence[Column]
    ) -> None:
        """Add stretches that are reduced already, each with the number of its rows."""
        if len(time_ns):
            self._keep(_Bins(time_ns, rows, list(lows), list(highs)))

    def view(self) -> View:
        """Return the view of all that was added."""
        if not self._parts:
            return View(self._stream, RAW, 0, np.empty(0, np.int64), dict.fromkeys(self._channels, _NOTHING))
        all_bins = _join(self._parts)
        if self._bins == self._rows and self._rows <= self._points_max:
            raw = dict(zip(self._channels, all_bins.lows, strict=True))
            return View(self._stream, RAW, self._rows, all_bins.time_ns, raw)
        found = _group(all_bins, self._points_max)
        pairs = map(Extremes, found.lows, found.highs)
        columns = dict(zip(self._channels, pairs, strict=True))
        return View(self._stream, MINMAX, self._rows, found.time_ns, columns)

    def _keep(self, bins: _Bins) -> None:
        self._parts.append(bins)
        self._bins += len(bins.time_ns)
        rows = int(bins.rows.sum())
        self._rows += rows
        if self._watch is not None:
            self._watch(rows)
        if self._bins > 4 * _SLACK * self._points_max:
            self._parts = [_group(_join(self._parts), _SLACK * self._points_max)]
            self._bins = len(self._parts[0].time_ns)


class _Bins(NamedTuple):
    time_ns: Times
    rows: npt.NDArray[np.int64]
    lows: list[Column]
    highs: list[Column]


_NOTHING: Final = np.empty(0, np.float64)


def _join(parts: Sequence[_Bins]) -> _Bins:
    if len(parts) == 1:
        return parts[0]
    width = range(len(parts[0].lows))
    return _Bins(
        np.concatenate([p.time_ns for p in parts]),
        np.concatenate([p.rows for p in parts]),
        [np.concatenate([p.lows[i] for p in parts]) for i in width],
        [np.concatenate([p.highs[i] for p in parts]) for i in width],
    )


def _group(bins: _Bins, points: int) -> _Bins:
    """Join neighbouring bins until there are at most `points`, of about equally many rows each."""
    before = np.cumsum(bins.rows) - bins.rows
    total = int(before[-1] + bins.rows[-1])
    group = before * points // total
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    return _Bins(
        bins.time_ns[starts],
        np.add.reduceat(bins.rows, starts),
        [_extreme(low, starts, np.fmin) for low in bins.lows],
        [_extreme(high, starts, np.fmax) for high in bins.highs],
    )


def _extreme(column: Column, starts: npt.NDArray[np.int64], pick: np.ufunc) -> Column:
    return pick.reduceat(column, starts)


def _fold(column: Column, step: int) -> tuple[Column, Column]:
    """Return minimum and maximum of every `step` rows; the last stretch may be shorter."""
    whole = len(column) // step * step
    folded = column[:whole].reshape(-1, step)
    low, high = folded.min(axis=1), folded.max(axis=1)
    if column.dtype.kind == "f" and bool(np.isnan(low).any()):
        low, high = np.fmin.reduce(folded, axis=1), np.fmax.reduce(folded, axis=1)
    if whole < len(column):
        rest = column[whole:]
        low = np.append(low, np.fmin.reduce(rest))
        high = np.append(high, np.fmax.reduce(rest))
    return low, high
