"""A dive of half an hour at 60 times its speed, with everything that goes wrong on one.

The tether is cut, slow, and loses answers; the sensor browns out; engine, front and mirror are killed. In the
end the laptop holds every chunk, byte for byte, and each line that the sensor sent is in one, or inside a
range that the ledger names.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import pytest

from kymograph.store.completeness import ledger
from kymograph.store.reader import RecordingReader
from tests.mirroring import RunningMirror, check_copy
from tests.proxy import Cable
from tests.running import RunningStation, until

DIVE_S = 30.0
SPEED = 60
NUMBERS = re.compile(r"-?\d+\.\d+")
SLACK_NS = 50_000_000
"""Between a line's last byte and the moment that its row is given."""


class Sensor:
    """The simulated sensor in a process of its own, which outlives everything else."""

    def __init__(self, folder: Path) -> None:
        self.link = folder / "sensor"
        self._log = folder / "sent.jsonl"
        settings = {"time_scale": 1 / SPEED, "log": self._log, "averaging": 125}
        given = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kymograph", "simulate", "qseries", "--link", str(self.link), *given],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert "ready" in self._process.stdout.readline()

    def fault(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def sent(self) -> list[tuple[int, float]]:
        """Return when each line of data was sent, and its value."""
        told = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [(one["time_ns"], float(NUMBERS.search(one["line"])[0])) for one in told]

    def __enter__(self) -> Sensor:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()


class Dive:
    """What goes wrong, one thing at a time."""

    def __init__(self, sensor: Sensor, station: RunningStation, cable: Cable, mirror: RunningMirror) -> None:
        self.sensor, self.station, self.cable, self.mirror = sensor, station, cable, mirror

    def tether(self) -> None:
        self.cable.cut()
        time.sleep(1.5)
        self.cable.mend()

    def break_in_the_middle(self) -> None:
        self.cable.cut_after(5_000)
        time.sleep(1)

    def lost_answers(self) -> None:
        self.cable.lose_answers = True
        time.sleep(0.7)
        self.cable.lose_answers = False

    def slow(self) -> None:
        self.cable.delay_s = 0.05
        time.sleep(1)
        self.cable.delay_s = 0

    def brownout(self) -> None:
        self.sensor.fault("brownout")
        time.sleep(1)

    def engine(self) -> None:
        self.station.kill_engine()
        time.sleep(0.3)
        self.station.start()

    def front(self) -> None:
        until(self.station.front, what="a front").kill()
        until(self.station.answers, what="the front's return")

    def laptop(self) -> None:
        self.mirror.kill()
        time.sleep(0.3)
        self.mirror.start()

    def run(self, rng: random.Random, seconds: float) -> list[str]:
        kinds = [
            self.tether, self.break_in_the_middle, self.lost_answers, self.slow, self.brownout, self.engine,
            self.front, self.laptop,
        ]  # fmt: skip
        until_s, done, bag = time.monotonic() + seconds, [], []
        while time.monotonic() < until_s or len(done) < len(kinds):
            bag = bag or rng.sample(kinds, len(kinds))
            happening = bag.pop()
            happening()
            done.append(happening.__name__)
            time.sleep(rng.uniform(0.3, 1.5))
        return done


@pytest.mark.timeout(180)
def test_a_dive(tmp_path):
    with Sensor(tmp_path) as sensor:
        instrument = (
            f'[instruments.sensor]\ndriver = "qseries"\nport = "serial://{sensor.link}?baud=9600"\n'
            f"start = false\n[instruments.sensor.options]\ntime_scale = {1 / SPEED}\n"
        )
        tables = '[web]\nfaces = ["radiometer"]\n[recording]\nafter_crash = "continue"\n'
        with RunningStation(tmp_path, instrument, tables) as station:
            session = station.call("POST", "/record/start", {"chunk_interval_s": 1, "metadata": {"dive": 7}})
            began_ns = time.time_ns()
            with (
                Cable(int(station.url.rpartition(":")[2])) as cable,
                RunningMirror(cable.url, tmp_path / "laptop", "--watch") as mirror,
            ):
                done = Dive(sensor, station, cable, mirror).run(random.Random(30), DIVE_S)
                ended_ns = time.time_ns()
                stopped = station.call("POST", "/record/stop", {"session_id": session["session_id"]})
                until(lambda: told_whole(mirror), 40, "the mirror's end")
                mirror.stop()
            assert "Traceback" not in mirror.log() + station.log()
        [source], [copy] = (station.data / "recordings").iterdir(), mirror.copies()
        check_copy(source, copy)
        assert len(list(copy.glob("chunk_*.jsonl"))) == stopped["final_chunk_count"]
        found = ledger(copy, time.time_ns())
        named = [(one.from_ns or 0, one.until_ns or ended_ns) for one in found.missing]
        rows = rows_of(copy)
        meant = [line for line in sensor.sent() if line[0] < ended_ns]
        lost = [line for line in unaccounted(meant, rows, named) if line[0] > began_ns]
        assert not lost and len(rows) > 600, (lost[:3], named, done)


def told_whole(mirror):
    told = mirror.lines()
    return told and told[-1]["state"] == "whole"


def rows_of(path):
    return [
        (int(time_ns), float(value))
        for block in RecordingReader(path).blocks("sensor")
        for time_ns, value in zip(block.time_ns, block.columns()[0], strict=True)
    ]


def unaccounted(sent, rows, named):
    """Return the lines that are neither recorded nor within a named range; fail if a row was never sent."""
    left, absent = deque(sent), []
    for row_ns, value in rows:
        while left and left[0][1] != value:
            absent.append(left.popleft())
        if not left:
            break  # sent after the moment that was asked about
        sent_ns, _ = left.popleft()
        assert abs(row_ns - sent_ns) < 2_000_000_000, f"the row {value} at {row_ns} was not sent then"
    absent += left
    return [
        line
        for line in absent
        if not any(begin - SLACK_NS <= line[0] <= end + SLACK_NS for begin, end in named)
    ]


def test_the_judge_of_the_dive_sees_a_lost_line_and_a_made_up_one():
    second = 1_000_000_000
    sent = [(n * second, n / 10) for n in range(10)]
    assert unaccounted(sent, sent, []) == []
    assert unaccounted(sent, sent[:4] + sent[5:], []) == [sent[4]]
    assert unaccounted(sent, sent[:4], []) == sent[4:]
    assert unaccounted(sent, sent[:4] + sent[7:], [(4 * second, 6 * second)]) == []
    assert unaccounted(sent, sent[:4] + sent[7:], [(4 * second, 5 * second)]) == [sent[6]]
    with pytest.raises(AssertionError):
        unaccounted(sent, [sent[1], (0, 0.8)], [])
