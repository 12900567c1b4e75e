"""Recordings in the old in-memory style: begun and ended by hand, taken away as one file.

They are recordings like any other; nothing is kept in memory but what the contract's clients believe.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from kymograph.model.errors import Conflict, NotFound
from kymograph.service.archive.exporting import ExportRequest
from kymograph.service.keys import READ, RECORD
from kymograph.web.api.recordings import export_response
from kymograph.web.auth import Caller, needs
from kymograph.web.faces.radiometer.answers import Lane, Route, bad, conflict, said
from kymograph.web.faces.radiometer.sensor import KEYS, Sensor
from kymograph.web.faces.radiometer.switches import recording_of
from kymograph.web.front import Front, FrontDep
from kymograph.web.streaming import attachment

STYLE: Final = "memory"
EXPORTS: Final = "exports"
"""Folder, within the data folder, of files that a stop was asked to flush."""
SPELLING: Final[dict[str, Any]] = {
    "time": "timestamp",
    "channels": {"value": "value", "temperature": "TempC", "voltage": "Vin", "mode": "mode"},
    "labels": ["mode"],
    "order": list(KEYS),
}


def spelling(sensor_id: str) -> dict[str, Any]:
    """Return how a reading is spelled in JSON Lines."""
    return {"spelling": {**SPELLING, "constants": {"sensor_id": sensor_id}}}


def _newest(front: Front) -> dict[str, Any]:
    for recording in front.archive.every():
        if recording["metadata"].get("radiometer", {}).get("style") == STYLE:
            return recording
    raise NotFound("nothing was recorded yet", hint="POST /recording/start first")


def _csv(front: Front, recording: dict[str, Any]) -> Iterator[bytes]:
    """Yield a recording as the contract's CSV."""
    told = recording["metadata"]["radiometer"]
    wanted = ExportRequest(recording["id"], "jsonl", options=spelling(told["sensor_id"]))
    skip = max(0, recording["rows"] - (told.get("max_rows") or recording["rows"]))
    yield (",".join(KEYS) + "\n").encode()
    rest = b""
    with front.archive.export(wanted) as export:
        for piece in export:
            *lines, rest = (rest + piece).split(b"\n")
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            for line in lines[skip:]:
                reading = json.loads(line)
                writer.writerow(["" if reading[key] is None else reading[key] for key in KEYS])
            skip = max(0, skip - len(lines))
            yield text.getvalue().encode()


def _flush(front: Front, recording: dict[str, Any], kind: str) -> str | None:
    """Write a recording into one file beside the recordings, and return where it is."""
    folder = Path(front.config.station.data).absolute() / EXPORTS
    folder.mkdir(exist_ok=True)
    target = folder / f"{recording['name']}.{kind}"
    half = target.with_name(target.name + ".tmp")
    pieces = _csv(front, recording) if kind == "csv" else _parquet(front, recording)
    with half.open("wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    half.replace(target)
    return str(target)


def _parquet(front: Front, recording: dict[str, Any]) -> Iterator[bytes]:
    with front.archive.export(ExportRequest(recording["id"], "parquet")) as export:
        yield from export


def _begin(sensor: Sensor, caller: str, max_rows: int) -> Response:
    sensor.require_connected()
    if not (sensor.acquiring or sensor.paused):
        raise bad("the sensor does not acquire", "POST /start first")
    name = f"readings-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    told = {"style": STYLE, "sensor_id": sensor.sensor_id, "max_rows": max_rows}
    wish = {"name": name, "instruments": [sensor.name], "metadata": {"radiometer": told}, "by": caller}
    try:
        sensor.engine.record_start(wish)
    except Conflict as error:
        raise conflict(error, "a recording runs already") from None
    return said({"status": "recording"})


def _end(sensor: Sensor, flush: str) -> Response:
    recorder = recording_of(sensor)
    if recorder is None:
        raise bad("no recording runs", "POST /recording/start first")
    sensor.engine.record_stop(recorder["recording_id"])
    recording = sensor.front.archive.get(recorder["recording_id"])
    recording["metadata"].setdefault("radiometer", {"sensor_id": sensor.sensor_id})
    path = None if flush == "none" else _flush(sensor.front, recording, flush)
    return said({"status": "stopped", "flush_path": path})


def router(name: str, prefix: str, lane: Lane) -> APIRouter:
    """Return these routes under a prefix."""
    routes = APIRouter(prefix=prefix, tags=["face: radiometer"], route_class=Route)

    @routes.post("/recording/start")
    async def start(
        front: FrontDep,
        caller: Annotated[Caller, needs(RECORD)],
        poll_interval_s: Annotated[float, Query(gt=0, le=3600)] = 0.2,
        auto_flush_interval_s: Annotated[float | None, Query(gt=0)] = None,
        max_rows: Annotated[int, Query(ge=1)] = 100_000,
    ) -> Response:
        """Begin to record. The intervals are taken and mean nothing: every reading is kept as it comes."""
        del poll_interval_s, auto_flush_interval_s
        return await lane.run(lambda: _begin(Sensor(front, name), caller.name, max_rows))

    @routes.post("/recording/stop", dependencies=[needs(RECORD)])
    async def stop(front: FrontDep, flush: Literal["csv", "parquet", "none"] = "none") -> Response:
        """End the recording, and write it into a file if that is asked for."""
        return await lane.run(lambda: _end(Sensor(front, name), flush))

    @routes.get("/export/csv", dependencies=[needs(READ)])
    def export_csv(front: FrontDep) -> Response:
        """Return the newest of these recordings as CSV."""
        recording = _newest(front)
        headers = attachment(recording["name"] + ".csv")
        return StreamingResponse(_csv(front, recording), media_type="text/csv", headers=headers)

    @routes.get("/export/parquet", dependencies=[needs(READ)])
    def export_parquet(front: FrontDep) -> Response:
        """Return the newest of these recordings as Parquet."""
        recording = _newest(front)
        wanted = ExportRequest(recording["id"], "parquet")
        return export_response(front, wanted, recording["name"] + ".parquet")

    return routes
