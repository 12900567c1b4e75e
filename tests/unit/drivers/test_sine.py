"""The signal generator: exact times, no row lost, nothing left out in silence."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from kymograph.drivers.sine import Sine, SineOptions
from kymograph.model.block import Block
from kymograph.model.clock import Clock
from kymograph.model.limits import BLOCK_ROWS_MAX

UTC = 1_700_000_000 * 10**9


class Generator:
    """A generator whose time is moved by hand."""

    def __init__(self, **options):
        self.ns = 12345
        self.driver = Sine(SineOptions(**options), Clock(lambda: self.ns, lambda: self.ns + UTC))
        self.driver.sleep = self.sleep
        self.driver.open()
        self.driver.start()
        self.start_ns = self.ns + UTC

    def sleep(self, seconds: float) -> None:
        self.ns += max(1, int(seconds * 1e9))

    def run(self, seconds: float):
        until, batches = self.ns + int(seconds * 1e9), []
        while self.ns < until:
            batches += self.driver.read(0.1)
        return batches


@pytest.mark.parametrize("rate_hz", [1.0, 3.7, 50.0, 999.9, 44_100.0, 100_000.0])
def test_rows_are_exactly_on_the_grid(rate_hz):
    made = Generator(rate_hz=rate_hz, counter=True)
    batches = made.run(10.0)
    times = np.concatenate([rows.time_ns for rows in batches])
    count = np.concatenate([rows.columns[0] for rows in batches])
    assert count.tolist() == list(range(len(count)))
    assert len(count) == pytest.approx(10 * rate_hz, abs=rate_hz * 0.021 + 2)
    ideal = made.start_ns + np.array([int(i * 1e9 / rate_hz) for i in range(len(count))])
    assert np.abs(times - ideal).max() <= 1


def test_no_row_comes_before_it_is_due():
    made = Generator(rate_hz=1000, interval_s=0.02)
    for _ in range(50):
        for rows in made.driver.read(0.1):
            assert rows.time_ns[-1] <= made.ns + UTC


def test_times_stay_exact_after_a_year():
    made = Generator(rate_hz=44_100.0)
    year = 44_100 * 365 * 86_400
    assert made.driver._times(year, 2).tolist() == [
        made.start_ns + 365 * 86_400 * 10**9, made.start_ns + 365 * 86_400 * 10**9 + 22_675,
    ]  # fmt: skip


def test_late_reader_gets_all_rows_of_two_seconds():
    made = Generator(rate_hz=1000, counter=True)
    made.run(1.0)
    made.ns += 1_900_000_000
    batches = made.run(0.5)
    assert sum(rows.missing for rows in batches) == 0
    count = np.concatenate([rows.columns[0] for rows in batches])
    assert (np.diff(count) == 1).all()


def test_what_lies_further_back_is_reported_missing():
    made = Generator(rate_hz=1000, counter=True)
    first = made.run(1.0)
    made.ns += 60_000_000_000
    second = made.run(0.5)
    missing = sum(rows.missing for rows in second)
    assert 57_500 < missing < 58_500
    assert second[0].columns[0][0] - first[-1].columns[0][-1] - 1 == missing == second[0].missing
    times = np.concatenate([rows.time_ns for rows in first + second])
    assert (np.diff(times) > 0).all()


def test_waves_differ_and_are_continuous():
    made = Generator(rate_hz=1000, channels=3, frequency_hz=2.0, amplitude=5.0)
    batches = made.run(2.0)
    waves = [np.concatenate([rows.columns[i] for rows in batches]) for i in range(3)]
    for number, wave in enumerate(waves, start=1):
        assert wave.dtype == np.float32
        assert wave.max() == pytest.approx(5.0, abs=0.01)
        assert np.abs(np.diff(wave)).max() < 5.0 * 2 * np.pi * 2 * number / 1000 * 1.01
        spectrum = np.abs(np.fft.rfft(wave[:1000]))
        assert spectrum.argmax() == 2 * number


def test_short_time_out_gives_nothing_and_loses_nothing():
    made = Generator(rate_hz=10, counter=True, interval_s=1.0)
    assert made.driver.read(0.01) == []
    assert made.run(3.0)[0].columns[0].tolist() == list(range(10))


@pytest.mark.parametrize(("channels", "rate_hz"), [(1024, 1_000_000), (1, 1_000_000), (8, 100_000)])
def test_every_block_can_be_packed(channels, rate_hz):
    made = Generator(channels=channels, rate_hz=rate_hz, interval_s=1.0)
    batches = made.driver.read(2.0)
    stream = made.driver.streams()[0]
    assert 0 < len(batches[0].time_ns) <= BLOCK_ROWS_MAX
    assert Block.pack(stream, 1, 0, batches[0]).rows == len(batches[0].time_ns)


@pytest.mark.parametrize("bad", [{"rate_hz": 0.5}, {"rate_hz": 2e6}, {"channels": 0}, {"speed": 1}])
def test_options_are_checked(bad):
    with pytest.raises(ValidationError):
        SineOptions(**bad)
