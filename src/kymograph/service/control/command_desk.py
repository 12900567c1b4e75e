"""Every command of what moves, from its giver to the read-back that proves it; see `control.command_life`.

A command is proved off the thread that gave it: at its answer, if the device shows by then what it did, else
by `tick`, so that nothing that comes after it waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final
from uuid import uuid4

from kymograph.acquire.motion import Motion
from kymograph.control import command_life as life
from kymograph.control.command_life import Command, Commands, Order
from kymograph.model.clock import Clock
from kymograph.model.errors import (
    Conflict,
    DeviceError,
    InvalidInput,
    KymographError,
    NotFound,
    Refused,
    TimedOut,
    TooMany,
    Unavailable,
)
from kymograph.model.limits import LINK_CALL_TIMEOUT_S
from kymograph.service.contract import Plain
from kymograph.service.control.logbook import Logbook
from kymograph.service.control.standing import Standing

SEEN_S: Final = 2.5
"""How long a device may take to show what it did: one that tells once a second, twice missed."""
LISTED: Final = 20
"""Ended commands that are shown beside those under way."""
_SAME_SHARE: Final = 1e-5
"""Of an actuator's range: closer than that is the place that was ordered."""


@dataclass(slots=True)
class _Watched:
    """A command under way: what its device is to show, and whether its giver has been answered."""

    motion: Motion
    expected: Mapping[str, float] = field(default_factory=dict[str, float])
    answered: threading.Event = field(default_factory=threading.Event)
    error: KymographError | None = None


class _UnderWay:
    """A command while its giver waits: whatever ends that wait ends the command."""

    def __init__(self, desk: CommandDesk, command_id: str) -> None:
        self._desk = desk
        self._id = command_id
        self.answer: Any = None

    def __enter__(self) -> _UnderWay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._desk.answered(self._id, self.answer)
        elif isinstance(error, KymographError):
            error.facts["command_id"] = self._id
            self._desk.failed(self._id, error)
        else:
            self._desk.failed(self._id, DeviceError(f"{type(error).__name__}: {error}"))


class CommandDesk:
    """The commands of one station. Any thread may call; nothing here waits for a device."""

    def __init__(self, clock: Clock, logbook: Logbook) -> None:
        self._clock = clock
        self._logbook = logbook
        self._commands = Commands(lambda: str(uuid4()), lambda now_ns: now_ns + clock.offset_ns)
        self._watched: dict[str, _Watched] = {}
        self._guard = threading.RLock()

    def accept(self, order: Order, standing: Standing, motion: Motion) -> tuple[Command, bool]:
        """Take an order on; the bool says that it is a repetition of one that was taken on before.

        Raises:
            Conflict: its key was used for something else.
            TooMany: too many wait for that instrument.
        """
        urgent = standing in (Standing.LAST, Standing.EMERGENCY)
        with self._guard:
            step = self._commands.accept(order, self._clock.monotonic_ns(), urgent)
            if step.event is not None:
                self._watched[step.command.id] = _Watched(motion)
                self._logbook.step(step)
        return step.command, step.event is None

    def get(self, command_id: str) -> Command:
        """Return a command as it is now."""
        with self._guard:
            return self._commands.get(command_id)

    def under_way(self, command: Command) -> _UnderWay:
        """Return what ends a command with the answer that is put there, or with what is raised."""
        return _UnderWay(self, command.id)

    def send(self, command_id: str, fence: int | None) -> None:
        """Note that a command goes now; called in the device's thread, right before its first byte.

        Raises:
            TimedOut: it is too late for that.
        """
        with self._guard:
            self._logbook.step(self._commands.send(command_id, self._clock.monotonic_ns(), fence))
            command, watched = self._commands.get(command_id), self._watched[command_id]
            asked = command.order
            self.overtake(asked.instrument, "another command came", command_id)
            watched.expected = watched.motion.expects(asked.command, asked.arguments)

    def answered(self, command_id: str, answer: Any) -> None:
        """Note what the device answered, and see whether it shows already what it did."""
        heard = not (isinstance(answer, Mapping) and answer.get("acknowledged") is False)
        with self._guard:
            now_ns, watched = self._clock.monotonic_ns(), self._watched[command_id]
            if self._commands.get(command_id).state == life.SENT:
                if heard:
                    seen_s = SEEN_S if watched.expected else 0.0
                    self._logbook.step(self._commands.acknowledge(command_id, now_ns, answer, seen_s))
                else:
                    self._commands.leave_unanswered(command_id, now_ns, answer, SEEN_S)
                self._look(command_id, now_ns)
            watched.answered.set()
            self._tidy(command_id)

    def failed(self, command_id: str, error: KymographError) -> None:
        """Note why a command did not come to its end."""
        with self._guard:
            command, watched = self._commands.get(command_id), self._watched[command_id]
            state = _ending(error, command.state == life.SENT)
            if state in life.TRANSITIONS[command.state] and not command.ended:
                self._end(command_id, state, error.message)
            watched.error = error
            watched.answered.set()
            self._tidy(command_id)

    def repeated(self, command_id: str) -> Command:
        """Return a command that was given once more, when it was answered the first time.

        Raises:
            KymographError: what it failed with then.
        """
        watched = self._watched.get(command_id)
        if watched is not None:
            watched.answered.wait(LINK_CALL_TIMEOUT_S)
            if watched.error is not None:
                raise watched.error
        command = self._commands.get(command_id)
        if command.state in _REASONS:
            raise _REASONS[command.state](command.reason, command_id=command_id)
        return command

    def overtake(self, instrument: str, why: str, but: str = "") -> None:
        """Cease to look for what an instrument's commands did: something came over them."""
        with self._guard:
            for command in self._commands.waiting():
                shown = command.state == life.ACKNOWLEDGED and command.order.instrument == instrument
                if shown and command.id != but:
                    self._end(command.id, life.UNKNOWN, f"{why} before the device showed it")

    def tick(self) -> None:
        """See what devices show by now, and end what is too late or has lost its device."""
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            for command in self._commands.waiting():
                self._look(command.id, now_ns)
            lost = {
                command.order.instrument
                for command in self._commands.waiting()
                if command.state != life.ACCEPTED and not self._watched[command.id].motion.is_open
            }
            for step in [s for name in lost for s in self._commands.link_lost(name, now_ns)]:
                self._logbook.step(step)
            for step in self._commands.expire(now_ns):
                self._logbook.step(step)
            for command_id in list(self._watched):
                self._tidy(command_id)

    def to_list(self) -> list[Plain]:
        """Return those under way and the last that ended, the newest last."""
        with self._guard:
            return [{**c.to_dict(), "time_ns": c.time_ns} for c in self._commands.newest(LISTED)]

    def _look(self, command_id: str, now_ns: int) -> None:
        """Compare what a device shows with what it was told."""
        command, watched = self._commands.get(command_id), self._watched[command_id]
        looked_for = command.state == life.ACKNOWLEDGED or (
            command.state == life.SENT and command.answer is not None
        )
        if command.ended or not looked_for:
            return
        shown = watched.motion.read_back()
        ranges = {actuator.name: actuator.high - actuator.low for actuator in watched.motion.actuators}
        there = {name: shown.get(name) for name in watched.expected}
        wrong = [
            f"{name} is {'not known' if at is None else f'{at:g}'}, not {watched.expected[name]:g}"
            for name, at in there.items()
            if at is None or abs(at - watched.expected[name]) > _SAME_SHARE * ranges[name]
        ]
        if there and not wrong:
            self._end(command_id, life.VERIFIED, "")
        elif now_ns < command.deadline_ns:
            return
        elif command.state == life.SENT:
            self._end(command_id, life.UNKNOWN, "the device neither acknowledged it nor showed what it did")
        elif all(at is None for at in there.values()):
            self._commands.rest(command_id)
        else:
            self._end(command_id, life.FAILED, f"the device shows otherwise: {', '.join(wrong)}")

    def _end(self, command_id: str, state: str, reason: str) -> None:
        self._logbook.step(self._commands.end(command_id, state, reason, self._clock.monotonic_ns()))

    def _tidy(self, command_id: str) -> None:
        """Watch a command no more that has ended and was answered."""
        try:
            over = self._commands.get(command_id).ended and self._watched[command_id].answered.is_set()
        except NotFound:
            over = True  # so many have ended since that it is forgotten
        if over:
            del self._watched[command_id]


_REFUSALS: Final = (Refused, Conflict, InvalidInput, NotFound, TooMany)
_REASONS: Final[Mapping[str, Callable[..., KymographError]]] = {
    life.REFUSED: Refused, life.TIMED_OUT: TimedOut, life.FAILED: DeviceError, life.UNKNOWN: DeviceError,
}  # fmt: skip


def _ending(error: KymographError, sent: bool) -> str:
    """Return how a command ends that met an error."""
    if isinstance(error, TimedOut):
        return life.TIMED_OUT
    if isinstance(error, Conflict) and sent:
        return life.FAILED  # it went, and the device is elsewhere
    if isinstance(error, _REFUSALS):
        return life.REFUSED
    lost = isinstance(error, DeviceError | Unavailable) or type(error) is KymographError
    return life.UNKNOWN if sent and lost else life.FAILED
