"""`/v1/fleet`: the stations of a hub, what each showed last, what it owes, its keys, what was put aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from kymograph.model.errors import InvalidInput
from kymograph.model.limits import NAME_CHARS_MAX
from kymograph.service.hub.keys import StationKey
from kymograph.service.keys import ADMIN, READ, RECORD
from kymograph.web.api.answers import CursorText, Limit, decode_cursor, encode_cursor, problems, with_times
from kymograph.web.api.ingest import RESERVED, depot_of
from kymograph.web.api.models import Answer, Name, Page, Wish
from kymograph.web.auth import needs
from kymograph.web.front import FrontDep
from kymograph.web.streaming import ByteStream, attachment

router = APIRouter(prefix="/v1/fleet", tags=["hub"])

Id = Annotated[str, Path(max_length=NAME_CHARS_MAX)]


class LastReadingOut(Answer):
    """What a station showed last."""

    time_ns: int
    time: str
    payload: dict[str, Any]


class OwedOut(Answer):
    """Rows of a stream that a station has and the hub has not, and the time from which on they are owed."""

    rows: int
    since_ns: int | None
    since: str | None


class FleetStationOut(Answer):
    """A station as its hub knows it."""

    station: str
    title: str
    place: str
    latitude: float | None
    longitude: float | None
    version: str
    interval_s: float | None
    first_seen_ns: int | None
    last_seen_ns: int | None
    last_reading: LastReadingOut | None
    state: str
    """`ok`, `late`, `silent`, or `never`."""
    late_s: float
    """For how long its next reading is due; 0 while it is ok."""
    owed: dict[str, OwedOut]
    ledger: dict[str, int]
    rejects: dict[str, int]
    facts: dict[str, Any]


class FleetStationIn(Wish):
    """What people say of a station; what is left out stays."""

    title: Annotated[str, Field(max_length=200)] | None = None
    place: Annotated[str, Field(max_length=200)] | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None


class LedgerRangeOut(Answer):
    """Rows that are not here, and why."""

    first: int
    last: int
    rows: int
    reason: str


class LedgerOut(Answer):
    """One stream of a station, since its database was made."""

    stream: str
    epoch: int
    current: bool
    first: int
    next: int
    expected: int
    held: int
    missing: int
    owed: int
    ranges: list[LedgerRangeOut]
    more_ranges: int
    rejects: int


class FleetRecordingOut(Answer):
    """A recording of which sealed files are here."""

    recording_id: str
    segments: int
    size_bytes: int
    first_ns: int | None
    last_ns: int | None
    recording: dict[str, Any]


class RejectOut(Answer):
    """A batch that was put aside."""

    id: int
    station: str
    stream: str
    epoch: int
    first: int
    last: int
    sha256: str
    kind: str
    """`dead`: it can never be taken; `quarantined`: it contradicts what came before."""
    reason: str
    received_ns: int
    received: str


class StationKeyOut(Answer):
    """A key of a station."""

    id: str
    station: str
    label: str
    created_ns: int
    created: str
    used_ns: int | None
    used: str | None
    revoked_ns: int | None
    revoked: str | None


class StationKeyMade(StationKeyOut):
    """A new key; `key` is shown this once."""

    key: str


class StationKeyIn(Wish):
    """What a key is for, in words."""

    label: Annotated[str, Field(max_length=128)] = ""


def _said(item: dict[str, Any]) -> dict[str, Any]:
    shown = item["last_reading"]
    owed = {stream: with_times(one, since="since_ns") for stream, one in item["owed"].items()}
    last = None if shown is None else with_times(shown, time="time_ns")
    return with_times({**item, "last_reading": last, "owed": owed}, last_seen="last_seen_ns")


@router.get("", response_model=Page[FleetStationOut], responses=problems(), dependencies=[needs(READ)])
def fleet(front: FrontDep) -> dict[str, Any]:
    """Return every station: whether it is late, what it showed last, what it owes and since when."""
    return {"items": [_said(one) for one in depot_of(front).fleet.list()], "next": None}


# -- what was put aside: before the stations, none of which can have this name -------------------------------
def _before(cursor: str | None) -> int | None:
    mark = decode_cursor(cursor)
    if mark is not None and not (mark.isascii() and mark.isdigit() and len(mark) < 19):
        raise InvalidInput("this cursor is none of ours", hint="give `next` of the page before")
    return None if mark is None else int(mark)


def _page(items: Sequence[dict[str, Any]], limit: int, mark: str) -> dict[str, Any]:
    next = encode_cursor(str(items[-1][mark])) if len(items) == limit else None
    return {"items": items, "next": next}


@router.get("/rejects", response_model=Page[RejectOut], responses=problems(), dependencies=[needs(READ)])
def rejects(
    front: FrontDep, station: str | None = None, limit: Limit = 100, cursor: CursorText = None
) -> dict[str, Any]:
    """Return batches that were put aside, the newest first."""
    found = depot_of(front).fleet.rejects(station, _before(cursor), limit)
    return _page([with_times(one, received="received_ns") for one in found], limit, "id")


RejectId = Annotated[int, Path(ge=0, le=2**62)]


@router.get("/rejects/{id}", responses=problems(404), dependencies=[needs(READ)])
def reject(front: FrontDep, id: RejectId) -> Response:
    """Return such a batch as it came."""
    one, body = depot_of(front).fleet.reject_body(id)
    name = f"{one.station}_{one.stream}_{one.first}-{one.last}.jsonl"
    return Response(body, headers=attachment(name), media_type="application/x-ndjson")


@router.delete("/rejects/{id}", status_code=204, responses=problems(404), dependencies=[needs(ADMIN)])
def drop_reject(front: FrontDep, id: RejectId) -> None:
    """Throw it away; the rows of a dead one are asked for once more."""
    depot_of(front).fleet.drop_reject(id)


# -- stations ----------------------------------------------------------------------------------------------
@router.get("/{station}", response_model=FleetStationOut, responses=problems(404), dependencies=[needs(READ)])
def station(front: FrontDep, station: Id) -> dict[str, Any]:
    """Return one station."""
    return _said(depot_of(front).fleet.one(station))


@router.patch(
    "/{station}", response_model=FleetStationOut, responses=problems(404), dependencies=[needs(RECORD)]
)
def change(front: FrontDep, station: Id, wish: FleetStationIn) -> dict[str, Any]:
    """Say what a station is called and where it is."""
    asked = wish.model_dump(exclude_unset=True)
    if any(asked.get(name, "") is None for name in ("title", "place")):
        raise InvalidInput("title and place are text, which may be empty")
    return _said(depot_of(front).fleet.change(station, asked))


@router.get(
    "/{station}/ledger", response_model=Page[LedgerOut], responses=problems(404), dependencies=[needs(READ)]
)
def ledger(front: FrontDep, station: Id) -> dict[str, Any]:
    """Return what a station has made, what of it is here, and what is missing and why."""
    depot = depot_of(front)
    depot.fleet.one(station)
    return {"items": depot.ledger.of(station), "next": None}


@router.get(
    "/{station}/recordings",
    response_model=Page[FleetRecordingOut],
    responses=problems(),
    dependencies=[needs(READ)],
)
def recordings(front: FrontDep, station: Id, limit: Limit = 100, cursor: CursorText = None) -> dict[str, Any]:
    """Return the recordings of which files are here, the newest first."""
    return _page(depot_of(front).fleet.recordings(station, _before(cursor), limit), limit, "arrived")


@router.get(
    "/{station}/recordings/{id}/segments",
    response_model=Page[dict[str, Any]],
    responses=problems(404),
    dependencies=[needs(READ)],
)
def segments(front: FrontDep, station: Id, id: Id) -> dict[str, Any]:
    """Return the sealed files of a recording that are here."""
    return {"items": depot_of(front).fleet.segments(station, id), "next": None}


@router.get(
    "/{station}/recordings/{id}/segments/{filename}", responses=problems(404), dependencies=[needs(READ)]
)
def segment(front: FrontDep, station: Id, id: Id, filename: Id) -> Response:
    """Return such a file; its entity tag is its SHA-256."""
    depot = depot_of(front)
    sha256 = str(depot.fleet.segment(station, id, filename)["sha256"])
    headers = {
        **attachment(filename), "Content-Length": str(depot.objects.size(sha256)), "ETag": f'"{sha256}"',
    }  # fmt: skip
    return ByteStream(depot.objects.read(sha256), "application/octet-stream", headers)


# -- keys --------------------------------------------------------------------------------------------------
def _key(key: StationKey) -> dict[str, Any]:
    names = ("id", "station", "label", "created_ns", "used_ns", "revoked_ns")
    said = {name: getattr(key, name) for name in names}
    return with_times(said, created="created_ns", used="used_ns", revoked="revoked_ns")


@router.get(
    "/{station}/keys", response_model=Page[StationKeyOut], responses=problems(), dependencies=[needs(ADMIN)]
)
def keys(front: FrontDep, station: Id) -> dict[str, Any]:
    """Return the keys of a station, never what they are."""
    return {"items": [_key(one) for one in depot_of(front).keys.list(station)], "next": None}


@router.post(
    "/{station}/keys",
    response_model=StationKeyMade,
    status_code=201,
    responses=problems(409),
    dependencies=[needs(ADMIN)],
)
def make_key(front: FrontDep, station: Name, wish: StationKeyIn) -> dict[str, Any]:
    """Make a key for a station, which need not have been heard yet; it is shown this once."""
    if station in RESERVED:
        raise InvalidInput(f"no station can be called {station}")
    made, token = depot_of(front).keys.make(station, wish.label)
    return {**_key(made), "key": token}


@router.delete("/{station}/keys/{id}", status_code=204, responses=problems(404), dependencies=[needs(ADMIN)])
def revoke_key(front: FrontDep, station: Id, id: Id) -> None:
    """Make a key worthless from now on, for every hub on this database."""
    depot_of(front).keys.revoke(id, station)
