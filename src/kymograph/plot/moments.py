"""What happened during a recording, as lines across its plot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from kymograph.model.event import Event
from kymograph.store.parts import Span
from kymograph.store.recording_folder import RecordingFolder

SHOWN: Final = ("mark", "command", "alarm")
RUN: Final = "run"
"""The kind of what runs tell; as events they are states."""
MOMENTS_MAX: Final = 400
"""Lines of one plot; beyond, the marks and alarms are kept first."""
_TEXT_CHARS: Final = 60
_RUN_SOURCE: Final = "run/"
_TURNS: Final = {"paused": "is paused", "done": "is done", "aborted": "is aborted", "failed": "failed"}
_FINE: Final = ("accepted", "sent", "acknowledged", "verified")


class Moment(NamedTuple):
    """Something that happened."""

    time_ns: int
    kind: str
    text: str


def moments(folder: Path, span: Span) -> list[Moment]:
    """Return the marks, commands, alarms and turns of runs of a recording between two times, oldest first.

    Each with the time of its first revision and the text of its last.
    """
    told = list(RecordingFolder(folder).events.read())
    first: dict[str, int] = {}
    last: dict[str, Event] = {}
    for event in told:
        if event.kind in SHOWN:
            first.setdefault(event.id, event.time_ns)
            last[event.id] = event
    found = [Moment(first[event.id], event.kind, _text(event)) for event in last.values()]
    found = sorted(m for m in (*found, *_turns(told)) if span.holds(m.time_ns, m.time_ns))
    if len(found) > MOMENTS_MAX:
        found = sorted([moment for moment in found if moment.kind != "command"][:MOMENTS_MAX])
    return found


def _turns(told: Iterable[Event]) -> Iterator[Moment]:
    """Yield when a run began, came to another group of its steps, was paused, went on, or ended."""
    before: dict[str, Mapping[str, Any]] = {}
    for event in told:
        if event.source.startswith(_RUN_SOURCE) and event.body.get("sequence"):
            text = _turn(event.body, before.get(event.source))
            before[event.source] = event.body
            if text:
                yield Moment(event.time_ns, RUN, _short_line(text))


def _turn(run: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    """Return what a step of a run is called; "" for one that is of no interest."""
    name, state, reason = run["sequence"], run.get("state"), run.get("reason")
    if before is not None and state == before.get("state"):
        group = _group(run)
        return f"{name}: {group}" if state == "running" and group not in ("", _group(before)) else ""
    if state == "running":
        return f"{name} begins" if before is None else f"{name} goes on"
    said = f"{name} {_TURNS[state]}" if state in _TURNS else ""
    return f"{said}: {reason}" if said and reason else said


def _group(run: Mapping[str, Any]) -> str:
    path: list[Mapping[str, Any]] = run.get("path") or []
    return str(path[0].get("name") or "") if path else ""


def _text(event: Event) -> str:
    body = event.body
    if event.kind == "command":
        text = _command(body)
    else:
        text = str(
            body.get("text") or body.get("message") or body.get("name") or body.get("reason") or event.kind
        )
    return _short_line(text)


def _short_line(text: str) -> str:
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
