"""The light sensor over a pseudo-terminal, with the firmware's side of every dialogue."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kymograph.acquire.instrument import Instrument
from kymograph.drivers import registry
from kymograph.drivers.dialogue import Dialogue
from kymograph.drivers.ports import open_port
from kymograph.drivers.qseries_menu import Menu
from kymograph.model.block import Block
from kymograph.model.clock import Clock
from kymograph.model.errors import ConfigError, DeviceError, DeviceSilent
from kymograph.sim import registry as simulators
from kymograph.sim.simulation import Simulation
from kymograph.sim.wire import PtyWire

SCALE = 0.02


class Sink:
    rows_lost = 0

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    def put(self, block: Block) -> bool:
        self.blocks.append(block)
        return True

    @property
    def values(self) -> list[float]:
        return [float(value) for block in self.blocks for value in block.columns()[0]]


class Bench:
    """A sensor on its wire, and an instrument that reads it."""

    def __init__(self, folder: Path, **parameters: str) -> None:
        self.log = folder / "sent.jsonl"
        given = {"time_scale": str(SCALE), "log": str(self.log), **parameters}
        self.device: Any = simulators.make("qseries", given)
        self.simulation = Simulation(self.device, PtyWire(folder / "port"))
        self.clock = Clock(time.monotonic_ns, time.time_ns)
        self.notices: list[tuple[str, str, dict[str, Any]]] = []
        self.sink = Sink()
        self._instruments: list[Instrument] = []

    def instrument(self, query: str = "", **options: Any) -> Instrument:
        said = {"time_scale": SCALE, **options}
        parsed = registry.parse_options("qseries", said)
        kind = registry.find("qseries")
        made = Instrument(
            "sensor", "qseries", lambda: kind(parsed, self.clock, self.simulation.url + query), self.clock,
            lambda *notice: self.notices.append(notice),
        )  # fmt: skip
        made.feeds["reading"].fanout.add(self.sink)
        self._instruments.append(made)
        return made

    def sent(self) -> list[float]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [float(json.loads(line)["line"].removeprefix("C,").split(",")[0]) for line in lines]

    def gaps(self) -> list[dict[str, Any]]:
        return [body for _, kind, body in self.notices if kind == "gap"]

    def close(self) -> None:
        for instrument in self._instruments:
            assert instrument.shutdown(10)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**parameters: str) -> Bench:
        made.append(Bench(tmp_path, **parameters))
        made[-1].simulation.__enter__()
        return made[-1]

    yield make
    for one in made:
        one.close()
        one.simulation.__exit__()


def until(condition: Callable[[], Any], what: str = "it", timeout_s: float = 20.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} never came"
        time.sleep(0.005)
    return found


def acquiring(instrument: Instrument, rows: int = 5) -> None:
    instrument.launch("acquiring")
    until(lambda: instrument.status().health.rows >= rows, f"{rows} rows ({instrument.status()})")


def test_free_run_gives_every_reading_that_was_sent(bench: Callable[..., Bench]) -> None:
    one = bench()
    instrument = one.instrument()
    acquiring(instrument, 20)
    instrument.act("stop")
    assert one.sink.values == one.sent()
    device = instrument.status().device
    assert (device["sensor_id"], device["firmware"], device["sample_period_s"]) == ("Q12345", "4.003", 1.0)
    first = one.sink.blocks[0]
    assert all(int(t) % 1000 == 0 for t in first.time_ns)
    assert first.columns()[3][0] == 0 and instrument.status().health.frames_bad == 0


def test_polled_answers_come_with_their_tag(bench: Callable[..., Bench]) -> None:
    one = bench()
    instrument = one.instrument(mode="polled", tag="C", averaging=60, adc_rate_hz=62)
    acquiring(instrument, 10)
    assert one.device.memory.polled and one.device.memory.tag == "C"
    assert one.device.memory.averaging == 60 and one.device.memory.adc_rate == 62
    assert one.sink.blocks[0].columns()[3][0] == 1
    times = [t for block in one.sink.blocks[2:] for t in block.time_ns.tolist()]
    nominal_s = 60 / 62 * SCALE
    assert max(b - a for a, b in pairwise(times)) < 1.8 * nominal_s * 1e9 + 30e6
    instrument.act("stop")
    assert one.sink.values == one.sent()


def test_options_are_set_once_and_read_back(bench: Callable[..., Bench]) -> None:
    one = bench(averaging="10", adc_rate_hz="250", mode="polled", tag="B")
    instrument = one.instrument(averaging=125, adc_rate_hz=125, mode="freerun")
    acquiring(instrument, 2)
    told = instrument.status().device
    assert (told["averaging"], told["adc_rate_hz"], told["mode"]) == (125, 125, "freerun")


@pytest.mark.parametrize(("temperature", "voltage"), [("1", "0"), ("0", "1"), ("0", "0")])
def test_columns_are_what_the_menu_says(bench: Callable[..., Bench], temperature: str, voltage: str) -> None:
    one = bench(temperature=temperature, voltage=voltage, preamble="$L1-2,")
    instrument = one.instrument()
    acquiring(instrument, 3)
    _, degrees, volts, _ = one.sink.blocks[0].columns()
    assert (degrees[0] == degrees[0]) == (temperature == "1")
    assert (volts[0] == volts[0]) == (voltage == "1")
    assert instrument.status().device["preamble"] == "$L1-2,"


def test_pause_and_resume_lose_nothing_that_was_sent(bench: Callable[..., Bench]) -> None:
    one = bench()
    instrument = one.instrument()
    acquiring(instrument, 3)
    for _ in range(5):
        instrument.act("pause")
        assert instrument.status().paused
        instrument.act("resume")
        rows = instrument.status().health.rows
        until(lambda rows=rows: instrument.status().health.rows > rows, "another row")
    instrument.act("stop")
    assert one.sink.values == one.sent()
    assert {gap["reason"] for gap in one.gaps()} == {"paused"}


def test_a_brown_out_is_a_silence_and_the_sensor_goes_on(bench: Callable[..., Bench]) -> None:
    one = bench()
    instrument = one.instrument(mode="polled", tag="C")
    acquiring(instrument, 5)
    one.simulation.fault("brownout")
    rows = instrument.status().health.rows
    until(lambda: instrument.status().health.rows > rows + 5, "rows after the brown-out")
    assert [gap["reason"] for gap in one.gaps()] == ["device silent"]
    assert instrument.status().health.reopens == 0


def test_unplugged_and_plugged_in_again(bench: Callable[..., Bench]) -> None:
    one = bench()
    instrument = one.instrument()
    acquiring(instrument, 5)
    one.simulation.fault("unplug")
    until(lambda: instrument.status().state == "fault", "a fault")
    one.simulation.fault("replug")
    rows = instrument.status().health.rows
    until(lambda: instrument.status().health.rows > rows + 3, "rows after the cable is back")
    assert [gap["reason"] for gap in one.gaps()] == ["device silent"]


@pytest.mark.parametrize("bytes_heard", ["\\x1b", "?", "\\x1bA", "\\x1bR12", "\\x1bM"])
def test_junk_that_calls_the_menu_is_undone(bench: Callable[..., Bench], bytes_heard: str) -> None:
    one = bench()
    instrument = one.instrument()
    acquiring(instrument, 5)
    one.simulation.fault(f"hear {bytes_heard}")
    rows = instrument.status().health.rows
    until(lambda: instrument.status().health.rows > rows + 5, "rows after the junk")
    assert one.device.memory.averaging == 125 and one.device.memory.adc_rate == 125


def test_a_probe_of_another_program_does_no_harm(bench: Callable[..., Bench]) -> None:
    one = bench()
    instrument = one.instrument()
    acquiring(instrument, 3)
    one.simulation.fault("probe")
    one.simulation.fault("junk 40")
    rows = instrument.status().health.rows
    until(lambda: instrument.status().health.rows > rows + 5, "rows after the probe")


def test_a_quiet_sensor_is_read_too(bench: Callable[..., Bench]) -> None:
    one = bench(quiet="1", mode="polled")
    acquiring(one.instrument(), 4)


def test_another_baud_rate_is_found(bench: Callable[..., Bench]) -> None:
    one = bench(baud="19200")
    instrument = one.instrument()
    instrument.launch("acquiring")
    until(lambda: instrument.status().health.rows > 3, "rows", 60)
    assert instrument.status().device["baud"] == 19200


def test_a_converter_that_fails_is_told(bench: Callable[..., Bench]) -> None:
    one = bench()
    instrument = one.instrument()
    instrument.launch("idle")
    until(lambda: instrument.status().state == "idle", "the menu")
    one.simulation.fault("adc fail")
    instrument.act("start")
    until(lambda: "converter" in instrument.status().error, "the error")
    one.simulation.fault("adc ok")
    until(lambda: instrument.status().health.rows > 2, "rows once it works again")


@pytest.mark.parametrize(
    ("fault", "options"), [("rate fail", {"adc_rate_hz": 62}), ("error write", {"averaging": 7})]
)
def test_a_setting_that_is_not_taken_is_an_error(
    bench: Callable[..., Bench], fault: str, options: dict[str, Any]
) -> None:
    one = bench()
    one.simulation.fault(fault)
    instrument = one.instrument(**options)
    instrument.launch("idle")
    until(lambda: "did not take" in instrument.status().error, "the error")
    one.simulation.fault(fault.split()[0] + " ok")
    until(lambda: instrument.status().state == "idle", "the second attempt")


def test_the_menu_refuses_what_the_firmware_refuses(bench: Callable[..., Bench]) -> None:
    one = bench()
    port = open_port(one.simulation.url)
    said: list[str] = []
    menu = Menu(Dialogue(port, threading.Event()), said.append)
    menu.enter()
    with pytest.raises(DeviceError, match="did not take"):
        menu.set_averaging(0)
    assert one.device.memory.averaging == 12
    with pytest.raises(DeviceError, match="Invalid rate"):
        menu.set_rate(7)
    with pytest.raises(DeviceError, match="Bad TAG"):
        menu.set_mode(True, "a")
    with pytest.raises(DeviceSilent):
        Menu(Dialogue(port, threading.Event()), said.append).restart()
        menu.restart()  # it is sampling now and takes no letter
    port.close()
    assert "waiting for the menu" in said


def test_a_rate_that_the_line_cannot_carry_is_refused() -> None:
    options = registry.parse_options("qseries", {"averaging": 1, "adc_rate_hz": 125})
    made = registry.find("qseries")(options, Clock(time.monotonic_ns, time.time_ns), "serial:///dev/ttyUSB0")
    load = made.link_load()
    assert load is not None
    with pytest.raises(ConfigError, match="9600 baud carry 960"):
        load.check()


def test_nobody_there_is_said_with_what_to_do(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.simulation.fault("refuse on")
    one.simulation.fault("silence")
    instrument = one.instrument()
    instrument.launch("acquiring")
    until(lambda: instrument.status().activity, "a dialogue")
    began = time.monotonic()
    instrument.act("close")
    assert instrument.status().state == "closed"
    assert time.monotonic() - began < 5.0
