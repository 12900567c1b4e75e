"""Readings by the time on the wall where they were taken, and the newest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from kymograph.model.errors import InvalidInput
from kymograph.service.hub.readings import Place, Readings, Span
from kymograph.service.keys import READ
from kymograph.web.api.answers import decode_cursor, encode_cursor
from kymograph.web.api.readings import own_device, readings_of
from kymograph.web.auth import needs
from kymograph.web.faces.readings.spelling import Bound, bound, reading_out
from kymograph.web.front import FrontDep
from kymograph.web.problems import HttpProblem, encode
from kymograph.web.streaming import ByteStream

router = APIRouter(tags=["face: readings"])

LIMIT_MAX: Final = 100_000
NEXT: Final = "X-Next-Cursor"
_JSON: Final = "application/json"

Device = Annotated[str | None, Query(max_length=128)]
Text = Annotated[str | None, Query(max_length=400)]


def _bound(text: str | None, what: str) -> Bound | None:
    try:
        return None if text is None or not text.strip() else bound(text, what)
    except InvalidInput as error:
        raise HttpProblem(400, error.message, hint=error.hint) from None


def _span(start_date: str | None, end_date: str | None, device_id: str | None) -> Span:
    """Return the stretch of time that is asked for; both its ends are in it."""
    start, end = _bound(start_date, "start_date"), _bound(end_date, "end_date")
    clocks: set[Literal["time_ns", "local_ns"]] = {one.clock for one in (start, end) if one is not None}
    if len(clocks) > 1:
        raise HttpProblem(400, "start_date and end_date: both with a zone, or both without")
    return Span(
        clocks.pop() if clocks else "local_ns",
        None if start is None else start.first_ns,
        None if end is None else end.after_ns,
        device_id,
    )


def _place(cursor: str | None) -> Place | None:
    try:
        mark = decode_cursor(cursor)
        if mark is None:
            return None
        at, time_ns, device_id = mark.split("|", 2)
        if max(abs(int(at)), abs(int(time_ns))) < 2**63:
            return int(at), device_id, int(time_ns)
    except (InvalidInput, ValueError):
        pass
    raise HttpProblem(400, "this cursor is none of ours", hint=f"give {NEXT} of the page before")


def _all(store: Readings, span: Span) -> Iterator[bytes]:
    """Yield a list of readings as JSON, in constant memory."""
    separator = b"["
    for items in store.every(span):
        yield separator + b",".join(encode(reading_out(one)) for one in items)
        separator = b","
    yield b"[]" if separator == b"[" else b"]"


@router.get("/readings", dependencies=[needs(READ)])
def readings(
    front: FrontDep,
    request: Request,
    start_date: Text = None,
    end_date: Text = None,
    device_id: Device = None,
    limit: Annotated[int | None, Query(ge=1, le=LIMIT_MAX)] = None,
    cursor: Text = None,
) -> Response:
    """Return readings in order of `ts_local`, both ends of the stretch included; all of them without `limit`.

    With `limit`, the header `X-Next-Cursor` is what to give as `cursor` for the rest.
    """
    store = readings_of(front)
    span = _span(start_date, end_date, device_id)
    if limit is None and cursor is None:
        return ByteStream(_all(store, span), _JSON)
    page = store.page(span, limit or LIMIT_MAX, _place(cursor))
    headers: dict[str, str] = {}
    if page.next is not None:
        at, device, time_ns = page.next
        headers[NEXT] = encode_cursor(f"{at}|{time_ns}|{device}")
        rest = request.url.include_query_params(cursor=headers[NEXT])
        headers["Link"] = f'<{rest.path}?{rest.query}>; rel="next"'
    return Response(encode([reading_out(one) for one in page.items]), headers=headers, media_type=_JSON)


@router.get("/readings/latest", dependencies=[needs(READ)])
def latest(front: FrontDep, device_id: Device = None) -> Response:
    """Return the newest reading, of one device or of all."""
    device = device_id or (None if front.depot else own_device(front))
    return Response(encode(reading_out(readings_of(front).latest(device))), media_type=_JSON)
