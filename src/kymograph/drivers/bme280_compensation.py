"""From what a BME280 measured to what it means: its calibration and Bosch's formulas in double precision.

Registers and formulas: Bosch BST-BME280-DS002, sections 4.2.2 and 8.1.
"""

from __future__ import annotations

import math
import struct
from typing import Final, NamedTuple

from kymograph.model.errors import DeviceError

FIRST_REGISTER: Final = 0x88
FIRST_BYTES: Final = 26
"""To 0xA1: temperature, pressure, an unused byte, H1."""
SECOND_REGISTER: Final = 0xE1
SECOND_BYTES: Final = 7
"""To 0xE7: H2 to H6."""
BURST_REGISTER: Final = 0xF7
BURST_BYTES: Final = 8
"""Pressure, temperature (20 bits, left-aligned in 3 bytes), humidity (16 bits); high bytes first."""
NOT_MEASURED: Final = 0x80000
"""Of pressure and temperature, before the first conversion and after a reset."""
NOT_MEASURED_HUMIDITY: Final = 0x8000


class Calibration(NamedTuple):
    """What the factory wrote into one chip: `dig_T1` to `dig_H6` of the data sheet."""

    temperature: tuple[int, ...]
    pressure: tuple[int, ...]
    humidity: tuple[int, ...] = ()
    """Empty for a BMP280."""


class Weather(NamedTuple):
    """One reading: degrees Celsius, pascals, percent; NaN where the chip cannot tell."""

    temperature_c: float
    pressure_pa: float
    humidity_rh: float


def read_calibration(first: bytes, second: bytes = b"") -> Calibration:
    """Take the calibration registers apart; `second` is empty for a BMP280.

    Raises:
        DeviceError: no chip left the factory with such numbers.
    """
    t1, t2, t3, p1, *pressure = struct.unpack_from("<HhhHhhhhhhhh", first)
    humidity: tuple[int, ...] = ()
    if second:
        h2, h3, e4, e5, e6, h6 = struct.unpack("<hBbBbb", second)
        humidity = (first[25], h2, h3, e4 << 4 | e5 & 0x0F, e6 << 4 | e5 >> 4, h6)
    if 0 in (t1, t2, p1) or 0xFFFF in (t1, p1) or (humidity and humidity[1] in (0, -1)):
        raise DeviceError(
            "the sensor's calibration makes no sense",
            hint="check the wires and the supply; if it stays so the sensor is broken",
            registers=(first + second).hex(),
        )
    return Calibration((t1, t2, t3), (p1, *pressure), humidity)


def convert(burst: bytes, calibration: Calibration) -> Weather | None:
    """Return what one burst of registers 0xF7 to 0xFE means; None if nothing was measured."""
    pressure = int.from_bytes(burst[0:3], "big") >> 4
    temperature = int.from_bytes(burst[3:6], "big") >> 4
    humidity = int.from_bytes(burst[6:8], "big")
    if NOT_MEASURED in (pressure, temperature):
        return None
    fine = _fine(temperature, calibration.temperature)
    has_humidity = calibration.humidity and humidity != NOT_MEASURED_HUMIDITY
    return Weather(
        fine / 5120.0,
        _pressure_pa(pressure, fine, calibration.pressure),
        _humidity_rh(humidity, fine, calibration.humidity) if has_humidity else math.nan,
    )


def _fine(adc: int, t: tuple[int, ...]) -> float:
    """Return the temperature in 1/5120 of a degree, which the other formulas take."""
    linear = (adc / 16384.0 - t[0] / 1024.0) * t[1]
    square = (adc / 131072.0 - t[0] / 8192.0) ** 2 * t[2]
    return linear + square


def _pressure_pa(adc: int, fine: float, p: tuple[int, ...]) -> float:
    var1 = fine / 2.0 - 64000.0
    var2 = var1 * var1 * p[5] / 32768.0 + var1 * p[4] * 2.0
    var2 = var2 / 4.0 + p[3] * 65536.0
    var1 = (p[2] * var1 * var1 / 524288.0 + p[1] * var1) / 524288.0
    var1 = (1.0 + var1 / 32768.0) * p[0]
    if var1 == 0.0:
        return math.nan
    pressure = (1048576.0 - adc - var2 / 4096.0) * 6250.0 / var1
    return pressure + (p[8] * pressure**2 / 2147483648.0 + pressure * p[7] / 32768.0 + p[6]) / 16.0


def _humidity_rh(adc: int, fine: float, h: tuple[int, ...]) -> float:
    warm = fine - 76800.0
    slope = h[1] / 65536.0 * (1.0 + h[5] / 67108864.0 * warm * (1.0 + h[2] / 67108864.0 * warm))
    humidity = (adc - (h[3] * 64.0 + h[4] / 16384.0 * warm)) * slope
    return min(max(humidity * (1.0 - h[0] * humidity / 524288.0), 0.0), 100.0)
