"""`/v1/recordings`: begin and end them, read them, take them away in any format.

What is read comes from the data folder, not from the engine: a recording is there for the reader whether the
engine lives or not, and no download costs an instrument anything.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import Response

from kymograph.model.errors import InvalidInput
from kymograph.model.limits import NAME_CHARS_MAX
from kymograph.service.archive.exporting import ExportRequest
from kymograph.service.keys import ADMIN, READ, RECORD
from kymograph.web.api.answers import CursorText, Limit, event_out, events_out, problems
from kymograph.web.api.models import (
    DataOut,
    EventOut,
    MetadataIn,
    Notes,
    Page,
    PromoteIn,
    RecordingIn,
    RecordingOut,
)
from kymograph.web.api.streams import Channels, Moment, Points, split_names
from kymograph.web.auth import Caller, needs
from kymograph.web.front import Front, FrontDep
from kymograph.web.problems import encode
from kymograph.web.streaming import ByteStream, attachment
from kymograph.web.times import parse_optional

router = APIRouter(prefix="/v1/recordings", tags=["recordings"])

_SEGMENT_TYPE: Final = "application/octet-stream"
Id = Annotated[str, Path(max_length=NAME_CHARS_MAX, description="The recording's `id`.")]
Recorder = Annotated[Caller, needs(RECORD)]
Part = Annotated[str | None, Query(max_length=NAME_CHARS_MAX)]


def _said(front: Front, recording: dict[str, Any]) -> dict[str, Any]:
    """Return a recording as it is answered: as the folder tells it, and how far it is safe if it runs."""
    told = front.archive.get(recording["id"])
    return _with_recorders(front, [told])[0]


def _with_recorders(front: Front, recordings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to running recordings what their recorders know and their folders cannot."""
    if not any(one["running"] for one in recordings):
        return recordings
    running = {one["recording_id"]: one for one in front.engine.recorders()}
    for one in recordings:
        recorder = running.get(one["id"])
        if one["running"] and recorder is not None:
            now = ("rows", "rows_lost", "size_bytes", "segments", "queue_bytes", "error")
            one.update({key: recorder[key] for key in now}, durable=recorder["streams"])
    return recordings


@router.get("", response_model=Page[RecordingOut], responses=problems(), dependencies=[needs(READ)])
def recordings(
    front: FrontDep,
    name: Annotated[Part, Query(description="A part of the name, in any case.")] = None,
    instrument: Part = None,
    running: bool | None = None,
    limit: Limit = 100,
    cursor: CursorText = None,
) -> dict[str, Any]:
    """Return recordings, newest first."""
    page = front.archive.list(name, instrument, running, limit, cursor or None)
    return {"items": _with_recorders(front, page["items"]), "next": page["next"]}


@router.post("", status_code=201, response_model=RecordingOut, responses=problems(404, 409, 502, 507))
def record(
    front: FrontDep,
    caller: Recorder,
    wish: RecordingIn,
    idempotency_key: Annotated[str | None, Header(description="The same key, the same answer.")] = None,
) -> dict[str, Any]:
    """Begin a recording of some streams or instruments, or of everything."""
    asked = wish.model_dump(exclude_none=True)

    def begin() -> dict[str, Any]:
        return _said(front, front.engine.record_start({**asked, "by": caller.name}))

    return front.answers.once(caller.name, idempotency_key, asked, begin)


@router.post("/promote", status_code=201, response_model=RecordingOut, responses=problems(404, 409, 507))
def promote(
    front: FrontDep,
    caller: Recorder,
    wish: PromoteIn,
    idempotency_key: Annotated[str | None, Header(description="The same key, the same answer.")] = None,
) -> dict[str, Any]:
    """Record the last seconds, beside what is being recorded. It ends by itself when they are on the disk."""
    asked = wish.model_dump(exclude_none=True)

    def begin() -> dict[str, Any]:
        return _said(front, front.engine.promote({**asked, "by": caller.name}))

    return front.answers.once(caller.name, idempotency_key, asked, begin)


@router.get("/{id}", response_model=RecordingOut, responses=problems(404), dependencies=[needs(READ)])
def recording(front: FrontDep, id: Id) -> dict[str, Any]:
    """Return one recording."""
    return _said(front, {"id": id})


@router.patch("/{id}", response_model=RecordingOut, responses=problems(404))
def change(front: FrontDep, id: Id, caller: Recorder, change: MetadataIn) -> dict[str, Any]:
    """Add notes to a recording, running or ended, and pin it: retention leaves alone what is pinned."""
    if change.pinned is not None:
        front.engine.retention.pin(id, change.pinned, caller.name)
    if change.metadata or change.pinned is None:
        front.engine.annotate(id, change.metadata)
    return _said(front, {"id": id})


@router.delete("/{id}", status_code=204, responses=problems(404, 409), dependencies=[needs(ADMIN)])
def delete(front: FrontDep, id: Id) -> None:
    """Delete an ended recording with all its files. There is no way back."""
    front.engine.delete(id)


@router.post(
    "/{id}/stop", response_model=RecordingOut, responses=problems(404, 409), dependencies=[needs(RECORD)]
)
def stop(front: FrontDep, id: Id) -> dict[str, Any]:
    """End a recording; answered when it is sealed."""
    return _said(front, front.engine.record_stop(id))


@router.get("/{id}/export", response_class=Response, responses=problems(404, 507), dependencies=[needs(READ)])
def export(
    front: FrontDep,
    id: Id,
    format: Annotated[str, Query(max_length=32, description="One of `/v1/formats`.")] = "csv",
    stream: Annotated[Part, Query(description="Left out: all, several as a zip.")] = None,
    channels: Channels = None,
    start: Moment = None,
    stop: Moment = None,
) -> Response:
    """Return a recording, or a part of it, as one file; also while it is recorded."""
    streams = tuple(split_names(stream))
    start_ns, stop_ns = _span(start, stop)
    wanted = ExportRequest(id, format, streams, tuple(split_names(channels)), start_ns, stop_ns)
    return export_response(front, wanted)


def export_response(front: Front, wanted: ExportRequest, filename: str = "") -> Response:
    """Return an export as an answer that is made while it is sent."""
    made = front.archive.export(wanted)
    headers = attachment(filename or made.filename)
    if made.size_bytes is not None:
        headers["content-length"] = str(made.size_bytes)
    return ByteStream(made, made.media_type, headers)


def _span(start: str | None, stop: str | None) -> tuple[int | None, int | None]:
    start_ns, stop_ns = parse_optional(start, "start"), parse_optional(stop, "stop")
    if start_ns is not None and stop_ns is not None and stop_ns < start_ns:
        raise InvalidInput("stop lies before start")
    return start_ns, stop_ns


def _only_stream(front: Front, id: str) -> str:
    names = [one["name"] for one in front.archive.get(id)["streams"]]
    if len(names) != 1:
        raise InvalidInput("the recording has several streams", hint="give stream=…", streams=names)
    return names[0]


@router.get("/{id}/data", response_model=DataOut, responses=problems(404), dependencies=[needs(READ)])
def data(
    front: FrontDep,
    id: Id,
    stream: Part = None,
    channels: Channels = None,
    start: Moment = None,
    stop: Moment = None,
    max_points: Points = 2000,
) -> Response:
    """Return rows of a time span, the peaks of them where they are many; `stream` may be left out if
    there is only one."""
    name = stream or _only_stream(front, id)
    start_ns, stop_ns = _span(start, stop)
    chosen = split_names(channels) or None
    said = front.archive.data(id, name, chosen, start_ns, stop_ns, max_points)
    return Response(encode(said), media_type="application/json")


@router.get(
    "/{id}/events", response_model=Page[EventOut], responses=problems(404), dependencies=[needs(READ)]
)
def events(front: FrontDep, id: Id) -> dict[str, Any]:
    """Return what happened during a recording, oldest first."""
    return {"items": events_out(front.archive.events(id)), "next": None}


@router.post("/{id}/events", status_code=201, response_model=EventOut, responses=problems(404))
def mark(front: FrontDep, id: Id, caller: Recorder, body: Notes) -> dict[str, Any]:
    """Add a mark: what a person wants to remember of this moment, as `{"text": …}`."""
    return event_out(front.engine.mark(id, body, caller.name))
