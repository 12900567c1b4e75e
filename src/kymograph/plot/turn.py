"""The last whole turn of something that looks around: a lidar's distances by angle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from kymograph.plot.source import Piece, Quantity, Source
from kymograph.store.parts import Span

_LOOK_NS: Final = 3_000_000_000
"""How far before the last row the last whole turn begins at most."""
_POINTS_MAX: Final = 20_000


class Turn(NamedTuple):
    """One turn: angles in degrees, distances, strengths if there are any; without what did not come back."""

    name: str
    unit: str
    time_ns: int
    angle_deg: npt.NDArray[np.float64]
    distance: npt.NDArray[np.float64]
    strength: npt.NDArray[np.float64] | None


def turns(source: Source) -> bool:
    """Return whether a source looks around: it has angles and distances."""
    names = {quantity.name for quantity in source.quantities}
    return {"angle", "distance"} <= names


def last_turn(source: Source, span: Span) -> Turn | None:
    """Return the last whole turn before the end of a span; None if there is none."""
    extent = source.extent()
    if extent is None:
        return None
    stop = extent[1] + 1 if span.stop_ns is None else min(span.stop_ns, extent[1] + 1)
    known = {quantity.name: quantity for quantity in source.quantities}
    names = [name for name in ("angle", "distance", "intensity") if name in known]
    pieces = list(source.pieces(names, [Span(stop - _LOOK_NS, stop)]))
    if not pieces:
        return None
    times = np.concatenate([piece.time_ns for piece in pieces])
    columns = [_column(pieces, at) for at in range(len(names))]
    angle = np.rad2deg(columns[0]) if known["angle"].unit == "rad" else columns[0]
    edges = np.flatnonzero(np.abs(np.diff(angle)) > 180) + 1
    first, last = (edges[-2], edges[-1]) if len(edges) > 1 else (0, len(angle))
    first = max(int(first), int(last) - _POINTS_MAX)
    there = np.zeros(len(angle), np.bool_)
    there[first:last] = (columns[1][first:last] > 0) & np.isfinite(columns[1][first:last])
    if not there.any():
        return None
    strength = columns[2][there] if len(columns) > 2 else None
    name = known["distance"]
    return Turn(source.name, name.unit, int(times[first]), angle[there], columns[1][there], strength)


def hidden(quantities: Sequence[Quantity]) -> set[str]:
    """Return what a turn shows better than a line over time does."""
    return {quantity.name for quantity in quantities} & {"angle", "scan"}


def _column(pieces: Sequence[Piece], at: int) -> npt.NDArray[Any]:
    return np.concatenate([piece.columns[at] for piece in pieces]).astype(np.float64)
