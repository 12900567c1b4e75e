"""What a row of an instrument is called in a reading.

Weather stations have a shape that others read: `bme280`, `cpu_temp` and `disk_space` as they always were.
Any other instrument is `{channel: {unit: value}}`, a temperature in both degrees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from kymograph.model.channel import Stream

DECIMALS: Final = 2
Values = Mapping[str, float]
Plain = dict[str, Any]

UNIT_KEYS: Final = {
    "": "value", "%": "rh", "hPa": "hpa", "Pa": "pa", "kPa": "kpa", "mbar": "mbar", "bar": "bar",
    "m/s": "m_s", "km/h": "km_h", "deg": "deg", "mm": "mm", "mm/h": "mm_h", "m": "m", "V": "v", "mV": "mv",
    "A": "a", "mA": "ma", "W": "w", "W/m2": "w_m2", "lx": "lx", "s": "s", "ms": "ms", "Hz": "hz", "g": "g",
    "kg": "kg", "N": "n", "MiBy": "mb",
}  # fmt: skip
"""UCUM codes as keys; of a code that is not here, its letters and digits."""


def shaped(driver: str, stream: Stream, values: Values) -> Plain:
    """Return a row of an instrument as it stands in a reading; what is no number is null."""
    make = _KNOWN.get(driver)
    return make(values) if make is not None else generic(stream, values)


def generic(stream: Stream, values: Values) -> Plain:
    """Return `{channel: {unit key: value}}`."""
    return {channel.name: _quantity(channel.unit, values[channel.name]) for channel in stream.channels}


def _quantity(unit: str, value: float) -> Plain:
    if unit == "Cel":
        return _degrees(value)
    key = (
        UNIT_KEYS.get(unit) or "".join(c if c.isalnum() else "_" for c in unit).strip("_").lower() or "value"
    )
    return {key: _rounded(value)}


def _degrees(celsius: float) -> Plain:
    return {"c": _rounded(celsius), "f": _rounded(celsius * 9 / 5 + 32)}


def _rounded(value: float) -> float | int | None:
    if isinstance(value, int):
        return value
    return round(value, DECIMALS) if math.isfinite(value) else None


def _bme280(values: Values) -> Plain:
    return {
        "temperature": _degrees(values["temperature"]),
        "pressure": {"hpa": _rounded(values["pressure"])},
        "humidity": {"rh": _rounded(values["humidity"])},
    }


def _cpu_temp(values: Values) -> Plain:
    return _degrees(values["temperature"])


def _disk_space(values: Values) -> Plain:
    return {name: _rounded(values[name]) for name in ("total_mb", "used_mb", "free_mb")}


_KNOWN: Final[dict[str, Callable[[Values], Plain]]] = {
    "bme280": _bme280, "cpu_temp": _cpu_temp, "disk_space": _disk_space,
}  # fmt: skip
