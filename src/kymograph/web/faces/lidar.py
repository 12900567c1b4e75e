"""The scanning lidar's face: start, stop, list, download. What each maps to: docs/faces/lidar.md.

    [web]
    faces = ["lidar"]

    [faces.lidar]
    instrument = "lidar"      # may be left out if one instrument only has the driver ydlidar

"Running" is not a flag of ours: the lidar runs while some recording takes its rows, whoever began it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final, cast

import msgspec
from anyio import to_thread
from fastapi import APIRouter, Path, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from kymograph.config import Config
from kymograph.model.errors import (
    ConfigError,
    Conflict,
    Forbidden,
    InvalidInput,
    KeyNeeded,
    KymographError,
    NotFound,
    TooMany,
)
from kymograph.model.limits import NAME_CHARS_MAX
from kymograph.model.names import safe_name
from kymograph.service.archive.exporting import ExportRequest
from kymograph.service.keys import READ, RECORD
from kymograph.web.api.recordings import export_response
from kymograph.web.auth import Caller, needs
from kymograph.web.front import Front, FrontDep
from kymograph.web.problems import encode
from kymograph.web.streaming import attachment

DRIVER: Final = "ydlidar"
SUFFIX: Final = ".h5"
COLUMNS: Final = ("distance", "angle")
FIRST_ROW_TIMEOUT_S: Final = 4.0
"""How long a start waits for the first row; the contract's answer is due within 5 s."""
_HEADER_ROW: Final = b"timestamp,distance,angle\n"
_BODY_BYTES_MAX: Final = 64 * 1024


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    instrument: str = ""


def instrument_of(config: Config) -> str:
    """Return which instrument is the lidar.

    Raises:
        ConfigError: it is not named and not plain, or named and not there.
    """
    try:
        name = _Table.model_validate(config.faces.get("lidar", {})).instrument
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"faces.lidar: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    lidars = [key for key, table in config.instruments.items() if table.driver == DRIVER]
    if name and name not in config.instruments:
        raise ConfigError(f"faces.lidar: there is no instrument {name}", instruments=list(config.instruments))
    if not name and len(lidars) != 1:
        hint = 'say which it is: [faces.lidar] instrument = "…"'
        raise ConfigError(f"the face lidar needs one {DRIVER} instrument, there are {len(lidars)}", hint=hint)
    return name or lidars[0]


class _Route(APIRoute):
    """Answers errors in the contract's words; what it is silent about, as `/v1` does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except (KeyNeeded, Forbidden, TooMany):
                raise
            except InvalidInput as error:
                return _error(400, str(error))
            except KymographError as error:
                return _error(500, str(error))

        return answer


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(encode(body), status, media_type="application/json")


def _success(text: str) -> Response:
    return _json(200, {"success": text})


def _error(status: int, text: str) -> Response:
    return _json(status, {"error": text})


def recording_name(filename: object) -> str:
    """Return the recording's name for a file name, which may end in `.h5`.

    Raises:
        InvalidInput: it is missing, too long, or could be a path.
    """
    if not isinstance(filename, str) or not filename:
        raise InvalidInput("filename is missing or empty")
    if len(filename) > NAME_CHARS_MAX:
        raise InvalidInput(f"filename is longer than {NAME_CHARS_MAX} characters")
    if ".." in filename:
        raise InvalidInput("filename may not contain ..")
    return safe_name(filename.removesuffix(SUFFIX), "filename")


async def _body(request: Request) -> dict[str, Any]:
    """Return the JSON object that was sent, whatever media type its sender gave it.

    Raises:
        InvalidInput: there is none.
    """
    sent = bytearray()
    async for piece in request.stream():
        sent += piece
        if len(sent) > _BODY_BYTES_MAX:
            raise InvalidInput("the request's body is too large")
    try:
        body = msgspec.json.decode(sent)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise InvalidInput('the request has no JSON body, as {"filename": "night.h5"}') from None
    if not isinstance(body, dict):
        raise InvalidInput('the request has no JSON object, as {"filename": "night.h5"}')
    return cast("dict[str, Any]", body)


def _begin(front: Front, lidar: str, name: str, caller: Caller) -> Response:
    wish = {
        "name": name,
        "instruments": [lidar],
        "format": "hdf5",
        "merge": True,
        "unique": True,
        "begin_acquiring": True,
        "first_row_timeout_s": FIRST_ROW_TIMEOUT_S,
        "by": caller.name,
    }
    try:
        front.engine.record_start(wish)
    except Conflict as error:
        exists = error.facts.get("reason") == "exists"
        return _error(400, "File already exists" if exists else "Lidar is already running")
    return _success("Lidar started successfully")


def _end(front: Front, lidar: str) -> Response:
    streams = set(front.engine.instrument(lidar)["streams"])
    for recorder in front.engine.recorders():
        if streams & {one["stream"] for one in recorder["streams"]}:
            try:
                front.engine.record_stop(recorder["recording_id"], stop_acquiring=True)
            except (Conflict, NotFound):
                break  # another request stopped it first
            return _success("Lidar stopped successfully")
    return _error(400, "Lidar is not running")


def _download(front: Front, filename: str, with_empty: bool) -> Response:
    try:
        recording = _find(front, filename)
    except KymographError:
        return _error(404, "File not found")
    lidars = [
        stream["name"]
        for stream in recording["streams"]
        if set(COLUMNS) <= {channel["name"] for channel in stream["channels"]}
    ]
    name = recording["name"] + ".csv"
    if not lidars:
        # The contract lists every recording, also one without the lidar: it has no samples to give.
        return Response(_HEADER_ROW, headers=attachment(name), media_type="text/csv")
    wanted = ExportRequest(
        recording["id"],
        "csv",
        streams=(lidars[0],),
        channels=COLUMNS,
        above=None if with_empty else ("distance", 0.0),
        options={"time_digits": 6},
    )
    return export_response(front, wanted, name)


def _find(front: Front, filename: str) -> dict[str, Any]:
    """Return the newest recording of that name, with or without `.h5`.

    Raises:
        NotFound, InvalidInput: there is none.
    """
    try:
        return front.archive.find(safe_name(filename.removesuffix(SUFFIX)))
    except KymographError:
        return front.archive.find(safe_name(filename))


def router(config: Config) -> APIRouter:
    """Return the routes of this face.

    Raises:
        ConfigError: it is not clear which instrument is the lidar.
    """
    lidar = instrument_of(config)
    routes = APIRouter(prefix="/lidar", tags=["face: lidar"], route_class=_Route)

    @routes.post("/start")
    async def start(request: Request, front: FrontDep, caller: Annotated[Caller, needs(RECORD)]) -> Response:
        """Start the lidar and record it into a file of that name."""
        name = recording_name((await _body(request)).get("filename"))
        return await to_thread.run_sync(_begin, front, lidar, name, caller)

    # The contract has a GET that changes state; `changes` has it checked like the POST it should be.
    @routes.get("/stop", dependencies=[needs(RECORD, changes=True)])
    @routes.post("/stop", dependencies=[needs(RECORD)])
    def stop(front: FrontDep) -> Response:
        """Stop the recording and the lidar."""
        return _end(front, lidar)

    @routes.get("/files", dependencies=[needs(READ)])
    def files(front: FrontDep) -> Response:
        """List every stored recording as a file name."""
        names = {recording["name"] for recording in front.archive.every()}
        return _json(200, {"files": sorted(name + SUFFIX for name in names)})

    @routes.get("/files/{filename:path}/download", dependencies=[needs(READ)])
    def download(
        front: FrontDep,
        filename: Annotated[str, Path()],
        with_empty: Annotated[str, Query(alias="all")] = "",
    ) -> Response:
        """Download a recording as CSV: `timestamp,distance,angle`, one line a sample with a return."""
        return _download(front, filename, with_empty.lower() in ("1", "true", "yes"))

    return routes
