"""What every driver must keep, ours and others': found by the registry, tested the moment it exists.

A driver whose device is simulated under its own name is run against that simulator over a pseudo-terminal.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kymograph.drivers import registry
from kymograph.drivers.base import Driver
from kymograph.model.block import Block, Rows
from kymograph.model.clock import Clock
from kymograph.model.errors import ConfigError, DeviceError, InvalidInput
from kymograph.sim import registry as simulators
from kymograph.sim.simulation import Simulation
from kymograph.sim.wire import PtyWire

SAMPLE_OPTIONS: dict[str, dict[str, Any]] = {
    "arduino_stepper": {"time_scale": 0.005},
    "bme280": {"rate_hz": 200, "pressure_oversampling": 1, "time_scale": 0.02},
    "cpu_temp": {"rate_hz": 100, "vcgencmd": "", "thermal": "/proc/sys/kernel/pid_max"},
    "disk_space": {"rate_hz": 200, "timeout_s": 20},
    "qseries": {"time_scale": 0.005},
    "stm32": {"protocol": "frames", "rate_hz": 1000, "link": "usb"},
    "text_line": {"pairs": True, "rate_hz": 200, "channels": [{"name": name} for name in "TPH"]},
}
"""For drivers whose options have no defaults, or whose devices are slower than a test, or are not there: any
file that holds a number is a thermometer."""
DEVICES: dict[str, dict[str, str]] = {
    "arduino_stepper": {"time_scale": "0.005"},
    "bme280": {"time_scale": "0.02"},
    "qseries": {"time_scale": "0.005"},
    "stm32": {"protocol": "frames", "rate_hz": "1000"},
    "text_line": {"rate_hz": "200"},
}
"""Parameters of the simulators."""
ROWS = 100
DEADLINE_S = 20.0

NAMES = registry.names()
SIMULATED = [name for name in NAMES if name in simulators.names()]
WITHOUT_DEVICE = ["cpu_temp", "disk_space", "sine"]


def made(name: str, port: str = "", clock: Clock | None = None) -> Driver[Any]:
    options = registry.parse_options(name, SAMPLE_OPTIONS.get(name, {}))
    return registry.find(name)(options, clock or Clock(time.monotonic_ns, time.time_ns), port)


@contextmanager
def running(name: str, folder: Path) -> Iterator[tuple[Driver[Any], Simulation | None]]:
    """A driver, not open yet, and its simulated device."""
    if name not in SIMULATED:
        driver = made(name)
        yield driver, None
        driver.close()
        return
    with Simulation(simulators.make(name, DEVICES.get(name, {})), PtyWire(folder / "device")) as simulation:
        driver = made(name, simulation.url)
        yield driver, simulation
        driver.close()


def read(driver: Driver[Any], rows: int = ROWS) -> list[Rows]:
    batches: list[Rows] = []
    until = time.monotonic() + DEADLINE_S
    while sum(len(batch.time_ns) for batch in batches) < rows and time.monotonic() < until:
        batches += driver.read(0.1)
    assert sum(len(batch.time_ns) for batch in batches) >= rows
    return batches


def test_there_are_drivers():
    assert {"sine", "ydlidar"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_streams_are_known_before_it_is_open_and_stay(name):
    driver = made(name)
    streams = driver.streams()
    assert streams and len({stream.name for stream in streams}) == len(streams)
    assert driver.streams() == streams
    assert made(name).streams() == streams


@pytest.mark.parametrize("name", NAMES)
def test_options_refuse_what_they_do_not_know(name):
    options = SAMPLE_OPTIONS.get(name, {})
    with pytest.raises(ConfigError, match="no_such_option"):
        registry.parse_options(name, {**options, "no_such_option": 1})
    schema = registry.find(name).Options.model_json_schema()
    assert schema["type"] == "object" and schema["additionalProperties"] is False


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name):
    driver = registry.find(name)
    assert driver.__doc__
    module = __import__(driver.__module__, fromlist=["_"])
    assert module.__doc__ and f'driver = "{name}"' in module.__doc__, "a driver's module shows its TOML"


@pytest.mark.parametrize("name", NAMES)
def test_commands_are_described_and_checked(name):
    for described in registry.describe(name)["commands"]:
        assert described["description"] and described["arguments"]["type"] == "object"
    with pytest.raises(InvalidInput):
        made(name).run_command("no_such_command", {})
    for command in registry.find(name).commands():
        with pytest.raises(InvalidInput):
            made(name).run_command(command, {"no_such_argument": 1})


@pytest.mark.parametrize("name", NAMES)
def test_link_load_is_carried(name):
    load = made(name, "serial:///dev/none").link_load()
    if load is not None:
        load.check()
        assert load.arithmetic


@pytest.mark.parametrize("name", NAMES)
def test_close_may_come_at_any_time_and_twice(name):
    driver = made(name)
    driver.close()
    driver.close()


@pytest.mark.parametrize("name", [*SIMULATED, *WITHOUT_DEVICE])
def test_rows_fit_their_streams_and_never_run_backwards(name, tmp_path):
    with running(name, tmp_path) as (driver, _):
        before_ns = time.time_ns()
        assert isinstance(dict(driver.open()), dict)
        driver.start()
        streams = {stream.name: stream for stream in driver.streams()}
        last: dict[str, int] = {}
        for batch in read(driver):
            times = np.asarray(batch.time_ns)
            assert times.dtype == np.int64
            assert (np.diff(times) >= 0).all()
            assert times[0] >= last.get(batch.stream, before_ns - 10**9)
            assert times[-1] <= time.time_ns() + 10**7
            last[batch.stream] = int(times[-1])
            stream = streams[batch.stream]
            for column, dtype in zip(batch.columns, stream.dtypes, strict=True):
                assert np.can_cast(column.dtype, dtype, "same_kind")
            block = Block.pack(stream, 1, 0, batch)
            assert block.rows == len(times)
        assert driver.counters.frames_good > 0 and driver.counters.frames_bad == 0


@pytest.mark.parametrize("name", [*SIMULATED, *WITHOUT_DEVICE])
def test_stop_start_close_open(name, tmp_path):
    with running(name, tmp_path) as (driver, _):
        for _ in range(2):
            driver.open()
            for _ in range(2):
                driver.start()
                read(driver, 50)
                driver.stop()
            driver.close()
            driver.close()


@pytest.mark.parametrize("name", SIMULATED)
def test_a_port_that_is_not_there_is_a_device_error(name, tmp_path):
    driver = made(name, f"serial://{tmp_path}/none")
    with pytest.raises(DeviceError) as caught:
        driver.open()
    assert caught.value.hint
    driver.close()


@pytest.mark.parametrize("name", SIMULATED)
def test_a_silent_device_is_told_within_three_seconds(name, tmp_path):
    with running(name, tmp_path) as (driver, simulation):
        assert simulation is not None
        simulation.fault("silence")
        began = time.monotonic()
        with pytest.raises(DeviceError):
            driver.open()
            driver.start()
            read(driver)
        assert time.monotonic() - began < DEADLINE_S


@pytest.mark.parametrize("name", SIMULATED)
def test_unplugged_and_plugged_in_again(name, tmp_path):
    with running(name, tmp_path) as (driver, simulation):
        assert simulation is not None
        driver.open()
        driver.start()
        read(driver)
        simulation.fault("unplug")
        with pytest.raises(DeviceError):
            read(driver, 10**9)
        driver.close()
        simulation.fault("replug")
        driver.open()
        driver.start()
        read(driver)


@pytest.mark.parametrize("name", SIMULATED)
def test_damage_on_the_wire_is_counted_and_never_raised(name, tmp_path):
    with running(name, tmp_path) as (driver, simulation):
        assert simulation is not None
        driver.open()
        driver.start()
        read(driver)
        simulation.fault("noise 0.002")
        until = time.monotonic() + DEADLINE_S
        while driver.counters.frames_bad == 0 and time.monotonic() < until:
            read(driver)
        assert driver.counters.frames_bad > 0
        simulation.fault("ok")
        read(driver)


MOVERS = [name for name in NAMES if made(name).actuators()]


def values_of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What a JSON schema of an argument allows."""
    low, high = schema.get("minimum"), schema.get("maximum")
    match schema:
        case {"enum": choices}:
            return st.sampled_from(choices)
        case {"type": "integer"}:
            return st.integers(low, high)
        case {"type": "number"}:
            return st.floats(low, high, allow_nan=False, allow_infinity=False)
        case {"type": "boolean"}:
            return st.booleans()
        case {"type": "array", "items": items}:
            return st.lists(
                values_of(items), min_size=schema.get("minItems", 0), max_size=schema.get("maxItems")
            )
        case _:
            return st.text(max_size=20)


def orders(name: str) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """Any command of a driver with any arguments that its schema allows."""
    described = [(one["name"], one["arguments"]) for one in registry.describe(name)["commands"]]
    return st.one_of(
        [
            st.fixed_dictionaries(
                {
                    key: values_of(part)
                    for key, part in schema["properties"].items()
                    if key in schema["required"]
                },
                optional={
                    key: values_of(part)
                    for key, part in schema["properties"].items()
                    if key not in schema["required"]
                },
            ).map(lambda given, command=command: (command, given))
            for command, schema in described
        ]
    )


def test_there_are_drivers_that_move_something():
    assert {"stm32", "arduino_stepper"} <= set(MOVERS)


@pytest.mark.parametrize("name", MOVERS)
def test_what_it_says_of_its_actuators_names_only_those_that_there_are(name, tmp_path):
    with running(name, tmp_path) as (driver, _):
        there = {actuator.name: actuator for actuator in driver.actuators()}
        assert len(there) == len(driver.actuators())
        assert set(driver.read_back()) <= set(there)
        for command in driver.commands():
            assert set(driver.moves(command, {})) <= set(there)  # asked before arguments are checked
        driver.open()
        moved: set[str] = set()

        @settings(max_examples=60, deadline=None, database=None)
        @given(orders(name))
        def every_order(order: tuple[str, dict[str, Any]]) -> None:
            driver.check_command(*order)
            moves, expected = driver.moves(*order), driver.expects(*order)
            moved.update(moves)
            assert set(moves) <= set(there)
            assert set(expected) <= set(there)
            assert all(math.isfinite(value) for value in expected.values())

        every_order()
        shown = driver.read_back()
        assert set(shown) <= set(there)
        for key, value in shown.items():
            assert value is None or there[key].check(value) == value
        assert moved == set(there), "each actuator is moved by some command"


@pytest.mark.parametrize("name", NAMES)
def test_no_argument_is_called_as_what_a_command_is_given_with(name):
    for described in registry.describe(name)["commands"]:
        assert "late_s" not in described["arguments"]["properties"]
