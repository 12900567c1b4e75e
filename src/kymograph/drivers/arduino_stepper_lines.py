"""The lines of the Arduino sketch that turns two stepper motors, and its arithmetic.

The sketch answers in Turkish, in UTF-8, for people. What ends a command is `Motor1 yeni pozisyon: …` (done),
a line with `ERR:` or `başarısız` (no), or one with `hareket etmeyecek` (nothing to do).
"""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

MOTORS: Final = (1, 2)
LIMIT_DEG: Final = 1727.5
"""Positions go from minus this to this; after a reset the sketch believes both motors at minus this."""
STEPS_PER_TURN: Final = 202.8
STEP_S: Final = 0.0101
MOVE_S: Final = 0.05
"""What a move takes beside its steps."""
STEPS_MAX: Final = 2000
"""More than the whole way takes: a larger number in a line is damage."""
_LINE_CHARS: Final = 300

BANNER: Final = "=== STEP MOTOR SISTEMI HAZIR ==="
_NUMBER: Final = r"(-?\d{1,4}\.\d{1,2})°?"
_LINES: Final = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("banner", r".*" + re.escape(BANNER)),
        ("start", rf"Motor([12]) başlangıç pozisyonu: {_NUMBER}"),
        ("echo", r"Alınan komut: (.*)"),
        ("present", rf"Motor([12]) mevcut pozisyon: {_NUMBER}"),
        ("steps", r"Motor ([12]) için (\d+) adım döndürülecek .*"),
        ("step", r"Adım: (\d+)/(\d+)"),
        ("done", rf"Motor([12]) yeni pozisyon: {_NUMBER}"),
        ("beat", rf"Motor1: {_NUMBER}, Motor2: {_NUMBER}"),
        ("no", r"ERR: .*|.*başarısız.*"),
        ("nothing", r".*hareket etmeyecek.*"),
        ("talk", r"Komut: motor_id.*|Motor ID: [12], Delta Açı: .*|Yön sinyali: .*"),
        ("talk", r"Motor [12] hareketi tamamlandı|Hareket edilecek açı çok küçük.*|Sistem aktif.*"),
    )
)


class Said(NamedTuple):
    """A line of the sketch: its kind, the line itself, and the numbers in it.

    `numbers` are (motor, position) of `start present done`, (motor, steps) of `steps`, (step, of) of `step`
    and both positions of `beat`; empty for the others. `words` of `echo` are the command as it was heard.
    """

    kind: str
    line: str
    numbers: tuple[float, float] | tuple[()] = ()
    words: str = ""


def parse_line(raw: bytes) -> Said:
    """Return what a line says; it comes without its end.

    Raises:
        ValueError: it is not one of the sketch's, or a number in it cannot be.
    """
    line = raw.decode("utf-8").strip()
    if len(line) > _LINE_CHARS:
        raise ValueError("too long")
    for kind, pattern in _LINES:
        found = pattern.fullmatch(line)
        if found is None:
            continue
        if kind == "echo":
            return Said(kind, line, words=found[1])
        if not found.groups():
            return Said(kind, line)
        first, second = (float(group) for group in found.groups())
        positions = {"beat": (first, second), "steps": (), "step": ()}.get(kind, (second,))
        if any(abs(position) > LIMIT_DEG + 0.01 for position in positions):
            raise ValueError("a position that cannot be")
        if kind in ("steps", "step") and second > STEPS_MAX:
            raise ValueError("more steps than there are")
        return Said(kind, line, (first, second))
    raise ValueError("not a line of this sketch")


def steps_of(angle_deg: float) -> int:
    """Return how many steps an angle takes at most."""
    return math.ceil(abs(angle_deg) * STEPS_PER_TURN / 360)


def duration_s(steps: float) -> float:
    """Return how long the sketch is deaf while it makes that many steps."""
    return MOVE_S + steps * STEP_S
