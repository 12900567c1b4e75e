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
from dataclasses import dataclass, replace
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
        self._since_ns: int | None = None
        self._time_ns: int | None = None
        self._values: Mapping[str, Value] = {}
        self._cause = ""

    @property
    def state(self) -> str:
        """`ok`, `pending` or `tripped`; only the first lets anything through."""
        return self._state

    @property
    def margin(self) -> float | None:
        """How far the present value is from danger, in its unit; negative is beyond. None: no one number."""
        distance = self._condition.distance(self._values)
        return -distance if distance is not None and self.is_trip else distance

    @property
    def reason(self) -> str:
        """Why it is as it is, with present values; once tripped, those that tripped it."""
        if self._cause:
            return self._cause
        told = self._explain(self._values)
        if self._state == OK or not self._seen:
            return told
        return f"{told}; {'acts' if self.is_trip else 'permits'} after {self.table.for_s:g} s"

    def take(self, block: Block, freshness: Freshness, now_ns: int) -> list[Change]:
        """Look at every row of a block that `freshness` has just taken."""
        values = freshness.values(self.names, now_ns, self.table.max_age_s)
        before = self._state
        if before == TRIPPED and self.latched:
            return self._see(values, now_ns)
        columns = freshness.rows(block, self.names, now_ns, self.table.max_age_s)
        moods = self._moods(columns, block.rows)
        if before == OK and not moods.any():
            return self._see(values, now_ns)  # the commonest of cases
        times = freshness.row_times(block)
        edges = np.flatnonzero(np.diff(moods)) + 1
        rows = np.unique(np.concatenate(([0], edges, edges - 1, [block.rows - 1])))
        changes: list[Change] = []
        for row in rows:
            changes += self._see(_at(columns, int(row)), int(times[row]))
        return _told(changes + self._see(values, now_ns), before)

    def tick(self, freshness: Freshness, now_ns: int) -> list[Change]:
        """Look at the newest values, whether new or not: silence is seen here."""
        return self._see(freshness.values(self.names, now_ns, self.table.max_age_s), now_ns)

    def reset(self, freshness: Freshness, now_ns: int) -> list[Change]:
        """Let a latched interlock go, if what tripped it is over.

        Raises:
            Refused: it is not over, with the present values.
        """
        if self._state != TRIPPED:
            return []
        values = freshness.values(self.names, now_ns, self.table.max_age_s)
        danger = self._danger(values)
        if danger is not False:
            reason = danger.reason if isinstance(danger, Unknown) else self._explain(values)
            raise Refused(
                f"{self.name} cannot be reset: {reason}", hint="remove the cause first", interlock=self.name
            )
        return self._see(values, now_ns, reset=True)

    def refusal(self, freshness: Freshness, now_ns: int) -> Refused | None:
        """Return why nothing passes at this moment, or None if it is ok."""
        reason = self.reason
        if self._state == OK:
            # What was ok when it was last looked at may be stale by now.
            danger = self._danger(freshness.values(self.names, now_ns, self.table.max_age_s))
            if danger is False:
                return None
            reason = danger.reason if isinstance(danger, Unknown) else reason
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

    def to_dict(self) -> dict[str, Any]:
        """Return the interlock as anyone may see it."""
        return {
            "name": self.name, "state": self._state, "reason": self.reason, "margin": self.margin,
            "now": self._explain(self._values), "kind": "trip" if self.is_trip else "permit",
            "expression": self._condition.text, "latched": self.latched, "message": self.table.message,
            "applies_to": list(self.table.applies_to), "names": list(self.names),
        }  # fmt: skip

    def _moods(self, columns: Mapping[str, Any], rows: int) -> np.ndarray[Any, np.dtype[np.int8]]:
        """Return a number for each row: 0 where all is well, else the same until something changes."""
        held = _codes(self._condition, columns)
        moods = held if self.is_trip else _INVERSE[held]
        if self._state != OK or moods.any():
            for place, part in ((4, self._eased), (16, self._clear)):
                if part is not None:
                    moods = moods + np.int8(place) * _codes(part, columns)
        return np.broadcast_to(moods, (rows,))

    def _danger(self, values: Mapping[str, Value]) -> bool | Unknown:
        """Return whether it is dangerous, with regard to what it was before."""
        held = self._condition.evaluate(values)
        if isinstance(held, Unknown):
            return held
        bad = bool(held) is self.is_trip
        if bad or self._state == OK or not self._seen:
            return bad
        if self._clear is not None:
            cleared = self._clear.evaluate(values)
            return cleared if isinstance(cleared, Unknown) else not cleared
        if self._eased is not None:
            held = self._eased.evaluate(values)
            return held if isinstance(held, Unknown) else bool(held) is self.is_trip
        return False

    def _see(self, values: Mapping[str, Value], time_ns: int, reset: bool = False) -> list[Change]:
        """Go on to what these values mean at this time; times never run backwards."""
        now_ns = self._time_ns = time_ns if self._time_ns is None else max(time_ns, self._time_ns)
        self._values = values
        if self._state == TRIPPED and self.latched and not reset:
            return []
        danger = self._danger(values)
        if isinstance(danger, Unknown):
            # Before the first values there is nothing to act upon; afterwards silence is unsafe at once.
            return self._go(TRIPPED, danger.reason, now_ns) if self._seen else []
        after = self._trip(danger, now_ns) if self.is_trip else self._permit(danger, now_ns)
        self._seen = True
        return self._go(after, "", now_ns)

    def _trip(self, danger: bool, now_ns: int) -> str:
        if not danger or self._state == TRIPPED:
            return TRIPPED if danger else OK
        return TRIPPED if self._lasted(now_ns) else PENDING

    def _permit(self, danger: bool, now_ns: int) -> str:
        if danger or self._state == OK:
            return TRIPPED if danger else OK
        return OK if self._lasted(now_ns) else PENDING

    def _lasted(self, now_ns: int) -> bool:
        """Return whether what began at the first of these calls has lasted for `for_s`."""
        if self._since_ns is None:
            self._since_ns = now_ns
        return now_ns - self._since_ns >= self.table.for_s * 1e9

    def _go(self, after: str, why: str, now_ns: int) -> list[Change]:
        before, self._state = self._state, after
        if after != PENDING:
            self._since_ns = None
        if before == after:
            return []
        told = why or self._explain(self._values)
        reason = f"{self.table.message}: {told}" if self.table.message and after == TRIPPED else told
        self._cause = reason if after == TRIPPED else ""
        return [Change(self.name, before, after, reason, now_ns, self._actions if after == TRIPPED else None)]

    def _explain(self, values: Mapping[str, Value]) -> str:
        told = self._condition.explain(values)
        if self._clear is None or self._state == OK:
            return told
        return f"{told}; clear when {self._clear.text}"


_INVERSE: Final = np.array([1, 0, 2], np.int8)


def _codes(condition: Expression, columns: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.int8]]:
    """Return 1 in rows where a condition holds, 0 where not, and 2 where that is not known."""
    held = condition.evaluate_rows(columns)
    return np.where(np.isnan(held), 2, held).astype(np.int8)


def _told(changes: list[Change], before: str) -> list[Change]:
    """Leave of a block's changes the first trip and where it ended: a noisy channel is no flood of events."""
    kept = [change for change in changes if change.after == TRIPPED][:1]
    if not changes or changes[-1] in kept:
        return kept
    state = kept[-1].after if kept else before
    return kept if changes[-1].after == state else [*kept, replace(changes[-1], before=state)]


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
