"""A Bosch BME280 on an I²C bus: temperature, pressure and humidity of the air.

    [instruments.bme280]
    driver = "bme280"
    port = "i2c:///dev/i2c-1"       # tries 0x77, then 0x76; or ?address=0x76

    [instruments.bme280.options]
    rate_hz = 1.0
    pressure_oversampling = 16      # 1 2 4 8 16
    temperature_offset_c = 0.0      # added to what it measures

Each reading is one conversion of all three (forced mode), read in one burst, so that its values belong
together. The settings go with every conversion: a sensor that has lost its supply for a moment measures on as
before. A BMP280, which measures no humidity, is taken and said to be one.

Registers: Bosch BST-BME280-DS002, section 5.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from kymograph.drivers import bme280_compensation as compensation
from kymograph.drivers.base import DriverOptions
from kymograph.drivers.bme280_compensation import Calibration, Weather
from kymograph.drivers.i2c import I2cBus, Nack, open_bus, parse_port
from kymograph.drivers.shapes import PolledDriver
from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import DeviceError, DeviceSilent, PortError

log = logging.getLogger(__name__)

ADDRESSES: Final = (0x77, 0x76)
ID_REGISTER: Final = 0xD0
BME280: Final = 0x60
BMP280: Final = 0x58
CHIPS: Final[Mapping[int, str]] = {
    BME280: "BME280", BMP280: "BMP280", 0x61: "BME680", 0x55: "BMP180", 0x50: "BMP388",
    0x00: "bus held low", 0xFF: "bus that nobody drives",
}  # fmt: skip
"""By what is read from the id register; those of other chips are there to be named in the refusal."""

_RESET, _CTRL_HUM, _STATUS, _CTRL_MEAS, _CONFIG = 0xE0, 0xF2, 0xF3, 0xF4, 0xF5
_RESET_WORD: Final = 0xB6
_FORCED: Final = 0b01
_MEASURING, _COPYING = 0x08, 0x01
_STARTUP_S: Final = 0.003
_PATIENCE_S: Final = 0.25
"""A conversion may take so much longer than it should, and no longer."""
_LOOK_S: Final = 0.002
_SENSELESS_MAX: Final = 5
"""So many readings in a row that make no sense are a fault; single ones are counted."""
_SENSE_C: Final = (-45.0, 90.0)
_SENSE_PA: Final = (25_000.0, 115_000.0)
"""What the sensor may say at all: its range with a margin."""

Oversampling = Literal[1, 2, 4, 8, 16]


class Bme280Options(DriverOptions):
    """Options of the driver `bme280`."""

    rate_hz: float = Field(default=1.0, gt=0, le=200)
    temperature_oversampling: Oversampling = 2
    pressure_oversampling: Oversampling = 16
    humidity_oversampling: Oversampling = 1
    filter: Literal[0, 2, 4, 8, 16] = 0
    """The sensor's own low-pass over readings of temperature and pressure; 0 leaves each to itself."""
    temperature_offset_c: float = Field(default=0.0, ge=-20, le=20)
    pressure_offset_hpa: float = Field(default=0.0, ge=-50, le=50)
    humidity_offset_rh: float = Field(default=0.0, ge=-50, le=50)
    time_scale: float = Field(default=1.0, gt=0, le=1.0)
    """Below 1 for a simulated sensor that converts faster than a real one."""

    @property
    def conversion_s(self) -> float:
        """Seconds that one conversion takes at most (data sheet, section 9.1)."""
        t, p, h = self.temperature_oversampling, self.pressure_oversampling, self.humidity_oversampling
        return (1.25 + 2.3 * t + 2.3 * p + 0.575 + 2.3 * h + 0.575) / 1000 * self.time_scale

    @model_validator(mode="after")
    def _in_time(self) -> Bme280Options:
        if self.rate_hz * self.conversion_s > 0.9:
            raise ValueError(
                f"one conversion takes {self.conversion_s * 1e3:.1f} ms, so at most "
                f"{0.9 / self.conversion_s:.1f} a second; lower rate_hz or the oversampling"
            )
        return self


STREAM_CHANNELS: Final = (
    Channel("temperature", "float64", "Cel", "of the air at the sensor", -40, 85),
    Channel("pressure", "float64", "hPa", "of the air, not reduced to sea level", 300, 1100),
    Channel("humidity", "float64", "%", "relative; NaN if the sensor has none", 0, 100),
)


class Bme280(PolledDriver[Bme280Options]):
    """A Bosch BME280 (or BMP280) on an I²C bus."""

    Options = Bme280Options

    def __init__(self, options: Bme280Options, clock: Clock, port: str = "") -> None:
        super().__init__(options, clock, port)
        self._bus: I2cBus | None = None
        self._chip = 0
        self._calibration = Calibration((), ())
        self._senseless = 0
        self._warned = False
        if port:
            parse_port(port)

    def streams(self) -> Sequence[Stream]:
        """Return the one stream."""
        return [Stream("air", STREAM_CHANNELS, self.options.rate_hz, "air at the sensor")]

    # -- open and close ------------------------------------------------------------------------------------
    def open(self) -> Mapping[str, Any]:
        """Find the sensor, reset it, read its calibration, and return what it is.

        Raises:
            PortError: the bus cannot be opened.
            DeviceSilent: nothing answers at its addresses.
            DeviceError: something else is there, or what it says makes no sense.
        """
        self._bus = open_bus(self.port, self.counters)
        self._chip, kind = self._find()
        self._write(_RESET, _RESET_WORD)
        self._await_clear(_STARTUP_S, _COPYING, "does not come back from its reset")
        first = self._read(compensation.FIRST_REGISTER, compensation.FIRST_BYTES)
        second = b""
        if kind == BME280:
            second = self._read(compensation.SECOND_REGISTER, compensation.SECOND_BYTES)
        self._calibration = compensation.read_calibration(first, second)
        self._senseless = 0
        facts = {"model": CHIPS[kind], "address": f"0x{self._chip:02x}", "bus": self._bus.description}
        return facts if kind == BME280 else {**facts, "warning": self._without_humidity()}

    def _without_humidity(self) -> str:
        text = "this is a BMP280, not a BME280: it measures no humidity"
        if not self._warned:
            log.warning("%s: %s", self.port, text)
        self._warned = True
        return text

    def _find(self) -> tuple[int, int]:
        """Return the address and the id of the sensor."""
        wanted = parse_port(self.port).chip
        strangers: list[str] = []
        tried = ADDRESSES if wanted is None else (wanted,)
        for chip in tried:
            try:
                kind = self._the_bus.transfer(chip, bytes([ID_REGISTER]), 1)[0]
            except Nack:
                continue
            if kind in (BME280, BMP280):
                return chip, kind
            strangers.append(f"0x{chip:02x} is a {CHIPS.get(kind, 'chip of another kind')} (id 0x{kind:02x})")
        places = " or ".join(f"0x{chip:02x}" for chip in tried)
        if strangers:
            raise DeviceError(
                f"no BME280 on {self._the_bus.description}: {', '.join(strangers)}",
                hint="a sensor of another kind needs another driver; look at what is printed on it",
            )
        raise DeviceSilent(
            f"no BME280 answers at {places} on {self._the_bus.description}",
            hint="check its power and the wires SDA and SCL; kymograph doctor says which addresses answer",
        )

    def close(self) -> None:
        """Let go of the bus; the sensor sleeps by itself after each conversion."""
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    # -- registers -----------------------------------------------------------------------------------------
    @property
    def _the_bus(self) -> I2cBus:
        if self._bus is None:
            raise PortError("the bus is not open")
        return self._bus

    def _read(self, register: int, count: int) -> bytes:
        data = self._the_bus.transfer(self._chip, bytes([register]), count)
        if len(data) != count:
            raise DeviceError(f"the sensor answers {len(data)} bytes where {count} were asked for")
        return data

    def _write(self, *pairs: int) -> None:
        """Write registers: each one's address, then its value (data sheet, section 6.2.1)."""
        self._the_bus.transfer(self._chip, bytes(pairs))

    def _await_clear(self, usual_s: float, flag: int, complaint: str) -> None:
        """Wait as long as it usually takes, then until a flag of the status is clear."""
        until_ns = self.clock.monotonic_ns() + int((usual_s + _PATIENCE_S) * 1e9)
        self.sleep(usual_s)
        while self._read(_STATUS, 1)[0] & flag:
            if self.clock.monotonic_ns() > until_ns:
                raise DeviceError(
                    f"the sensor {complaint}", hint="it is reset now; if it stays so, switch it off and on"
                )
            self.sleep(_LOOK_S * self.options.time_scale)

    # -- acquire -------------------------------------------------------------------------------------------
    def poll(self) -> Sequence[float] | None:
        """Have it convert once, and return what that means; None if it makes no sense.

        Raises:
            DeviceError: the bus or the sensor fails, or nothing made sense for a while.
        """
        o, has_humidity = self.options, bool(self._calibration.humidity)
        config = _filter_code(o.filter) << 2
        measure = _code(o.temperature_oversampling) << 5 | _code(o.pressure_oversampling) << 2 | _FORCED
        # What is written to ctrl_hum counts only from the next writing of ctrl_meas on.
        humidity = (_CTRL_HUM, _code(o.humidity_oversampling)) if has_humidity else ()
        self._write(_CONFIG, config, *humidity, _CTRL_MEAS, measure)
        self._await_clear(o.conversion_s, _MEASURING, "does not finish its conversion")
        burst = self._read(compensation.BURST_REGISTER, compensation.BURST_BYTES)
        weather = compensation.convert(burst, self._calibration)
        if weather is None or not _makes_sense(weather):
            self._count_senseless(burst)
            return None
        self._senseless = 0
        return (
            weather.temperature_c + o.temperature_offset_c,
            weather.pressure_pa / 100 + o.pressure_offset_hpa,
            _bounded(weather.humidity_rh + o.humidity_offset_rh),
        )

    def _count_senseless(self, burst: bytes) -> None:
        self.counters.frames_bad += 1
        self._senseless += 1
        if self._senseless >= _SENSELESS_MAX:
            raise DeviceError(
                f"{self._senseless} readings in a row make no sense",
                hint="check the wires and the supply",
                registers=burst.hex(),
            )


def _code(oversampling: int) -> int:
    """Return 1 to 5 for 1 to 16 samples."""
    return oversampling.bit_length()


def _filter_code(coefficient: int) -> int:
    """Return 0 to 4 for no filter and for coefficients 2 to 16."""
    return max(coefficient.bit_length() - 1, 0)


def _makes_sense(weather: Weather) -> bool:
    low_c, high_c = _SENSE_C
    low_pa, high_pa = _SENSE_PA
    return low_c <= weather.temperature_c <= high_c and low_pa <= weather.pressure_pa <= high_pa


def _bounded(humidity_rh: float) -> float:
    return humidity_rh if math.isnan(humidity_rh) else min(max(humidity_rh, 0.0), 100.0)
