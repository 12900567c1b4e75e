"""A plot as a page: one HTML file with everything inside, that asks nobody for anything.

uPlot, kept for the dashboard, draws; its licence goes along. Numbers are inside as base64 of little-endian
floats: half as long as their digits, and read at once.
"""

from __future__ import annotations

import html
import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from kymograph import __version__
from kymograph.plot.drawing import Drawing
from kymograph.plot.panels import Panel, sign
from kymograph.plot.track import Floats, Line
from kymograph.plot.turn import Turn

_OWN: Final = Path(__file__).parent / "page"
_UPLOT: Final = Path(__file__).parents[1] / "web" / "ui" / "vendor" / "uplot"
_EXPORT: Final = "export default uPlot;"
"""The end of the vendored module; in a page there is nobody to export to."""


def write(drawing: Drawing, file: BinaryIO) -> None:
    """Write the page."""
    uplot = (_UPLOT / "uplot.js").read_text("utf-8").rstrip().removesuffix(_EXPORT)
    parts = {
        "title": html.escape(drawing.title),
        "version": __version__,
        "licence": (_UPLOT / "LICENSE").read_text("utf-8").replace("--", "- -"),
        "uplot.css": (_UPLOT / "uplot.css").read_text("utf-8"),
        "uplot.js": uplot,
        "page.css": (_OWN / "page.css").read_text("utf-8"),
        "page.js": "\n".join((_OWN / name).read_text("utf-8") for name in ("words.js", "turn.js", "page.js")),
        "data": _inline(_data(drawing)),
    }
    file.write(_filled((_OWN / "page.html").read_text("utf-8"), parts).encode())


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """Put parts where a template names them, once: what is in a part is nowhere looked at again."""
    made: list[str] = []
    for piece in template.split("{{"):
        name, closed, rest = piece.partition("}}")
        made.append(parts[name] + rest if closed else piece)
    return "".join(made)


def _inline(data: object) -> str:
    """Return JSON that ends no script, whatever a channel is called."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _data(drawing: Drawing) -> dict[str, Any]:
    first, last = drawing.extent
    return {
        "title": drawing.title, "subtitle": drawing.subtitle(), "note": drawing.note(),
        "counted": drawing.counted, "first": first / 1e9, "last": last / 1e9, "rows": drawing.rows,
        "tracks": [_packed((track.time_ns - first) / 1e9) for track in drawing.tracks],
        "panels": [_panel(panel, drawing) for panel in drawing.panels],
        "moments": [{"t": one.time_ns / 1e9, "kind": one.kind, "text": one.text} for one in drawing.moments],
        "turns": [_turn(turn) for turn in drawing.turns],
    }  # fmt: skip


def _panel(panel: Panel, drawing: Drawing) -> dict[str, Any]:
    track = next(at for at, track in enumerate(drawing.tracks) if track is panel.track)
    lines = [_line(line) for line in panel.lines]
    return {"title": panel.title, "unit": panel.unit, "track": track, "lines": lines}


def _line(line: Line) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": line.quantity.name, "unit": sign(line.quantity.unit), "labels": list(line.quantity.labels),
        "low": _packed(line.low),
    }  # fmt: skip
    if not np.array_equal(line.low, line.high, equal_nan=True):
        told["high"] = _packed(line.high)
    return told


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "name": turn.name, "unit": sign(turn.unit),
        "angle": _packed(turn.angle_deg.astype(np.float32)),
        "distance": _packed(turn.distance.astype(np.float32)),
    }  # fmt: skip


def _packed(values: Floats | npt.NDArray[np.float64]) -> str:
    """Return numbers as `f4:` or `f8:` and base64: in four bytes where that is enough."""
    short = values.astype("<f4")
    if np.array_equal(short.astype(values.dtype), values, equal_nan=True):
        return "f4:" + b64encode(short.tobytes()).decode()
    return "f8:" + b64encode(values.astype("<f8").tobytes()).decode()
