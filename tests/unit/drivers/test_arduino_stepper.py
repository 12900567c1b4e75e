"""The stepper motors over a pseudo-terminal: moves, what the board says of them, and its hazards."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kymograph.acquire.instrument import Instrument
from kymograph.drivers import registry
from kymograph.drivers.arduino_stepper import STREAM, ArduinoStepper, ArduinoStepperOptions
from kymograph.model.block import Block, Rows
from kymograph.model.clock import Clock
from kymograph.model.errors import (
    Conflict,
    DeviceError,
    DeviceSilent,
    InvalidInput,
    PortError,
    Refused,
    TimedOut,
    Unavailable,
)
from kymograph.sim import registry as simulators
from kymograph.sim.arduino_stepper import ArduinoStepper as Device
from kymograph.sim.simulation import Simulation
from kymograph.sim.wire import PtyWire

SCALE = 0.05
START = -1727.5


class Bench:
    """A board on its wire, and a driver that is not open yet."""

    def __init__(self, folder: Path, scale: float = SCALE, **parameters: str) -> None:
        self.device = Device(scale, parameters.get("resets_on_open", "1") == "1")
        self.simulation = Simulation(self.device, PtyWire(folder / "port"))
        self.clock = Clock(time.monotonic_ns, time.time_ns)
        self.scale = scale
        self.driver = self.made()

    def made(self, **options: Any) -> ArduinoStepper:
        given = ArduinoStepperOptions.model_validate({"time_scale": self.scale, **options})
        return ArduinoStepper(given, self.clock, self.simulation.url)

    def opened(self, acquire: bool = True) -> ArduinoStepper:
        self.driver.open()
        if acquire:
            self.driver.start()
        return self.driver

    def hears(self, condition: Callable[[], Any], what: str = "it") -> list[Rows]:
        """Read until something is so; return the rows."""
        batches: list[Rows] = []
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, f"{what} never came"
            batches += self.driver.read(0.02)
        return batches


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**parameters: Any) -> Bench:
        made.append(Bench(tmp_path, **parameters))
        made[-1].simulation.__enter__()
        return made[-1]

    yield make
    for one in made:
        one.driver.close()
        one.simulation.__exit__()


def move(driver: ArduinoStepper, motor_id: Any, angle: Any) -> Any:
    return driver.run_command("move", {"motor_id": motor_id, "angle": angle})


def table(batches: list[Rows]) -> list[tuple[float, float, int]]:
    return [row for batch in batches for row in zip(*(c.tolist() for c in batch.columns), strict=True)]


def during(driver: ArduinoStepper, what: Callable[[], None], text: str = "moves") -> threading.Thread:
    """Do something from another thread, once the driver says something."""

    def work() -> None:
        deadline = time.monotonic() + 20
        while text not in driver.activity and time.monotonic() < deadline:
            time.sleep(0.001)
        what()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


# -- opening -----------------------------------------------------------------------------------------------
def test_opening_says_what_it_is_and_that_the_position_is_lost(bench: Callable[..., Bench]) -> None:
    one = bench()
    facts = one.driver.open()
    assert facts == {
        "sketch": "STEP MOTOR SISTEMI HAZIR",
        "position1": START,
        "position2": START,
        "position_lost": True,
    }
    assert one.driver.position_lost and "position lost" in one.driver.activity
    assert not one.driver.fell_silent
    assert one.driver.read_back() == {"motor1": START, "motor2": START}
    move(one.driver, 2, 100)
    one.driver.close()
    assert one.driver.read_back() == {"motor1": None, "motor2": None}
    again = one.driver.open()
    assert again["position2"] == START and again["positions_before"] == [START, -1627.5]
    assert one.device.true_steps == [0, 56], "the motor itself was not reset"


def test_a_board_that_is_not_reset_keeps_its_position(bench: Callable[..., Bench]) -> None:
    one = bench(resets_on_open="0")
    one.driver = one.made(resets_on_open=False)
    one.driver.open()
    move(one.driver, 1, 45)
    one.driver.close()
    facts = one.driver.open()
    assert (facts["position1"], facts["position_lost"]) == (-1682.5, False)
    assert "position lost" not in one.driver.activity and one.device.boots == 1


def test_nobody_there(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.simulation.fault("silence")
    with pytest.raises(DeviceSilent, match="no stepper board"):
        one.driver.open()


def test_another_device_is_refused(tmp_path: Path) -> None:
    other = simulators.make("qseries", {"time_scale": "0.01"})
    with Simulation(other, PtyWire(tmp_path / "port")) as simulation:
        options = ArduinoStepperOptions(time_scale=SCALE)
        driver = ArduinoStepper(options, Clock(time.monotonic_ns, time.time_ns), simulation.url)
        with pytest.raises(DeviceError, match="not the stepper board") as caught:
            driver.open()
        assert caught.value.facts["heard"]
        driver.close()


# -- moving ------------------------------------------------------------------------------------------------
def test_a_move_answers_with_what_the_board_says(bench: Callable[..., Bench]) -> None:
    one = bench()
    driver = one.opened()
    assert move(driver, 1, 90) == {
        "motor_id": 1,
        "angle": 90.0,
        "position": -1637.5,
        "response": "Motor1 yeni pozisyon: -1637.50",
    }
    assert driver.read_back() == {"motor1": -1637.5, "motor2": START}
    assert one.device.heard == ["1:90.00"] and one.device.true_steps == [51, 0]
    assert driver.counters.frames_bad == 0


def test_rows_go_on_while_it_moves(bench: Callable[..., Bench]) -> None:
    driver = bench(scale=0.1).opened()
    move(driver, 2, 720)
    rows = driver.read(0.0)
    assert len(rows) == 1
    times = np.asarray(rows[0].time_ns)
    assert (np.diff(times) >= 0).all()
    told = table(list(rows))
    moving = [row for row in told if row[2] == 1]
    assert len(moving) >= 3, "4 s of moving, a row each second"
    assert set(moving) == {(START, START, 1)}
    assert told[-1] == (START, -1007.5, 0) and told[0] == (START, START, 0)
    assert Block.pack(STREAM, 1, 0, rows[0]).rows == len(times)


def test_moves_never_merge(bench: Callable[..., Bench]) -> None:
    one = bench()
    driver = one.opened()
    for motor, angle in [(1, 90), (2, 45), (1, -90), (2, 10)]:
        move(driver, motor, angle)
    assert one.device.heard == ["1:90.00", "2:45.00", "1:-90.00", "2:10.00"]
    assert driver.read_back() == {"motor1": START, "motor2": START + 55}


@pytest.mark.parametrize(
    ("motor", "angle"),
    [
        (3, 10), (0, 10), (True, 10), ("1", 10), (1, math.nan), (1, math.inf), (1, "90"),
        (1, -1), (1, 3455.1), (1, 5000),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_never_sent(bench: Callable[..., Bench], motor: Any, angle: Any) -> None:
    one = bench()
    driver = one.opened()
    with pytest.raises(InvalidInput):
        move(driver, motor, angle)
    move(driver, 1, 1)
    assert one.device.heard == ["1:1.00"]


def test_nothing_to_do_is_no_failure(bench: Callable[..., Bench]) -> None:
    driver = bench().opened()
    assert move(driver, 1, 0)["position"] == START
    with pytest.raises(Refused, match="başarısız"):
        move(driver, 1, 0.05)
    assert driver.read_back()["motor1"] == START


def test_the_whole_way_and_back(bench: Callable[..., Bench]) -> None:
    driver = bench(scale=0.01).opened()
    assert move(driver, 1, 3455)["position"] == 1727.5
    assert move(driver, 1, -3455)["position"] == START


def test_the_board_says_no(bench: Callable[..., Bench]) -> None:
    one = bench()
    driver = one.opened()
    one.simulation.fault("err Format motor_id:açı")
    with pytest.raises(Refused, match="ERR: Format"):
        move(driver, 1, 90)
    assert driver.read_back()["motor1"] == START
    assert move(driver, 1, 90)["position"] == -1637.5


# -- no answer ---------------------------------------------------------------------------------------------
def test_a_move_without_an_answer_leaves_nothing_known_until_the_board_speaks(
    bench: Callable[..., Bench],
) -> None:
    one = bench()
    driver = one.opened()
    one.simulation.fault("mute on")
    with pytest.raises(TimedOut, match="did not say"):
        move(driver, 1, 90)
    assert driver.read_back() == {"motor1": None, "motor2": None}
    assert "position unknown" in driver.activity
    with pytest.raises(Conflict, match="not known"):
        move(driver, 1, 90)
    assert one.device.heard == ["1:90.00"]
    one.simulation.fault("mute off")
    told = table(one.hears(lambda: driver.read_back()["motor1"] is not None, "a heart-beat"))
    assert any(math.isnan(row[0]) and math.isnan(row[1]) and row[2] == 1 for row in told)
    assert told[-1] == (-1637.5, START, 0)
    assert move(driver, 1, 10)["position"] == -1627.5


def test_a_line_that_was_not_heard_may_stand_in_the_buffer(bench: Callable[..., Bench]) -> None:
    one = bench()
    driver = one.opened()
    one.simulation.fault("deaf on")
    with pytest.raises(TimedOut):
        move(driver, 1, 90)
    one.simulation.fault("deaf off")
    one.hears(lambda: driver.read_back()["motor1"] is not None, "a heart-beat")
    assert driver.read_back()["motor1"] == START
    with pytest.raises(Conflict, match="buffer"):
        move(driver, 1, 90)
    assert one.device.heard == []
    driver.close()
    driver.open()
    assert move(driver, 1, 90)["position"] == -1637.5


def test_a_line_cut_short_is_not_followed_by_another(bench: Callable[..., Bench]) -> None:
    one = bench()
    driver = one.opened()
    one.simulation.fault("hear 1:9")
    with pytest.raises(Conflict, match=r"sent to -1637\.5") as caught:
        move(driver, 1, 90)
    assert caught.value.facts["heard"] == "1:91:90.00"
    assert driver.read_back()["motor1"] == -1636.5, "what the board says is the truth"


def test_another_program_on_the_port_is_seen(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    one = bench()
    driver = one.opened()
    with caplog.at_level(logging.WARNING):
        one.simulation.fault("hear 1:90\\n2:45\\n")
        one.hears(lambda: "by another" in driver.activity, "a move")
    with pytest.raises(Conflict, match="another"):
        move(driver, 2, 10)
    assert "1:902:45" in caplog.text
    told = table(one.hears(lambda: driver.read_back()["motor1"] == -825.5, "its end"))
    assert told[-1] == (-825.5, START, 0)


def test_reset_in_the_middle_of_a_move(bench: Callable[..., Bench]) -> None:
    one = bench()
    driver = one.opened()
    thread = during(driver, lambda: one.simulation.fault("reboot"))
    with pytest.raises(Conflict, match="reset in the middle") as caught:
        move(driver, 1, 1000)
    thread.join()
    assert caught.value.facts["position_lost"] is True
    told = table(
        [*one.hears(lambda: driver.read_back()["motor2"] is not None, "its boot"), *driver.read(0.0)]
    )
    assert driver.fell_silent and driver.position_lost
    assert any(math.isnan(row[0]) for row in told) and told[-1] == (START, START, 0)
    assert move(driver, 1, 10)["position"] == START + 10


def test_the_cable_is_pulled_in_the_middle_of_a_move(bench: Callable[..., Bench]) -> None:
    one = bench()
    driver = one.opened()
    thread = during(driver, lambda: one.simulation.fault("unplug"))
    with pytest.raises(PortError):
        move(driver, 1, 1000)
    thread.join()


def test_a_board_that_says_nothing_any_more(bench: Callable[..., Bench]) -> None:
    one = bench()
    driver = one.opened()
    driver.silence_s = 0.3
    one.simulation.fault("silence")
    with pytest.raises(DeviceSilent):
        one.hears(lambda: False)


# -- nobody waits, and stop --------------------------------------------------------------------------------
def test_who_waits_no_longer_does_not_stop_the_motor(bench: Callable[..., Bench]) -> None:
    one = bench()
    driver = one.opened()
    thread = during(driver, driver.hurry.set)
    with pytest.raises(Unavailable, match="goes on"):
        move(driver, 1, 360)
    thread.join()
    with pytest.raises(Conflict, match="moves already"):
        move(driver, 2, 10)
    told = table(one.hears(lambda: driver.read_back()["motor1"] == -1367.5, "its end"))
    assert told[-1] == (-1367.5, START, 0) and one.device.heard == ["1:360.00"]
    with pytest.raises(Unavailable, match="not sent"):
        move(driver, 2, 10)
    assert one.device.heard == ["1:360.00"]


def test_stop_sends_nothing_and_says_so(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    one = bench()
    driver = one.opened()
    thread = during(driver, driver.stop_wanted.set)
    with pytest.raises(Unavailable, match="goes on to its end"):
        move(driver, 1, 720)
    thread.join()
    driver.stop_wanted.clear()
    with caplog.at_level(logging.WARNING):
        driver.make_safe()
    assert "cannot be stopped" in caplog.text
    driver.read(0.0)
    assert "cannot be had" in driver.activity
    one.hears(lambda: driver.read_back()["motor1"] == -1007.5, "its end")
    assert one.device.heard == ["1:720.00"] and one.device.boots == 2


def test_stop_keeps_back_a_move_that_waits(bench: Callable[..., Bench]) -> None:
    one = bench(scale=0.5)
    driver = one.opened()
    threading.Timer(0.1, driver.stop_wanted.set).start()
    with pytest.raises(Refused, match="before the move was sent"):
        move(driver, 1, 10)
    assert one.device.heard == []


def test_what_it_moves(bench: Callable[..., Bench]) -> None:
    found = [actuator.to_dict() for actuator in bench().driver.actuators()]
    assert [(a["name"], a["unit"], a["low"], a["high"], a["safe"]) for a in found] == [
        ("motor1", "deg", -1727.5, 1727.5, None),
        ("motor2", "deg", -1727.5, 1727.5, None),
    ]


def test_under_an_instrument(bench: Callable[..., Bench]) -> None:
    one = bench()
    kind, options = (
        registry.find("arduino_stepper"),
        registry.parse_options("arduino_stepper", {"time_scale": SCALE}),
    )
    notices: list[tuple[str, str, dict[str, Any]]] = []
    instrument = Instrument(
        "motors", "arduino_stepper", lambda: kind(options, one.clock, one.simulation.url), one.clock,
        lambda *notice: notices.append(notice),
    )  # fmt: skip
    instrument.launch("acquiring")

    def so(condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, instrument.status()
            time.sleep(0.005)

    try:
        so(lambda: instrument.status().health.rows >= 3)
        assert instrument.status().device["position_lost"] is True
        assert instrument.command("move", {"motor_id": 1, "angle": 90})["position"] == -1637.5
        with pytest.raises(InvalidInput):
            instrument.command("move", {"motor_id": 1, "angle": -500})
        got: list[int] = []
        thread = threading.Thread(
            target=lambda: got.append(instrument.command("move", {"motor_id": 2, "angle": 3000})["position"])
        )
        rows = instrument.status().health.rows
        thread.start()
        so(lambda: "step" in instrument.status().activity)
        so(lambda: instrument.status().health.rows > rows + 2)
        assert not got, "rows are made known while the motor moves"
        thread.join()
        safe: list[Any] = [threading.Timer(0.3, lambda: safe.append(instrument.motion.make_safe()))]
        safe[0].start()
        with pytest.raises(Unavailable, match="goes on"):
            instrument.command("move", {"motor_id": 2, "angle": -1080})
        assert safe[1].result(5) is True and instrument.motion.read_back()["motor2"] == got[0]
        so(lambda: instrument.motion.read_back()["motor2"] == got[0] - 1080)
        one.simulation.fault("reboot")
        so(lambda: any(kind == "gap" for _, kind, _ in notices))
        assert instrument.status().state == "acquiring" and instrument.status().health.reopens == 0
        assert "position lost" in instrument.status().activity
    finally:
        assert instrument.shutdown(10)
