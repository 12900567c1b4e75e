"""`/v1/ingest`, where stations bring their rows and files. What each answer means: docs/guides/hub.md.

A station acts upon the status alone: 409 and 422 say that the hub keeps what it cannot take, so that the
station goes on; what is wrong with a request itself is therefore always 400.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Annotated, Any, Final, cast

import anyio
import msgspec
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from kymograph.model.errors import Conflict, Corrupt, InvalidInput, KymographError
from kymograph.model.limits import BATCH_BYTES_MAX, INGEST_AT_ONCE_MAX
from kymograph.model.names import safe_name
from kymograph.service.hub.depot import Depot
from kymograph.service.hub.ingest import Incoming, Outcome
from kymograph.service.hub.ledger import Extent, Hello
from kymograph.service.hub.rows import STREAMS, Count, Whole, Word
from kymograph.service.keys import SHIP
from kymograph.web.auth import Caller, needs
from kymograph.web.bodies import read_body
from kymograph.web.front import Front, FrontDep
from kymograph.web.problems import HttpProblem, encode, problem

_RANGE: Final = re.compile(r"(\d{1,19})-(\d{1,19})", re.ASCII)
_HELLO_BYTES_MAX: Final = 64 * 1024
_WRITE_BYTES: Final = 1024 * 1024
RESERVED: Final = ("rejects",)
"""Names that no station can have: they are addresses beside the stations'."""

Shipper = Annotated[Caller, needs(SHIP)]


class _Route(APIRoute):
    """Answers what is wrong with a request by 400, never by a status that means something to a station."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except InvalidInput as error:
                return problem(error, 400)
            except RequestValidationError:
                raise HttpProblem(400, "the request is malformed") from None
            except ClientDisconnect:
                return Response(status_code=400)

        return answer


router = APIRouter(prefix="/v1/ingest", tags=["hub"], route_class=_Route)


class _Lane:
    """Batches that are taken at one time."""

    def __init__(self) -> None:
        self._limiter: CapacityLimiter | None = None

    async def run(self, work: Callable[[], Any]) -> Any:
        if self._limiter is None:
            self._limiter = CapacityLimiter(INGEST_AT_ONCE_MAX)
        return await to_thread.run_sync(work, limiter=self._limiter)


lane: Final = _Lane()
"""One for the process: whatever adds readings goes through it."""


def depot_of(front: Front) -> Depot:
    """Return the hub's services of a front that has them."""
    assert front.depot is not None
    return front.depot


def _station(caller: Caller, name: str) -> str:
    safe_name(name, "station")
    if name in RESERVED:
        raise InvalidInput(f"no station can be called {name}")
    caller.speaks_for(name)
    return name


# -- hello -------------------------------------------------------------------------------------------------
class _Extent(msgspec.Struct):
    stream: str
    epoch: Whole
    first: Count
    next: Count
    newest_ns: Whole | None = None


class _Hello(msgspec.Struct):
    streams: Annotated[list[_Extent], msgspec.Meta(max_length=64)] = []
    version: Word | None = None
    name: Word | None = None
    place: str | dict[str, Any] | None = None
    interval_s: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None


_hello: Final = msgspec.json.Decoder(_Hello)


def _heard(body: bytes) -> Hello:
    try:
        told = _hello.decode(body)
        whole = cast("dict[str, Any]", msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidInput(f"this is no hello: {error}"[:300]) from None
    extents = [Extent(one.stream, one.epoch, one.first, one.next, one.newest_ns) for one in told.streams]
    wrong = [one.stream for one in extents if one.stream not in STREAMS or one.next < one.first]
    if wrong:
        raise InvalidInput(f"there is something wrong with the stream {wrong[0][:40]}", streams=list(STREAMS))
    if isinstance(told.place, str) and len(told.place) > 200:
        raise InvalidInput("a place has at most 200 characters")
    return Hello(extents, {name: value for name, value in whole.items() if name != "streams"})


@router.post("/{station}/hello")
async def hello(front: FrontDep, caller: Shipper, request: Request, station: str) -> Response:
    """Say what there is to be shipped; the answer says what of it is here."""
    name = _station(caller, station)
    told = _heard(await read_body(request, _HELLO_BYTES_MAX))
    said = await lane.run(lambda: depot_of(front).ledger.hello(name, told))
    return Response(encode(said), media_type="application/json")


# -- batches -----------------------------------------------------------------------------------------------
@router.put("/{station}/{stream}/{epoch}/{range}")
async def put(
    front: FrontDep, caller: Shipper, request: Request, station: str, stream: str, epoch: str, range: str
) -> Response:
    """Bring the rows of a range, as JSON lines. Each row is here once, however often it comes."""
    name = _station(caller, station)
    match = _RANGE.fullmatch(range)
    if stream not in STREAMS:
        raise HttpProblem(404, "there is no such stream", streams=list(STREAMS))
    if match is None or re.fullmatch(r"\d{1,19}", epoch, re.ASCII) is None:
        raise InvalidInput("a batch is addressed as …/{epoch}/{first}-{last}")
    first, last = int(match[1]), int(match[2])
    if not first <= last < 2**63 or int(epoch) >= 2**63:
        raise InvalidInput("a range is from its first row to its last")
    sha256 = request.headers.get("x-content-sha256", "").lower()
    if re.fullmatch(r"[0-9a-f]{64}", sha256, re.ASCII) is None:
        raise InvalidInput("X-Content-SHA256 is to be the hash of the body, unpacked")
    body = await read_body(request, BATCH_BYTES_MAX)
    batch = Incoming(name, stream, int(epoch), first, last, sha256, body, any_device=caller.station is None)
    return _answer(await lane.run(lambda: depot_of(front).ingest.take(batch)))


_STATUS: Final = {"taken": 201, "known": 200}


def _answer(outcome: Outcome) -> Response:
    if outcome.what in _STATUS:
        said = {"committed": outcome.committed, "duplicates": outcome.duplicates}
        return Response(encode(said), _STATUS[outcome.what], media_type="application/json")
    if outcome.what == "incomplete":
        missing = list(outcome.missing)
        return problem(HttpProblem(424, "these files have to come first", missing=missing), 424)
    status = 409 if outcome.what == "contradicts" else 422
    return problem(
        HttpProblem(status, outcome.reason, hint="it is kept on the hub, aside; go on with the next"), status
    )


# -- files -------------------------------------------------------------------------------------------------
@router.head("/{station}/objects/{sha256}")
async def offset(front: FrontDep, caller: Shipper, station: str, sha256: str) -> Response:
    """Say whether a file is here: 200, or 404 and in `Upload-Offset` how much of it."""
    name = _station(caller, station)
    have = await to_thread.run_sync(depot_of(front).uploads.offset, name, sha256)
    if have is None:
        return Response(status_code=200, headers={"Upload-Complete": "?1"})
    return Response(status_code=404, headers={"Upload-Offset": str(have)})


@router.patch("/{station}/objects/{sha256}")
async def piece(front: FrontDep, caller: Shipper, request: Request, station: str, sha256: str) -> Response:
    """Bring the next piece of a file. The last one is answered once the whole is verified and durable."""
    name = _station(caller, station)
    at = request.headers.get("upload-offset", "")
    if re.fullmatch(r"\d{1,18}", at, re.ASCII) is None:
        raise InvalidInput("Upload-Offset is to be where the piece begins")
    uploads = depot_of(front).uploads
    try:
        have = await _take_piece(request, front, (name, sha256), int(at))
        if _is_last(request, have):
            await lane.run(lambda: uploads.finish(name, sha256))
    except Conflict as error:
        return problem(error, 409, {"Upload-Offset": str(error.facts.get("offset", 0))})
    except Corrupt as error:
        return problem(error, 422)
    return Response(status_code=204, headers={"Upload-Offset": str(have)})


def _is_last(request: Request, have: int) -> bool:
    length = request.headers.get("upload-length", "")
    return request.headers.get("upload-complete", "").strip() == "?1" or length == str(have)


async def _take_piece(request: Request, front: Front, which: tuple[str, str], at: int) -> int:
    begun = depot_of(front).uploads.piece(*which, at)
    coming = await to_thread.run_sync(begun.__enter__)
    waiting = bytearray()
    try:
        async for data in request.stream():
            waiting += data
            if len(waiting) >= _WRITE_BYTES:
                await to_thread.run_sync(coming.write, bytes(waiting))
                waiting.clear()
        return coming.offset + len(waiting)
    finally:
        # Also what came of a piece that broke off counts, so that a bad line gets on.
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(partial(_end_piece, begun, coming.write, bytes(waiting)))


def _end_piece(begun: Any, write: Callable[[bytes], None], rest: bytes) -> None:
    try:
        write(rest)
    except KymographError:
        begun.__exit__(None, None, None)
        raise
    begun.__exit__(None, None, None)
