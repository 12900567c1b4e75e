"""A plot as a picture: PNG or SVG, by matplotlib without any window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np

from kymograph.model.errors import InvalidInput
from kymograph.plot.drawing import Drawing, tick_words
from kymograph.plot.moments import Moment
from kymograph.plot.panels import Panel, sign
from kymograph.plot.track import Floats, Line, Track
from kymograph.plot.turn import Turn

COLOURS: Final = (
    "#14699c", "#b26400", "#24803f", "#b52b6b", "#6545b5", "#3b342b", "#b8432a", "#08756a",
)  # fmt: skip
"""Of the lines of a panel, in order; the same as on the dashboard's light side."""
_INK: Final = "#1e1a15"
_MUTED: Final = "#6f675b"
_GRID: Final = "#e9e4da"
_MOMENT: Final = {"mark": "#1e1a15", "command": "#8a8172", "alarm": "#c62f1f", "run": "#1c7a44"}
_STYLE: Final = {
    "font.size": 8.5, "font.family": "DejaVu Sans", "text.color": _INK, "axes.edgecolor": _GRID,
    "axes.labelcolor": _MUTED, "xtick.color": _MUTED, "ytick.color": _MUTED, "axes.linewidth": 0.8,
    "xtick.major.size": 3, "ytick.major.size": 0, "svg.hashsalt": "kymograph", "path.simplify": False,
    "timezone": "UTC", "axes.formatter.useoffset": False, "axes.unicode_minus": True,
}  # fmt: skip
_PANEL_IN: Final = 1.55
_PANEL_IN_MIN: Final = 0.85
_HEIGHT_IN_MAX: Final = 24.0
_PLOT_IN_MIN: Final = 1.5
_TURN_IN: Final = 4.4
_LABEL_ROWS: Final = 3
_NAME_CHARS: Final = 22
_FEW: Final = 60
"""Points up to which each one is a dot."""


class _Label(NamedTuple):
    """A moment that is told in a row above the panels, behind its line or before it."""

    moment: Moment
    row: int
    before: bool


@dataclass(frozen=True)
class Size:
    """Of a picture, in pixels; a height of 0 is as much as the panels want."""

    width: int = 1600
    height: int = 0
    dpi: int = 150


def draw(drawing: Drawing, file: BinaryIO, suffix: str, size: Size) -> None:
    """Write a picture in the format of a suffix, `.png` or `.svg`."""
    matplotlib: Any = import_module("matplotlib")
    figures: Any = import_module("matplotlib.figure")
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "agg", **_STYLE}):
        page = _Page(drawing, figures, size)
        page.fill()
        metadata = {"Date": None} if suffix == ".svg" else {"Software": "Kymograph"}
        page.figure.savefig(file, format=suffix[1:], dpi=size.dpi, metadata=metadata)


class _Page:
    """A figure and where its parts are, in inches from the top."""

    def __init__(self, drawing: Drawing, figures: Any, size: Size) -> None:
        self._drawing = drawing
        self._width = size.width / size.dpi
        self._head = 0.72
        longest = max((len(_name(line)) for panel in drawing.panels for line in panel.lines), default=0)
        self._right = 0.25 + longest * 0.073
        self._told = _place_labels(drawing, (self._width - 0.75 - self._right) * 72, self._right * 72)
        rows = max((told.row + 1 for told in self._told), default=0)
        self._strip = 0.16 * rows + 0.1 if rows and drawing.panels else 0.0
        self._foot = 0.5 + (0.18 if drawing.note() else 0.0)
        turns = _TURN_IN * bool(drawing.turns)
        count = max(len(drawing.panels), 1)
        room = (size.height / size.dpi or _HEIGHT_IN_MAX) - self._head - self._strip - self._foot - turns
        panel = max(min(room / count, 4.0 if size.height else _PANEL_IN), _PANEL_IN_MIN)
        if not size.height and count == 1:
            panel = 2 * _PANEL_IN
        self._panel, self._turn = panel, turns
        self._height = size.height / size.dpi or (
            self._head + self._strip + self._foot + turns + panel * len(drawing.panels)
        )
        _check(size, 0.75 + self._right + _PLOT_IN_MIN, size.height / size.dpi - room + _PANEL_IN_MIN * count)
        self.figure: Any = figures.Figure(figsize=(self._width, self._height), facecolor="white")

    def fill(self) -> None:
        """Draw everything."""
        self._titles()
        top = self._head
        if self._drawing.turns:
            self._turns(top)
        top += self._turn + self._strip
        axes: list[Any] = []
        for panel in self._drawing.panels:
            axes.append(self._axes(panel, top, axes[0] if axes else None))
            top += self._panel
        if axes:
            self._time_axis(axes)
            self._moments(axes)

    def _place(self, left: float, top: float, width: float, height: float) -> tuple[float, ...]:
        """Return a rectangle, given in inches from the left and the top, as matplotlib wants it."""
        w, h = self._width, self._height
        return left / w, 1 - (top + height) / h, width / w, height / h

    def _titles(self) -> None:
        x, y = 0.3 / self._width, 1.0
        self.figure.text(x, y - 0.22 / self._height, self._drawing.title, size=12.5, weight="bold", va="top")
        self.figure.text(x, y - 0.48 / self._height, self._drawing.subtitle(), color=_MUTED, va="top")
        if self._drawing.note():
            self.figure.text(x, 0.1 / self._height, self._drawing.note(), color=_MUTED, size=7.5)

    def _axes(self, panel: Panel, top: float, first: Any) -> Any:
        width = self._width - 0.75 - self._right
        axes: Any = self.figure.add_axes(
            self._place(0.75, top + 0.3, width, self._panel - 0.42), sharex=first, facecolor="none"
        )
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.grid(axis="y", color=_GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(labelbottom=False)
        title = axes.annotate(
            panel.title,
            (0, 1),
            (0, 5),
            xycoords="axes fraction",
            textcoords="offset points",
            weight="bold",
            size=9,
        )
        if panel.unit:
            axes.annotate(f"  {panel.unit}", (1, 0), xycoords=title, color=_MUTED, size=9, va="bottom")
        times = self._times(panel.track)
        for line, colour in zip(panel.lines, COLOURS, strict=False):
            _line(axes, times, panel.track, line, colour)
        self._scale(axes, panel)
        _labels(axes, panel, (self._panel - 0.42) * 72)
        return axes

    def _times(self, track: Track) -> Floats:
        """Return times as matplotlib's days, or as seconds where they are no dates."""
        if self._drawing.counted:
            return (track.time_ns - self._drawing.extent[0]) / 1e9
        return track.time_ns / 86_400e9

    def _scale(self, axes: Any, panel: Panel) -> None:
        ticker: Any = import_module("matplotlib.ticker")
        words = panel.lines[0].quantity.labels
        if words and all(line.quantity.labels == words for line in panel.lines):
            axes.set_yticks(range(len(words)), words)
            axes.set_ylim(-0.3, len(words) - 0.7)
            return
        count = 4 if self._panel < 1.1 else 5
        axes.yaxis.set_major_locator(ticker.MaxNLocator(count, steps=(1, 2, 2.5, 5, 10)))
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(_number))
        bounds = [line.bounds for line in panel.lines if line.bounds]
        low, high = min(b[0] for b in bounds), max(b[1] for b in bounds)
        margin = (high - low) * 0.06 or max(abs(high) * 0.05, 0.5)
        axes.set_ylim(low - margin, high + margin)

    def _time_axis(self, axes: Sequence[Any]) -> None:
        dates: Any = import_module("matplotlib.dates")
        first, last = self._drawing.extent
        unit = 1e9 if self._drawing.counted else 86_400e9
        start = 0.0 if self._drawing.counted else first / unit
        axes[0].set_xlim(start, start + (last - first or 1e9) / unit)
        below = axes[-1]
        below.tick_params(labelbottom=True)
        if self._drawing.counted:
            below.set_xlabel("seconds since the first row", loc="left")
            return
        locator = dates.AutoDateLocator(tz="UTC", minticks=6, maxticks=int(self._width * 1.1))
        left, right = axes[0].get_xlim()
        ticks = locator.tick_values(dates.num2date(left), dates.num2date(right))
        ticks = np.array([tick for tick in ticks if left <= tick <= right])
        below.set_xticks(ticks, tick_words(np.rint(ticks * 86_400e6).astype(np.int64) * 1000))

    def _moments(self, axes: Sequence[Any]) -> None:
        unit = 1e9 if self._drawing.counted else 86_400e9
        start = self._drawing.extent[0] if self._drawing.counted else 0
        for moment in self._drawing.moments:
            for one in axes:
                x = (moment.time_ns - start) / unit
                one.axvline(x, color=_MOMENT[moment.kind], linewidth=0.7, alpha=0.8, zorder=1.5)
        for told in self._told:
            _moment_label(axes[0], (told.moment.time_ns - start) / unit, told)

    def _turns(self, top: float) -> None:
        count = len(self._drawing.turns)
        for at, turn in enumerate(self._drawing.turns):
            width = (self._width - 0.6) / count
            side = min(width, self._turn) - 1.1
            left = 0.3 + at * width + (width - side) / 2
            axes: Any = self.figure.add_axes(
                self._place(left, top + 0.55, side, side), projection="polar", facecolor="none"
            )
            _turn(axes, turn)


def _check(size: Size, width_in: float, height_in: float) -> None:
    """Refuse a picture with less room than its panels need, in inches."""
    for what, pixels, least in (("wide", size.width, width_in), ("high", size.height, height_in)):
        if pixels and pixels < least * size.dpi:
            raise InvalidInput(
                f"{pixels} pixels are not {what} enough for this plot at {size.dpi} dpi",
                hint=f"give {round(least * size.dpi)}, a lower --dpi, or fewer --channels",
            )


def _line(axes: Any, times: Floats, track: Track, line: Line, colour: str) -> None:
    finite = np.isfinite(line.high)
    alone = finite & ~np.roll(finite, 1) & ~np.roll(finite, -1) if len(finite) > 2 else finite
    steps = bool(line.quantity.labels)
    if track.reduced:
        axes.fill_between(
            times, line.low, line.high, facecolor=f"{colour}80", edgecolor=f"{colour}d8", linewidth=0.6,
            step="post" if steps else None,
        )  # fmt: skip
    else:
        style = "steps-post" if steps else "default"
        axes.plot(times, line.high, color=colour, linewidth=1.0, drawstyle=style, solid_joinstyle="round")
    dots = finite if int(finite.sum()) <= _FEW else alone
    if dots.any():
        axes.plot(times[dots], line.high[dots], ".", color=colour, markersize=3.5, markeredgewidth=0)


def _labels(axes: Any, panel: Panel, height_pt: float) -> None:
    """Write the lines' names at their right ends, moved apart where they would be on one another."""
    if len(panel.lines) == 1 and panel.title.lower().startswith(panel.lines[0].quantity.name.lower()[:4]):
        return
    low, high = axes.get_ylim()
    ends: list[tuple[float, int]] = []
    for at, line in enumerate(panel.lines):
        there = line.high[np.isfinite(line.high)]
        ends.append((float((there[-1] - low) / (high - low)) * height_pt, at))
    ends.sort(key=lambda end: (round(end[0] / 2), -end[1]))
    size = min(8.0, height_pt / len(ends) - 1)
    for (_, at), y in zip(ends, _spread([y for y, _ in ends], size + 1.5, height_pt), strict=True):
        axes.annotate(
            _name(panel.lines[at]), (1, y / height_pt), (6, 0), xycoords="axes fraction",
            textcoords="offset points", color=COLOURS[at], size=size, va="center", annotation_clip=False,
        )  # fmt: skip


def _name(line: Line) -> str:
    name = line.quantity.name
    return name if len(name) <= _NAME_CHARS else name[: _NAME_CHARS - 1] + "…"


def _spread(places: Sequence[float], apart: float, height: float) -> list[float]:
    """Return rising places moved as little as needed to be so far apart and inside."""
    made: list[float] = []
    for place in places:
        made.append(max(place, made[-1] + apart if made else apart / 2))
    top = height - apart / 4
    for at in range(len(made) - 1, -1, -1):
        made[at] = min(made[at], top)
        top = made[at] - apart
    return made


def _place_labels(drawing: Drawing, width_pt: float, right_pt: float) -> list[_Label]:
    """Return where what happened is written, without being on one another; the rest are lines only."""
    first, last = drawing.extent
    free = [-1e9] * _LABEL_ROWS
    made: list[_Label] = []
    for moment in drawing.moments:
        at = (moment.time_ns - first) / max(last - first, 1) * width_pt
        long = 4.3 * len(moment.text) + 10
        left = at - long if at + long > width_pt + right_pt else at
        row = next((row for row in range(_LABEL_ROWS) if free[row] < left), None)
        if row is not None and 0 <= at <= width_pt:
            free[row] = left + long
            made.append(_Label(moment, row, left < at))
    return made


def _moment_label(axes: Any, x: float, label: _Label) -> None:
    """Write what a moment was above the panels."""
    colour = _MOMENT[label.moment.kind]
    place: dict[str, Any] = {
        "xycoords": ("data", "axes fraction"), "textcoords": "offset points", "annotation_clip": False,
    }  # fmt: skip
    look: dict[str, Any] = {
        "color": colour,
        "size": 7,
        "ha": "right" if label.before else "left",
        "zorder": 5,
    }
    look["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}  # over the stems of later ones
    offset = (-2 if label.before else 2, 21 + 11.5 * label.row)
    axes.annotate(label.moment.text, (x, 1), offset, **look, **place)
    stem = {"arrowstyle": "-", "color": colour, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (x, 1), (0, 28 + 11.5 * label.row), arrowprops=stem, **place)


def _number(value: float, _: object = None) -> str:
    """Return a tick as a person reads it: thousands apart, no useless digits, a real minus."""
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:g}".replace("-", "\u2212")
    text = f"{value:,.6f}".rstrip("0").rstrip(".").replace(",", "\u202f").replace("-", "\u2212")
    return "0" if text == "\u22120" else text


def _turn(axes: Any, turn: Turn) -> None:
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    dots = axes.scatter(
        np.deg2rad(turn.angle_deg), turn.distance, s=4, linewidth=0, color=COLOURS[0], zorder=3
    )
    dots.set_rasterized(len(turn.distance) > 5000)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.spines["polar"].set_color(_GRID)
    axes.set_rlabel_position(22.5)
    axes.set_ylim(0, float(np.percentile(turn.distance, 99.5)) * 1.08)
    axes.tick_params(pad=1)
    unit = sign(turn.unit)
    axes.yaxis.set_major_locator(import_module("matplotlib.ticker").MaxNLocator(4))
    axes.yaxis.set_major_formatter(f"{{x:g}} {unit}")
    axes.set_title(f"{turn.name}, last whole turn", size=9, weight="bold", pad=10, loc="left", x=-0.1)
