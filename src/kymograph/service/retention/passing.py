"""The time that has passed: what is old, and whether the clock on the wall is to be believed.

A wall clock may jump by years and back. So what is old is told by the order in which it came: time that this
process has seen passing, kept over restarts, and beside it which row was the newest then (a mark). Time in
which nothing ran does not count: at worst something stays longer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kymograph.model.errors import KymographError
from kymograph.store.durable import write_durably

STEP_NS: Final = 600_000_000_000
"""A wall clock that is off by more has jumped."""
DOWNTIME_NS: Final = 90 * 86_400_000_000_000
"""How long a computer may have been switched off; a clock that says more has jumped."""
FOREVER_NS: Final = 1 << 62
MARKS_A_SPAN: Final = 24
"""Marks within the time that is always kept: what is kept is up to a part in so many more."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Which rows were the newest when so much time had passed."""

    passed_ns: int
    readings: int
    segments: int


@dataclass(slots=True)
class Passing:
    """Time that has passed; saved with each `tick`. Used by one thread."""

    path: Path | None = None
    passed_ns: int = 0
    believed_ns: int = 0
    """UTC as it should be."""
    stepped_ns: int | None = None
    """`passed_ns` when the wall clock jumped last, None if it never did."""
    marks: list[Mark] = field(default_factory=list[Mark])
    _monotonic_ns: int | None = None
    _fresh: bool = True
    """Not one tick of this process has found the wall clock where it should be."""
    _ahead_ns: int | None = None
    """How far the wall clock is off, while it is."""

    @classmethod
    def load(cls, path: Path) -> Passing:
        """Go on where the last process stopped; anew if the file is missing or damaged."""
        try:
            told: dict[str, Any] = json.loads(path.read_bytes())
            marks = [Mark(*map(int, mark)) for mark in told["marks"]]
            return cls(path, int(told["passed_ns"]), int(told["believed_ns"]), told["stepped_ns"], marks)
        except (OSError, ValueError, KeyError, TypeError):
            return cls(path)

    def tick(self, monotonic_ns: int, wall_ns: int, newest: tuple[int, int], keep_ns: int) -> bool:
        """Take note of the time and of the newest rows; return whether the wall clock has just jumped."""
        delta = 0 if self._monotonic_ns is None else max(monotonic_ns - self._monotonic_ns, 0)
        self._monotonic_ns = monotonic_ns
        self.passed_ns += delta
        jumped = self._believe(wall_ns, delta)
        if self._ahead_ns is not None and self.steady_ns() >= keep_ns:
            self.believed_ns, self._ahead_ns, self._fresh = wall_ns, None, False  # it means it
        if self.marks and (newest[0] < self.marks[-1].readings or newest[1] < self.marks[-1].segments):
            self.marks = []  # another database
        if not self.marks or self.passed_ns - self.marks[-1].passed_ns >= keep_ns // MARKS_A_SPAN:
            self.marks.append(Mark(self.passed_ns, *newest))
        old = [mark for mark in self.marks if mark.passed_ns <= self.passed_ns - keep_ns]
        self.marks = self.marks[max(len(old) - 1, 0) :]
        self._save()
        return jumped

    def old(self, keep_ns: int) -> Mark:
        """Return the newest rows that are older than this by the order in which they came."""
        old = [mark for mark in self.marks if mark.passed_ns <= self.passed_ns - keep_ns]
        return old[-1] if old else Mark(0, 0, 0)

    def steady_ns(self) -> int:
        """Return for how long the wall clock has not jumped; very long if it never did."""
        return FOREVER_NS if self.stepped_ns is None else self.passed_ns - self.stepped_ns

    def _believe(self, wall_ns: int, delta: int) -> bool:
        expected = self.believed_ns + delta
        ahead = wall_ns - expected
        was_off = self._fresh and -STEP_NS <= ahead <= DOWNTIME_NS
        if self.believed_ns == 0 or abs(ahead) <= STEP_NS or was_off:
            jumped = self._ahead_ns is not None
            self.believed_ns, self._ahead_ns, self._fresh = wall_ns, None, False
        else:
            jumped = self._ahead_ns is None or abs(ahead - self._ahead_ns) > STEP_NS
            self.believed_ns, self._ahead_ns = expected, ahead
        if jumped:
            self.stepped_ns = self.passed_ns
        return jumped

    def _save(self) -> None:
        if self.path is None:
            return
        told = {
            "passed_ns": self.passed_ns, "believed_ns": self.believed_ns, "stepped_ns": self.stepped_ns,
            "marks": [[mark.passed_ns, mark.readings, mark.segments] for mark in self.marks],
        }  # fmt: skip
        try:
            write_durably(self.path, json.dumps(told).encode())
        except KymographError:
            pass  # a full disk: less time has passed then, and nothing goes too early
