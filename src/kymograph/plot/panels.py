"""Which lines share a panel, and what it is called: pressures with pressures, a unit that people know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kymograph.model.errors import InvalidInput
from kymograph.plot.track import Line, Track

GROUPINGS: Final = ("auto", "unit", "name", "channel", "stream")
PANEL_LINES_MAX: Final = 8
"""Lines of one panel: more cannot be told apart."""
_APART: Final = 6.0
"""How many times as large values are, not to be drawn to the same scale."""
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Pressure": ("bar", "mbar", "Pa", "hPa", "kPa", "MPa", "psi", "[psi]"),
    "Temperature": ("Cel", "K", "degF", "[degF]"),
    "Force": ("N", "kN"),
    "Mass flow": ("kg/s", "g/s"),
    "Voltage": ("V", "mV", "uV"),
    "Current": ("A", "mA", "uA"),
    "Angle": ("deg", "rad"),
    "Speed": ("m/s", "km/h", "mm/s"),
    "Acceleration": ("m/s2",),
    "Length": ("m", "cm", "mm", "um", "km"),
    "Power": ("W", "mW", "kW"),
    "Frequency": ("Hz", "kHz"),
    "Impulse": ("N.s", "kN.s"),
}
_SIGNS: Final[Mapping[str, str]] = {
    "Cel": "°C", "deg": "°", "degF": "°F", "[degF]": "°F", "um": "µm", "us": "µs", "uV": "µV", "uA": "µA",
    "Ohm": "Ω", "1": "", "m/s2": "m/s²", "m2": "m²", "m3": "m³", "N.s": "N·s", "kN.s": "kN·s",
    "[psi]": "psi", "umol/(m2.s)": "µmol/m²s",
}  # fmt: skip
_FIRST: Final = ("Pressure", "Temperature", "Force")
_BY_NAME: Final[Mapping[str, str]] = {
    "P": "Pressure", "p": "Pressure", "pressure": "Pressure", "T": "Temperature",
    "temperature": "Temperature", "thrust": "Force", "force": "Force",
}  # fmt: skip
"""What quantities without a unit are by their names."""


@dataclass(frozen=True)
class Panel:
    """Lines of one track, drawn to one scale."""

    title: str
    unit: str
    """As a person reads it."""
    track: Track
    lines: tuple[Line, ...]


def sign(unit: str) -> str:
    """Return a UCUM code as the sign that people know; unknown codes stay as they are."""
    return _SIGNS.get(unit, unit)


def arrange(tracks: Sequence[Track], grouping: str) -> list[Panel]:
    """Return panels, pressures first, then temperatures, then forces, then the others as they come.

    `grouping`: `auto` by unit and name, where units are the same also apart if the values' sizes are; `unit`;
    `name`, numbers left out; `channel` is one each; `stream` all in one.

    Raises:
        InvalidInput: there is no such grouping.
    """
    if grouping not in GROUPINGS:
        raise InvalidInput(f"there is no grouping {grouping}", hint=f"there are {', '.join(GROUPINGS)}")
    panels: list[Panel] = []
    for track in tracks:
        lines = [line for line in track.lines if line.bounds is not None]
        for group in _groups(lines, grouping):
            for start in range(0, len(group), PANEL_LINES_MAX):
                panels.append(_panel(track, group[start : start + PANEL_LINES_MAX], len(tracks) > 1))
    return _told_apart(sorted(panels, key=_rank))


def _told_apart(panels: list[Panel]) -> list[Panel]:
    """Name the lines' families where two panels would be called the same."""
    titles = [panel.title for panel in panels]
    return [
        replace(panel, title=f"{panel.title} · {_families(panel.lines)}")
        if titles.count(panel.title) > 1
        else panel
        for panel in panels
    ]


def _families(lines: Sequence[Line]) -> str:
    return ", ".join(map(_words, list(dict.fromkeys(line.quantity.family for line in lines))[:3]))


def empty(tracks: Sequence[Track]) -> list[str]:
    """Return the names of the lines without a single value."""
    return [line.quantity.name for track in tracks for line in track.lines if line.bounds is None]


def _groups(lines: Sequence[Line], grouping: str) -> list[list[Line]]:
    keys: Mapping[str, Callable[[Line], object]] = {
        "auto": lambda line: (line.quantity.unit, line.quantity.family, line.quantity.labels),
        "unit": lambda line: line.quantity.unit or line.quantity.family,
        "name": lambda line: line.quantity.family,
        "channel": lambda line: line.quantity.name,
        "stream": lambda line: "",
    }
    found: dict[object, list[Line]] = {}
    for line in lines:
        found.setdefault(keys[grouping](line), []).append(line)
    groups = list(found.values())
    return _joined(groups) if grouping == "auto" else groups


def _joined(groups: list[list[Line]]) -> list[list[Line]]:
    """Join groups of one unit whose values are of about the same size."""
    made: list[list[Line]] = []
    for group in groups:
        unit = group[0].quantity.unit
        for other in made:
            if unit and other[0].quantity.unit == unit and 1 / _APART < _size(group) / _size(other) < _APART:
                other += group
                break
        else:
            made.append(list(group))
    return made


def _size(lines: Sequence[Line]) -> float:
    bounds = [line.bounds or (0.0, 0.0) for line in lines]
    return max(max(abs(low), abs(high)) for low, high in bounds) or 1e-9


def _kind(line: Line) -> str:
    for kind, units in _KINDS.items():
        if line.quantity.unit in units:
            return kind
    return "" if line.quantity.unit else _BY_NAME.get(line.quantity.family, "")


def _rank(panel: Panel) -> int:
    kind = _kind(panel.lines[0])
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST)


def _panel(track: Track, lines: Sequence[Line], several: bool) -> Panel:
    units = {line.quantity.unit for line in lines}
    if len(lines) == 1:
        title = _words(lines[0].quantity.name)
    else:
        kinds = {_kind(line) for line in lines}
        kind = kinds.pop() if len(kinds) == 1 else ""
        title = kind or _families(lines)
    title = f"{title} · {track.name}" if several else title
    return Panel(title, sign(units.pop()) if len(units) == 1 else "", track, tuple(lines))


def _words(name: str) -> str:
    """Return a name as words: `exhaust_velocity` is Exhaust velocity; `P1` and `counter` stay as they are."""
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:] if len(text) > 2 else text
