"""The three shapes, each with the smallest driver, on a clock that is moved by hand or a real pty."""

from __future__ import annotations

import time

import numpy as np
import pytest

from kymograph.drivers.base import DriverOptions
from kymograph.drivers.sample_clock import SampleClock
from kymograph.drivers.shapes import LineDriver, PacketDriver, PolledDriver
from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import DeviceSilent, PortError
from kymograph.sim.wire import PtyWire

UTC = 1_700_000_000 * 10**9


class Hand:
    """Time moved by hand; sleeping moves it too."""

    def __init__(self):
        self.ns = 0
        self.clock = Clock(lambda: self.ns, lambda: self.ns + UTC)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.ns += int(seconds * 1e9)


class Polled(PolledDriver):
    cost_ns = 0
    hand: Hand
    answers = True

    def streams(self):
        return (Stream("poll", (Channel("a"), Channel("b")), 250.0),)

    def poll(self):
        self.hand.ns += self.cost_ns
        return (1.0, self.hand.ns / 1e9) if self.answers else None


def polled() -> Polled:
    hand = Hand()
    driver = Polled(DriverOptions(), hand.clock)
    driver.hand, driver.sleep = hand, hand.sleep
    driver.start()
    return driver


def read_for(driver, hand: Hand, seconds: float) -> np.ndarray:
    until, times = hand.ns + int(seconds * 1e9), []
    while hand.ns < until:
        times += [rows.time_ns for rows in driver.read(0.1)]
    return np.concatenate(times)


def test_polls_are_on_the_grid_and_do_not_drift():
    driver = polled()
    driver.cost_ns = 700_000
    times = read_for(driver, driver.hand, 10.0)
    assert len(times) == pytest.approx(2500, abs=6)
    assert set(np.diff(times)) == {4_000_000}
    assert driver.polls_missed == 0


def test_fast_polls_travel_in_blocks():
    assert len(polled().read(0.1)[0].time_ns) == pytest.approx(5, abs=1)


def test_late_polls_are_left_out_not_made_up():
    driver = polled()
    read_for(driver, driver.hand, 0.1)
    before = driver.hand.ns
    driver.hand.ns += 1_000_000_000
    times = read_for(driver, driver.hand, 0.1)
    assert np.diff(times).min() > 3_000_000
    assert times[0] >= before + 1_000_000_000 + UTC
    assert driver.polls_missed == pytest.approx(250, abs=6)


def test_poll_slower_than_the_rate_takes_each_time_it_can():
    driver = polled()
    driver.cost_ns = 9_000_000
    times = read_for(driver, driver.hand, 1.0)
    assert set(np.diff(times)) == {9_000_000}


def test_poll_without_an_answer_makes_no_row():
    driver = polled()
    driver.answers = False
    assert driver.read(0.1) == []


# Lines ----------------------------------------------------------------------------------------------------
class Lines(LineDriver):
    line_bytes_max = 64
    silence_s = 0.2

    def streams(self):
        return (Stream("line", (Channel("a"), Channel("b"))),)

    def parse(self, line):
        if line.startswith(b"#"):
            return None
        return [float(part) for part in line.split(b",")]


class Numbers(PacketDriver):
    """Packets of `!` and one byte."""

    silence_s = 0.2

    def streams(self):
        return (Stream("numbers", (Channel("n", "uint8"),), 1000.0),)

    def decode(self, buffer):
        whole = len(buffer) // 2 * 2
        return (np.frombuffer(buffer[1:whole:2], np.uint8),), whole


@pytest.fixture
def wire(tmp_path):
    made = PtyWire(tmp_path / "device")
    made.plug()
    yield made
    made.unplug()


def opened(kind, wire, **changes):
    driver = kind(DriverOptions(), Clock(time.monotonic_ns, time.time_ns), wire.url)
    for name, value in changes.items():
        setattr(driver, name, value)
    driver.open()
    driver.start()
    return driver


def rows_of(driver, count: int) -> list[list[float]]:
    columns, until = [], time.monotonic() + 5
    while sum(len(c[0]) for c in columns) < count and time.monotonic() < until:
        columns += [rows.columns for rows in driver.read(0.1)]
    return [list(row) for block in columns for row in zip(*(c.tolist() for c in block), strict=True)]


def test_lines_in_pieces(wire):
    driver = opened(Lines, wire)
    for piece in (b"half,of a line\n1,", b"2\r\n3,4", b"\n\n# hello\n5,6\n"):
        wire.write(piece)
    assert rows_of(driver, 3) == [[1, 2], [3, 4], [5, 6]]
    assert (driver.counters.frames_good, driver.counters.frames_bad) == (3, 0)
    driver.close()


def test_bad_lines_are_counted(wire):
    driver = opened(Lines, wire)
    wire.write(b"\nnonsense\n1\n1,2,3\n\xff\xfe\n7,8\n")
    assert rows_of(driver, 1) == [[7, 8]]
    assert (driver.counters.frames_good, driver.counters.frames_bad) == (1, 4)
    driver.close()


def test_noise_without_an_end_is_bounded(wire):
    driver = opened(Lines, wire)
    wire.write(b"\n" + b"9" * 50)
    wire.write(b"9" * 2000 + b",1\n1,2\n")
    assert rows_of(driver, 1) == [[1, 2]]
    assert driver.counters.frames_bad == 1
    driver.close()


def test_first_line_is_kept_where_it_is_known_to_be_whole(wire):
    class Whole(Lines):
        skip_first = False

    driver = opened(Whole, wire)
    wire.write(b"1,2\n")
    assert rows_of(driver, 1) == [[1, 2]]
    driver.close()


@pytest.mark.parametrize("kind", [Lines, Numbers])
def test_silence_and_unplugging_are_told_apart(kind, wire):
    driver = opened(kind, wire)
    with pytest.raises(DeviceSilent):
        rows_of(driver, 1)
    driver.close()
    driver = opened(kind, wire, silence_s=60.0)
    wire.unplug()
    with pytest.raises(PortError):
        rows_of(driver, 1)
    driver.close()
    driver.close()


def test_packets_keep_what_is_not_whole(wire):
    driver = opened(Numbers, wire)
    wire.write(b"!\x01!\x02!")
    assert rows_of(driver, 2) == [[1], [2]]
    wire.write(b"\x03")
    assert rows_of(driver, 1) == [[3]]
    driver.close()


def test_a_closed_driver_says_so():
    driver = Lines(DriverOptions(), Clock(time.monotonic_ns, time.time_ns), "serial:///none")
    driver.close()
    with pytest.raises(PortError):
        driver.read(0)


# The sample clock -----------------------------------------------------------------------------------------
def stamped(arrivals_ms, counts, rate_hz=1000.0):
    hand = Hand()
    clock = SampleClock(hand.clock, rate_hz)
    return [clock.stamp(n, int(at * 1e6)) - UTC for at, n in zip(arrivals_ms, counts, strict=True)]


def test_samples_are_spread_at_their_rate():
    first, second = stamped([20, 40], [20, 20])
    assert np.diff(np.concatenate((first, second))) == pytest.approx(np.full(39, 1_000_000), abs=2)
    assert second[-1] == pytest.approx(40_000_000, abs=2)


def test_jitter_of_arrivals_does_not_show():
    made = np.random.default_rng(1)
    arrivals = np.arange(1, 500) * 20 + made.uniform(0, 8, 499)
    times = np.concatenate(stamped(arrivals, [20] * 499))
    steps = np.diff(times)[4000:]
    assert steps.min() > 0
    # 8 ms of jitter in 20 samples would be 400 µs a step.
    assert np.abs(steps - 1_000_000).max() < 200_000
    assert steps.std() < 50_000


@pytest.mark.parametrize("true_rate", [970.0, 1030.0])
def test_a_device_whose_clock_is_off_is_followed(true_rate):
    arrivals = np.arange(1, 2000) * 20 * (1000 / true_rate)
    times = stamped(arrivals, [20] * 1999)
    late_ms = arrivals[-1] - times[-1][-1] / 1e6
    assert 0 <= late_ms < 15


def test_never_backwards_never_in_the_future_whatever_arrives():
    made = np.random.default_rng(2)
    arrivals = np.cumsum(made.exponential(20, 3000))
    counts = made.integers(1, 90, 3000)
    blocks = stamped(arrivals, counts)
    assert (np.diff(np.concatenate(blocks)) >= 0).all()
    assert all(block[-1] <= at * 1e6 for block, at in zip(blocks, arrivals, strict=True))


def test_after_a_silence_the_times_jump():
    first, second = stamped([20, 5000], [20, 20])
    assert second[0] == pytest.approx(4_981_000_000, abs=2)
    assert first[-1] == 20_000_000


def test_lost_samples_leave_a_hole():
    hand = Hand()
    clock = SampleClock(hand.clock, 1000.0)
    clock.stamp(10, 10_000_000)
    times = clock.stamp(4, 22_000_000, ticks=np.array([1, 2, 11, 12])) - UTC
    assert times == pytest.approx([11e6, 12e6, 21e6, 22e6], abs=2)


def test_irregular_rows_bear_their_arrival():
    (times,) = stamped([7], [3], rate_hz=0.0)
    assert times.tolist() == [7_000_000] * 3


def test_utc_moved_forward_is_followed_at_once():
    offset = [UTC]
    clock = Clock(lambda: 0, lambda: offset[0])
    samples = SampleClock(clock, 1000.0)
    before = samples.stamp(10, 10_000_000)
    offset[0] += 10**12
    clock.observe()
    assert samples.stamp(10, 20_000_000)[0] - before[-1] == pytest.approx(10**12 + 10**6, abs=2)
