"""The same key, the same answer."""

from __future__ import annotations

import threading

import pytest

from kymograph.model.errors import Conflict, InvalidInput, Unavailable
from kymograph.model.limits import IDEMPOTENCY_KEYS_MAX
from kymograph.web.idempotency import Answers


def test_done_once_however_often_it_is_asked() -> None:
    answers, done = Answers(), list[int]()

    def do() -> int:
        done.append(1)
        return len(done)

    assert [answers.once("anna", "k", {"name": "x"}, do) for _ in range(3)] == [1, 1, 1]
    assert answers.once("bert", "k", {"name": "x"}, do) == 2, "another caller's key is another key"
    assert answers.once("anna", None, {"name": "x"}, do) == 3


def test_the_key_belongs_to_one_request() -> None:
    answers = Answers()
    answers.once("a", "k", {"name": "x"}, lambda: 1)
    with pytest.raises(Conflict):
        answers.once("a", "k", {"name": "y"}, lambda: 2)


def test_a_failure_is_not_remembered() -> None:
    answers = Answers()

    def fail() -> int:
        raise Unavailable("no")

    with pytest.raises(Unavailable):
        answers.once("a", "k", {}, fail)
    assert answers.once("a", "k", {}, lambda: 7) == 7


def test_two_at_the_same_instant_are_one() -> None:
    answers, begun, go = Answers(), threading.Event(), threading.Event()
    done: list[int] = []

    def do() -> int:
        begun.set()
        go.wait(5)
        done.append(1)
        return len(done)

    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(answers.once("a", "k", {}, do))) for _ in range(4)]
    threads[0].start()
    assert begun.wait(5)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(5)
    assert got == [1, 1, 1, 1]


def test_memory_is_bounded_and_keys_too() -> None:
    answers = Answers()
    for i in range(2 * IDEMPOTENCY_KEYS_MAX):
        answers.once("a", str(i), {}, lambda: 1)
    assert len(answers) == IDEMPOTENCY_KEYS_MAX
    for key in ("", "k" * 256):
        with pytest.raises(InvalidInput):
            answers.once("a", key, {}, lambda: 1)
