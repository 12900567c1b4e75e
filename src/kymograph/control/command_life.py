"""The life of a command, from the person who gave it to the read-back that proves it.

    accepted -> sent -> acknowledged -> verified
                                        refused     somebody said no: an interlock, another holder, a device;
                                                    or there is no link
                                        failed      it was tried and did not work
                                        timed_out   not sent by its deadline, or not answered in time
                                        unknown     the link went while it was under way: nobody can say

Each step is an event of kind `command`: one id, a revision for each step. A command that is given twice with
one idempotency key is one command. A command that is not sent by its deadline is never sent: when a cable
comes back, nothing moves that was asked for while it was out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final, NamedTuple

from kymograph.model.errors import Conflict, InvalidInput, NotFound, TimedOut, TooMany
from kymograph.model.event import Event
from kymograph.model.limits import COMMAND_LATE_S, COMMAND_TIMEOUT_S, COMMANDS_KEPT_MAX, COMMANDS_WAITING_MAX

ACCEPTED: Final = "accepted"
SENT: Final = "sent"
ACKNOWLEDGED: Final = "acknowledged"
VERIFIED: Final = "verified"
REFUSED: Final = "refused"
FAILED: Final = "failed"
TIMED_OUT: Final = "timed_out"
UNKNOWN: Final = "unknown"

TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    ACCEPTED: frozenset({SENT, REFUSED, FAILED, TIMED_OUT}),
    SENT: frozenset({ACKNOWLEDGED, VERIFIED, REFUSED, FAILED, TIMED_OUT, UNKNOWN}),
    ACKNOWLEDGED: frozenset({VERIFIED, FAILED, UNKNOWN}),
    VERIFIED: frozenset(), REFUSED: frozenset(), FAILED: frozenset(), TIMED_OUT: frozenset(),
    UNKNOWN: frozenset(),
}  # fmt: skip
"""What may follow each state. `verified` may follow `sent`: some devices only show what they did."""


@dataclass(frozen=True, slots=True)
class Order:
    """One command for one instrument, as somebody gave it: the one way in to everything that moves."""

    instrument: str
    command: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    by: str = ""
    fence: int | None = None
    """Of the lease that it is given under; None: that of `by`, who takes one if nobody has it."""
    key: str = ""
    """The giver's own, "" for none: the same key is the same command."""
    late_s: float | None = None
    """How long it may wait to be sent; what is later than that never goes. None: of what moves
    `COMMAND_LATE_S`, of others as long as an answer may take."""
    run: str = ""
    """The id of the run that it is a step of, if it is one."""

    def same(self, other: Order) -> bool:
        """Return whether another asks for the same."""
        return (self.instrument, self.command, _plain(self.arguments)) == (
            other.instrument, other.command, _plain(other.arguments)
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """An order at one moment of its life."""

    id: str
    order: Order
    state: str
    time_ns: int
    """When it was accepted, in UTC."""
    late_s: float
    """How long it may wait to be sent."""
    deadline_ns: int
    """Monotonic: when it is too late to send it; once sent, for an answer; then for what the device shows."""
    fence: int | None = None
    """Of the lease under which it went; until then that of the order."""
    revision: int = 0
    answer: Any = None
    reason: str = ""
    looked_for: bool = False
    """Whether the device is to show what it did; if not, its acknowledgement is the end."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return not TRANSITIONS[self.state] or (self.state == ACKNOWLEDGED and not self.looked_for)

    def to_dict(self) -> dict[str, Any]:
        """Return the body of the event that tells of it."""
        asked = self.order
        run = {"run": asked.run} if asked.run else {}
        return {
            "id": self.id, "state": self.state, "instrument": asked.instrument, "command": asked.command,
            "arguments": dict(asked.arguments), "by": asked.by, "fence": self.fence, "answer": self.answer,
            "reason": self.reason, "ended": self.ended, **run,
        }  # fmt: skip


class Step(NamedTuple):
    """A command after a step, and the event that tells of it; None if it was a repetition."""

    command: Command
    event: Event | None


class Commands:
    """The commands of a station, open and lately ended. One thread changes it."""

    def __init__(self, new_id: Callable[[], str], utc_ns: Callable[[int], int]) -> None:
        """Take what makes ids, and what makes UTC of a monotonic time."""
        self._new_id = new_id
        self._utc_ns = utc_ns
        self._waiting: dict[str, Command] = {}
        self._ended: dict[str, Command] = {}
        self._keys: dict[str, str] = {}

    def get(self, command_id: str) -> Command:
        """Return a command.

        Raises:
            NotFound: never given, or ended long ago.
        """
        command = self._waiting.get(command_id) or self._ended.get(command_id)
        if command is None:
            raise NotFound(f"there is no command {command_id}", hint="ended ones are forgotten")
        return command

    def waiting(self) -> list[Command]:
        """Return those that have not ended, oldest first."""
        return list(self._waiting.values())

    def newest(self, count: int) -> list[Command]:
        """Return those that have not ended, and the last ones that have; the newest last."""
        ended = list(islice(reversed(self._ended.values()), count))
        return [*reversed(ended), *self._waiting.values()]

    def accept(self, order: Order, now_ns: int, urgent: bool = False) -> Step:
        """Take an order on; of a repeated key, return the command that it was. What is `urgent`, as making
        things safe is, passes although too many wait.

        Raises:
            Conflict: the key was used for something else.
            InvalidInput: a time that cannot be.
            TooMany: too many wait for that instrument.
        """
        repeated = self._repeated(order)
        if repeated is not None:
            return Step(repeated, None)
        late_s = COMMAND_LATE_S if order.late_s is None else order.late_s
        if not late_s > 0:
            raise InvalidInput("a command needs time to be sent", late_s=late_s)
        waiting = sum(
            c.order.instrument == order.instrument and c.state != ACKNOWLEDGED for c in self.waiting()
        )
        if waiting >= COMMANDS_WAITING_MAX and not urgent:
            raise TooMany(f"{waiting} commands wait for {order.instrument}", hint="wait for them to end")
        made = Command(
            self._new_id(), order, ACCEPTED, self._utc_ns(now_ns), late_s, now_ns + int(late_s * 1e9),
            order.fence,
        )  # fmt: skip
        if order.key:
            self._keys[order.key] = made.id
        return self._keep(made, now_ns)

    def send(self, command_id: str, now_ns: int, fence: int | None = None) -> Step:
        """Note that a command goes to the device now, under which lease; asked just before its first byte.

        Raises:
            TimedOut: its deadline has passed; it must not be sent. `expire` tells of it.
            Conflict: it is not waiting to be sent.
        """
        command = self.get(command_id)
        late = command.state == ACCEPTED and now_ns >= command.deadline_ns
        if late or command.state == TIMED_OUT:
            late_s = (now_ns - command.deadline_ns) / 1e9
            raise TimedOut(
                f"{command.order.command} was to be sent {late_s:.3g} s ago",
                hint="give it again",
                late_s=late_s,
            )
        deadline_ns = now_ns + int(COMMAND_TIMEOUT_S * 1e9)
        fence = command.fence if fence is None else fence
        return self._go(replace(command, fence=fence, deadline_ns=deadline_ns), SENT, now_ns)

    def acknowledge(self, command_id: str, now_ns: int, answer: Any = None, seen_s: float = 0.0) -> Step:
        """Note what the device answered.

        `seen_s` is how long it may take until the device shows that it did it, 0 if it never shows.

        Raises:
            Conflict: it was not sent, or has ended.
        """
        deadline_ns = now_ns + int(seen_s * 1e9)
        command = replace(self.get(command_id), answer=answer, looked_for=seen_s > 0, deadline_ns=deadline_ns)
        return self._go(command, ACKNOWLEDGED, now_ns)

    def leave_unanswered(self, command_id: str, now_ns: int, answer: Any, seen_s: float) -> Command:
        """Wait no more for an acknowledgement, only for what the device shows; `answer` is the driver's.

        Raises:
            Conflict: it was not sent, or has ended.
        """
        command = self.get(command_id)
        if command.state != SENT:
            raise Conflict(f"{command.order.command} is {command.state}", command_id=command_id)
        deadline_ns = now_ns + int(seen_s * 1e9)
        self._waiting[command_id] = left = replace(command, answer=answer, deadline_ns=deadline_ns)
        return left

    def rest(self, command_id: str) -> Command:
        """Look no more for what a device shows: it shows nothing, and its acknowledgement was the end."""
        command = self.get(command_id)
        rested = replace(command, looked_for=False)
        self._file(rested)
        return rested

    def end(self, command_id: str, state: str, reason: str, now_ns: int) -> Step:
        """End a command as `verified`, `refused`, `failed`, `timed_out` or `unknown`.

        Raises:
            Conflict: it cannot end so from where it is.
        """
        if TRANSITIONS.get(state) != frozenset():
            raise InvalidInput(f"a command does not end as {state}")
        return self._go(replace(self.get(command_id), reason=reason), state, now_ns)

    def expire(self, now_ns: int) -> list[Step]:
        """End those whose time is over: not sent, not answered, or not seen in the read-back."""
        steps: list[Step] = []
        for command in self.waiting():
            if now_ns >= command.deadline_ns:
                state, reason = _LATE[command.state]
                steps.append(self._go(replace(command, reason=reason), state, now_ns))
        return steps

    def link_lost(self, instrument: str, now_ns: int) -> list[Step]:
        """End an instrument's commands: those under way are unknown, those not sent never will be."""
        steps: list[Step] = []
        for command in self.waiting():
            if command.order.instrument == instrument:
                state = REFUSED if command.state == ACCEPTED else UNKNOWN
                reason = "the link was lost before it was sent" if state == REFUSED else "the link was lost"
                steps.append(self._go(replace(command, reason=reason), state, now_ns))
        return steps

    def _repeated(self, order: Order) -> Command | None:
        known = self._keys.get(order.key) if order.key else None
        if known is None:
            return None
        command = self.get(known)
        if not command.order.same(order):
            raise Conflict(
                "this idempotency key was used for another command", hint="use a new key", command_id=known
            )
        return command

    def _go(self, command: Command, state: str, now_ns: int) -> Step:
        if command.ended or state not in TRANSITIONS[command.state]:
            raise Conflict(
                f"{command.order.command} is {command.state}; it cannot become {state}",
                command_id=command.id,
                state=command.state,
            )
        return self._keep(replace(command, state=state, revision=command.revision + 1), now_ns)

    def _keep(self, command: Command, now_ns: int) -> Step:
        self._file(command)
        source, time_ns = f"instrument/{command.order.instrument}", self._utc_ns(now_ns)
        return Step(
            command, Event(command.id, time_ns, source, "command", command.to_dict(), command.revision)
        )

    def _file(self, command: Command) -> None:
        """Put a command where it belongs now, and forget the one that ended longest ago if there are many."""
        if not command.ended:
            self._waiting[command.id] = command
            return
        self._waiting.pop(command.id, None)
        self._ended[command.id] = command
        if len(self._ended) > COMMANDS_KEPT_MAX:
            oldest = self._ended.pop(next(iter(self._ended)))
            if self._keys.get(oldest.order.key) == oldest.id:
                del self._keys[oldest.order.key]


_LATE: Final[Mapping[str, tuple[str, str]]] = {
    ACCEPTED: (TIMED_OUT, "it could not be sent by its deadline"),
    SENT: (TIMED_OUT, "the device did not answer in time"),
    ACKNOWLEDGED: (UNKNOWN, "acknowledged, and not seen in what the device reads back"),
}


def _plain(arguments: Mapping[str, Any]) -> str:
    return json.dumps(dict(arguments), sort_keys=True, default=str)
