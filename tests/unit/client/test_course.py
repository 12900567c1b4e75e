"""How long a live loop waits, when it tries again, and when it gives up."""

from __future__ import annotations

import pytest

from kymograph.client import errors
from kymograph.client.course import PAUSES_S, Course


class Time:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


GONE = errors.Unavailable("gone")


def test_without_bounds_it_waits_for_ever() -> None:
    course = Course(None, None, Time())
    assert course.wait_s() is None and not course.over


def test_it_ends_after_its_time() -> None:
    time = Time()
    course = Course(5.0, None, time)
    assert course.wait_s() == 5.0
    time.now_s += 5
    assert course.over and course.wait_s() == 0


def test_silence_is_raised_and_rows_break_it() -> None:
    time = Time()
    course = Course(None, 3.0, time)
    time.now_s += 2
    assert course.wait_s() == 1.0
    course.heard()
    time.now_s += 2.9
    assert course.wait_s() == pytest.approx(0.1)
    time.now_s += 0.2
    with pytest.raises(errors.TimedOut):
        course.wait_s()


def test_the_end_is_no_silence() -> None:
    time = Time()
    course = Course(3.0, 3.0, time)
    time.now_s += 3
    assert course.over and course.wait_s() == 0


def test_a_station_that_never_answered_is_told_at_once() -> None:
    with pytest.raises(errors.Unavailable):
        Course(None, None, Time()).pause_s(GONE)


def test_pauses_grow_and_begin_anew_after_a_welcome() -> None:
    course = Course(None, None, Time())
    course.welcomed()
    pauses = [course.pause_s(GONE) for _ in range(len(PAUSES_S) + 2)]
    assert pauses == [*PAUSES_S, PAUSES_S[-1], PAUSES_S[-1]]
    course.welcomed()
    assert course.pause_s(GONE) == PAUSES_S[0]


def test_a_refusal_is_not_tried_again() -> None:
    course = Course(None, None, Time())
    course.welcomed()
    with pytest.raises(errors.KeyNeeded):
        course.pause_s(errors.KeyNeeded("the key was removed"))


def test_a_pause_does_not_outlast_the_loop_and_silence_says_why() -> None:
    time = Time()
    course = Course(None, 4.0, time)
    course.welcomed()
    for _ in range(10):
        assert course.pause_s(GONE) <= 4.0
    time.now_s += 4
    with pytest.raises(errors.TimedOut) as silent:
        course.wait_s()
    assert "gone" in silent.value.hint
