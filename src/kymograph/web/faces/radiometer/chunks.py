"""Recording in chunks that another computer takes away while it runs.

A session is a recording whose sealed files are called `chunk_00000.jsonl`; a chunk that is listed is sealed,
never changes, and bears the hash taken when it was.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from kymograph.model.errors import Conflict, Forbidden, KymographError, NotFound
from kymograph.model.limits import SEGMENT_INTERVAL_S_MIN
from kymograph.service.keys import READ, RECORD
from kymograph.web.auth import Caller, needs
from kymograph.web.faces.radiometer.answers import Lane, Route, bad, body_of, conflict, said
from kymograph.web.faces.radiometer.memory import spelling
from kymograph.web.faces.radiometer.sensor import Sensor, timestamp, timestamps
from kymograph.web.faces.radiometer.switches import connect, recording_of
from kymograph.web.front import Front, FrontDep
from kymograph.web.ranges import file_response

STYLE: Final = "chunks"
STEM: Final = "chunk"
INTERVAL_S: Final = 60.0
INTERVAL_S_MAX: Final = 86_400.0
SCHEMA: Final = 1
FIRST_ROW_S: Final = 30.0
METADATA_FILE: Final = "metadata.json"
SessionId = Annotated[str | None, Query(max_length=128)]


def _interval(wish: Mapping[str, Any]) -> float:
    given = wish.get("chunk_interval_s", wish.get("roll_interval_s", INTERVAL_S))
    try:
        interval_s = float(given)
    except (TypeError, ValueError):
        raise bad("chunk_interval_s is a number of seconds") from None
    if not SEGMENT_INTERVAL_S_MIN <= interval_s <= INTERVAL_S_MAX:
        raise bad(
            f"a chunk interval of {interval_s:g} s", f"{SEGMENT_INTERVAL_S_MIN:g} to {INTERVAL_S_MAX:g} s"
        )
    return interval_s


def _metadata(wish: Mapping[str, Any]) -> dict[str, Any]:
    given: Any = wish.get("metadata") or {}
    if not isinstance(given, dict):
        raise bad("metadata is a JSON object")
    mission = wish.get("mission")
    return {**cast("dict[str, Any]", given), **({} if mission is None else {"mission": mission})}


def _ready(sensor: Sensor) -> None:
    """Connect the sensor and have it stream, if need be."""
    sensor.look()
    if not sensor.connected:
        connect(sensor, None, None)
    if sensor.acquiring:
        return
    if sensor.mode != "freerun" and not sensor.paused:
        sensor.engine.configure(sensor.name, {"mode": "freerun"})
    sensor.engine.act(sensor.name, "start")
    sensor.look()


def begin(sensor: Sensor, wish: Mapping[str, Any], caller: str) -> dict[str, Any]:
    """Begin a session.

    Raises:
        HttpProblem: 400, a recording runs, or a value makes no sense.
        KymographError: the sensor cannot be connected or does not stream.
    """
    interval_s, metadata = _interval(wish), _metadata(wish)
    if recording_of(sensor) is not None:
        raise bad("a recording runs already", "POST /record/stop first")
    _ready(sensor)
    id, now_ns = str(uuid.uuid4()), time.time_ns()
    told = {"style": STYLE, "sensor_id": sensor.sensor_id, "listed": "schema_version" in wish}
    described = {
        "session_id": id, "start_time": timestamp(now_ns), "chunk_interval_s": interval_s,
        "sensor_id": sensor.sensor_id, "metadata": metadata,
    }  # fmt: skip
    request = {
        "id": id, "name": f"session-{datetime.now(UTC):%Y%m%dT%H%M%SZ}", "instruments": [sensor.name],
        "format": "jsonl", "format_options": spelling(sensor.sensor_id), "file_stem": STEM,
        "segment_interval_s": interval_s, "metadata": {**metadata, "radiometer": told}, "by": caller,
        "attachments": {METADATA_FILE: json.dumps(described, indent=1)},
    }  # fmt: skip
    try:
        recording = sensor.engine.record_start(request)
    except Conflict as error:
        raise conflict(error, "a recording runs already") from None
    started = timestamp(recording["started_ns"])
    period_s = sensor.device.get("sample_period_s") or 0.0
    return {
        "session_id": id, "start_time": started, "chunk_interval_s": interval_s,
        "storage_path": str(sensor.front.archive.path(id)), "started_at": started,
        "rate_hz": 1 / period_s if period_s else wish.get("rate_hz"),
        "schema_version": wish.get("schema_version", SCHEMA),
    }  # fmt: skip


def end(sensor: Sensor, session_id: str | None) -> dict[str, Any]:
    """End the session that runs; the sensor stays connected.

    Raises:
        HttpProblem: 400, none runs, or another.
    """
    recorder = _running(sensor, session_id)
    if recorder is None:
        raise bad("no session is recording", "POST /record/start first")
    try:
        ended = sensor.engine.record_stop(recorder["recording_id"])
    except (Conflict, NotFound):
        raise bad("no session is recording", "another request ended it") from None
    sensor.engine.act(sensor.name, "stop")
    chunks = sensor.front.archive.sealed(ended["id"])
    rows = sum(chunk.rows for chunk in chunks)
    return {
        "session_id": ended["id"], "final_chunk_count": len(chunks), "total_rows": rows,
        "duration_s": (ended["ended_ns"] - ended["started_ns"]) / 1e9,
        "stopped_at": timestamp(ended["ended_ns"]), "chunks": len(chunks), "rows": rows,
    }  # fmt: skip


def _running(sensor: Sensor, session_id: str | None) -> dict[str, Any] | None:
    recorder = recording_of(sensor)
    if recorder is not None and session_id is not None and session_id != recorder["recording_id"]:
        raise bad("that session is not the one that is recording", session_id=recorder["recording_id"])
    return recorder


def progress(sensor: Sensor, session_id: str | None) -> dict[str, Any]:
    """Return how far the session has got; zeros if none runs."""
    recorder = _running(sensor, session_id)
    if recorder is None:
        return {
            "is_recording": False, "session_id": session_id, "chunk_count": 0, "elapsed_time_s": 0.0,
            "current_chunk_rows": 0, "total_rows": 0, "state": "stopped", "rows": 0, "bytes": 0,
            "last_chunk_index": -1, "backlog": 0,
        }  # fmt: skip
    chunks = sensor.front.archive.sealed(recorder["recording_id"])
    return {
        "is_recording": True, "session_id": recorder["recording_id"], "chunk_count": len(chunks),
        "elapsed_time_s": max(0.0, (time.time_ns() - recorder["started_ns"]) / 1e9),
        "current_chunk_rows": max(0, recorder["rows"] - sum(chunk.rows for chunk in chunks)),
        "total_rows": recorder["rows"], "state": "recording", "rows": recorder["rows"],
        "bytes": recorder["size_bytes"], "last_chunk_index": chunks[-1].index if chunks else -1,
        "backlog": recorder["queue_bytes"],
    }  # fmt: skip


def session(front: Front, session_id: str) -> dict[str, Any]:
    """Return the recording of a session.

    Raises:
        NotFound: there is no such session.
    """
    recording = front.archive.get(session_id)
    if recording["metadata"].get("radiometer", {}).get("style") != STYLE:
        raise NotFound("there is no session of that id")
    return recording


def snapshots(front: Front, session_id: str) -> Any:
    """Return the chunks of a session, each as it was sealed; nothing is hashed again.

    Raises:
        NotFound: there is no such session.
    """
    recording = session(front, session_id)
    sealed = front.archive.sealed(session_id)
    chunks: list[dict[str, Any]] = [
        {
            "index": chunk.index, "filename": chunk.filename, "size_bytes": chunk.size_bytes,
            "row_count": chunk.rows, "sha256": chunk.sha256, "created_at": made,
            "name": chunk.filename, "rows": chunk.rows,
        }
        for chunk, made in zip(sealed, timestamps([chunk.sealed_ns for chunk in sealed]), strict=True)
    ]  # fmt: skip
    if recording["metadata"]["radiometer"].get("listed"):
        return chunks
    return {
        "session_id": session_id, "chunks": chunks, "total_chunks": len(chunks),
        "total_size_bytes": sum(chunk.size_bytes for chunk in sealed),
    }  # fmt: skip


def health(sensor: Sensor) -> dict[str, Any]:
    """Return how the sensor is, as a program that watches it wants to know."""
    told = sensor.status["health"]
    return {
        "connected": sensor.connected, "sensor_id": sensor.sensor_id,
        "sample_rate_hz": told["rate_hz"] if sensor.acquiring else 0.0,
        "last_reading_age_s": 999.0 if told["age_s"] is None else told["age_s"],
        "state": sensor.state, "port": sensor.status["port"], "model": sensor.device.get("model"),
        "firmware": sensor.device.get("firmware"), "error": sensor.status["error"],
        "disk_free_bytes": sensor.engine.station()["disk"]["free_bytes"],
    }  # fmt: skip


def _parts(rest: str, raw: bytes) -> tuple[str, str]:
    """Return session and file name of what was asked for.

    Raises:
        Forbidden: it could be a path, in whatever disguise.
        NotFound: it is no session and file.
    """
    disguised = raw.lower().split(b"?")[0]
    suspicious = any(bad in disguised for bad in (b"%2e", b"%2f", b"%5c", b"%25", b"%00", b"..", b"\\"))
    parts = rest.split("/")
    odd = any(part in ("", ".", "..") or part.startswith(".") or "\0" in part for part in parts)
    if suspicious or odd or "\\" in rest or "%" in rest:
        raise Forbidden("that is no file of a session")
    if len(parts) != 2:
        raise NotFound("there is no such file", hint="GET /files/{session_id}/{filename}")
    return parts[0], parts[1]


def _served(front: Front, rest: str, request: Request) -> Response:
    id, filename = _parts(rest, request.scope.get("raw_path", b""))
    session(front, id)
    file = front.archive.file(id, filename)
    if file.kind != "sealed" and filename != METADATA_FILE:
        raise NotFound("the session has no chunk of that name")
    kind = "application/x-ndjson" if file.kind == "sealed" else "application/json"
    headers = {"Content-Disposition": f'attachment; filename="{Path(filename).name}"'}
    return file_response(file.path, file.tag, kind, request.headers, headers)


def router(name: str, lane: Lane) -> APIRouter:
    """Return these routes."""
    routes = APIRouter(tags=["face: radiometer"], route_class=Route)
    read = [needs(READ)]

    @routes.post("/record/start")
    async def start(front: FrontDep, request: Request, caller: Annotated[Caller, needs(RECORD)]) -> Response:
        """Begin a session; the sensor is connected and started if need be."""
        wish = await body_of(request)
        return await lane.run(lambda: said(begin(Sensor(front, name), wish, caller.name)))

    @routes.post("/record/stop", dependencies=[needs(RECORD)])
    async def stop(front: FrontDep, request: Request, session_id: SessionId = None) -> Response:
        """End the session with its last chunk; the acquisition ends, the connection stays."""
        given = (await body_of(request)).get("session_id", session_id)
        wanted = None if given is None else str(given)
        return await lane.run(lambda: said(end(Sensor(front, name), wanted)))

    @routes.get("/record/status", dependencies=read)
    def status(front: FrontDep, session_id: SessionId = None) -> Response:
        """Return how far the session has got."""
        return said(progress(Sensor(front, name), session_id))

    @routes.get("/record/snapshots", dependencies=read)
    def chunks(front: FrontDep, session_id: Annotated[str, Query(max_length=128)]) -> Response:
        """Return the chunks that are sealed."""
        return said(snapshots(front, session_id))

    @routes.post("/record/sync-marker", dependencies=[needs(RECORD)])
    async def marker(front: FrontDep, request: Request) -> Response:
        """Mark a moment in the session, for whoever lays recordings beside each other."""
        wish = await body_of(request)
        id = str(wish.get("session_id", ""))
        body = {"text": f"sync {wish.get('marker_type', '')}".strip(), **wish}
        return await lane.run(lambda: said({"status": "marked", "event": _mark(front, id, body)}))

    @routes.head("/files/{rest:path}", dependencies=read, include_in_schema=False)
    @routes.get("/files/{rest:path}", dependencies=read)
    def file(front: FrontDep, request: Request, rest: str) -> Response:
        """Return a chunk, or a range of it; its entity tag is its SHA-256."""
        return _served(front, rest, request)

    @routes.get("/instrument/health", dependencies=read)
    def instrument_health(front: FrontDep) -> Response:
        """Return how the sensor is."""
        return said(health(Sensor(front, name)))

    return routes


def _mark(front: Front, session_id: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        return front.engine.mark(session_id, body)
    except NotFound:
        raise
    except KymographError as error:
        raise bad(error.message, error.hint) from None
