"""`/v1/streams`: what is measured now, and what memory still holds of it.

Rows come from the rings, which the front reads in shared memory: no question here costs an instrument
anything.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from kymograph.model.channel import Stream, stream_from_dict
from kymograph.model.errors import InvalidInput, NotFound
from kymograph.model.limits import POINTS_MAX
from kymograph.service.archive.reduce import reduce_minmax
from kymograph.service.keys import READ
from kymograph.web.api.answers import problems, with_times
from kymograph.web.api.models import DataOut, LatestOut, LiveStreamOut, Page
from kymograph.web.auth import needs
from kymograph.web.front import Front, FrontDep
from kymograph.web.problems import encode
from kymograph.web.times import parse_optional

router = APIRouter(prefix="/v1/streams", tags=["streams"])

Channels = Annotated[str | None, Query(max_length=20_000, description="Names with commas; all if left out.")]
Points = Annotated[int, Query(ge=2, le=POINTS_MAX, description="Points at most; more rows become peaks.")]
Moment = Annotated[str | None, Query(max_length=64, description="RFC 3339, or nanoseconds since 1970.")]
_LATEST_NS = 2**62


@router.get("", response_model=Page[LiveStreamOut], responses=problems(), dependencies=[needs(READ)])
def streams(front: FrontDep) -> dict[str, Any]:
    """Return every stream with its channels, its place, and what its ring holds."""
    return {"items": front.engine.streams(), "next": None}


@router.get("/{name}/latest", response_model=LatestOut, responses=problems(404), dependencies=[needs(READ)])
def latest(front: FrontDep, name: str) -> Response:
    """Return the newest row."""
    row = front.engine.latest(_stream(front, name).name)
    if row is None:
        raise NotFound("this stream has no rows yet", hint="is its instrument acquiring?")
    return Response(encode(with_times(row, time="time_ns")), media_type="application/json")


@router.get("/{name}/data", response_model=DataOut, responses=problems(404), dependencies=[needs(READ)])
def data(
    front: FrontDep,
    name: str,
    channels: Channels = None,
    seconds: Annotated[float | None, Query(gt=0, le=1e9, description="The newest so many seconds.")] = None,
    start: Moment = None,
    stop: Moment = None,
    max_points: Points = 2000,
) -> Response:
    """Return rows of a time span, as far as the ring holds them; the peaks of them where they are many."""
    stream = _stream(front, name)
    names = split_names(channels) or list(stream.channel_names)
    for one in names:
        stream.index(one)
    start_ns, stop_ns = parse_optional(start, "start"), parse_optional(stop, "stop")
    if seconds is not None:
        newest = front.engine.latest(name)
        stop_ns = stop_ns if stop_ns is not None else (newest["time_ns"] + 1 if newest else 0)
        start_ns = stop_ns - int(seconds * 1e9) if start_ns is None else start_ns
    start_ns = 0 if start_ns is None else start_ns
    stop_ns = _LATEST_NS if stop_ns is None else stop_ns
    if stop_ns < start_ns:
        raise InvalidInput("stop lies before start")
    times, columns = front.engine.window(name, names, start_ns, stop_ns)
    view = reduce_minmax(name, times, dict(zip(names, columns, strict=True)), max_points)
    return Response(encode(view.to_dict()), media_type="application/json")


def split_names(text: str | None) -> list[str]:
    """Return names that were given with commas between them, each once."""
    return list(dict.fromkeys(name.strip() for name in (text or "").split(",") if name.strip()))


def _stream(front: Front, name: str) -> Stream:
    for told in front.engine.streams():
        if told["name"] == name:
            return stream_from_dict(told)
    raise NotFound("there is no stream of that name")
