"""`/v1/readings`: readings of this station, or of all that ship here; raw, or reduced for a chart."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from kymograph.model.errors import InvalidInput
from kymograph.model.limits import NAME_CHARS_MAX, POINTS_MAX
from kymograph.service.hub.readings import KeptReading, Place, Readings, Span
from kymograph.service.keys import READ
from kymograph.service.retention import series as series_of
from kymograph.web.api.answers import CursorText, Limit, decode_cursor, encode_cursor, problems
from kymograph.web.api.models import Page
from kymograph.web.auth import needs
from kymograph.web.front import Front, FrontDep
from kymograph.web.problems import encode
from kymograph.web.times import parse_optional, rfc3339

router = APIRouter(prefix="/v1/readings", tags=["readings"])

Station = Annotated[
    str | None, Query(max_length=NAME_CHARS_MAX, description="Whose readings; all, or on an edge its own.")
]
Fields = Annotated[
    str | None, Query(max_length=4000, description="Paths with commas, such as bme280.temperature.c.")
]
Points = Annotated[int, Query(ge=2, le=POINTS_MAX, description="Points of each field at most.")]
Moment = Annotated[str | None, Query(max_length=64, description="RFC 3339, or nanoseconds since 1970.")]
_DAY_NS: Final = 86_400 * 1_000_000_000
_FIELDS_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class _Stretch:
    """From when to when."""

    start: Moment = None
    stop: Moment = None


def readings_of(front: Front) -> Readings:
    """Return the readings of a front that has them."""
    assert front.readings is not None
    return front.readings


def own_device(front: Front) -> str | None:
    """Return under which name this station composes readings, None if it composes none."""
    table = front.config.readings
    return None if table is None else table.device_id or front.config.station.name


def reading_out(reading: KeptReading) -> dict[str, Any]:
    """Return a reading as `/v1` answers it."""
    return {
        "id": reading.id, "station": reading.device_id, "time_ns": reading.time_ns,
        "time": rfc3339(reading.time_ns), "local_ns": reading.local_ns, "payload": reading.payload,
    }  # fmt: skip


def _json(body: Any) -> Response:
    return Response(encode(body), media_type="application/json")


@router.get("", responses=problems(), dependencies=[needs(READ)])
def readings(
    front: FrontDep,
    stretch: Annotated[_Stretch, Depends()],
    station: Station = None,
    max_points: Points = 2000,
    limit: Limit = 1000,
    cursor: CursorText = None,
    fields: Fields = None,
) -> Response:
    """Return readings in order of time; or, of `fields`, series of at most `max_points` that keep the peaks.

    Raw: `{items, next}`. Of fields: `{station, mode, width_s, series: {field: {mode, width_s, time_ns, n,
    minimum, mean, maximum, std}}}`, of the last day unless `start` says otherwise.
    """
    span = (parse_optional(stretch.start, "start"), parse_optional(stretch.stop, "stop"))
    if fields is not None:
        return _json(_series(front, station, fields, span, max_points))
    asked = Span("time_ns", *span, device_id=station or (None if front.depot else own_device(front)))
    page = readings_of(front).page(asked, limit, _place(cursor))
    next = None if page.next is None else encode_cursor(f"{page.next[0]}|{page.next[2]}|{page.next[1]}")
    return _json({"items": [reading_out(one) for one in page.items], "next": next})


def _place(cursor: str | None) -> Place | None:
    mark = decode_cursor(cursor)
    if mark is None:
        return None
    at, _, rest = mark.partition("|")
    time_ns, _, device_id = rest.partition("|")
    try:
        place = (int(at), device_id, int(time_ns))
    except ValueError:
        place = (2**63, "", 0)
    if not all(-(2**63) <= number < 2**63 for number in (place[0], place[2])):
        raise InvalidInput("this cursor is none of ours", hint="give `next` of the page before")
    return place


def _series(
    front: Front, station: str | None, fields: str, span: tuple[int | None, int | None], max_points: int
) -> dict[str, Any]:
    device_id = station or own_device(front)
    names = list(dict.fromkeys(name.strip() for name in fields.split(",") if name.strip()))
    if device_id is None:
        raise InvalidInput("whose fields?", hint="give station=")
    if not 0 < len(names) <= _FIELDS_MAX:
        raise InvalidInput(f"one to {_FIELDS_MAX} fields at one time")
    stop_ns = time.time_ns() if span[1] is None else span[1]
    start_ns = stop_ns - _DAY_NS if span[0] is None else span[0]
    if stop_ns < start_ns:
        raise InvalidInput("stop lies before start")
    database = readings_of(front).database
    found = {
        name: series_of.series(database, device_id, name, start_ns, stop_ns, max_points) for name in names
    }
    rolled = any(one.mode == "rolled" for one in found.values())
    return {
        "station": device_id, "start_ns": start_ns, "stop_ns": stop_ns,
        "mode": "rolled" if rolled else "raw", "width_s": max(one.width_s for one in found.values()),
        "series": {name: one.to_dict() for name, one in found.items()},
    }  # fmt: skip


@router.get("/fields", response_model=Page[str], responses=problems(), dependencies=[needs(READ)])
def fields(front: FrontDep, station: Station = None) -> dict[str, Any]:
    """Return the paths of all numbers that a station's readings have had."""
    device_id = station or own_device(front)
    if device_id is None:
        raise InvalidInput("whose fields?", hint="give station=")
    return {"items": series_of.fields(readings_of(front).database, device_id), "next": None}


@router.get("/latest", responses=problems(404), dependencies=[needs(READ)])
def latest(front: FrontDep, station: Station = None) -> Response:
    """Return the newest reading."""
    return _json(reading_out(readings_of(front).latest(station or own_device(front))))
