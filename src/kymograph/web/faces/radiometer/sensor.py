"""The sensor as the contract speaks of it: its states, its readings, and what it says of itself.

instrument here                        state there
closed, fault                          disconnected
idle, or on its way from it            config_menu
idle because it was paused             paused
acquiring                              acq_freerun, acq_polled
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from kymograph.model import status
from kymograph.model.errors import NotFound, Unavailable
from kymograph.service.contract import Plain
from kymograph.web.front import Front

DISCONNECTED: Final = "disconnected"
CONFIG_MENU: Final = "config_menu"
PAUSED: Final = "paused"
ACQUIRING: Final = {"freerun": "acq_freerun", "polled": "acq_polled"}
UNKNOWN: Final = "unknown"
"""The sensor's id while it has not said it."""
CHANNELS: Final = ("mode", "value", "temperature", "voltage")
KEYS: Final = ("timestamp", "sensor_id", "mode", "value", "TempC", "Vin")
"""What a reading consists of, in this order."""


def timestamp(time_ns: int) -> str:
    """Return a time as old clients read it: ISO 8601 in UTC, `+00:00`, microseconds."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    return f"{moment.isoformat()}.{rest // 1000:06d}+00:00"


def timestamps(times_ns: Sequence[int]) -> list[str]:
    """Return many times as `timestamp` does, at a tenth of the cost."""
    words = np.datetime_as_string(np.array(times_ns, "datetime64[ns]"), unit="us")
    return [f"{word}+00:00" for word in words.tolist()]


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


class Sensor:
    """One look at the instrument behind this face; made anew for each request."""

    def __init__(self, front: Front, name: str) -> None:
        self.front = front
        self.name = name
        self.engine = front.engine
        self._status: Plain | None = None

    # -- what it is ----------------------------------------------------------------------------------------
    def look(self) -> Plain:
        """Return the instrument's status of this moment, and keep it.

        Raises:
            NotFound: the station has no such instrument.
        """
        for one in self.engine.instruments():
            if one["name"] == self.name:
                self._status = one
                return one
        raise NotFound(f"there is no instrument {self.name}")

    @property
    def status(self) -> Plain:
        """The status that was looked at last."""
        return self._status or self.look()

    @property
    def device(self) -> Plain:
        """What the sensor has said of itself."""
        return self.status["device"]

    @property
    def sensor_id(self) -> str:
        """The sensor's serial number as it writes it, without spaces around."""
        return str(self.device.get("sensor_id") or UNKNOWN).strip()

    @property
    def mode(self) -> str | None:
        """`freerun` or `polled`; None before the sensor has said it."""
        return self.device.get("mode")

    @property
    def stream(self) -> str:
        """The name of its one stream."""
        return self.status["streams"][0]

    @property
    def busy(self) -> bool:
        """Whether it is being opened, configured or started this moment."""
        return bool(self.status.get("activity"))

    @property
    def connected(self) -> bool:
        """Whether its port is open and it has answered."""
        return self.status["state"] in (status.IDLE, status.ACQUIRING)

    @property
    def acquiring(self) -> bool:
        """Whether readings come."""
        return self.status["state"] == status.ACQUIRING

    @property
    def paused(self) -> bool:
        """Whether it waits to be resumed."""
        return self.connected and not self.acquiring and bool(self.status.get("paused"))

    @property
    def state(self) -> str:
        """The contract's word for what it is doing."""
        if self.acquiring:
            return ACQUIRING.get(str(self.mode), ACQUIRING["freerun"])
        if not self.connected:
            return DISCONNECTED
        return PAUSED if self.paused else CONFIG_MENU

    def require_connected(self) -> None:
        """Refuse what needs an open sensor.

        Raises:
            Unavailable: it is not.
        """
        if not self.connected:
            raise Unavailable("the sensor is not connected", hint="POST /connect first")

    # -- its readings --------------------------------------------------------------------------------------
    def labels(self) -> dict[int, str]:
        """Return what the numbers of the channel `mode` mean."""
        for one in self.engine.streams():
            if one["name"] == self.stream:
                mode = next(channel for channel in one["channels"] if channel["name"] == "mode")
                return dict(enumerate(mode.get("labels") or ACQUIRING))
        return dict(enumerate(ACQUIRING))

    def latest(self) -> Plain:
        """Return the newest reading, empty if there is none."""
        row = self.engine.latest(self.stream)
        if row is None:
            return {}
        columns = [[row["values"][channel]] for channel in CHANNELS]
        return next(self.readings([row["time_ns"]], columns))

    def recent(self, seconds: float) -> list[Plain]:
        """Return the readings of the last seconds, oldest first, as far as memory holds them."""
        now_ns = time.time_ns()
        times, columns = self.engine.window(
            self.stream, CHANNELS, now_ns - int(seconds * 1e9), now_ns + 1_000_000_000
        )
        return list(self.readings(times.tolist(), [column.tolist() for column in columns]))

    def readings(self, times: Iterable[int], columns: Iterable[Iterable[Any]]) -> Iterator[Plain]:
        """Yield readings from times and the columns of `CHANNELS`."""
        sensor_id, labels = self.sensor_id, self.labels()
        for time_ns, mode, value, temperature, voltage in zip(times, *columns, strict=True):
            yield {
                "timestamp": timestamp(time_ns),
                "sensor_id": sensor_id,
                "mode": labels.get(int(mode), str(mode)),
                "value": _number(value),
                "TempC": _number(temperature),
                "Vin": _number(voltage),
            }
