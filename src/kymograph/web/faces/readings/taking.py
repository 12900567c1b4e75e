"""Readings that older stations send: one, or many at once, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from kymograph.model.errors import Forbidden, InvalidInput
from kymograph.model.limits import BATCH_BYTES_MAX, BATCH_ROWS_MAX
from kymograph.service.hub.readings import Reading, Readings
from kymograph.service.hub.rows import payload_fault
from kymograph.service.keys import SHIP
from kymograph.web.api.ingest import lane
from kymograph.web.auth import Caller, needs
from kymograph.web.bodies import read_body
from kymograph.web.faces.readings.spelling import instant_ns, many_ns, reading_out, wall_ns
from kymograph.web.front import Front, FrontDep
from kymograph.web.problems import HttpProblem, encode, problem

router = APIRouter(tags=["face: readings"])

Shipper = Annotated[Caller, needs(SHIP)]


class Posted(msgspec.Struct, frozen=True, gc=False):
    """A reading as it is sent."""

    device_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    ts_utc: str
    ts_local: str
    payload: msgspec.Raw


class _Bulk(msgspec.Struct):
    readings: list[Posted]


class _LooseBulk(msgspec.Struct):
    readings: list[msgspec.Raw]


_one: Final = msgspec.json.Decoder(Posted)
_list: Final = msgspec.json.Decoder(list[Posted])
_bulk: Final = msgspec.json.Decoder(_Bulk)
_loose_list: Final = msgspec.json.Decoder(list[msgspec.Raw])
_loose_bulk: Final = msgspec.json.Decoder(_LooseBulk)
_DECODING: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)


def _many(body: bytes) -> Sequence[Posted]:
    return _list.decode(body) if body.lstrip()[:1] == b"[" else _bulk.decode(body).readings


def _each(body: bytes) -> Sequence[msgspec.Raw]:
    return _loose_list.decode(body) if body.lstrip()[:1] == b"[" else _loose_bulk.decode(body).readings


class _Bad(HttpProblem):
    """Readings that cannot be taken: each with its index."""

    def __init__(self, bad: list[dict[str, Any]]) -> None:
        first = bad[0]
        super().__init__(422, f"reading {first['index']}: {first['reason']}", hint="none was taken", bad=bad)


def _reading(posted: Posted) -> Reading:
    payload = posted.payload
    if wrong := payload_fault(bytes(payload)):
        raise ValueError(wrong)
    if not posted.device_id.isprintable():
        raise ValueError("device_id has characters that cannot be printed")
    try:
        time_ns, what = instant_ns(posted.ts_utc), "ts_local"
        return Reading(posted.device_id, time_ns, wall_ns(posted.ts_local), payload)
    except (ValueError, OverflowError):
        what = "ts_local" if _is_instant(posted.ts_utc) else "ts_utc"
        raise ValueError(f"{what} is no time, as 2026-05-01T03:00:00Z") from None


def _readings(posted: Sequence[Posted]) -> list[Reading]:
    """Return readings that are all right; see `_reading` for what may be wrong."""
    times_ns = many_ns([one.ts_utc for one in posted], instant_ns)
    locals_ns = many_ns([one.ts_local for one in posted], wall_ns)
    for one in posted:
        if payload_fault(bytes(one.payload)) or not one.device_id.isprintable():
            raise ValueError("one of them is wrong")
    return [
        Reading(one.device_id, time_ns, local_ns, one.payload)
        for one, time_ns, local_ns in zip(posted, times_ns, locals_ns, strict=True)
    ]


def _is_instant(text: str) -> bool:
    try:
        instant_ns(text)
    except (ValueError, OverflowError):
        return False
    return True


def readings_of(body: bytes) -> list[Reading]:
    """Return the readings of a body: `{"readings": […]}`, or the list by itself.

    Raises:
        HttpProblem: 422, with the index of each that is wrong.
        InvalidInput: it is no such body at all, or has too many.
    """
    try:
        body.decode()
        posted = _many(body)
        if len(posted) <= BATCH_ROWS_MAX:
            return _readings(posted)
    except (*_DECODING, ValueError):
        raise _faults(body) from None
    raise InvalidInput(f"at most {BATCH_ROWS_MAX} readings at one time", hint="send them in several requests")


def _faults(body: bytes) -> HttpProblem:
    try:
        body.decode()
        each = _each(body)
    except _DECODING as error:
        return HttpProblem(422, f"this is no list of readings: {error}"[:300], hint='{"readings": […]}')
    bad: list[dict[str, Any]] = []
    for index, one in enumerate(each[:BATCH_ROWS_MAX]):
        try:
            _reading(_one.decode(one))
        except (*_DECODING, ValueError) as error:
            bad.append({"index": index, "reason": str(error)[:200]})
    return _Bad(bad) if bad else HttpProblem(422, "there is something wrong with these readings")


def _store(front: Front) -> Readings:
    """Return where readings are taken.

    Raises:
        Forbidden: this station takes none: it is no hub.
    """
    if front.depot is None or front.readings is None:
        raise Forbidden("this station takes no readings from others", hint="a table [hub] makes it a hub")
    return front.readings


def _check_devices(caller: Caller, rows: Sequence[Reading]) -> None:
    if caller.station is None:
        return
    others = [index for index, row in enumerate(rows) if row.device_id != caller.station]
    if others:
        raise Forbidden(
            f"this key is for the readings of {caller.station} only", device_id=rows[others[0]].device_id,
            index=others[0],
        )  # fmt: skip


def _said(body: Any) -> Response:
    return Response(encode(body), 201, media_type="application/json")


@router.post("/readings", status_code=201)
async def add_one(front: FrontDep, caller: Shipper, request: Request) -> Response:
    """Take one reading; sent again, it is answered as it was taken first."""
    store = _store(front)
    body = await read_body(request, BATCH_BYTES_MAX)
    try:
        body.decode()
        row = _reading(_one.decode(body))
    except (*_DECODING, ValueError) as error:
        return problem(HttpProblem(422, f"this is no reading: {error}"[:300]), 422)
    _check_devices(caller, [row])

    def work() -> Response:
        store.add([row])
        return _said(reading_out(store.get(row.device_id, row.time_ns)))

    return await lane.run(work)


@router.post("/readings/bulk", status_code=201)
async def add_many(front: FrontDep, caller: Shipper, request: Request) -> Response:
    """Take many readings, all or none; those that are here already are counted and left."""
    store = _store(front)
    body = await read_body(request, BATCH_BYTES_MAX)

    def work() -> Response:
        rows = readings_of(body)
        _check_devices(caller, rows)
        added = store.add(rows)
        message = f"{added.inserted} readings were taken, {added.duplicates} were here already"
        return _said({"created": added.inserted, "duplicates": added.duplicates, "message": message})

    return await lane.run(work)
