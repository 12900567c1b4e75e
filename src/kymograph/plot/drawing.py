"""What is drawn, before it is known as what: panels over one time axis, moments across them, turns beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

import numpy as np

from kymograph.model.block import Times
from kymograph.plot.moments import Moment
from kymograph.plot.panels import Panel
from kymograph.plot.source import ABSOLUTE_NS_MIN
from kymograph.plot.track import Track
from kymograph.plot.turn import Turn


@dataclass(frozen=True)
class Drawing:
    """A whole plot."""

    title: str
    tracks: Sequence[Track]
    panels: Sequence[Panel]
    moments: Sequence[Moment] = ()
    turns: Sequence[Turn] = ()
    empty: Sequence[str] = ()
    """Quantities without a single value."""

    @property
    def extent(self) -> tuple[int, int]:
        """The times of the first and the last point."""
        drawn = [track.time_ns for track in self.tracks if len(track.time_ns)]
        return min(int(times[0]) for times in drawn), max(int(times[-1]) for times in drawn)

    @property
    def counted(self) -> bool:
        """Whether times are counted from a log's own start, and are no dates."""
        return self.extent[0] < ABSOLUTE_NS_MIN

    @property
    def rows(self) -> int:
        """How many rows the points stand for."""
        return sum(track.rows for track in self.tracks)

    def subtitle(self) -> str:
        """Return when it was, how long, and of how many rows it is."""
        first, last = self.extent
        seconds = (last - first) / 1e9
        when = "" if self.counted else f"{_moment(first, seconds)} – {_end(first, last, seconds)} UTC · "
        text = f"{when}{_duration(seconds)} · {grouped(self.rows)} {'row' if self.rows == 1 else 'rows'}"
        worst = max((track.rows / max(track.points, 1) for track in self.tracks), default=1.0)
        if worst > 1:
            text += f", each point the lowest and highest of {grouped(ceil(worst))}"
        return text

    def note(self) -> str:
        """Return what is left out; "" if nothing is."""
        return f"Without values: {', '.join(self.empty)}" if self.empty else ""


def grouped(count: int) -> str:
    """Return a whole number with thin spaces between thousands."""
    return f"{count:,}".replace(",", "\u202f")


def tick_words(time_ns: Times) -> list[str]:
    """Return times as a time axis says them: as finely as they lie apart, and the date below a new day."""
    steps = np.diff(time_ns)
    step_ns = int(steps.min()) if len(steps) else 1
    words: list[str] = []
    day = ""
    for one in time_ns.tolist():
        date = _date(one)
        words.append(date if step_ns >= 86_400_000_000_000 else _fine(one, step_ns))
        if date != day and step_ns < 86_400_000_000_000:
            words[-1] += f"\n{date}"
        day = date
    return words


def _fine(time_ns: int, step_ns: int) -> str:
    text = f"{datetime.fromtimestamp(time_ns // 1_000_000_000, UTC):%H:%M:%S}"
    if step_ns >= 60_000_000_000:
        return text[:5]
    if step_ns >= 1_000_000_000:
        return text
    digits = 3 if step_ns >= 1_000_000 else 6
    return f"{text}.{time_ns % 1_000_000_000:09d}"[: 9 + digits]


def _moment(time_ns: int, seconds: float) -> str:
    return _date(time_ns) + " " + _clock(time_ns, seconds)


def _end(first_ns: int, last_ns: int, seconds: float) -> str:
    same = _date(first_ns) == _date(last_ns)
    return _clock(last_ns, seconds) if same else _moment(last_ns, seconds)


def _date(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns // 1_000_000_000, UTC):%Y-%m-%d}"


def _clock(time_ns: int, seconds: float) -> str:
    whole = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    return f"{whole:%H:%M:%S}" + (f".{time_ns // 1_000_000 % 1000:03d}" if seconds < 60 else "")


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
