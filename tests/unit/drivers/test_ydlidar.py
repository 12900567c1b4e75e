"""The lidar driver against the simulated device, over a pseudo-terminal."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager

import numpy as np
import pytest
from pydantic import ValidationError

from kymograph.drivers import registry
from kymograph.drivers.ports import Port
from kymograph.drivers.ydlidar import YdLidar, YdLidarOptions
from kymograph.drivers.ydlidar_commands import find_info, info_from_payload
from kymograph.drivers.ydlidar_models import MODELS, canonical, link_load
from kymograph.model.clock import Clock
from kymograph.model.errors import ConfigError, DeviceError, DeviceSilent, InvalidInput, PortError, Refused
from kymograph.sim.simulation import Simulation
from kymograph.sim.wire import PtyWire, TcpWire
from kymograph.sim.ydlidar import YdLidarDevice


def clock() -> Clock:
    return Clock(time.monotonic_ns, time.time_ns)


@contextmanager
def lidar(tmp_path, simulated: str = "X4", wire=None, device=None, **options):
    """A simulated lidar, and a driver that is not open yet."""
    options.setdefault("model", simulated)
    wire = wire or PtyWire(tmp_path / "lidar")
    with Simulation(device or YdLidarDevice(simulated), wire) as simulation:
        driver = YdLidar(YdLidarOptions(**options), clock(), simulation.url)
        try:
            yield simulation, driver
        finally:
            driver.close()


def read(driver, rows: int, deadline_s: float = 10.0):
    """Read until there are so many rows; return times and columns."""
    batches, until = [], time.monotonic() + deadline_s
    while sum(len(b.time_ns) for b in batches) < rows and time.monotonic() < until:
        batches += driver.read(0.1)
    assert sum(len(b.time_ns) for b in batches) >= rows
    return np.concatenate([b.time_ns for b in batches]), [
        np.concatenate([b.columns[i] for b in batches]) for i in range(4)
    ]


# One of each kind of wire format and behaviour.
@pytest.mark.parametrize(
    "model", ["X4", "X2", "X4Pro", "S4B", "G4", "G4B", "G6", "TG30", "TX8", "T-mini-Pro", "T-mini-PlusSH"]
)
def test_each_kind_of_model(model, tmp_path):
    with lidar(tmp_path, model) as (_, driver):
        device = driver.open()
        driver.start()
        times, (distance, angle, intensity, scan) = read(driver, int(driver.streams()[0].rate_hz / 5))
        assert device["model"] == model
        assert "warning" not in device
        assert (np.diff(times) >= 0).all()
        assert ((angle >= 0) & (angle < 360)).all()
        assert 0.3 < distance[distance > 0].min() < 2.0 < distance.max() < 6.0
        assert 0.01 < (distance == 0).mean() < 0.3
        assert (intensity[distance > 0] > 0).all() == (MODELS[model].intensity_bits > 0)
        assert (np.diff(scan.astype(int)) >= 0).all() and scan[-1] >= 1
        assert driver.counters.frames_bad == 0 and driver.counters.resyncs == 0


def test_two_revolutions_see_the_same_walls(tmp_path):
    with lidar(tmp_path) as (_, driver):
        driver.open()
        driver.start()
        _, (distance, angle, _, scan) = read(driver, 3 * 714)
        turns = []
        for number in (1, 2):
            mine = (scan == number) & (distance > 0)
            bins = np.full(360, np.nan)
            bins[angle[mine].astype(int)] = distance[mine]
            turns.append(bins)
        both = np.isfinite(turns[0]) & np.isfinite(turns[1])
        assert both.sum() > 250
        assert np.median(np.abs(turns[0] - turns[1])[both]) < 0.02


def test_angles_are_corrected_to_where_the_walls_are(tmp_path):
    # The wall on the left is straight, 1.7 m away; uncorrected angles would tilt it by 7 degrees.
    with lidar(tmp_path) as (_, driver):
        driver.open()
        driver.start()
        _, (distance, angle, _, _) = read(driver, 2000)
        left = (angle > 265) & (angle < 275) & (distance > 1.6)
        sideways = distance[left] * np.sin(np.radians(angle[left]))
        assert sideways == pytest.approx(np.full(left.sum(), -1.7), abs=0.03)


def test_a_rate_is_as_promised(tmp_path):
    with lidar(tmp_path) as (_, driver):
        driver.open()
        driver.start()
        times, _ = read(driver, 4000)
        rate = (len(times) - 1000) / ((times[-1] - times[1000]) / 1e9)
        assert rate == pytest.approx(driver.streams()[0].rate_hz, rel=0.1)


def test_what_the_device_says(tmp_path):
    with lidar(tmp_path, "G4") as (_, driver):
        device = driver.open()
    assert device == {
        "model": "G4", "model_id": 5, "firmware": "1.10", "hardware": 1,
        "serial_number": "0000000000000001", "health": "ok", "error_code": 0,
    }  # fmt: skip


def test_a_captured_device_information():
    captured = bytes.fromhex("A55A140000000496000102020002020101000300010101010101 01".replace(" ", ""))
    info = find_info(b"junk" + captured)
    assert info is not None
    assert (info.model_id, info.firmware, info.hardware) == (150, "1.0", 2)
    assert info.serial == "0202020101000300" or len(info.serial) == 16
    assert find_info(captured[:-1]) is None
    assert info_from_payload(bytes([6, 10, 1, 1]) + bytes(16)).firmware == "1.10"


def test_health_falls_back_to_the_other_command(tmp_path):
    with lidar(tmp_path, "T-mini") as (_, driver):
        assert driver.open()["health"] == "ok"


def test_another_model_is_a_warning(tmp_path):
    with lidar(tmp_path, "G4", model="G2C") as (_, driver):
        device = driver.open()
        assert "model 5" in device["warning"] and "G4" in device["warning"]


def test_early_tg_firmware_counts_half_millimetres(tmp_path):
    class Early(YdLidarDevice):
        def _info(self):
            info = bytearray(super()._info())
            info[8] = 2
            return bytes(info)

    with lidar(tmp_path, "TG15", device=Early("TG15")) as (_, driver):
        driver.open()
        assert driver.decoder.format.mm_per_count == 0.5


# Faults ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("model", ["X4", "X2"])
def test_silent_or_missing_device_is_told_within_three_seconds(model, tmp_path):
    with lidar(tmp_path, model) as (simulation, driver):
        simulation.fault("silence")
        began = time.monotonic()
        with pytest.raises(DeviceSilent):
            driver.open()
        driver.close()
        simulation.fault("unplug")
        with pytest.raises(PortError):
            driver.open()
        assert time.monotonic() - began < 4.0


def test_deaf_device(tmp_path):
    with lidar(tmp_path) as (simulation, driver):
        simulation.fault("refuse on")
        with pytest.raises(DeviceSilent):
            driver.open()


def test_device_that_goes_deaf_before_the_scan(tmp_path):
    with lidar(tmp_path) as (simulation, driver):
        driver.open()
        simulation.fault("refuse on")
        with pytest.raises(DeviceSilent):
            driver.start()


def test_device_that_reports_an_error(tmp_path):
    class Broken(YdLidarDevice):
        def _do(self, code):
            if code == 0x91:
                self._out += bytes.fromhex("a55a03000000060203 00".replace(" ", ""))
            else:
                super()._do(code)

    with lidar(tmp_path, device=Broken("X4")) as (_, driver):
        with pytest.raises(DeviceError, match="code 3"):
            driver.open()


def test_silence_while_scanning(tmp_path):
    with lidar(tmp_path, silence_s=0.5) as (simulation, driver):
        driver.open()
        driver.start()
        read(driver, 100)
        simulation.fault("silence")
        with pytest.raises(DeviceSilent):
            read(driver, 100_000)


def test_only_junk_is_silence_too(tmp_path):
    with lidar(tmp_path, silence_s=0.5) as (simulation, driver):
        driver.open()
        driver.start()
        simulation.fault("noise 1")
        with pytest.raises(DeviceSilent):
            read(driver, 100_000)
        assert driver.counters.bytes_received > 1000


def test_unplugged_while_scanning_and_back(tmp_path):
    with lidar(tmp_path) as (simulation, driver):
        driver.open()
        driver.start()
        times, _ = read(driver, 500)
        simulation.fault("unplug")
        with pytest.raises(PortError):
            read(driver, 100_000)
        driver.close()
        simulation.fault("replug")
        driver.open()
        driver.start()
        again, _ = read(driver, 500)
        assert again[0] > times[-1]


def test_damage_is_counted_and_passed_over(tmp_path):
    with lidar(tmp_path) as (simulation, driver):
        driver.open()
        driver.start()
        read(driver, 100)
        for fault in ("drop 33", "junk 50", "corrupt 3"):
            before = driver.counters.frames_bad + driver.counters.resyncs
            simulation.fault(fault)
            until = time.monotonic() + 10
            times = []
            while driver.counters.frames_bad + driver.counters.resyncs == before and time.monotonic() < until:
                times.append(read(driver, 200)[0])
            assert driver.counters.frames_bad + driver.counters.resyncs > before, fault
            assert (np.diff(np.concatenate(times)) >= 0).all()


def test_scan_left_running_by_another_program_is_stopped(tmp_path):
    device = YdLidarDevice("X4")
    device.receive(b"\xa5\x60")
    with lidar(tmp_path, device=device) as (_, driver):
        assert driver.open()["model_id"] == 6


def test_closing_stops_the_scan(tmp_path):
    with lidar(tmp_path) as (simulation, driver):
        driver.open()
        driver.start()
        read(driver, 100)
        driver.close()
        until = time.monotonic() + 5
        while simulation.device.scanning and time.monotonic() < until:
            time.sleep(0.005)
        assert not simulation.device.scanning


class Motor(Port):
    """A wire with the line DTR, which a pseudo-terminal has not."""

    def __init__(self):
        super().__init__(os.open(os.devnull, os.O_RDWR), "motor", 12_800.0)
        self.dtr: list[bool] = []

    def set_dtr(self, on):
        self.dtr.append(on)
        return True

    def close(self):
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def test_motor_is_started_by_the_rise_of_dtr():
    driver = YdLidar(YdLidarOptions(), clock())
    motor = driver._link = Motor()
    with pytest.raises(DeviceError):
        driver.start()
    assert motor.dtr == [False, True]
    driver.close()


# Intensity ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("simulated", "bits"), [("T-mini-PlusSH", 16), ("T-mini-Pro", 8), ("X4", 0)])
@pytest.mark.parametrize("configured", ["X4", "T-mini-PlusSH"])
def test_width_of_intensity_is_found(simulated, bits, configured, tmp_path):
    with lidar(tmp_path, simulated, model=configured, intensity="auto") as (_, driver):
        driver.open()
        driver.start()
        read(driver, 1000)
        assert driver.decoder.format.intensity_bits == bits


def test_width_once_found_survives_damage(tmp_path):
    with lidar(tmp_path, intensity="auto") as (simulation, driver):
        driver.open()
        driver.start()
        read(driver, 1000)
        simulation.fault("corrupt 400")
        read(driver, 1000)
        simulation.fault("ok")
        assert driver.decoder.format.intensity_bits == 0


# Frequency, rate, commands --------------------------------------------------------------------------------
def test_frequency_is_stepped_to(tmp_path):
    with lidar(tmp_path, "G4", frequency_hz=9.3) as (simulation, driver):
        driver.open()
        assert simulation.device.rotation_hz == pytest.approx(9.3, abs=0.11)
        driver.start()
        read(driver, 2000)
        assert driver.rotation_hz == pytest.approx(9.3, abs=0.11)


def test_frequency_command_while_scanning(tmp_path):
    with lidar(tmp_path, "TG15") as (simulation, driver):
        driver.open()
        driver.start()
        times, _ = read(driver, 1000)
        assert driver.run_command("set_frequency", {"frequency_hz": 5})["frequency_hz"] == pytest.approx(
            5, abs=0.11
        )
        assert simulation.device.rotation_hz == pytest.approx(5, abs=0.11)
        again, _ = read(driver, 20_000)
        assert again[0] >= times[-1]
        assert driver.run_command("rotation", {})["rotation_hz"] == pytest.approx(5, abs=0.11)
        assert driver.run_command("health", {})["health"] == "ok"
        read(driver, 1000)


def test_commands_that_a_model_does_not_know_are_refused(tmp_path):
    with lidar(tmp_path, "X2") as (_, driver):
        driver.open()
        with pytest.raises(Refused):
            driver.run_command("set_frequency", {"frequency_hz": 6})
        with pytest.raises(Refused):
            driver.run_command("health", {})
    with lidar(tmp_path, "G4") as (_, driver):
        driver.open()
        with pytest.raises(InvalidInput):
            driver.run_command("set_frequency", {"frequency_hz": 99})
        with pytest.raises(InvalidInput):
            driver.run_command("set_frequency", {"frequency_hz": "fast"})


@pytest.mark.parametrize(("model", "rate_khz"), [("G4", 4), ("F4Pro", 6), ("G6", 16), ("TG30", 10)])
def test_sampling_rate_is_switched(model, rate_khz, tmp_path):
    with lidar(tmp_path, model, rate_khz=rate_khz) as (simulation, driver):
        driver.open()
        assert simulation.device.rate_hz == rate_khz * 1000 == driver.streams()[0].rate_hz


def test_over_tcp(tmp_path):
    with lidar(tmp_path, wire=TcpWire()) as (_, driver):
        driver.open()
        driver.start()
        read(driver, 500)
        assert driver.link_load() is None


# Configuration --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "options",
    [{"model": "X9"}, {"model": "X4", "rate_khz": 9}, {"model": "X4", "frequency_hz": 7},
     {"model": "G4", "frequency_hz": 20}, {"intensity": 12}, {"colour": "red"}],
)  # fmt: skip
def test_options_that_make_no_sense(options):
    with pytest.raises(ValidationError):
        YdLidarOptions(**options)
    with pytest.raises(ConfigError):
        registry.parse_options("ydlidar", options)


def test_names_of_models_are_read_kindly():
    assert [canonical(name) for name in ("x4", "X4 Pro", "tmini pro", "G2(B)", "T-mini-PlusSH")] == [
        "X4", "X4Pro", "T-mini-Pro", "G2", "T-mini-PlusSH",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "needed", "carried"),
    [("X4", 11_250, 12_800), ("X2", 6_750, 11_520), ("G4", 20_250, 23_040), ("G2", 16_250, 23_040),
     ("G6", 40_500, 51_200), ("TG30", 45_000, 51_200), ("T-mini", 13_000, 23_040)],
)  # fmt: skip
def test_load_of_the_line(model, needed, carried):
    load = YdLidar(YdLidarOptions(model=model), clock(), "serial:///dev/ttyUSB0").link_load()
    assert load is not None
    assert (load.needed_bytes_per_s, load.carried_bytes_per_s) == (needed, carried)
    load.check()


def test_every_model_fits_its_own_line():
    for model in MODELS.values():
        for rate in model.rates_khz:
            link_load(rate, model.intensity_bits, model.baud).check()


def test_a_line_that_is_too_slow_is_refused_with_the_arithmetic():
    load = YdLidar(YdLidarOptions(model="X4"), clock(), "serial:///dev/ttyUSB0?baud=115200").link_load()
    assert load is not None
    with pytest.raises(
        ConfigError, match=r"5000 samples/s x 2 B .* = 11250 B/s, and 115200 baud carry 11520"
    ):
        load.check()
