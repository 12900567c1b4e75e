"""A stand in random histories: whoever asks, whatever fails, what moves was allowed to, and ends safe.

All of it is the engine's own, but for the thread of the device: what an order would wait for in its queue
happens, in the test's one thread, between the asking and the sending.
"""

import logging
import os
import shutil
import tempfile
from concurrent.futures import Future
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kymograph.acquire.instrument import Instrument
from kymograph.acquire.motion import Motion
from kymograph.acquire.requests import Requests
from kymograph.config import parse
from kymograph.control.command_life import TRANSITIONS, Order
from kymograph.drivers.base import Driver, DriverOptions, command
from kymograph.model.actuator import Actuator
from kymograph.model.block import Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import DeviceError, DeviceSilent, KymographError
from kymograph.service.control.controls import Controls
from kymograph.service.control.standing import Standing

S = 1_000_000_000
SHM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Histories are many, and their audits are not the point."""
WHO = st.sampled_from(["Ana", "Ben"])
TABLES = {"high": {"trip": "tank.p > 30", "max_age_s": 20, "latched": False}}


class Tank(Driver[DriverOptions]):
    """A valve, and a lighter that must be armed; each order goes to whoever looks at the wire."""

    def __init__(self, clock, wire):
        super().__init__(DriverOptions(), clock)
        self.places = {"valve": 0.0, "lighter": 0.0}
        self.wire = wire
        self.breaks = False

    def streams(self):
        return [Stream("reading", (Channel("p", "float64", "bar"),), 0.0)]

    def actuators(self):
        return [Actuator("valve", safe=0.0), Actuator("lighter", safe=0.0)]

    def moves(self, command, arguments):
        return ["lighter" if command == "burn" else "valve"] if arguments["value"] else []

    def expects(self, command, arguments):
        return {"lighter" if command == "burn" else "valve": float(arguments["value"])}

    def read_back(self):
        return dict(self.places)

    def read(self, timeout_s):
        return []

    def make_safe(self):
        self.places = {"valve": 0.0, "lighter": 0.0}

    @command
    def turn(self, value: int, number: int):
        self.go("valve", value, number)

    @command
    def burn(self, value: int, number: int):
        self.go("lighter", value, number)

    def go(self, name, value, number):
        self.wire(number)
        self.places[name] = float(value)
        if self.breaks:
            raise DeviceSilent("the cable was pulled")


class AtOnce(Requests):
    """Requests that are done by whoever asks."""

    def put(self, work, urgent=False):
        done = Future()
        done.set_result(work())
        return done


class Bench(Instrument):
    """An instrument without a thread: `meanwhile` is what happens while an order waits in its queue."""

    def __init__(self, driver, clock):
        super().__init__("tank", "tank", lambda: driver, clock, lambda *_: None)
        self._requests = AtOnce()
        self.motion = Motion(lambda: self._driver, lambda: self._state, self._requests)
        self.meanwhile = lambda: None
        self._want = "acquiring"
        self.back()

    def _ask(self, work, timeout_s, urgent=False, late_s=None):
        if not urgent:
            self.meanwhile()
        try:
            return work()
        except DeviceError as error:
            self._fail(error)
            raise

    def measure(self, value):
        self._publish([Rows("reading", np.array([self._clock.now_ns()]), [np.array([value])])])

    def gone(self):
        self._fail(DeviceSilent("nothing comes"))

    def back(self):
        self._towards()


class One:
    """The instruments of a station that has one."""

    def __init__(self, instrument):
        self.instrument = instrument
        self.stream_names = ["tank"]

    def __iter__(self):
        return iter([self.instrument])

    def get(self, name):
        return self.instrument

    def fanout(self, name):
        return self.instrument.feeds["reading"].fanout


class Stand(RuleBasedStateMachine):
    """Two people, a run, interlocks, a stop, a cable; and time, which passes also while an order waits."""

    @initialize()
    def begin(self):
        logging.disable(logging.WARNING)
        self.folder = Path(tempfile.mkdtemp(dir=SHM))
        self.now_ns, self.number = 100 * S, 0
        self.orders, self.sent, self.states = {}, [], {}
        self.armed, self.fences = None, {}
        clock = Clock(lambda: self.now_ns, lambda: self.now_ns)
        self.tank = Tank(clock, self.on_the_wire)
        self.bench = Bench(self.tank, clock)
        self.bench._begin_epoch()
        data = {"name": "stand", "data": str(self.folder)}
        config = parse({"station": data, "control": {"armed": ["tank.lighter"]}, "interlocks": TABLES})
        self.controls = Controls(config, One(self.bench), clock, self.told)
        self.controls.listen()
        self.bench.measure(1.0)

    def teardown(self):
        if hasattr(self, "controls"):
            self.ends_safe()
            self.controls.shutdown()
            shutil.rmtree(self.folder)
        logging.disable(logging.NOTSET)

    # -- what is seen --------------------------------------------------------------------------------------
    def told(self, event):
        if event.kind == "command":
            before = self.states.get(event.id)
            after = event.body["state"]
            assert after == "accepted" if before is None else after in TRANSITIONS[before]
            self.states[event.id] = after

    def on_the_wire(self, number):
        """Judge an order at the moment at which it goes to the device."""
        order, standing, accepted_ns = self.orders[number]
        assert self.bench.motion.is_open
        assert self.now_ns - accepted_ns < order.late_s * S, "nothing goes after its deadline"
        assert number not in self.sent, "nothing goes twice"
        self.sent.append(number)
        if standing is Standing.EMERGENCY:
            return
        status = self.controls.status()
        moves = bool(order.arguments["value"])
        assert not (status["stopped"] and moves)
        assert not (moves and status["interlocks"][0]["state"] != "ok")
        if standing is Standing.LAST:
            return
        lease = status["lease"]
        assert lease is not None
        assert lease["fence"] == order.fence if order.fence is not None else lease["holder"] == order.by
        fences = [self.fences[sent] for sent in self.sent if sent in self.fences]
        assert all(fence <= lease["fence"] for fence in fences), "an earlier holder never comes after a later"
        self.fences[number] = lease["fence"]
        if order.command == "burn" and moves and standing is Standing.ASKED:
            assert self.armed is not None
            by, fence, until_ns = self.armed
            assert (by, fence) == (lease["holder"], lease["fence"])
            assert self.now_ns < until_ns
            self.armed = None

    # -- what is done --------------------------------------------------------------------------------------
    @rule(
        by=WHO,
        command=st.sampled_from(["turn", "burn"]),
        value=st.integers(0, 1),
        standing=st.sampled_from([*Standing, Standing.ASKED, Standing.ASKED]),
        under=st.sampled_from(["", "", "present", "before"]),
        meanwhile=st.sampled_from(
            ["", "", "", "time", "long", "stop", "break", "hand over", "gone", "cable"]
        ),
    )
    def order(self, by, command, value, standing, under, meanwhile):
        self.number += 1
        fence = {"": None, "present": self.fence(), "before": self.fence() - 1}[under]
        if standing is Standing.RUN:
            fence = self.fence()
        arguments = {"value": value, "number": self.number}
        order = Order("tank", command, arguments, by, fence, f"key {self.number}", late_s=2.0)
        self.orders[self.number] = (order, standing, self.now_ns)
        self.bench.meanwhile = lambda: self.happens(meanwhile)
        self.tank.breaks = meanwhile == "cable"
        self.attempt(self.controls.command, order, standing)
        self.bench.meanwhile, self.tank.breaks = lambda: None, False
        if value == 0:
            self.attempt(self.controls.command, order, standing)  # the same key again

    def happens(self, what):
        self.bench.meanwhile = lambda: None
        match what:
            case "time" | "long":
                self.now_ns += (1 if what == "time" else 4) * S
            case "stop":
                self.stop()
            case "break":
                self.attempt(self.controls.give_up, "chief", True)
            case "hand over":
                self.hand_over("Ben")
            case "gone":
                self.bench.gone()
            case _:
                pass

    @rule(by=WHO, ttl_s=st.sampled_from([1.0, 10.0]))
    def take(self, by, ttl_s):
        self.attempt(self.controls.take, by, ttl_s)

    @rule(to=WHO)
    def hand_over(self, to):
        lease = self.controls.status()["lease"]
        if lease is not None and lease["holder"] != to:
            self.attempt(self.controls.hand_over, lease["holder"], to, 10.0)

    @rule(by=WHO)
    def release(self, by):
        if self.attempt(self.controls.give_up, by) is not None:
            self.free()

    @rule(by=WHO, ttl_s=st.sampled_from([1.0, 5.0]))
    def arm(self, by, ttl_s):
        told = self.attempt(self.controls.arm, "tank.lighter", by, ttl_s)
        if told is not None:
            self.armed = (by, told["fence"], self.now_ns + int(ttl_s * S))

    @rule()
    def stop(self):
        self.controls.stop_all("Eve")
        self.armed = None
        assert self.is_safe(), "at once"

    @rule(right=st.booleans())
    def reset(self, right):
        before = dict(self.tank.places)
        told = self.attempt(self.controls.reset_stop, "Ana")
        if told is not None:
            self.attempt(self.controls.reset_stop, "Ana", told["confirm"] + (not right))
        assert self.tank.places == before

    @rule()
    def stop_and_go_on(self):
        self.stop()
        self.reset(True)

    @rule(seconds=st.sampled_from([0.3, 2.0, 40.0]))
    def time_passes(self, seconds):
        self.now_ns += int(seconds * S)
        self.controls.tick()
        if self.controls.status()["lease"] is None:
            self.free()

    @rule(value=st.sampled_from([1.0, 1.0, 40.0]))
    def measure(self, value):
        if not self.bench.motion.is_open:
            return
        before = self.controls.status()["interlocks"][0]["state"]
        self.bench.measure(value)
        if value > 30 and before == "ok":
            assert self.is_safe(), "with the row that crosses"

    @rule()
    def cable(self):
        if self.bench.motion.is_open:
            self.bench.gone()
        else:
            self.bench.back()
            assert self.is_safe(), "before anything else"

    # -- what must hold ------------------------------------------------------------------------------------
    def is_safe(self):
        return not self.bench.motion.is_open or not any(self.tank.places.values())

    def free(self):
        """Nobody holds control: but for the last steps of a run, and an emergency, nothing is open."""
        moved = [self.orders[number][1] for number in self.sent[-1:]]
        assert self.is_safe() or moved[0] in (Standing.LAST, Standing.EMERGENCY)

    @invariant()
    def every_command_that_went_is_told(self):
        if hasattr(self, "controls"):
            states = list(self.states.values())
            assert sum(state not in ("accepted",) for state in states) >= len(self.sent)

    def ends_safe(self):
        """Whatever was: the cable is put back, everybody leaves, and everything stands as it should."""
        if not self.bench.motion.is_open:
            self.bench.back()
        self.attempt(self.controls.take, "Ana", 1.0)
        self.now_ns += 4000 * S
        self.controls.tick()
        assert self.controls.status()["lease"] is None
        assert self.is_safe()
        assert all(one["ended"] for one in self.controls.status()["commands"])

    def fence(self):
        lease = self.controls.status()["lease"]
        return lease["fence"] if lease is not None else 0

    @staticmethod
    def attempt(work, *arguments):
        """Return what it gives, or None if it is refused."""
        try:
            return work(*arguments)
        except KymographError:
            return None


Stand.TestCase.settings = settings(max_examples=50, stateful_step_count=20, deadline=None)
test_a_stand_in_every_history = Stand.TestCase
