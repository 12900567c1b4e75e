"""The test stand's controller over a pseudo-terminal: identity, orders and their answers, faults."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kymograph.drivers import registry
from kymograph.drivers.stm32_channels import NAMES, VALVES
from kymograph.model.block import Rows
from kymograph.model.clock import Clock
from kymograph.model.errors import (
    ConfigError,
    DeviceError,
    DeviceSilent,
    InvalidInput,
    Refused,
    TimedOut,
    Unavailable,
)
from kymograph.sim import registry as simulators
from kymograph.sim.simulation import Simulation
from kymograph.sim.wire import PtyWire

EIGHT = [f"P{i}" for i in range(1, 9)]
PATTERN = [0, 1, 1, 0, 1, 0, 0, 1, 0]
FRAMES = {"protocol": "frames", "rate_hz": 1000, "link": "usb"}


class Bench:
    """A controller on its wire, and a driver that may be opened on it."""

    def __init__(self, folder: Path, **parameters: str) -> None:
        self.device: Any = simulators.make("stm32", parameters)
        self.simulation = Simulation(self.device, PtyWire(folder / "port"))
        self.drivers: list[Any] = []

    def driver(self, **options: Any) -> Any:
        parsed = registry.parse_options("stm32", options)
        clock = Clock(time.monotonic_ns, time.time_ns)
        self.drivers.append(registry.find("stm32")(parsed, clock, self.simulation.url))
        return self.drivers[-1]

    def running(self, **options: Any) -> Any:
        driver = self.driver(**options)
        driver.open()
        driver.start()
        return driver

    @property
    def valves(self) -> list[int]:
        return list(self.device.rocket.valves)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**parameters: str) -> Bench:
        made.append(Bench(tmp_path, **parameters))
        made[-1].simulation.__enter__()
        return made[-1]

    yield make
    for one in made:
        for driver in one.drivers:
            driver.close()
        one.simulation.__exit__()


@pytest.fixture(params=["text", "frames"])
def spoken(request: pytest.FixtureRequest, bench: Callable[..., Bench]) -> tuple[Bench, dict[str, Any]]:
    """A bench and the options that fit, in either protocol."""
    if request.param == "text":
        return bench(), {}
    return bench(protocol="frames", rate_hz="1000"), dict(FRAMES)


def read(driver: Any, rows: int) -> list[Rows]:
    batches: list[Rows] = []
    until = time.monotonic() + 15
    while sum(len(batch.time_ns) for batch in batches) < rows:
        assert time.monotonic() < until, "rows stopped"
        batches += driver.read(0.1)
    return batches


def until(driver: Any, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        driver.read(0.05)


def column(batches: list[Rows], name: str) -> np.ndarray:
    return np.concatenate([batch.columns[NAMES.index(name)] for batch in batches])


# -- rows --------------------------------------------------------------------------------------------------
def test_rows_are_quantities(spoken: tuple[Bench, dict[str, Any]]) -> None:
    bench, options = spoken
    batches = read(bench.running(**options), 20)
    assert abs(column(batches, "P1").mean() - 36) < 1
    assert abs(column(batches, "T3").mean() - 22) < 1
    assert abs(column(batches, "thrust")).max() < 20
    text = options.get("protocol") != "frames"
    assert np.isnan(column(batches, "Debi1")).all() == text


def test_nothing_is_lost_between_reads(bench: Callable[..., Bench]) -> None:
    one = bench(protocol="frames", rate_hz="5000")
    driver = one.running(**{**FRAMES, "rate_hz": 5000})
    read(driver, 100)
    for _ in range(10):  # until the computer was not so busy that the wire itself overran
        overrun, bad = one.simulation.wire.bytes_overrun, driver.counters.frames_bad
        batches = read(driver, 3000)
        if one.simulation.wire.bytes_overrun == overrun:
            break
    assert one.simulation.wire.bytes_overrun == overrun, "the wire overran each time"
    assert sum(batch.missing for batch in batches) == 0 and driver.counters.frames_bad == bad
    times = np.concatenate([batch.time_ns for batch in batches])
    assert abs(np.diff(times).mean() - 200_000) < 20_000


def test_lost_frames_jump_in_seq(bench: Callable[..., Bench]) -> None:
    one = bench(protocol="frames", rate_hz="1000")
    driver = one.running(**FRAMES)
    read(driver, 50)
    one.simulation.fault("skip 7")
    missing = 0
    deadline = time.monotonic() + 10
    while not missing and time.monotonic() < deadline:
        missing = sum(batch.missing for batch in driver.read(0.1))
    assert missing == 70


def test_a_device_that_resets_is_told_as_a_silence(bench: Callable[..., Bench]) -> None:
    one = bench(protocol="frames", rate_hz="1000", seq="40000", t0_us="3000000000")
    driver = one.running(**FRAMES)
    read(driver, 200)
    one.device.first_seq = one.device.first_t0_us = 0
    one.simulation.fault("reset")
    until(driver, lambda: driver.fell_silent)
    assert sum(batch.missing for batch in read(driver, 100)) == 0


def test_scale_and_offset_and_own_channels(bench: Callable[..., Bench]) -> None:
    one = bench(protocol="frames", rate_hz="1000", channels="2")
    driver = one.running(**FRAMES, channels=["P1", "raw"], scale={"P1": 0.002}, offset={"P1": -2.0})
    assert [(c.name, c.unit) for c in driver.streams()[0].channels] == [("P1", "bar"), ("raw", "")]
    batch = read(driver, 50)[0]
    assert abs(float(batch.columns[0].mean()) - 72) < 2
    assert abs(float(batch.columns[1].mean()) - 1000) < 200


def test_a_stuck_value_and_damage(bench: Callable[..., Bench]) -> None:
    one = bench(protocol="frames", rate_hz="1000")
    driver = one.running(**FRAMES)
    one.simulation.fault("stuck P1")
    one.simulation.fault("noise 0.001")
    until(driver, lambda: driver.counters.frames_bad > 3)
    one.simulation.fault("ok")
    read(driver, 100)
    assert len(set(column(read(driver, 100), "P1").tolist())) == 1


def test_valves_are_asked_for_after_a_silence(bench: Callable[..., Bench]) -> None:
    one = bench(protocol="frames", rate_hz="1000")
    driver = one.running(**FRAMES, safe="100000001")
    driver.make_safe()
    until(driver, lambda: None not in driver.read_back().values())
    # The controller says of itself how its valves are once a second; not so here.
    one.device._status_at_s = float("inf")
    one.simulation.fault("silence 1.5")
    until(driver, lambda: None in driver.read_back().values())
    until(driver, lambda: list(driver.read_back().values()) == [1, 0, 0, 0, 0, 0, 0, 0, 1])


def test_valves_are_asked_for_when_the_device_began_anew(bench: Callable[..., Bench]) -> None:
    one = bench(protocol="frames", rate_hz="1000", seq="40000", t0_us="3000000000")
    driver = one.running(**FRAMES)
    driver.set_valves(PATTERN)
    read(driver, 100)
    one.device.first_seq = one.device.first_t0_us = 0
    one.simulation.fault("reset")
    until(driver, lambda: driver.fell_silent)
    one.device._status_at_s = float("inf")
    until(driver, lambda: list(driver.read_back().values()) == [0.0] * 9)


def test_everything_that_stands_still_is_told_and_counted(bench: Callable[..., Bench]) -> None:
    one = bench(protocol="frames", rate_hz="1000", channels="1")
    driver = one.running(**FRAMES, channels=["P1"], stuck_s=0.2)
    read(driver, 500)
    bad = driver.counters.frames_bad
    assert driver.activity == ""
    one.simulation.fault("stuck P1")
    until(driver, lambda: "stand still" in driver.activity)
    assert driver.counters.frames_bad == bad + 1
    one.simulation.fault("ok")
    one.simulation.fault("stuck off")
    until(driver, lambda: driver.activity == "")


def test_five_seconds_of_silence_are_told(bench: Callable[..., Bench]) -> None:
    one = bench()
    driver = one.running(silence_s=0.5)
    assert one.driver().silence_s == 5.0
    one.simulation.fault("silence")
    with pytest.raises(DeviceSilent):
        for _ in range(50):
            driver.read(0.1)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening gives up sooner: what does not come in 0.7 s does not come at all here."""
    monkeypatch.setattr("kymograph.drivers.stm32.OPEN_TIMEOUT_S", 0.7)


# -- identity ----------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("impatient")
def test_who_is_there(bench: Callable[..., Bench]) -> None:
    one = bench(protocol="frames", rate_hz="1000", name="stand-1")
    driver = one.driver(**FRAMES, device="stand-1")
    facts = driver.open()
    driver.close()
    assert (facts["name"], facts["rate_hz"], facts["device_channels"]) == ("stand-1", 1000.0, 24)
    with pytest.raises(DeviceError, match="calls itself 'stand-1'"):
        one.driver(**FRAMES, device="stand-2").open()


@pytest.mark.usefixtures("impatient")
def test_the_other_protocol_is_named(bench: Callable[..., Bench]) -> None:
    with pytest.raises(DeviceError, match="speaks text"):
        bench().driver(**FRAMES).open()


@pytest.mark.usefixtures("impatient")
def test_frames_where_text_is_configured(bench: Callable[..., Bench]) -> None:
    with pytest.raises(DeviceError, match="speaks frames"):
        bench(protocol="frames", rate_hz="500").driver().open()


@pytest.mark.usefixtures("impatient")
def test_another_number_of_channels_is_refused(bench: Callable[..., Bench]) -> None:
    with pytest.raises(DeviceError, match="19 channels, and 24") as caught:
        bench(protocol="frames", channels="19", rate_hz="500").driver(**FRAMES).open()
    assert "set channels" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("LD1: ON", "demonstration"),
        ("Sistem aktif - yeni komut bekleniyor...", "stepper"),
        ("Hello there", "port"),
    ],
)
@pytest.mark.parametrize("options", [{}, FRAMES], ids=["text", "frames"])
@pytest.mark.usefixtures("impatient")
def test_another_device_is_refused(tmp_path: Path, said: str, hint: str, options: dict[str, Any]) -> None:
    class Other:
        interval_s, baud = 0.05, 0

        def receive(self, data: bytes) -> None: ...
        def power_on(self) -> None: ...
        def fault(self, words: list[str]) -> bool:
            return False

        def advance(self, time_s: float) -> bytes:
            return said.encode() + b" and so on\r\n"

    with Simulation(Other(), PtyWire(tmp_path / "other")) as simulation:
        parsed = registry.parse_options("stm32", dict(options))
        driver = registry.find("stm32")(parsed, Clock(time.monotonic_ns, time.time_ns), simulation.url)
        with pytest.raises(DeviceError, match="another device") as caught:
            driver.open()
        assert said in caught.value.message and hint in caught.value.hint
        driver.close()


# -- orders ------------------------------------------------------------------------------------------------
def test_valves_are_set_and_read_back(spoken: tuple[Bench, dict[str, Any]]) -> None:
    bench, options = spoken
    driver = bench.running(**options)
    result = driver.run_command("set_valves", {"valves": PATTERN})
    assert result["outcome"] == "verified" and result["valves"] == PATTERN
    assert bench.valves == PATTERN
    assert list(driver.read_back().values()) == PATTERN and list(driver.read_back()) == list(VALVES)
    read(driver, 5)


@pytest.mark.parametrize("valves", [[0] * 8, [0] * 10, [2] + [0] * 8, [-1] * 9, "010010110", []])
def test_what_are_no_valves(spoken: tuple[Bench, dict[str, Any]], valves: Any) -> None:
    bench, options = spoken
    driver = bench.running(**options)
    with pytest.raises(InvalidInput):
        driver.run_command("set_valves", {"valves": valves})
    with pytest.raises(InvalidInput):
        driver.set_valves(valves)
    assert bench.valves == [0] * 9


def test_a_refusal_says_why(spoken: tuple[Bench, dict[str, Any]]) -> None:
    bench, options = spoken
    driver = bench.running(**options)
    bench.simulation.fault("nack on")
    with pytest.raises(Refused, match="refused"):
        driver.set_valves(PATTERN)
    assert bench.valves == [0] * 9
    bench.simulation.fault("nack off")
    assert driver.set_valves(PATTERN)["outcome"] == "verified"


def test_no_answer_is_a_time_out_and_the_valves_are_unknown(spoken: tuple[Bench, dict[str, Any]]) -> None:
    bench, options = spoken
    driver = bench.running(**options, ack_timeout_s=0.2)
    driver.set_valves(PATTERN)
    bench.simulation.fault("mute on")
    with pytest.raises(TimedOut, match="did not acknowledge"):
        driver.set_valves([0] * 9)
    if not options:
        assert set(driver.read_back().values()) == {None}
    bench.simulation.fault("mute off")
    assert driver.set_valves(PATTERN)["outcome"] == "verified"
    assert read(driver, 5)


def test_rows_that_come_while_an_answer_is_awaited_are_kept(bench: Callable[..., Bench]) -> None:
    one = bench(protocol="frames", rate_hz="1000")
    driver = one.running(**FRAMES, ack_timeout_s=0.3)
    before = read(driver, 100)
    one.simulation.fault("mute on")
    with pytest.raises(TimedOut):
        driver.set_valves(PATTERN)
    after = read(driver, 300)
    assert sum(batch.missing for batch in after) == 0
    gap_ns = int(after[0].time_ns[0]) - int(before[-1].time_ns[-1])
    assert gap_ns < 50_000_000


def test_rows_go_on_while_an_answer_is_awaited(bench: Callable[..., Bench]) -> None:
    """Whoever watches over the rows may interrupt the waiting."""
    one = bench(protocol="frames", rate_hz="1000")
    driver = one.running(**FRAMES, ack_timeout_s=10)
    read(driver, 50)
    one.simulation.fault("mute on")
    seen: list[Rows] = []

    def watch(rows: list[Rows]) -> None:
        seen.extend(rows)
        if sum(len(batch.time_ns) for batch in seen) > 200:
            driver.stop_wanted.set()

    driver.deliver = watch
    began = time.monotonic()
    with pytest.raises(Unavailable, match="a stop came over"):
        driver.set_valves(PATTERN)
    assert time.monotonic() - began < 8
    with pytest.raises(Refused, match="made safe"):
        driver.set_valves(PATTERN)
    driver.make_safe()
    until(driver, lambda: one.valves == [0] * 9)


def test_without_answers_nothing_is_verified(bench: Callable[..., Bench]) -> None:
    one = bench(ack="0")
    driver = one.running(acknowledges=False)
    assert driver.set_valves(PATTERN)["outcome"] == "unverified"
    until(driver, lambda: one.valves == PATTERN)
    assert set(driver.read_back().values()) == {None}


def test_an_answer_that_nobody_waits_for_is_heard_later(bench: Callable[..., Bench]) -> None:
    one = bench()
    driver = one.running()
    assert driver.set_valves(PATTERN, wait=False)["outcome"] == "unverified"
    until(driver, lambda: list(driver.read_back().values()) == PATTERN)
    one.simulation.fault("nack on")
    driver.set_valves([0] * 9, wait=False)
    until(driver, lambda: not driver._sent)
    one.simulation.fault("nack off")
    assert driver.set_valves([0] * 9)["outcome"] == "verified"


def test_a_valve_that_stays_is_a_contradiction(bench: Callable[..., Bench]) -> None:
    one = bench(protocol="frames", rate_hz="500")
    driver = one.running(**FRAMES)
    one.simulation.fault("jam FUEL1")
    result = driver.set_valves(PATTERN)
    assert result["outcome"] == "contradicted" and result["differ"] == ["FUEL1"]


def test_an_answer_without_the_valves_is_no_read_back(tmp_path: Path) -> None:
    """Firmware may acknowledge and say no more: then nothing is verified, and nothing contradicted."""

    class Terse:
        """Wraps the simulated controller, and cuts the valves off its acknowledgements."""

        interval_s, baud = 0.005, 0

        def __init__(self) -> None:
            self.inner: Any = simulators.make("stm32", {})
            self.power_on, self.fault, self.receive = (
                self.inner.power_on,
                self.inner.fault,
                self.inner.receive,
            )

        def advance(self, time_s: float) -> bytes:
            return re.sub(rb"ACK: Valves:[01]+", b"ACK: Valves", self.inner.advance(time_s))

    with Simulation(Terse(), PtyWire(tmp_path / "terse")) as simulation:
        parsed = registry.parse_options("stm32", {})
        driver: Any = registry.find("stm32")(parsed, Clock(time.monotonic_ns, time.time_ns), simulation.url)
        driver.open()
        driver.start()
        assert driver.set_valves(PATTERN)["outcome"] == "acknowledged"
        assert set(driver.read_back().values()) == {None}
        driver.close()


def test_waiting_ends_when_it_must(bench: Callable[..., Bench]) -> None:
    one = bench()
    driver = one.running(ack_timeout_s=10)
    one.simulation.fault("mute on")
    threading.Timer(0.2, driver.hurry.set).start()
    began = time.monotonic()
    with pytest.raises(TimedOut):
        driver.set_valves(PATTERN)
    assert time.monotonic() - began < 8


def test_scenarios_of_the_device(spoken: tuple[Bench, dict[str, Any]]) -> None:
    bench, options = spoken
    driver = bench.running(**options)
    assert driver.run_command("scenario", {"name": "burning"})["outcome"] == "acknowledged"
    until(driver, lambda: bench.valves == [0, 1, 0, 0, 1, 0, 1, 1, 1])
    with pytest.raises(InvalidInput, match="no scenario"):
        driver.scenario("burnig")


def test_emergency_and_the_safe_state_wait_for_nothing(spoken: tuple[Bench, dict[str, Any]]) -> None:
    bench, options = spoken
    driver = bench.running(**options, safe="100001000")
    driver.set_valves(PATTERN)
    bench.simulation.fault("mute on")
    assert driver.run_command("emergency", {})["outcome"] == "unverified"
    until(driver, lambda: bench.valves == [1, 0, 0, 0, 0, 1, 0, 0, 0] or bench.device._steps != [])
    driver.make_safe()
    until(driver, lambda: bench.valves == [1, 0, 0, 0, 0, 1, 0, 0, 0] and not bench.device._steps)


def test_the_safe_state_never_raises(bench: Callable[..., Bench]) -> None:
    one = bench()
    driver = one.running()
    one.simulation.fault("unplug")
    driver.make_safe()
    driver.close()
    driver.make_safe()


def test_without_a_heart_beat_the_device_takes_its_safe_state(bench: Callable[..., Bench]) -> None:
    one = bench(protocol="frames", rate_hz="500")
    driver = one.running(**FRAMES, heart_beat_s=0.05, heart_beat_timeout_s=0.4)
    driver.set_valves(PATTERN)
    quiet_until = time.monotonic() + 1.0
    while time.monotonic() < quiet_until:
        driver.read(0.05)
    assert one.valves == PATTERN
    deadline = time.monotonic() + 10
    while one.valves != [0] * 9:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    until(driver, lambda: list(driver.read_back().values()) == [0.0] * 9)


def test_actuators_know_what_is_safe() -> None:
    driver: Any = registry.find("stm32")(
        registry.parse_options("stm32", {"safe": "100001000"}), Clock(time.monotonic_ns, time.time_ns)
    )
    made = driver.actuators()
    assert [one.name for one in made] == list(VALVES)
    assert [one.safe for one in made] == [1, 0, 0, 0, 0, 1, 0, 0, 0]
    assert made[-1].labels == ("off", "on")


def test_orders_while_it_does_not_acquire(spoken: tuple[Bench, dict[str, Any]]) -> None:
    bench, options = spoken
    driver = bench.driver(**options)
    driver.open()
    time.sleep(0.3)
    assert driver.set_valves(PATTERN)["outcome"] == "verified"
    assert driver.leftover() == []
    driver.start()
    first = read(driver, 5)[0]
    assert int(first.time_ns[0]) > time.time_ns() - 1_000_000_000


# -- options -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "port", "fits", "said"),
    [
        ({"rate_hz": 50}, "serial:///dev/x", True, "13950 bytes/s, 230400 baud carry 23040"),
        ({"rate_hz": 74}, "serial:///dev/x", True, "fit"),
        ({"rate_hz": 80}, "serial:///dev/x", False, "at most 74"),
        ({"rate_hz": 10_000}, "serial:///dev/x", False, "2790000 bytes/s"),
        ({"rate_hz": 40}, "serial:///dev/x?baud=115200", False, "carry 11520"),
        ({"rate_hz": 400, "protocol": "frames"}, "serial:///dev/x", True, "frames of 10"),
        ({"rate_hz": 10_000, "protocol": "frames"}, "serial:///dev/x?baud=2000000", False, "2000000 baud"),
        ({"rate_hz": 10_000, "protocol": "frames", "link": "usb"}, "serial:///dev/x", True, "USB full speed"),
        (
            {"rate_hz": 100_000, "protocol": "frames", "link": "usb", "channels": EIGHT},
            "serial:///dev/x", False, "1150000",
        ),
        ({"rate_hz": 100_000, "protocol": "frames", "link_bytes_per_s": 4e7}, "serial:///dev/x", True, "4"),
    ],
)  # fmt: skip
def test_what_a_link_carries(options: dict[str, Any], port: str, fits: bool, said: str) -> None:
    clock = Clock(time.monotonic_ns, time.time_ns)
    load = registry.find("stm32")(registry.parse_options("stm32", options), clock, port).link_load()
    assert load is not None and said in load.arithmetic
    if fits:
        load.check()
    else:
        with pytest.raises(ConfigError, match="cannot carry"):
            load.check()


def test_a_network_port_has_no_rate() -> None:
    options = registry.parse_options("stm32", {"rate_hz": 9000})
    clock = Clock(time.monotonic_ns, time.time_ns)
    assert registry.find("stm32")(options, clock, "tcp://127.0.0.1:9").link_load() is None


@pytest.mark.parametrize(
    "options",
    [
        {"channels": ["P1"]}, {"protocol": "frames", "channels": ["P1", "P1"]}, {"safe": "0000"},
        {"protocol": "frames", "scale": {"P99": 1}}, {"protocol": "frames", "channels": ["../x"]},
        {"protocol": "frames", "channels": []}, {"heart_beat_s": 3}, {"device": "x"}, {"protocol": "modbus"},
        {"protocol": "frames", "rate_hz": 10},
    ],
)  # fmt: skip
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises((ConfigError, InvalidInput)):
        registry.parse_options("stm32", options)
