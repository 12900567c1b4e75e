"""What happened during a recording, as lines across its plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from kymograph.model.event import Event
from kymograph.store.parts import Span
from kymograph.store.recording_folder import RecordingFolder

SHOWN: Final = ("mark", "command", "alarm")
MOMENTS_MAX: Final = 400
"""Lines of one plot; beyond, the marks and alarms are kept first."""
_TEXT_CHARS: Final = 60
_FINE: Final = ("accepted", "sent", "acknowledged", "verified")


class Moment(NamedTuple):
    """Something that happened."""

    time_ns: int
    kind: str
    text: str


def moments(folder: Path, span: Span) -> list[Moment]:
    """Return the marks, commands and alarms of a recording between two times, oldest first.

    Each with the time of its first revision and the text of its last.
    """
    first: dict[str, int] = {}
    last: dict[str, Event] = {}
    for event in RecordingFolder(folder).events.read():
        if event.kind in SHOWN:
            first.setdefault(event.id, event.time_ns)
            last[event.id] = event
    found = [Moment(first[event.id], event.kind, _text(event)) for event in last.values()]
    found = sorted(moment for moment in found if span.holds(moment.time_ns, moment.time_ns))
    if len(found) > MOMENTS_MAX:
        found = sorted([moment for moment in found if moment.kind != "command"][:MOMENTS_MAX])
    return found


def _text(event: Event) -> str:
    body = event.body
    if event.kind == "command":
        text = _command(body)
    else:
        text = str(
            body.get("text") or body.get("message") or body.get("name") or body.get("reason") or event.kind
        )
    text = " ".join(text.split())
    return text if len(text) <= _TEXT_CHARS else text[: _TEXT_CHARS - 1] + "…"


def _command(body: Mapping[str, Any]) -> str:
    arguments: Mapping[str, Any] = body.get("arguments") or {}
    named = len(arguments) > 1
    values = " ".join(
        f"{key}={_short(value)}" if named else _short(value) for key, value in arguments.items()
    )
    state = str(body.get("state") or "")
    told = "" if state in _FINE or not state else f" ({state.replace('_', ' ')})"
    return f"{body.get('instrument', '')} {body.get('command', '')} {values}".strip() + told


def _short(value: Any) -> str:
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return ("" if all(item in (0, 1) for item in items) else ",").join(map(str, items))
    return f"{value:g}" if isinstance(value, float) else str(value)
