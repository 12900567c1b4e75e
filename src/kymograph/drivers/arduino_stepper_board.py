"""What is known of the board with the two stepper motors, from its own words and from what was sent.

No port and no clock: the driver tells it each line and the time, in monotonic nanoseconds. Positions are the
board's last word, never reckoned here; NaN is unknown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from kymograph.drivers.arduino_stepper_lines import LIMIT_DEG, MOTORS, Said, duration_s, steps_of
from kymograph.model.errors import Conflict, InvalidInput, KymographError, Refused, TimedOut

BOOT_DEAF_S: Final = 1.1
"""The sketch sleeps for 1 s after its boot text."""
REST_S: Final = 0.6
"""From a final reply to the next command: within 500 ms two lines become one."""
PATIENCE_S: Final = 2.0
"""How long after its reckoned end a move may still be answered."""
PATIENCE_MIN: Final = 0.15
"""Of the real delays, however fast a simulated board is: this computer may be busy."""
_SAME_DEG: Final = 0.03
"""Two positions this close are one: the board reckons in float32 and prints two decimals."""


@dataclass(slots=True)
class Move:
    """A move from its sending to the board's last word on it."""

    motor: int
    angle: float
    line: str
    before: tuple[float, ...]
    deadline_ns: int
    heard: str | None = None
    """The command as the board says it heard it."""
    step: tuple[int, int] = (0, 0)
    ended: bool = False
    position: float = math.nan
    response: str = ""
    error: KymographError | None = None

    @property
    def target(self) -> float:
        """Where it leads, in degrees."""
        return self.before[self.motor - 1] + self.angle


class Board:
    """The board from one opening of its port to the next. `time_scale` below 1 is a fast simulated one."""

    def __init__(self, time_scale: float) -> None:
        self._scale = time_scale
        self.patience = max(time_scale, PATIENCE_MIN)
        self.positions = [math.nan, math.nan]
        self.moving = False
        """Whether a motor moves, or may: also after a move that was not answered."""
        self.move: Move | None = None
        """The move under way."""
        self.doubt: Move | None = None
        """A move that was not answered, until the board says where it is."""
        self.resets = 0
        self.ready_ns = 0
        """When the next command may be sent."""
        self._started: set[int] = set()
        self._stale = False
        self._now_ns = 0

    @property
    def unknown(self) -> bool:
        """Whether a position is not known."""
        return any(math.isnan(position) for position in self.positions)

    @property
    def booted(self) -> bool:
        """Whether its whole boot text was heard."""
        return self.resets > 0 and len(self._started) == len(MOTORS)

    @property
    def state(self) -> tuple[float | None, ...]:
        """Positions, None for unknown, and whether it moves: what a row is made of, and can be compared."""
        known = (None if math.isnan(position) else position for position in self.positions)
        return (*known, float(self.moving))

    def note(self) -> str:
        """Return what people should know this second."""
        if self.move is not None:
            step, steps = self.move.step
            return f"motor {self.move.motor} moves" + (f", step {step} of {steps}" if steps else "")
        if self.doubt is not None:
            return "position unknown: a move was not answered; the next heart-beat will tell"
        if self.moving:
            return "a motor moves, by another's command"
        if self._stale:
            return "no move is sent: a part of the last one may stand in the board's buffer"
        if self.resets:
            return "position lost: the board was reset and counts from its start"
        return ""

    # -- what it says --------------------------------------------------------------------------------------
    def hear(self, said: Said, now_ns: int) -> None:
        """Take a line of the board's."""
        self._now_ns = now_ns
        first, second = said.numbers or (0.0, 0.0)
        match said.kind:
            case "banner":
                self._begins_anew()
            case "start":
                self.positions[int(first) - 1] = second
                self._started.add(int(first))
                self._rest_for(BOOT_DEAF_S)
            case "present":
                self.positions[int(first) - 1] = second
            case "beat":
                self._hear_beat(said.line, first, second)
            case "echo":
                self._hear_echo(said.words)
            case "steps" | "step":
                self._hear_steps(said.kind == "steps", int(first), int(second))
            case "done":
                self.positions[int(first) - 1] = second
                self._ends(said.line, int(first))
            case "no" | "nothing":
                self._ends(said.line)
            case _:
                pass

    def _rest_for(self, seconds: float) -> None:
        self.ready_ns = self._now_ns + int(seconds * self.patience * 1e9)

    def _begins_anew(self) -> None:
        """Forget what was: it was reset, by the opening of its port or by itself."""
        self.positions = [math.nan, math.nan]
        self.moving = self._stale = False
        self.doubt = None
        self.resets += 1
        self._started = set()
        self._rest_for(BOOT_DEAF_S)
        self._end_move(
            Conflict(
                "the board was reset in the middle of the move; where the motor stands is not known",
                hint="look at the motor before the next move",
                position_lost=True,
            )
        )

    def _end_move(self, error: KymographError | None) -> None:
        if self.move is not None:
            self.move.ended, self.move.error = True, error
        self.move = None

    def _hear_beat(self, line: str, first: float, second: float) -> None:
        """Take a heart-beat: the board is idle, and says where it believes to be."""
        move, doubt = self.move, self.doubt
        if move is not None and move.heard is None:
            return  # it was said before the command arrived
        self.positions = [first, second]
        self.moving, self.doubt = False, None
        if move is not None:
            self._ends(line, move.motor)
        elif doubt is not None:
            unmoved = all(abs(a - b) < 0.005 for a, b in zip(self.positions, doubt.before, strict=True))
            # A piece of the line may stand in its buffer, and would become the beginning of the next.
            self._stale = doubt.heard is None and unmoved

    def _hear_echo(self, words: str) -> None:
        self._stale = False
        move = self.move or self.doubt
        if move is not None:
            move.heard = words

    def _hear_steps(self, all_of_them: bool, first: int, second: int) -> None:
        self.moving = True
        move = self.move or self.doubt
        if move is None:
            return
        if all_of_them:
            move.deadline_ns = self._now_ns + self._allowed_ns(second)
        move.step = (0 if all_of_them else first, second)

    def _ends(self, line: str, motor: int = 0) -> None:
        """Take the last word on a command, ours or another's; `motor` 0 says that nothing has moved."""
        self._rest_for(REST_S)
        self.moving = False
        if self.doubt is not None:
            self.doubt.heard = self.doubt.heard or line
            self.doubt = self.doubt if self.unknown else None
        move = self.move
        if move is None:
            return
        move.response, move.position = line, self.positions[move.motor - 1]
        self._end_move(self._verdict(move, motor, "hareket etmeyecek" in line))

    @staticmethod
    def _verdict(move: Move, moved: int, nothing_to_do: bool) -> KymographError | None:
        """Return what is wrong with how a move has ended."""
        if not moved and not nothing_to_do:
            words = move.response
            return Refused(f"the board says: {words}", response=words, position=move.position)
        misheard = move.heard is not None and move.heard != move.line
        elsewhere = bool(moved) and abs(move.position - move.target) > _SAME_DEG
        if not misheard and not elsewhere and moved in (0, move.motor):
            return None
        return Conflict(
            f"motor {move.motor} is at {move.position:g} degrees, and was sent to {move.target:g}",
            hint="look at the motors; another program may use this port",
            sent=move.line, heard=move.heard, position=move.position, response=move.response,
        )  # fmt: skip

    def pass_time(self, now_ns: int) -> bool:
        """Give a move up that was not answered in time; return whether that is so just now.

        Nothing is known then, until the board says a position.
        """
        move = self.move
        if move is None or now_ns < move.deadline_ns:
            return False
        self.positions = [math.nan, math.nan]
        self.doubt = move
        self._end_move(
            TimedOut(
                f"motor {move.motor}: the board did not say that the move has ended",
                hint="its next heart-beat, within 30 s, says where it is; until then no move is sent",
                sent=move.line,
                heard=move.heard,
            )
        )
        return True

    # -- what it is told -----------------------------------------------------------------------------------
    def check(self, motor: int, angle: float) -> None:
        """Make sure that a move may be sent.

        Raises:
            InvalidInput: no such motor, no such angle, or beyond the limits.
            Conflict: the state of the board forbids it.
        """
        if motor not in MOTORS or not math.isfinite(angle):
            raise InvalidInput("a move is of motor 1 or 2, by a number of degrees")
        if self.move is not None:
            raise Conflict("a motor moves already", hint="wait until it has ended: it cannot be stopped")
        if self.doubt is not None or self.unknown:
            raise Conflict(
                "the position is not known, because a move was not answered",
                hint="wait 30 s for the board's heart-beat; opening the port anew resets the board",
            )
        if self.moving:
            raise Conflict("a motor moves, by another's command", hint="wait until it has ended")
        if self._stale:
            raise Conflict(
                "a part of the last command may stand in the board's buffer, and would begin the next one",
                hint="close and open the instrument: that resets the board, and loses the position",
            )
        position = self.positions[motor - 1]
        if abs(position + angle) > LIMIT_DEG + 0.005:
            raise InvalidInput(
                f"{angle:g} degrees from {position:g} lead beyond the limits of motor {motor}",
                hint=f"{-LIMIT_DEG - position:g} to {LIMIT_DEG - position:g} degrees are left",
                position=position, low=-LIMIT_DEG, high=LIMIT_DEG,
            )  # fmt: skip

    def sent(self, motor: int, angle: float, line: str, now_ns: int) -> Move:
        """Take note of a move that has just been sent."""
        deadline_ns = now_ns + self._allowed_ns(steps_of(angle))
        self.move = Move(motor, angle, line, tuple(self.positions), deadline_ns)
        self.moving = True
        return self.move

    def _allowed_ns(self, steps: int) -> int:
        return int((duration_s(steps) * self._scale + PATIENCE_S * self.patience) * 1e9)
