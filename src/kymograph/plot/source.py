"""Where the rows of a plot come from, whatever holds them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from kymograph.model.block import Column, Times
from kymograph.service.archive.reduce import View, Watch
from kymograph.store.parts import Span

ABSOLUTE_NS_MIN: Final = 10**17
"""Times before 1973 are no dates: a log that counts from its own start."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One measured quantity. `unit` is a UCUM code; `labels` are words for the values 0, 1, 2, …"""

    name: str
    unit: str = ""
    labels: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The name without its number: that of `P1` is `P`."""
        return re.sub(r"[ _.-]*\d+$", "", self.name) or self.name


class Piece(NamedTuple):
    """Some rows: times and one array a quantity."""

    time_ns: Times
    columns: Sequence[Column]


class Source(Protocol):
    """Rows of one stream: a recording's, or a file's."""

    name: str
    rate_hz: float
    quantities: tuple[Quantity, ...]
    rows: int
    """About how many there are; 0 if nobody knows before they are read."""

    def extent(self) -> tuple[int, int] | None:
        """Return the times of the first and the last row, None if there are none."""
        ...

    def view(self, names: Sequence[str], span: Span, points_max: int, watch: Watch) -> View:
        """Return the rows between two times, reduced to so many points, peaks kept."""
        ...

    def pieces(self, names: Sequence[str], spans: Sequence[Span]) -> Iterator[Piece]:
        """Yield the rows of some stretches of time, none within another, as they are."""
        ...
