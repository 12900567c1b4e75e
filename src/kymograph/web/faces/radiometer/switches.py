"""Connecting, configuring, starting and stopping the sensor."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from kymograph.model.errors import Conflict, KymographError, NotFound
from kymograph.service.keys import CONTROL, READ
from kymograph.web.auth import needs
from kymograph.web.faces.radiometer.answers import Lane, Route, bad, body_of, said
from kymograph.web.faces.radiometer.sensor import Sensor
from kymograph.web.front import FrontDep

SETTINGS = ("averaging", "adc_rate_hz", "mode", "tag")
BAUD = 9600


def recording_of(sensor: Sensor) -> dict[str, Any] | None:
    """Return the running recording of the sensor's stream, whoever began it."""
    for recorder in sensor.engine.recorders():
        if sensor.stream in {one["stream"] for one in recorder["streams"]}:
            return recorder
    return None


def end_recording(sensor: Sensor) -> None:
    """End the recording that runs, if one does."""
    recorder = recording_of(sensor)
    if recorder is not None:
        try:
            sensor.engine.record_stop(recorder["recording_id"])
        except (Conflict, NotFound):
            pass  # another request ended it first


def address(port: str | None, baud: int | None, now: str) -> str | None:
    """Return the address that a port and a baud rate ask for, None if it is where it is."""
    if port is None and baud is None:
        return None
    if port is not None and "://" in port:
        return port
    device = port or urlsplit(now).path
    speed = baud or int(parse_qs(urlsplit(now).query).get("baud", [str(BAUD)])[0])
    return f"serial://{device}?baud={speed}"


def connect(sensor: Sensor, port: str | None, baud: int | None) -> None:
    """Open the sensor, at another port if one is given.

    Raises:
        KymographError: it cannot be; it is not tried again by itself.
    """
    wanted = address(port, baud, str(sensor.look()["port"]))
    try:
        if wanted is not None:
            sensor.engine.configure(sensor.name, {}, wanted)
        sensor.engine.act(sensor.name, "open")
    except KymographError:
        sensor.engine.act(sensor.name, "close")
        raise
    sensor.look()


def configuration(sensor: Sensor) -> dict[str, Any]:
    """Return the whole configuration as the sensor has said it."""
    device = sensor.look()["device"]
    keys = (*SETTINGS, "sample_period_s", "sensor_id", "baud", "temperature_enabled", "voltage_enabled")
    return {key: device.get(key) for key in (*keys, "preamble", "units", "calibration_factor")}


def _connect(sensor: Sensor, port: str | None, baud: int | None) -> Response:
    sensor.look()
    if sensor.connected:
        raise bad("the sensor is connected already", "POST /disconnect first")
    connect(sensor, port, baud)
    return said({"status": "connected", "sensor_id": sensor.sensor_id})


def _disconnect(sensor: Sensor) -> Response:
    end_recording(sensor)
    sensor.engine.act(sensor.name, "close")
    return said({"status": "disconnected"})


def _configure(sensor: Sensor, wish: dict[str, Any]) -> Response:
    sensor.require_connected()
    wanted = {key: value for key, value in wish.items() if value is not None}
    if wanted:
        sensor.engine.configure(sensor.name, wanted)
    return said(configuration(sensor))


def _start(sensor: Sensor, poll_hz: float) -> Response:
    sensor.require_connected()
    if sensor.acquiring:
        raise bad("the sensor acquires already", "POST /stop first")
    if sensor.engine.instrument(sensor.name)["options"].get("poll_hz") != poll_hz:
        sensor.engine.configure(sensor.name, {"poll_hz": poll_hz})
    sensor.engine.act(sensor.name, "start")
    sensor.look()
    return said({"status": "started", "mode": sensor.mode})


def _stop(sensor: Sensor) -> Response:
    if not (sensor.acquiring or sensor.paused or sensor.busy):
        sensor.require_connected()
        raise bad("the sensor does not acquire", "POST /start first")
    end_recording(sensor)
    sensor.engine.act(sensor.name, "stop")
    return said({"status": "stopped"})


def _pause(sensor: Sensor) -> Response:
    sensor.require_connected()
    if not sensor.acquiring:
        raise bad("the sensor does not acquire", "POST /start first")
    sensor.engine.act(sensor.name, "pause")
    return said({"status": "paused"})


def _resume(sensor: Sensor) -> Response:
    sensor.require_connected()
    if not sensor.paused:
        raise bad("the sensor is not paused", "POST /pause first")
    sensor.engine.act(sensor.name, "resume")
    return said({"status": "resumed"})


def router(name: str, prefix: str, lane: Lane) -> APIRouter:
    """Return these routes under a prefix. What may take long is done in the lane, what stops is not."""
    routes = APIRouter(prefix=prefix, tags=["face: radiometer"], route_class=Route)
    control = [needs(CONTROL)]

    @routes.post("/connect", dependencies=control)
    async def connect(
        front: FrontDep,
        port: Annotated[str | None, Query(max_length=256)] = None,
        baud: Annotated[int | None, Query(ge=300, le=921_600)] = None,
    ) -> Response:
        """Open the sensor; it shows its menu then."""
        return await lane.run(lambda: _connect(Sensor(front, name), port, baud))

    @routes.post("/disconnect", dependencies=control)
    def disconnect(front: FrontDep) -> Response:
        """End the recording and the acquisition, and let go of the port."""
        return _disconnect(Sensor(front, name))

    @routes.get("/config", dependencies=[needs(READ)])
    def config(front: FrontDep) -> Response:
        """Return the configuration."""
        return _configure(Sensor(front, name), {})

    @routes.post("/config", dependencies=control)
    async def configure(front: FrontDep, request: Request) -> Response:
        """Set what is given, read it back, and go on with what it was doing."""
        wish = await body_of(request)
        unknown = sorted(wish.keys() - set(SETTINGS))
        if unknown:
            raise bad(f"there is no setting {', '.join(unknown)}", f"settings are {', '.join(SETTINGS)}")
        return await lane.run(lambda: _configure(Sensor(front, name), wish))

    @routes.post("/start", dependencies=control)
    async def start(front: FrontDep, poll_hz: Annotated[float, Query(gt=0, le=50)] = 1.0) -> Response:
        """Begin to acquire, in the mode that the sensor is configured for."""
        return await lane.run(lambda: _start(Sensor(front, name), poll_hz))

    acts = {"stop": _stop, "pause": _pause, "resume": _resume}

    @routes.post("/{action}", dependencies=control)
    def act(front: FrontDep, action: Literal["stop", "pause", "resume"]) -> Response:
        """Stop: end the recording, which loses nothing, then the acquisition. Pause: rest, a recording stays
        open. Resume: go on."""
        return acts[action](Sensor(front, name))

    return routes
