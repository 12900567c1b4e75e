"""The rows of sources, reduced to what a plot shows, peaks and gaps kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

import numpy as np

from kymograph.model.block import Column, Times
from kymograph.model.errors import InvalidInput
from kymograph.plot.gaps import Floats, Points, cut, gaps
from kymograph.plot.source import Piece, Quantity, Source
from kymograph.service.archive.reduce import Extremes, View, Watch
from kymograph.store.parts import Span

CHANNELS_SHOWN_MAX: Final = 96
"""Channels of one plot: more are no picture."""


class Line(NamedTuple):
    """One quantity over the times of its track: the lowest and the highest value of each point."""

    quantity: Quantity
    low: Floats
    high: Floats

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The lowest and the highest value of all; None if there is none."""
        low, high = self.low[np.isfinite(self.low)], self.high[np.isfinite(self.high)]
        return (float(low.min()), float(high.max())) if len(low) and len(high) else None


@dataclass(frozen=True)
class Track:
    """Lines that share their times. Where rows are missing there is a point with no values."""

    name: str
    rows: int
    points: int
    time_ns: Times
    lines: tuple[Line, ...]

    @property
    def reduced(self) -> bool:
        """Whether points stand for several rows each."""
        return self.points < self.rows


class Chosen(NamedTuple):
    """Sources that follow one another in time, and the quantities of theirs that are to be drawn."""

    sources: tuple[Source, ...]
    names: tuple[str, ...]


def choose(sources: Sequence[Source], patterns: Sequence[str]) -> list[Chosen]:
    """Put sources of the same quantities behind one another, and choose quantities by name or pattern.

    Raises:
        InvalidInput: a pattern fits none, or there is too much to draw.
    """
    together: dict[Any, list[Source]] = {}
    for source in sources:
        together.setdefault((_basis(source), source.quantities), []).append(source)
    known = [quantity.name for source in sources for quantity in source.quantities]
    for pattern in patterns:
        if not any(_fits(source, name, pattern) for source in sources for name in _names(source)):
            folded = {name.casefold(): name for name in known}
            near = get_close_matches(pattern.casefold(), folded, 1, 0.5)
            hint = (
                f"did you mean {folded[near[0]]}?"
                if near
                else f"there are: {', '.join(dict.fromkeys(known))}"
            )
            raise InvalidInput(f"there is no channel {pattern}", hint=hint)
    found: list[Chosen] = []
    for same in together.values():
        names = [n for n in _names(same[0]) if not patterns or any(_fits(same[0], n, p) for p in patterns)]
        if names:
            found.append(Chosen(tuple(same), tuple(names)))
    count = sum(len(one.names) for one in found)
    if count > CHANNELS_SHOWN_MAX:
        raise InvalidInput(
            f"{count} channels are more than a plot can show (at most {CHANNELS_SHOWN_MAX})",
            hint="choose some: --channels 'P*,thrust'",
        )
    return found


def _basis(source: Source) -> str:
    """Return what sources that follow one another are called alike: a file's number or date is left out."""
    return source.name.rstrip("0123456789_-.")


def _names(source: Source) -> list[str]:
    return [quantity.name for quantity in source.quantities]


def _fits(source: Source, name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(f"{source.name}.{name}", pattern)


def reduce(chosen: Chosen, span: Span, points_max: int, watch: Watch) -> Track:
    """Read the rows between two times and return at most `points_max` points of them."""
    share = max(1, points_max // len(chosen.sources))
    views = [source.view(chosen.names, span, share, watch) for source in chosen.sources]
    views = sorted((view for view in views if view.rows), key=lambda view: int(view.time_ns[0]))
    points = _in_order(Points(*_joined(views, chosen.names)))
    rows, count = sum(view.rows for view in views), len(points.time_ns)
    found = gaps(points.time_ns, min(source.rate_hz for source in chosen.sources))
    points = cut(points, found, lambda spans: _rows(chosen, spans) if count < rows else ())
    known = {quantity.name: quantity for quantity in chosen.sources[0].quantities}
    lines = map(Line, map(known.__getitem__, chosen.names), points.lows, points.highs)
    return Track(chosen.sources[0].name, rows, count, points.time_ns, tuple(lines))


def _rows(chosen: Chosen, spans: Sequence[Span]) -> Iterator[Piece]:
    for source in chosen.sources:
        yield from source.pieces(chosen.names, spans)


def _joined(views: Sequence[View], names: Sequence[str]) -> tuple[Times, list[Floats], list[Floats]]:
    if not views:
        return np.empty(0, np.int64), [np.empty(0)] * len(names), [np.empty(0)] * len(names)
    sides: list[list[Floats]] = [[], []]
    for side, made in enumerate(sides):
        for name in names:
            columns = [view.columns[name] for view in views]
            made.append(np.concatenate([_floats(c[side] if isinstance(c, Extremes) else c) for c in columns]))
    return np.concatenate([view.time_ns for view in views]), sides[0], sides[1]


def _in_order(points: Points) -> Points:
    """Sort points by time: a clock may have been set back, and files may overlap."""
    if not bool((np.diff(points.time_ns) < 0).any()):
        return points
    order = np.argsort(points.time_ns, kind="stable")
    return Points(points.time_ns[order], [c[order] for c in points.lows], [c[order] for c in points.highs])


def _floats(column: Column) -> Floats:
    values = column if column.dtype == np.float32 else column.astype(np.float64)
    return np.where(np.isfinite(values), values, np.nan)
