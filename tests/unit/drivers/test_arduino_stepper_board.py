"""What is concluded from the words of the stepper board, and from their not coming. No port, no clock."""

from __future__ import annotations

import math

import pytest

from kymograph.drivers.arduino_stepper_board import Board, Move
from kymograph.drivers.arduino_stepper_lines import parse_line
from kymograph.model.errors import Conflict, InvalidInput, Refused, TimedOut

SECOND = 1_000_000_000
BOOT = ("=== STEP MOTOR SISTEMI HAZIR ===", "Motor1 başlangıç pozisyonu: -1727.50",
        "Motor2 başlangıç pozisyonu: -1727.50")  # fmt: skip
BEAT = "Motor1: -1727.50°, Motor2: -1727.50°"
MOVED = "Motor1: -1637.50°, Motor2: -1727.50°"


def hear(board: Board, at_s: float, *lines: str) -> None:
    for line in lines:
        board.hear(parse_line(line.encode()), int(at_s * SECOND))


def booted() -> Board:
    board = Board(1.0)
    hear(board, 0, *BOOT)
    return board


def sent(board: Board, at_s: float = 10) -> Move:
    board.check(1, 90)
    return board.sent(1, 90.0, "1:90.00", int(at_s * SECOND))


def given_up(board: Board, *before: str) -> Move:
    move = sent(board)
    hear(board, 10, *before)
    assert not board.pass_time(int(12.5 * SECOND)) and board.pass_time(int(12.6 * SECOND))
    assert isinstance(move.error, TimedOut) and board.unknown and board.moving
    with pytest.raises(Conflict, match="not known"):
        board.check(1, 1)
    return move


def test_nothing_is_known_of_a_board_that_has_not_spoken() -> None:
    board = Board(1.0)
    assert board.unknown and not board.booted and board.state == (None, None, 0.0)
    with pytest.raises(Conflict):
        board.check(1, 1)
    hear(board, 0, *BOOT[:2])
    assert board.unknown and not board.booted
    hear(board, 0, BOOT[2])
    assert board.booted and board.ready_ns == int(1.1 * SECOND)


def test_the_position_is_the_boards_word_not_our_sum() -> None:
    board = booted()
    move = sent(board)
    assert board.positions[0] == -1727.5 and board.moving
    hear(board, 11, "Alınan komut: 1:90.00", "Motor1 yeni pozisyon: -1637.49")
    assert move.ended and move.error is None and move.position == -1637.49
    assert board.ready_ns == int(11.6 * SECOND) and not board.moving


def test_the_boards_own_number_of_steps_moves_the_deadline() -> None:
    board = booted()
    move = sent(board)
    hear(board, 10, "Alınan komut: 1:902:45", "Motor 1 için 508 adım döndürülecek (902.00°)")
    assert not board.pass_time(int(16 * SECOND))
    hear(board, 16, "Motor1 yeni pozisyon: -825.50")
    assert isinstance(move.error, Conflict) and move.error.facts["heard"] == "1:902:45"
    assert board.positions[0] == -825.5


def test_a_reply_of_the_other_motor() -> None:
    board = booted()
    move = sent(board)
    hear(board, 11, "Motor2 yeni pozisyon: -1637.50")
    assert isinstance(move.error, Conflict) and board.positions == [-1727.5, -1637.5]


def test_a_reply_that_comes_late_settles_it_with_the_next_heart_beat() -> None:
    board = booted()
    given_up(board)
    hear(board, 13, "Motor1 yeni pozisyon: -1637.50")
    assert board.positions[0] == -1637.5 and math.isnan(board.positions[1])
    hear(board, 30, MOVED)
    board.check(1, 90)
    assert board.doubt is None


@pytest.mark.parametrize(
    ("before", "beat", "safe"),
    [
        ((), MOVED, True),
        ((), BEAT, False),
        (("Alınan komut: 1:90.00",), BEAT, True),
        (("Alınan komut: 1:90.00",), MOVED, True),
    ],
)
def test_what_a_heart_beat_says_of_a_move_without_an_answer(
    before: tuple[str, ...], beat: str, safe: bool
) -> None:
    board = booted()
    given_up(board, *before)
    hear(board, 30, beat)
    assert not board.unknown and not board.moving
    if safe:
        board.check(1, 90)
        return
    with pytest.raises(Conflict, match="buffer"):
        board.check(1, 90)
    hear(board, 60, beat)
    with pytest.raises(Conflict, match="buffer"):
        board.check(1, 90)
    hear(board, 70, *BOOT)
    board.check(1, 90)


def test_a_heart_beat_that_was_on_its_way_ends_no_move() -> None:
    board = booted()
    move = sent(board)
    hear(board, 10, BEAT)
    assert board.moving and not move.ended
    hear(board, 10.1, "Alınan komut: 1:90.00")
    hear(board, 11, MOVED)
    assert move.ended and move.error is None and move.response == MOVED


def test_a_no_leaves_the_position_known() -> None:
    board = booted()
    move = sent(board)
    hear(board, 10, "Motor hareketi başarısız!")
    assert isinstance(move.error, Refused) and not board.unknown
    board.check(1, 90)


def test_a_reset_ends_everything() -> None:
    board = booted()
    move = sent(board)
    hear(board, 10, BOOT[0])
    assert isinstance(move.error, Conflict) and board.unknown and board.resets == 2
    hear(board, 10, *BOOT[1:])
    board.check(1, 90)


@pytest.mark.parametrize(
    ("motor", "angle"), [(1, -0.01), (1, 3455.01), (2, math.nan), (2, -math.inf), (0, 1.0), (3, 1.0)]
)
def test_limits(motor: int, angle: float) -> None:
    with pytest.raises(InvalidInput):
        booted().check(motor, angle)


def test_up_to_the_limits() -> None:
    board = booted()
    board.check(1, 3455.0)
    board.check(1, 0.0)
