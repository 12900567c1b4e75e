"""Where rows are missing: found, and cut out of the lines, so that nothing is drawn that nobody measured.

A point that stands for many rows may stand for some before a gap and some behind it. Those few are read once
more and told apart: a line ends where the last row was and goes on at the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from kymograph.model.block import Times
from kymograph.plot.source import Piece
from kymograph.store.parts import Span

MENDED_MAX: Final = 200
"""Gaps of one plot whose edges are read once more; the others' are as exact as a point is long."""
_FACTOR: Final = 3.0
"""How many times as long as usual an interval is, to be a gap; where rows come irregularly, …"""
_FACTOR_IRREGULAR: Final = 10.0
_NEIGHBOURS: Final = 9

Floats = npt.NDArray[np.floating[Any]]


class Points(NamedTuple):
    """Points of several lines: their times, and the lowest and highest values of each line."""

    time_ns: Times
    lows: Sequence[Floats]
    highs: Sequence[Floats]


class _Edge(NamedTuple):
    """A gap: the values before it, when they ended and when rows came again, and the values then."""

    last_ns: int
    next_ns: int
    before: tuple[list[float], list[float]]
    behind: tuple[list[float], list[float]]


def gaps(time_ns: Times, rate_hz: float) -> npt.NDArray[np.intp]:
    """Return the indices of the points before which rows are missing: they come much later than usual."""
    steps = np.diff(time_ns)
    if len(steps) < 2:
        return np.empty(0, np.intp)
    half = _NEIGHBOURS // 2
    padded = np.pad(steps, half, mode="reflect" if len(steps) > half else "edge")
    usual = np.median(np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBOURS), axis=1)
    if rate_hz > 0:
        usual = np.maximum(usual, 1e9 / rate_hz)
        return np.flatnonzero(steps > _FACTOR * usual) + 1
    usual = np.maximum(usual, float(np.median(steps)))
    return np.flatnonzero(steps > _FACTOR_IRREGULAR * usual) + 1


def cut(
    points: Points, found: npt.NDArray[np.intp], rows: Callable[[Sequence[Span]], Iterable[Piece]]
) -> Points:
    """Return the points with one without values in each gap, and with the points before gaps told apart.

    `rows` gives the rows of some stretches once more; none at all where points are rows.
    """
    if not len(found):
        return points
    spans = [Span(int(points.time_ns[i - 1]), int(points.time_ns[i])) for i in found[:MENDED_MAX].tolist()]
    edges = _edges(spans, rows(spans))
    times: list[Times] = []
    lows: list[list[Floats]] = [[] for _ in points.lows]
    highs: list[list[Floats]] = [[] for _ in points.highs]

    def add(time_ns: Times, low: Sequence[Any], high: Sequence[Any]) -> None:
        times.append(time_ns)
        for made, more in zip([*lows, *highs], [*low, *high], strict=True):
            made.append(np.atleast_1d(more))

    start, nothing = 0, [np.nan] * len(lows)
    for stop in found.tolist():
        edge = edges.get(int(points.time_ns[stop - 1]))
        end = stop if edge is None else stop - 1
        add(
            points.time_ns[start:end],
            [c[start:end] for c in points.lows],
            [c[start:end] for c in points.highs],
        )
        if edge is None:
            add(points.time_ns[stop - 1 : stop] + 1, nothing, nothing)
        else:
            add(points.time_ns[stop - 1 : stop], *edge.before)
            add(np.array([edge.last_ns]), *edge.before)
            add(np.array([edge.last_ns + 1]), nothing, nothing)
            if edge.next_ns < int(points.time_ns[stop]):
                add(np.array([edge.next_ns]), *edge.behind)
        start = stop
    add(points.time_ns[start:], [c[start:] for c in points.lows], [c[start:] for c in points.highs])
    return Points(np.concatenate(times), list(map(np.concatenate, lows)), list(map(np.concatenate, highs)))


def _edges(spans: Sequence[Span], pieces: Iterable[Piece]) -> dict[int, _Edge]:
    """Return the gap of each stretch, by where the stretch begins."""
    starts = np.array([span.start_ns for span in spans], np.int64)
    kept: dict[int, list[Piece]] = {}
    for piece in pieces:
        at = int(np.searchsorted(starts, int(piece.time_ns[0]), side="right")) - 1
        if at >= 0:
            kept.setdefault(at, []).append(piece)
    return {int(starts[at]): _edge(listed, spans[at]) for at, listed in kept.items()}


def _edge(pieces: Sequence[Piece], span: Span) -> _Edge:
    times = np.concatenate([piece.time_ns for piece in pieces])
    columns = [np.concatenate([p.columns[i] for p in pieces]) for i in range(len(pieces[0].columns))]
    stop = int(span.stop_ns or 0)
    at = int(np.argmax(np.diff(np.append(times, stop)))) + 1
    behind = int(times[at]) if at < len(times) else stop
    before = _extremes([column[:at] for column in columns])
    return _Edge(int(times[at - 1]), behind, before, _extremes([column[at:] for column in columns]))


def _extremes(columns: Sequence[npt.NDArray[Any]]) -> tuple[list[float], list[float]]:
    lows: list[float] = []
    highs: list[float] = []
    for column in columns:
        finite = column[np.isfinite(column)]
        lows.append(float(finite.min()) if len(finite) else np.nan)
        highs.append(float(finite.max()) if len(finite) else np.nan)
    return lows, highs
