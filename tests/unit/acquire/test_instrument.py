"""An instrument under supervision: its states, its numbers, its way back from a fault."""

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from kymograph.acquire import instrument as module
from kymograph.acquire.instrument import Instrument
from kymograph.drivers.base import Driver, DriverOptions, GivenUp, command
from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import Conflict, DeviceSilent, InvalidInput, PortError, Refused


class Bench(Driver[DriverOptions]):
    """A device on the bench, whose cable and rows the test holds in its hand."""

    def __init__(self, clock, plugged):
        super().__init__(DriverOptions(), clock)
        self.plugged = plugged
        self.rows: list[Rows] = []
        self.calls: list[str] = []
        self.forgotten = 0
        self.left: list[Rows] = []
        self.dialogue = threading.Event()
        """Clear while an opening takes long."""
        self.dialogue.set()

    def streams(self):
        return [Stream("scan", (Channel("v", "int32"),), 0.0)]

    def open(self):
        self.calls.append("open")
        if not self.plugged.is_set():
            raise PortError("no such port")
        while not self.dialogue.wait(0.005):
            self.activity = "asking"
            if self.hurry.is_set():
                raise GivenUp("left")
        return {"model": "bench"}

    def leftover(self):
        return self.left

    def start(self):
        self.calls.append("start")

    def read(self, timeout_s):
        if not self.plugged.is_set():
            raise DeviceSilent("nothing comes")
        if not self.rows:
            time.sleep(0.002)
            return []
        taken, self.rows = self.rows, []
        return taken

    def stop(self):
        self.calls.append("stop")

    def close(self):
        self.calls.append("close")

    def forget_time(self):
        self.forgotten += 1

    @command
    def add(self, a: int, b: int = 1) -> int:
        self.calls.append(f"add in {threading.current_thread().name}")
        return a + b


class Sink:
    def __init__(self):
        self.blocks: list[Block] = []
        self.rows_lost = 0

    def put(self, block):
        self.blocks.append(block)
        return True


def until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.002)


class World:
    def __init__(self):
        self.wall_shift_ns = 0
        self.clock = Clock(time.monotonic_ns, lambda: time.time_ns() + self.wall_shift_ns)
        self.plugged = threading.Event()
        self.plugged.set()
        self.notices = []
        self.driver = None
        self.instrument = Instrument(
            "lidar", "bench", self.make, self.clock, lambda *notice: self.notices.append(notice)
        )
        self.instrument.block_interval_s = 0.001
        self.sink = Sink()
        self.instrument.feeds["scan"].fanout.add(self.sink)

    def make(self):
        self.driver = Bench(self.clock, self.plugged)
        return self.driver

    @property
    def state(self):
        return self.instrument.status().state

    def give(self, count, missing=0):
        now = self.clock.now_ns()
        self.driver.rows.append(Rows("scan", np.arange(count) + now, [np.arange(count)], missing))


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(module, "REOPEN_BACKOFF_S", (0.05, 0.1))
    made = World()
    yield made
    made.instrument.shutdown(5)


def test_a_single_stream_is_called_like_its_instrument(world):
    assert [s.name for s in world.instrument.streams] == ["lidar"]


def test_states_follow_what_is_asked(world):
    world.instrument.launch("closed")
    assert world.state == "closed"
    for action, state in [("open", "idle"), ("start", "acquiring"), ("stop", "idle"), ("start", "acquiring")]:
        world.instrument.act(action)
        assert world.state == state
    world.instrument.act("open")
    assert world.state == "acquiring"
    world.instrument.act("close")
    assert world.state == "closed"
    assert world.driver.calls == ["open", "start", "stop", "start", "stop", "close"]


def test_rows_are_numbered_from_the_start_of_the_epoch(world):
    world.instrument.launch("acquiring")
    until(lambda: world.state == "acquiring")
    world.give(5)
    until(lambda: world.sink.blocks)
    world.give(3, missing=4)
    until(lambda: len(world.sink.blocks) == 2)
    first, second = world.sink.blocks
    assert (first.seq, first.rows, second.seq, second.rows) == (0, 5, 9, 3)
    assert first.epoch == second.epoch
    health = world.instrument.status().health
    assert health.rows == 8 and health.age_s is not None


def test_stopping_and_starting_goes_on_counting(world):
    world.instrument.launch("acquiring")
    until(lambda: world.state == "acquiring")
    world.give(5)
    until(lambda: world.sink.blocks)
    world.instrument.act("stop")
    world.instrument.act("start")
    world.give(2)
    until(lambda: len(world.sink.blocks) == 2)
    assert world.sink.blocks[1].seq == 5


def test_a_fault_is_told_once_and_what_was_wanted_comes_back(world):
    world.instrument.launch("acquiring")
    until(lambda: world.state == "acquiring")
    world.give(5)
    until(lambda: world.sink.blocks)
    world.plugged.clear()
    until(lambda: world.state == "fault")
    until(lambda: world.driver.calls.count("open") >= 3)
    said = world.instrument.status()
    assert said.error in ("nothing comes", "no such port") and said.retry_in_s is not None
    world.plugged.set()
    until(lambda: world.state == "acquiring")
    world.give(2)
    until(lambda: len(world.sink.blocks) == 2)
    until(lambda: not world.instrument.status().error)
    states = [body["state"] for _, kind, body in world.notices if kind == "state"]
    assert states == ["acquiring", "fault", "acquiring", "acquiring"]
    [gap] = [body for _, kind, body in world.notices if kind == "gap"]
    assert gap["from_ns"] == world.sink.blocks[0].last_ns and gap["until_ns"] == world.sink.blocks[1].first_ns
    assert world.sink.blocks[1].seq == 5


def test_an_action_on_an_unplugged_device_says_why(world):
    world.plugged.clear()
    world.instrument.launch("closed")
    with pytest.raises(PortError, match="no such port"):
        world.instrument.act("start")
    assert world.state == "fault"
    world.instrument.act("stop")
    world.instrument.act("close")
    assert world.state == "closed"
    assert world.instrument.status().error == ""


def test_a_command_is_run_in_the_instruments_thread(world):
    world.instrument.launch("idle")
    until(lambda: world.state == "idle")
    assert world.instrument.command("add", {"a": 1, "b": 2}) == 3
    assert "add in instrument-lidar" in world.driver.calls
    with pytest.raises(InvalidInput):
        world.instrument.command("add", {"a": "one"})
    with pytest.raises(InvalidInput):
        world.instrument.command("subtract", {})
    assert world.state == "idle"


@pytest.mark.parametrize("state", ["closed", "fault"])
def test_a_command_for_a_device_that_is_not_open_is_refused_and_not_kept(world, state):
    if state == "fault":
        world.plugged.clear()
        world.instrument.launch("acquiring")
        until(lambda: world.state == "fault")
    else:
        world.instrument.launch("closed")
    with pytest.raises(Refused):
        world.instrument.command("add", {"a": 1})
    world.plugged.set()
    if state == "fault":
        until(lambda: world.state == "acquiring")
    assert not [call for call in world.driver.calls if call.startswith("add")]


def test_time_moved_backwards_begins_an_epoch(world):
    world.instrument.launch("acquiring")
    until(lambda: world.state == "acquiring")
    world.give(5)
    until(lambda: world.sink.blocks)
    world.wall_shift_ns = -3600 * 10**9
    change = world.clock.observe()
    assert change is not None and change.step_ns < 0
    until(lambda: world.driver.forgotten == 2)
    world.give(5)
    until(lambda: len(world.sink.blocks) == 2)
    first, second = world.sink.blocks
    assert second.epoch > first.epoch and second.seq == 0
    assert second.first_ns < first.first_ns


def test_rows_never_run_backwards_within_an_epoch(world):
    world.instrument.launch("acquiring")
    until(lambda: world.state == "acquiring")
    world.give(5)
    until(lambda: world.sink.blocks)
    world.driver.rows.append(Rows("scan", np.array([10, 20]), [np.array([1, 2])]))
    until(lambda: len(world.sink.blocks) == 2)
    assert world.sink.blocks[1].first_ns >= world.sink.blocks[0].last_ns


def test_shutdown_closes_the_device_and_refuses_what_comes_later(world):
    world.instrument.launch("acquiring")
    until(lambda: world.state == "acquiring")
    assert world.instrument.shutdown(5)
    assert world.driver.calls[-1] == "close"
    with pytest.raises(Exception, match="shut down"):
        world.instrument.act("start")


def test_options_that_change_the_channels_are_refused(world):
    class Other(Bench):
        def streams(self):
            return [Stream("scan", (Channel("w", "int32"),), 0.0)]

    world.instrument.launch("acquiring")
    with pytest.raises(Refused):
        world.instrument.replace_driver(lambda: Other(world.clock, world.plugged))
    until(lambda: world.state == "acquiring")
    old = world.driver
    world.instrument.replace_driver(world.make)
    until(lambda: world.state == "acquiring")
    assert old.calls[-1] == "close" and world.driver is not old


def test_a_command_that_raises_another_error_leaves_the_device_open(world):
    world.instrument.launch("idle")
    until(lambda: world.state == "idle")

    def refuse(name, arguments):
        raise Conflict("held by another")

    world.driver.run_command = refuse
    with pytest.raises(Conflict):
        world.instrument.command("add", {"a": 1})
    assert world.state == "idle"


def test_a_pause_is_remembered_and_resumed(world):
    world.instrument.launch("acquiring")
    until(lambda: world.state == "acquiring")
    with pytest.raises(Refused):
        world.instrument.act("resume")
    world.instrument.act("pause")
    assert (world.state, world.instrument.status().paused) == ("idle", True)
    with pytest.raises(Refused):
        world.instrument.act("pause")
    world.instrument.act("resume")
    assert (world.state, world.instrument.status().paused) == ("acquiring", False)
    world.instrument.act("pause")
    world.instrument.act("stop")
    assert not world.instrument.status().paused


def test_rows_that_come_while_it_stops_are_published(world):
    world.instrument.launch("acquiring")
    until(lambda: world.state == "acquiring")
    now = world.clock.now_ns()
    world.driver.left = [Rows("scan", np.arange(3) + now, [np.arange(3)])]
    world.instrument.act("pause")
    assert sum(block.rows for block in world.sink.blocks) == 3


def test_a_stop_waits_for_no_dialogue(world):
    world.driver.dialogue.clear()
    world.instrument.launch("acquiring")
    until(lambda: world.instrument.status().activity == "asking")
    began = time.monotonic()
    world.instrument.act("stop")
    assert time.monotonic() - began < 5.0
    assert world.instrument.status().activity == "asking"
    world.driver.dialogue.set()
    until(lambda: world.state == "idle")
    assert "start" not in world.driver.calls


def test_a_close_leaves_a_dialogue(world):
    world.driver.dialogue.clear()
    world.instrument.launch("acquiring")
    until(lambda: world.instrument.status().activity == "asking")
    world.instrument.act("close")
    assert world.state == "closed"
    assert not [notice for notice in world.notices if notice[2].get("error")]


def test_a_silence_that_the_driver_saw_is_a_gap_with_both_times(world):
    world.instrument.launch("acquiring")
    until(lambda: world.state == "acquiring")
    world.give(2)
    until(lambda: world.sink.blocks)
    world.driver.fell_silent = True
    until(lambda: not world.driver.fell_silent)
    world.give(1)
    until(lambda: len(world.sink.blocks) == 2)
    [gap] = [body for _, kind, body in world.notices if kind == "gap"]
    assert gap["reason"] == "device silent" and gap["from_seq"] == gap["to_seq"] == 2
    assert gap["from_ns"] == world.sink.blocks[0].last_ns and gap["until_ns"] == world.sink.blocks[1].first_ns
