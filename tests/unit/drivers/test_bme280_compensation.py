"""Bosch's formulas: the published example, and what cannot be a calibration."""

import math
import struct

import pytest

from kymograph.drivers.bme280_compensation import Calibration, convert, read_calibration
from kymograph.model.errors import DeviceError
from kymograph.sim import bme280 as device

T = (27504, 26435, -1000)
P = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
H = (75, 363, 0, 349, 30, 30)
FIRST = struct.pack("<HhhHhhhhhhhh", *T, *P) + bytes([0, 75])
SECOND = bytes.fromhex("6b01 00 15 ed 01 1e")
"""H2 363, H3 0, H4 349 = 0x15d, H5 30 = 0x01e, H6 30."""
BURST = bytes.fromhex("655ac0 7eed00 6ff0")


def test_the_calibration_is_taken_apart():
    assert read_calibration(FIRST, SECOND) == Calibration(T, P, H)
    assert read_calibration(FIRST) == Calibration(T, P, ())


def test_signs_of_the_split_humidity_numbers():
    calibration = read_calibration(FIRST, bytes.fromhex("6b01 00 f5 2d fe e2"))
    assert calibration.humidity[3:] == (-16 * 11 + 0x0D, -32 + 2, -30)


def test_golden_values():
    weather = convert(BURST, Calibration(T, P, H))
    assert weather is not None
    assert weather.temperature_c == pytest.approx(25.08, abs=0.005)
    assert weather.pressure_pa == pytest.approx(100653.27, abs=0.01)
    assert weather.humidity_rh == pytest.approx(35.1003, abs=0.0001)


def test_the_simulator_inverts_the_same_formulas():
    registers = device.calibration_registers()
    assert registers[0x88] == FIRST[:24]
    assert registers[0xA1] == FIRST[25:]
    assert registers[0xE1] == SECOND
    for celsius, pascals, percent in (
        (-20.0, 70_000.0, 95.0),
        (0.0, 101_325.0, 50.0),
        (42.0, 105_000.0, 8.0),
    ):
        fine = device.fine(celsius)
        adc = (device.pressure_adc(pascals, fine), device.temperature_adc(celsius))
        burst = b"".join((round(value) << 4).to_bytes(3, "big") for value in adc)
        burst += round(device.humidity_adc(percent, fine)).to_bytes(2, "big")
        weather = convert(burst, Calibration(T, P, H))
        assert weather is not None
        assert weather.temperature_c == pytest.approx(celsius, abs=0.005)
        assert weather.pressure_pa == pytest.approx(pascals, abs=3)
        assert weather.humidity_rh == pytest.approx(percent, abs=0.02)


def test_a_bmp280_has_no_humidity():
    weather = convert(BURST, Calibration(T, P))
    assert weather is not None and math.isnan(weather.humidity_rh)
    assert weather.pressure_pa == pytest.approx(100653.27, abs=0.01)


@pytest.mark.parametrize("burst", ["800000 7eed00 6ff0", "655ac0 800000 6ff0"])
def test_what_was_not_measured_is_none(burst):
    assert convert(bytes.fromhex(burst), Calibration(T, P, H)) is None


def test_humidity_that_was_not_measured_is_nan():
    weather = convert(bytes.fromhex("655ac0 7eed00 8000"), Calibration(T, P, H))
    assert weather is not None and math.isnan(weather.humidity_rh)


@pytest.mark.parametrize("raw", ["0000", "ffff"])
def test_humidity_stays_between_0_and_100(raw):
    weather = convert(BURST[:6] + bytes.fromhex(raw), Calibration(T, P, H))
    assert weather is not None and weather.humidity_rh in (0.0, 100.0)


@pytest.mark.parametrize(
    ("first", "second"),
    [(bytes(26), SECOND), (b"\xff" * 26, SECOND), (FIRST, bytes(7)), (FIRST, b"\xff" * 7)],
)
def test_a_calibration_that_makes_no_sense_is_refused(first, second):
    with pytest.raises(DeviceError, match="calibration"):
        read_calibration(first, second)
