"""Sensor logs: what memory holds saved as Parquet, and those that there are, listed and shown."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from kymograph.model.errors import NotFound, StorageError
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


def _listed(front: Front) -> list[dict[str, Any]]:
    folder = _folder(front)
    found: list[tuple[int, dict[str, Any]]] = []
    for path in folder.glob("sensor_log_*.parquet"):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(status.st_mode) and _NAME.fullmatch(path.name):
            size_kb = round(status.st_size / 1024, 1)
            one = {"name": path.name, "size": size_kb, "path": f"{FOLDER}/{path.name}"}
            found.append((status.st_mtime_ns, one))
    return [one for _, one in sorted(found, key=lambda pair: (pair[0], pair[1]["name"]), reverse=True)]


def _shown(front: Front, filename: str, offset: int, limit: int) -> Response:
    if _NAME.fullmatch(filename) is None:
        raise HttpProblem(400, "a log is called sensor_log_….parquet")
    path = _folder(front) / filename
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
        return said(await place.files.run(lambda: _listed(front)))

    @routes.get("/parquet_data/{filename:path}", dependencies=[needs(READ)])
    async def parquet_data(
        front: FrontDep,
        filename: str,
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    ) -> Response:
        """Return some rows of a log."""
        return await place.files.run(lambda: _shown(front, filename, offset, limit))

    return routes
