"""What is old is told by what has passed, whatever the clock on the wall says."""

from __future__ import annotations

from pathlib import Path

import pytest

from kymograph.service.retention.passing import FOREVER_NS, Passing

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
WALL = 1_790_000_000_000_000_000


class Ticking:
    def __init__(self, path: Path | None = None) -> None:
        self.passing = Passing(path)
        self.monotonic = 7
        self.wall = WALL
        self.ids = 0

    def hours(self, count: int, step_ns: int = 0) -> list[bool]:
        self.wall += step_ns
        jumps: list[bool] = []
        for _ in range(count):
            self.monotonic += HOUR_NS
            self.wall += HOUR_NS
            self.ids += 60
            jumps.append(self.passing.tick(self.monotonic, self.wall, (self.ids, self.ids // 10), DAY_NS))
        return jumps


def test_a_row_is_old_when_a_day_has_passed_over_it() -> None:
    told = Ticking()
    told.hours(24)
    assert told.passing.old(DAY_NS).readings == 0
    told.hours(1)
    assert told.passing.old(DAY_NS).readings == 60
    told.hours(100)
    assert told.passing.old(DAY_NS).readings == told.ids - 24 * 60
    assert len(told.passing.marks) <= 26
    assert told.passing.steady_ns() == FOREVER_NS


@pytest.mark.parametrize("step_ns", [-HOUR_NS, 87_600 * HOUR_NS, -WALL])
def test_a_jump_is_noticed_once_and_believed_after_a_day(step_ns: int) -> None:
    told = Ticking()
    told.hours(30)
    assert told.hours(30, step_ns) == [True] + [False] * 29
    assert told.passing.believed_ns == told.wall
    told = Ticking()
    told.hours(30)
    told.hours(5, step_ns)
    assert told.passing.believed_ns == WALL + 35 * HOUR_NS and told.passing.steady_ns() == 4 * HOUR_NS
    assert told.hours(1, -step_ns) == [True]  # put right: that is a jump too
    assert told.passing.believed_ns == told.wall and told.passing.steady_ns() == 0


def test_it_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "retention.json"
    told = Ticking(path)
    told.hours(20)
    again = Ticking()
    again.passing = Passing.load(path)
    again.monotonic, again.wall, again.ids = 3, told.wall + 50 * DAY_NS, told.ids
    assert again.hours(1) == [False]
    assert again.passing.passed_ns == told.passing.passed_ns, "what was not seen does not count"
    again.hours(6)
    assert again.passing.old(DAY_NS).readings == 120
    third = Ticking()
    third.passing = Passing.load(path)
    third.wall = 5  # no battery
    assert third.hours(3) == [True, False, False]
    assert third.hours(1, told.wall + 51 * DAY_NS) == [True]
    assert third.passing.believed_ns == third.wall


def test_another_database_begins_anew(tmp_path: Path) -> None:
    told = Ticking()
    told.hours(50)
    told.ids = 0
    told.hours(1)
    assert told.passing.old(DAY_NS).readings == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"marks": [[1]], "passed_ns": 3}'])
def test_a_damaged_file_is_no_harm(tmp_path: Path, text: str) -> None:
    path = tmp_path / "retention.json"
    path.write_text(text)
    assert Passing.load(path).passed_ns == 0
