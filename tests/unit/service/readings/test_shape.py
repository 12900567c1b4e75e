"""What rows are called in a reading: as the weather stations always said it, or by channel and unit."""

from __future__ import annotations

import math

import pytest

from kymograph.model.channel import Channel, Stream
from kymograph.service.readings.shape import shaped

AIR = Stream(
    "air",
    (Channel("temperature", unit="Cel"), Channel("pressure", unit="hPa"), Channel("humidity", unit="%")),
)


def test_the_three_sensors_of_a_weather_station() -> None:
    air = {"temperature": 21.4567, "pressure": 1013.246, "humidity": 45.004}
    assert shaped("bme280", AIR, air) == {
        "temperature": {"c": 21.46, "f": 70.62}, "pressure": {"hpa": 1013.25}, "humidity": {"rh": 45.0},
    }  # fmt: skip
    assert shaped("cpu_temp", AIR, {"temperature": 48.5, "throttled": 0}) == {"c": 48.5, "f": 119.3}
    disk = {"total_mb": 29000.0, "used_mb": 9000.123, "free_mb": 20000.0}
    assert shaped("disk_space", AIR, disk) == {"total_mb": 29000.0, "used_mb": 9000.12, "free_mb": 20000.0}


def test_a_sensor_without_humidity_says_null() -> None:
    told = shaped("bme280", AIR, {"temperature": 1.0, "pressure": 2.0, "humidity": math.nan})
    assert told["humidity"] == {"rh": None}


@pytest.mark.parametrize(
    ("unit", "dtype", "value", "told"),
    [
        ("Cel", "float64", 0.0, {"c": 0.0, "f": 32.0}),
        ("hPa", "float64", 1000.006, {"hpa": 1000.01}),
        ("%", "float64", 50.5, {"rh": 50.5}),
        ("", "int32", 7, {"value": 7}),
        ("W/m2", "float64", math.inf, {"w_m2": None}),
        ("umol/(m2.s)", "float64", 3.0, {"umol__m2_s": 3.0}),
        ("!", "float64", 3.0, {"value": 3.0}),
    ],
)
def test_any_other_instrument_by_channel_and_unit(unit: str, dtype: str, value: float, told: object) -> None:
    stream = Stream("other", (Channel("x", dtype, unit),))
    assert shaped("text_line", stream, {"x": value}) == {"x": told}
