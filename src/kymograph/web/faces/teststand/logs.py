"""Sensor logs: what memory holds saved as Parquet, what was recorded as Parquet, listed and shown.

A recording's files are listed as soon as they are sealed; the newest rows of one that runs are in none yet.
They lie where recordings lie; here each bears a name that tells the time of its first row.
"""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from kymograph.model.errors import NotFound, StorageError
from kymograph.model.recording import Segment
from kymograph.service.archive.archive import Archive
from kymograph.service.keys import READ, RECORD
from kymograph.web.auth import needs
from kymograph.web.faces.teststand.sensor_log import FOLDER
from kymograph.web.faces.teststand.stand import Place, Stand
from kymograph.web.faces.teststand.state import said
from kymograph.web.front import Front, FrontDep
from kymograph.web.problems import HttpProblem

JOB_S_MAX: Final = 120.0
_NAME: Final = re.compile(r"sensor_log_[A-Za-z0-9_-]{1,64}\.parquet", re.ASCII)


def _job(*arguments: str) -> dict[str, Any]:
    """Have a process of its own do a job of `sensor_log`.

    Raises:
        StorageError: what it says is wrong, or it says nothing.
    """
    command = [sys.executable, "-P", "-m", "kymograph.web.faces.teststand.sensor_log", *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=JOB_S_MAX)
        told = msgspec.json.decode(done.stdout, type=dict[str, Any])
    except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError) as error:
        raise StorageError("the sensor log could not be worked on", reason=type(error).__name__) from None
    if "error" in told:
        raise StorageError(str(told["error"]))
    return told


def _folder(front: Front) -> Path:
    return Path(front.config.station.data).absolute() / FOLDER


def _save(front: Front, place: Place) -> Response:
    stream = Stand(front.engine, place.names).stream
    try:
        told = _job("save", str(_folder(front).parent), stream)
    except StorageError as error:
        return said({"status": "error", "message": error.message})
    return said({"status": "ok", "message": f"{told['rows']} rows saved", **told})


class Log(NamedTuple):
    """One file."""

    ended_ns: int
    name: str
    path: Path
    size_bytes: int


def _saved(folder: Path) -> Iterator[Log]:
    for path in folder.glob("sensor_log_*.parquet"):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(status.st_mode) and _NAME.fullmatch(path.name):
            yield Log(status.st_mtime_ns, path.name, path, status.st_size)


def _recorded(archive: Archive, stand: str) -> Iterator[Log]:
    for recording in archive.every():
        if recording["format"] != "parquet":
            continue
        try:
            path, segments = archive.path(recording["id"]), archive.sealed(recording["id"])
        except NotFound:
            continue  # deleted meanwhile
        for segment in segments:
            if segment.stream.split(".")[0] == stand:
                yield Log(segment.sealed_ns, _name(recording["id"], segment), path / segment.filename,
                          segment.size_bytes)  # fmt: skip


def _name(recording_id: str, segment: Segment) -> str:
    began = datetime.fromtimestamp(segment.first_ns // 1_000_000_000, UTC)
    return f"sensor_log_{began:%Y%m%d_%H%M%S}_{recording_id[:8]}_{segment.index:05d}.parquet"


def _listed(front: Front, place: Place) -> list[dict[str, Any]]:
    folder = _folder(front)
    found = sorted([*_saved(folder), *_recorded(front.archive, place.names.stand)], reverse=True)
    return [
        {
            "name": log.name, "size": round(log.size_bytes / 1024, 1),
            "path": log.path.relative_to(folder.parent).as_posix(),
        }
        for log in found
    ]  # fmt: skip


def _shown(front: Front, place: Place, filename: str, offset: int, limit: int) -> Response:
    if _NAME.fullmatch(filename) is None:
        raise HttpProblem(400, "a log is called sensor_log_….parquet")
    path = _folder(front) / filename
    if not path.is_file():
        recorded = _recorded(front.archive, place.names.stand)
        path = next((log.path for log in recorded if log.name == filename), path)
    if path.is_symlink() or not path.is_file():
        raise NotFound("there is no log of that name")
    return said(_job("show", str(path), str(offset), str(limit)))


def router(place: Place) -> APIRouter:
    """Return these routes."""
    routes = APIRouter(prefix="/api", tags=["face: teststand"])

    @routes.post("/save_sensor_buffer", dependencies=[needs(RECORD)])
    async def save_sensor_buffer(front: FrontDep) -> Response:
        """Save what memory holds of the stand as Parquet."""
        return await place.files.run(lambda: _save(front, place))

    @routes.get("/parquet_files", dependencies=[needs(READ)])
    async def parquet_files(front: FrontDep) -> Response:
        """List the logs, newest first."""
        return said(await place.files.run(lambda: _listed(front, place)))

    @routes.get("/parquet_data/{filename:path}", dependencies=[needs(READ)])
    async def parquet_data(
        front: FrontDep,
        filename: str,
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    ) -> Response:
        """Return some rows of a log."""
        return await place.files.run(lambda: _shown(front, place, filename, offset, limit))

    return routes
