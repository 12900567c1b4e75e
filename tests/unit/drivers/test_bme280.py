"""A BME280 behind a simulated bus: finding it, reading it, and every fault of it."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kymograph.drivers import registry
from kymograph.drivers.bme280 import Bme280, Bme280Options
from kymograph.drivers.i2c import BusHung, Nack
from kymograph.model.clock import Clock
from kymograph.model.errors import ConfigError, DeviceError, DeviceSilent
from kymograph.sim import bme280 as device
from kymograph.sim.simulation import Simulation
from kymograph.sim.wire import PtyWire

GOLDEN = "raw 655AC07EED006FF0"


@contextmanager
def sensor(folder, parameters=None, **options) -> Iterator[tuple[Bme280, Simulation, Any]]:
    adapter = device.make({"time_scale": "0.02", **(parameters or {})})
    with Simulation(adapter, PtyWire(folder / "bus")) as simulation:
        driver = Bme280(
            Bme280Options(time_scale=0.02, **options), Clock(time.monotonic_ns, time.time_ns), simulation.url
        )
        yield driver, simulation, next(iter(adapter.chips.values()))
        driver.close()


@pytest.mark.parametrize("address", ["0x76", "0x77"])
def test_found_at_either_address(tmp_path, address):
    with sensor(tmp_path, {"address": address}) as (driver, _, _chip):
        facts = driver.open()
        assert facts["model"] == "BME280" and facts["address"] == address and "warning" not in facts


def test_golden_values_from_the_registers(tmp_path):
    with sensor(tmp_path) as (driver, simulation, _):
        driver.open()
        simulation.fault(GOLDEN)
        row = driver.poll()
        assert row is not None
        assert row[0] == pytest.approx(25.08, abs=0.005)
        assert row[1] == pytest.approx(1006.5327, abs=0.0001)
        assert row[2] == pytest.approx(35.1003, abs=0.0001)


def test_offsets_are_added_and_humidity_stays_in_bounds(tmp_path):
    offsets = {"temperature_offset_c": -1.5, "pressure_offset_hpa": 2.0, "humidity_offset_rh": -50.0}
    with sensor(tmp_path, **offsets) as (driver, simulation, _):
        driver.open()
        simulation.fault(GOLDEN)
        row = driver.poll()
        assert row is not None
        assert row[0] == pytest.approx(23.58, abs=0.005)
        assert row[1] == pytest.approx(1008.5327, abs=0.0001)
        assert row[2] == 0.0


def test_settings_are_what_the_options_say(tmp_path):
    options = {
        "temperature_oversampling": 4, "pressure_oversampling": 8, "humidity_oversampling": 16, "filter": 8,
    }  # fmt: skip
    with sensor(tmp_path, **options) as (driver, _, chip):
        driver.open()
        assert driver.poll() is not None
        assert chip.registers[device.CTRL_HUM] == 0b101
        assert chip.registers[device.CTRL_MEAS] == 0b011_100_00  # it sleeps after its conversion
        assert chip.registers[device.CONFIG] == 0b000_011_00


def test_one_conversion_a_reading(tmp_path):
    with sensor(tmp_path) as (driver, _, chip):
        driver.open()
        for _ in range(5):
            assert driver.poll() is not None
        assert chip.conversions == 5


def test_a_bmp280_is_taken_and_said(tmp_path, caplog):
    with sensor(tmp_path, {"chip": "bmp280"}) as (driver, _, _chip), caplog.at_level(logging.WARNING):
        facts = driver.open()
        assert facts["model"] == "BMP280" and "BMP280" in facts["warning"]
        row = driver.poll()
        assert row is not None and math.isnan(row[2]) and 900 < row[1] < 1100
        driver.close()
        driver.open()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_another_chip_is_refused_with_what_it_is(tmp_path):
    with sensor(tmp_path, {"chip": "0x61"}) as (driver, _, _chip):
        with pytest.raises(DeviceError, match="0x77 is a BME680") as caught:
            driver.open()
        assert caught.value.hint


def test_nobody_at_the_address_that_is_wanted(tmp_path):
    with sensor(tmp_path, {"address": "0x76"}) as (driver, simulation, _):
        driver.port = f"{simulation.url}?address=0x77"
        with pytest.raises(DeviceSilent, match="0x77"):
            driver.open()


def test_a_nack_while_it_reads(tmp_path):
    with sensor(tmp_path) as (driver, simulation, _):
        driver.open()
        simulation.fault("nack 1")
        with pytest.raises(Nack, match="0x77"):
            driver.poll()
        assert driver.poll() is not None


def test_a_bus_that_hangs(tmp_path):
    with sensor(tmp_path) as (driver, simulation, _):
        driver.open()
        simulation.fault("hang on")
        with pytest.raises(BusHung):
            driver.poll()
        driver.close()
        with pytest.raises(BusHung):
            driver.open()
        driver.close()
        simulation.fault("hang off")
        driver.open()
        assert driver.poll() is not None


def test_it_vanishes_and_comes_back(tmp_path):
    with sensor(tmp_path) as (driver, simulation, _):
        driver.open()
        simulation.fault("vanish")
        with pytest.raises(DeviceError):
            driver.poll()
        driver.close()
        with pytest.raises(DeviceSilent):
            driver.open()
        driver.close()
        simulation.fault("return")
        driver.open()
        assert driver.poll() is not None


def test_a_conversion_that_never_ends(tmp_path):
    with sensor(tmp_path) as (driver, simulation, _):
        driver.open()
        simulation.fault("stuck on")
        with pytest.raises(DeviceError, match="conversion"):
            driver.poll()
        driver.close()
        simulation.fault("stuck off")
        driver.open()
        assert driver.poll() is not None


def test_garbage_is_counted_and_much_of_it_is_a_fault(tmp_path):
    with sensor(tmp_path) as (driver, simulation, _):
        driver.open()
        simulation.fault("garbage 4")
        assert [driver.poll() for _ in range(4)] == [None] * 4
        assert driver.counters.frames_bad == 4
        assert driver.poll() is not None
        simulation.fault("garbage 5")
        for _ in range(4):
            assert driver.poll() is None
        with pytest.raises(DeviceError, match="make no sense"):
            driver.poll()


def test_a_sensor_that_lost_its_supply_for_a_moment_measures_on(tmp_path):
    with sensor(tmp_path) as (driver, simulation, _):
        driver.open()
        before = driver.poll()
        simulation.fault("brownout")
        after = driver.poll()
        assert before is not None and after is not None
        assert after == pytest.approx(before, rel=0.01)


def test_the_weather_of_a_day(tmp_path):
    with sensor(tmp_path, {"day_s": "0.5", "hour": "3"}, pressure_oversampling=1) as (driver, _, _chip):
        driver.open()
        until = time.monotonic() + 20
        temperatures: list[float] = []
        while not temperatures or max(temperatures) - min(temperatures) < 8:
            row = driver.poll()
            assert row is not None and time.monotonic() < until
            temperatures.append(row[0])
            assert 950 < row[1] < 1070 and 0 <= row[2] <= 100


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"rate_hz": 100}, "conversion takes"),
        ({"pressure_oversampling": 3}, "pressure_oversampling"),
        ({"filter": 1}, "filter"),
        ({"temperature_offset_c": 99}, "temperature_offset_c"),
    ],
)
def test_options_that_cannot_be(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        registry.parse_options("bme280", options)


@pytest.mark.parametrize(
    "port", ["/dev/i2c-1", "i2c://1", "i2c:///dev/i2c-1?address=0x99", "i2c:///dev/i2c-1?baud=1", "usb:///x"]
)
def test_a_port_that_is_no_bus_is_refused_when_it_is_made(port):
    with pytest.raises(ConfigError) as caught:
        Bme280(Bme280Options(), Clock(time.monotonic_ns, time.time_ns), port)
    assert caught.value.hint
