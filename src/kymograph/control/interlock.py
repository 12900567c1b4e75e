"""Interlocks: conditions of the station file that stop what is dangerous, and say why.

[interlocks.chamber]
trip = "stand.P3 > 35"              # dangerous while this is true …
for_s = 0.05                        # … for so long
hysteresis = 2.0                    # once true, it stays so until P3 is below 33
max_age_s = 0.5                     # an older value is no value: unsafe
actions = "safe"                    # or [{instrument = "stand", command = "valves", arguments = {…}}]
applies_to = ["stand"]              # what is refused meanwhile: instruments, or instrument.actuator
message = "chamber pressure too high"

[interlocks.ignition]
permit = "stand.P1 > 10 and stand.P2 > 10"    # refused unless this is true
for_s = 2                           # and has been for so long
applies_to = ["stand.IGNITION"]

An interlock is `ok`, `pending` (a trip's condition holds, not for `for_s` yet; or a permit's does; or there
is no value yet) or `tripped`. Only `ok` lets anything through. Stale data trips at once. A trip is latched:
it stays until `reset`, unless `latched = false`; a permit returns with its condition, unless
`latched = true`. Every row of a block is looked at, so that an excursion between two blocks is not missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kymograph.control.expression import Expression, Unknown, Value, compile_condition
from kymograph.control.freshness import Freshness
from kymograph.control.grammar import Known
from kymograph.model.block import Block
from kymograph.model.errors import ConfigError, InvalidInput, Refused

OK: Final = "ok"
PENDING: Final = "pending"
TRIPPED: Final = "tripped"


class Action(BaseModel):
    """One command that a trip gives."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instrument: str
    command: str
    arguments: dict[str, Any] = Field(default_factory=dict)


Actions: TypeAlias = Literal["safe"] | tuple[Action, ...] | None


class InterlockTable(BaseModel):
    """`[interlocks.NAME]` of the station file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trip: str = ""
    """Dangerous while this is true."""
    permit: str = ""
    """Allowed only while this is true."""
    for_s: float = Field(default=0.0, ge=0, le=3600)
    """How long a trip must hold before it acts; how long a permit must hold before it permits."""
    hysteresis: float = Field(default=0.0, ge=0)
    """By how much the channel must come back before the danger counts as over, in its unit."""
    clear: str = ""
    """In place of `hysteresis`: the danger counts as over when this is true."""
    max_age_s: float = Field(default=1.0, gt=0, le=3600)
    """How old a value may be."""
    actions: Literal["safe"] | Annotated[tuple[Action, ...], Field(min_length=1)] | None = None
    """What a trip does: every actuator that it applies to into its safe state, or these commands in order."""
    applies_to: tuple[str, ...] = ()
    """What is refused while it is not ok: `instrument`, `instrument.actuator`, `instrument.command`; none is
    everything."""
    latched: bool | None = None
    message: str = ""

    @model_validator(mode="after")
    def _whole(self) -> InterlockTable:
        if bool(self.trip) == bool(self.permit):
            raise ValueError("give either trip or permit")
        if self.hysteresis and self.clear:
            raise ValueError("give either hysteresis or clear")
        if self.permit and self.actions is not None:
            raise ValueError("a permit refuses and does nothing; actions belong to a trip")
        return self


Codes: TypeAlias = np.ndarray[Any, np.dtype[np.int8]]
_WELL, _DANGER, _NOT_KNOWN = 0, 1, 2
_INVERSE: Final = np.array([_DANGER, _WELL, _NOT_KNOWN], np.int8)


@dataclass(frozen=True, slots=True)
class Change:
    """An interlock went from one state to another."""

    interlock: str
    before: str
    after: str
    reason: str
    time_ns: int
    """Monotonic; of the row that made the difference."""
    actions: Actions = None
    """What is to be done now: given by a trip that acts, and by nothing else."""

    def to_dict(self) -> dict[str, Any]:
        """Return the body of the event that tells of it."""
        return {
            "interlock": self.interlock, "state": self.after, "before": self.before, "reason": self.reason
        }  # fmt: skip


class Interlock:
    """One interlock and its state. One thread feeds it; any thread may read its state."""

    def __init__(self, name: str, table: InterlockTable, known: Mapping[str, Known]) -> None:
        """Read the expressions.

        Raises:
            ConfigError: an expression is wrong, with the place.
        """
        self.name = name
        self.table = table
        self.is_trip = bool(table.trip)
        self.latched = self.is_trip if table.latched is None else table.latched
        self._actions: Actions = (table.actions or "safe") if self.is_trip else None
        self._condition, self._clear, self._eased = _expressions(name, table, known)
        parts = [part for part in (self._condition, self._clear) if part is not None]
        self.names = tuple(dict.fromkeys(name for part in parts for name in part.names))
        self._state = PENDING
        self._seen = False
        self._dangerous = False
        self._since_ns: int | None = None
        self._time_ns = -(2**63)
        self._cause = ""

    @property
    def state(self) -> str:
        """`ok`, `pending` or `tripped`; only the first lets anything through."""
        return self._state

    @property
    def standing(self) -> tuple[Action, ...]:
        """The commands of a trip that has not been let go."""
        return self._actions if self._state == TRIPPED and isinstance(self._actions, tuple) else ()

    def take(self, block: Block, freshness: Freshness, now_ns: int) -> list[Change]:
        """Look at every row of a block that `freshness` has just taken."""
        if self._state == TRIPPED and self.latched:
            return []
        columns, sure = freshness.rows(block, self.names, now_ns, self.table.max_age_s)
        held = self._condition.truth_rows(columns, sure)
        codes = held if self.is_trip else _INVERSE[held]
        if self._state == OK and not codes.any():
            return self._pass_over(freshness, now_ns)  # the commonest of cases
        codes = np.broadcast_to(codes, (block.rows,))
        first = 0 if self._seen else int(np.argmax(codes != _NOT_KNOWN))
        codes = self._latch(codes, columns, sure, first)
        times = freshness.row_times(block)
        edges = np.flatnonzero(np.diff(codes)) + 1
        rows = np.unique(np.concatenate(([first], edges, edges - 1, [block.rows - 1])))
        begun = self._state
        changes: list[Change] = []
        for row, code, time_ns in zip(rows.tolist(), codes[rows].tolist(), times[rows].tolist(), strict=True):
            before = self._state
            if row >= first and self._step(code, time_ns) and self._state == TRIPPED and not changes:
                changes.append(self._change(before, _at(columns, row)))
        return self._told(changes, begun, freshness, now_ns)

    def tick(self, freshness: Freshness, now_ns: int) -> list[Change]:
        """Look at the newest values, whether new or not: silence is seen here."""
        return self._see(self._newest(freshness, now_ns), now_ns)

    def reset(self, freshness: Freshness, now_ns: int) -> list[Change]:
        """Let a latched interlock go, if what tripped it is over.

        Raises:
            Refused: it is not over, with the present values.
        """
        if self._state != TRIPPED:
            return []
        values = self._newest(freshness, now_ns)
        if self._code(values):
            raise Refused(
                f"{self.name} cannot be reset: {self._explain(values)}",
                hint="remove the cause first",
                interlock=self.name,
            )
        return self._see(values, now_ns, reset=True)

    def refusal(self, freshness: Freshness, now_ns: int) -> Refused | None:
        """Return why nothing passes at this moment, or None if it is ok."""
        values = self._newest(freshness, now_ns)
        # What was ok when it was last looked at may be stale by now.
        if self._state == OK and not self._code(values):
            return None
        reason = self._reason(values)
        if self.table.message and not reason.startswith(self.table.message):
            reason = f"{self.table.message}: {reason}"
        return Refused(
            f"interlock {self.name}: {reason}",
            hint="reset it when the cause is gone" if self.latched and self._state == TRIPPED else "",
            interlock=self.name,
            state=self._state,
        )

    def covers(self, instrument: str, target: str = "") -> bool:
        """Return whether it applies to an actuator or a command of an instrument."""
        places = self.table.applies_to
        return not places or instrument in places or f"{instrument}.{target}" in places

    def to_dict(self, freshness: Freshness, now_ns: int) -> dict[str, Any]:
        """Return the interlock as anyone may see it.

        `reason` is why it is in its state, once tripped with the values that tripped it; `now` how things
        stand; `margin` how far danger is, negative beyond it, or None if that is no one number; `stale`
        whether a value that it needs is missing or too old.
        """
        values = self._newest(freshness, now_ns)
        distance = self._condition.distance(values)
        margin = -distance if distance is not None and self.is_trip else distance
        stale = any(isinstance(value, Unknown) for value in values.values())
        return {
            "name": self.name, "state": self._state, "reason": self._reason(values), "margin": margin,
            "now": self._explain(values), "stale": stale,
            "kind": "trip" if self.is_trip else "permit",
            "expression": self._condition.text, "latched": self.latched, "message": self.table.message,
            "applies_to": list(self.table.applies_to), "names": list(self.names),
        }  # fmt: skip

    def _newest(self, freshness: Freshness, now_ns: int) -> dict[str, Value]:
        return freshness.values(self.names, now_ns, self.table.max_age_s)

    def _pass_over(self, freshness: Freshness, now_ns: int) -> list[Change]:
        """Stay ok after rows in which all is well, unless they came too late to mean anything."""
        if all(freshness.fresh(name, now_ns, self.table.max_age_s) for name in self.names):
            self._time_ns = max(self._time_ns, now_ns)
            return []
        return self.tick(freshness, now_ns)

    def _latch(self, codes: Codes, columns: Mapping[str, Any], sure: bool, first: int) -> Codes:
        """Return the codes with danger going on until it is cleared, by hysteresis or by `clear`."""
        if self._eased is None and self._clear is None:
            return codes
        part = self._clear or self._eased
        held = part.truth_rows(columns, sure) if part is not None else codes
        over = held == (1 if self._clear is not None or not self.is_trip else 0)
        sets, rests = codes != _WELL, (codes == _WELL) & over
        sets[:first] = False  # before the first values nothing was dangerous
        last = np.maximum.accumulate(np.where(sets | rests, np.arange(len(codes)), -1))
        dangerous = np.where(last >= 0, sets[last], self._dangerous)
        return np.where((codes == _WELL) & dangerous, np.int8(_DANGER), codes)

    def _code(self, values: Mapping[str, Value]) -> int:
        """Return whether it is well, dangerous or not known, with regard to what it was before."""
        held = self._condition.evaluate(values)
        if isinstance(held, Unknown):
            return _NOT_KNOWN
        if bool(held) is self.is_trip:
            return _DANGER
        part = self._clear or self._eased
        if not self._dangerous or part is None:
            return _WELL
        held = part.evaluate(values)
        if isinstance(held, Unknown):
            return _DANGER
        return _WELL if bool(held) is (self._clear is not None or not self.is_trip) else _DANGER

    def _see(self, values: Mapping[str, Value], time_ns: int, reset: bool = False) -> list[Change]:
        before = self._state
        changed = self._step(self._code(values), time_ns, reset)
        return [self._change(before, values)] if changed else []

    def _step(self, code: int, time_ns: int, reset: bool = False) -> bool:
        """Go on to what a code means at this time and return whether the state is another one."""
        now_ns = self._time_ns = max(time_ns, self._time_ns)  # times never run backwards
        before = self._state
        if code == _NOT_KNOWN and not self._seen:
            return False  # before the first values there is nothing to act upon
        self._seen, self._dangerous = True, code != _WELL
        if before == TRIPPED and self.latched and not reset:
            return False
        if code == _NOT_KNOWN:
            after = TRIPPED  # silence is unsafe, and max_age_s was its patience
        elif self.is_trip:
            after = self._wait(code == _DANGER, TRIPPED, OK, now_ns)
        else:
            after = self._wait(code == _WELL, OK, TRIPPED, now_ns)
        if after != PENDING:
            self._since_ns = None
        self._state = after
        return after != before

    def _wait(self, holds: bool, then: str, otherwise: str, now_ns: int) -> str:
        """Return `then` once something has held for `for_s`, and `otherwise` where it does not hold."""
        if not holds or self._state == then:
            return then if holds else otherwise
        if self._since_ns is None:
            self._since_ns = now_ns
        return then if now_ns - self._since_ns >= self.table.for_s * 1e9 else PENDING

    def _told(self, changes: list[Change], begun: str, freshness: Freshness, now_ns: int) -> list[Change]:
        """Return the first trip of a block, and where it ended: a noisy channel is no flood of events."""
        state = TRIPPED if changes else begun
        values = self._newest(freshness, now_ns)
        self._step(self._code(values), now_ns)
        return [*changes, self._change(state, values)] if self._state != state else changes

    def _change(self, before: str, values: Mapping[str, Value]) -> Change:
        """Return that the state became what it is, and keep why if it tripped."""
        told = self._explain(values)
        trips = self._state == TRIPPED
        reason = f"{self.table.message}: {told}" if self.table.message and trips else told
        self._cause = reason if trips else ""
        return Change(
            self.name, before, self._state, reason, self._time_ns, self._actions if trips else None
        )  # fmt: skip

    def _reason(self, values: Mapping[str, Value]) -> str:
        if self._state == TRIPPED:
            return self._cause
        told = self._explain(values)
        if self._state == OK or self._since_ns is None:
            return told
        return f"{told}; {'acts' if self.is_trip else 'permits'} after {self.table.for_s:g} s"

    def _explain(self, values: Mapping[str, Value]) -> str:
        """Say how things stand; of what is not known, only that."""
        held = self._condition.evaluate(values)
        told = held.reason if isinstance(held, Unknown) else self._condition.explain(values)
        return f"{told}; clear when {self._clear.text}" if self._clear and self._dangerous else told


def _at(columns: Mapping[str, Any], row: int) -> dict[str, Value]:
    return {
        name: float(column[row]) if isinstance(column, np.ndarray) else column
        for name, column in columns.items()
    }


def _expressions(
    name: str, table: InterlockTable, known: Mapping[str, Known]
) -> tuple[Expression, Expression | None, Expression | None]:
    """Return the condition, what clears it, and the condition with its hysteresis."""
    key = "trip" if table.trip else "permit"
    condition = _read(name, key, table.trip or table.permit, known)
    clear = _read(name, "clear", table.clear, known) if table.clear else None
    if not table.hysteresis:
        return condition, clear, None
    try:
        return condition, clear, condition.eased(table.hysteresis if table.trip else -table.hysteresis)
    except InvalidInput as error:
        raise ConfigError(f"interlocks.{name}.hysteresis: {error.message}", hint=error.hint) from None


def _read(name: str, key: str, text: str, known: Mapping[str, Known]) -> Expression:
    try:
        return compile_condition(text, known)
    except InvalidInput as error:
        raise ConfigError(
            f"interlocks.{name}.{key}: {error.message}", hint=error.hint, **error.facts
        ) from None
