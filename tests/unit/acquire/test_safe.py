"""An instrument that moves something: made safe first of all; no command without leave at the last moment."""

import threading
import time

import pytest

from kymograph.acquire.instrument import Instrument
from kymograph.drivers.base import Driver, DriverOptions, command
from kymograph.model.actuator import Actuator
from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import Conflict, DeviceSilent, TimedOut


class Valve(Driver[DriverOptions]):
    """A valve on the bench: what went over its wire, and a slow command."""

    def __init__(self, clock):
        super().__init__(DriverOptions(), clock)
        self.wire: list[str] = []
        self.gone = threading.Event()
        self.answer = threading.Event()
        self.answer.set()
        self.sending = threading.Event()

    def streams(self):
        return [Stream("valve", (Channel("v", "int32"),), 0.0)]

    def actuators(self):
        return [Actuator("main", safe=0.0)]

    def read(self, timeout_s):
        if self.gone.is_set():
            raise DeviceSilent("nothing comes")
        time.sleep(min(timeout_s, 0.01))
        return []

    def make_safe(self):
        self.wire.append("safe")

    def close(self):
        self.wire.append("close")

    @command
    def turn(self, value: int) -> int:
        self.sending.set()
        self.answer.wait(10)
        self.wire.append(f"turn {value}")
        return value


@pytest.fixture
def valve():
    return Valve(Clock(time.monotonic_ns, time.time_ns))


@pytest.fixture
def instrument(valve):
    made = Instrument("stand", "valve", lambda: valve, valve.clock, lambda *_: None)
    made.launch("acquiring")
    until(lambda: made.status().state == "acquiring")
    yield made
    valve.answer.set()
    made.shutdown(5)


def until(condition, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.002)


def test_it_is_made_safe_when_it_is_opened_and_before_it_is_closed(instrument, valve):
    assert valve.wire == ["safe"]
    instrument.command("turn", {"value": 1})
    instrument.act("close")
    assert valve.wire == ["safe", "turn 1", "safe", "close"]


def test_it_is_made_safe_when_the_station_ends(instrument, valve):
    instrument.shutdown(5)
    assert valve.wire[-2:] == ["safe", "close"]


def test_making_safe_passes_everything_that_waits(instrument, valve):
    valve.answer.clear()
    waiting = [threading.Thread(target=instrument.command, args=("turn", {"value": n})) for n in range(1, 5)]
    for thread in waiting:
        thread.start()
    assert valve.sending.wait(5)
    done = instrument.motion.make_safe()
    valve.answer.set()
    assert done.result(5) is True
    for thread in waiting:
        thread.join(5)
    assert valve.wire[0] == "safe" and valve.wire[2] == "safe", valve.wire
    assert sorted(valve.wire[3:]) == [f"turn {n}" for n in range(1, 5) if f"turn {n}" != valve.wire[1]]


def test_a_closed_device_is_told_nothing_and_nothing_is_kept(instrument, valve):
    instrument.act("close")
    before = list(valve.wire)
    assert instrument.motion.make_safe().result(5) is False
    time.sleep(0.05)
    assert valve.wire == before


def test_leave_is_asked_in_the_device_s_thread_right_before(instrument, valve):
    asked = []

    def forbid():
        asked.append(threading.current_thread().name)
        raise Conflict("Ben holds control")

    with pytest.raises(Conflict):
        instrument.command("turn", {"value": 1}, forbid)
    assert asked == ["instrument-stand"] and "turn 1" not in valve.wire
    assert instrument.status().state == "acquiring"  # a refusal is no fault of the device


def test_a_command_whose_time_is_over_is_never_sent(instrument, valve, monkeypatch):
    monkeypatch.setattr("kymograph.acquire.instrument.COMMAND_TIMEOUT_S", 0.2)
    valve.answer.clear()

    def too_slow():
        with pytest.raises(TimedOut):
            instrument.command("turn", {"value": 1})

    first = threading.Thread(target=too_slow)
    first.start()
    assert valve.sending.wait(5)
    with pytest.raises(TimedOut):
        instrument.command("turn", {"value": 2})
    valve.answer.set()
    first.join(5)
    instrument.command("turn", {"value": 3})
    assert "turn 2" not in valve.wire and valve.wire[-1] == "turn 3"


def test_a_device_that_was_lost_is_made_safe_when_it_is_back(instrument, valve):
    valve.gone.set()
    until(lambda: instrument.status().state == "fault")
    valve.wire.clear()
    valve.gone.clear()
    until(lambda: instrument.status().state == "acquiring")
    assert valve.wire == ["safe"]
