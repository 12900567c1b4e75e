"""A hub of the older system: `POST /readings/bulk`, readings only.

It takes a batch whole or not at all, and one reading that it cannot take would hold up all others for ever.
So what it refuses is taken apart, by the index that it gives or else by halves, until the bad ones are found.

It does not know a reading that it has already. So what it has taken of a batch is not sent to it again, and
where an answer was lost, it is asked first which of the readings it has. If it cannot say, they may be there
twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from kymograph.model.ranges import Ranges
from kymograph.sync.pusher.hub import Aside, Held, Missing, Receipt, Suspect
from kymograph.sync.pusher.original_rows import (
    QUESTIONS_MAX,
    Row,
    bad_rows,
    encode,
    identities,
    questions,
    rows_of,
)
from kymograph.sync.pusher.outbox import READINGS, Batch, Extent
from kymograph.sync.pusher.wire import Answer, Away, Denied, Misplaced, Overlong, Wire, checked

BROKEN_MAX: Final = 3
"""How often a batch is answered by 500, once a wait, before it is taken apart."""
PARTS_MAX: Final = 24
"""Parts of one batch that are answered by 500 with none taken between, before others are tried."""
UNSAID_MAX: Final = 5
"""How often a hub may answer by 500 to the question what it has, before it counts as one that cannot say."""
ROWS_MAX: Final = 10_000
"""In one request, until the hub says that it is too much."""
OPEN_MAX: Final = 16
"""Batches that are remembered in part."""
_JSON: Final = {"content-type": "application/json"}


@dataclass(slots=True)
class _Open:
    """The batch under way, over lost connections too."""

    rows: list[Row]
    """Not taken yet."""
    committed: int = 0
    duplicates: int = 0
    broken: int = 0
    """Times in a row that it was answered by 500."""
    unsaid: int = 0
    """Times that the question which of them it has was answered by 500."""
    suspected: int | None = None
    """How many requests the hub had taken when nothing but these rows was left to blame."""
    aside: list[Aside] = field(default_factory=list[Aside])


class OriginalHub:
    """Sends readings as the older edge program does."""

    kind = "original"
    streams = (READINGS,)

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._open: dict[tuple[int, int, int], _Open] = {}
        self._before: int | None = None
        """Rows below were made before this process began: an earlier one may have sent them."""
        self._doubtful = Ranges()
        """Rows that may have arrived without our knowing."""
        self._rows_max = ROWS_MAX
        self._taken = 0
        """Requests that the hub has answered with 2xx."""

    def hello(self, extents: Sequence[Extent]) -> Held | None:
        """See `Hub.hello`: it would not understand."""
        if self._before is None:
            self._before = max((extent.next for extent in extents if extent.stream == READINGS), default=0)
        return None

    def offset(self, sha256: str) -> int | None:
        """See `Hub.offset`: it takes no objects."""
        raise Misplaced(f"{self._wire.url} takes readings only")

    def append(self, sha256: str, offset: int, piece: bytes, size_bytes: int) -> bool:
        """See `Hub.append`: it takes no objects."""
        raise Misplaced(f"{self._wire.url} takes readings only")

    def put(self, batch: Batch) -> Receipt | Missing:
        """See `Hub.put`."""
        span = (batch.epoch, batch.first, batch.last)
        now = self._open.get(span) or _Open(rows_of(batch.body))
        self._open[span] = now
        if len(self._open) > OPEN_MAX:
            del self._open[next(iter(self._open))]
        try:
            if batch.first < (self._before or 0) or self._doubtful & Ranges([span[1:]]):
                self._strike_known(now)
            if now.broken < BROKEN_MAX:
                self._send(now, list(now.rows))
            else:
                self._take_apart(now)
            self._doubt_refusal(now, batch)
        except Away as error:
            if error.doubtful:
                self._doubtful |= Ranges([span[1:]])
            now.broken = now.broken + 1 if error.status == 500 else 0
            raise
        self._open.pop(span)
        self._doubtful -= Ranges([span[1:]])
        return Receipt(now.committed, now.duplicates, tuple(now.aside))

    def _doubt_refusal(self, now: _Open, batch: Batch) -> None:
        """Do not believe a refusal of everything until the hub has taken something else: it may be of another
        version, and would have all readings put aside."""
        if not now.aside or now.committed or now.duplicates:
            return
        if now.suspected is not None and self._taken > now.suspected:
            return
        reason = now.aside[0].reason
        now.suspected, now.rows, now.aside = self._taken, rows_of(batch.body), []
        raise Suspect(f"{self._wire.url} refuses every reading of a batch: {reason}", doubtful=False)

    def _strike_known(self, now: _Open) -> None:
        """Ask which readings of a batch have arrived already, and take those off it."""
        asked = list(questions(now.rows))
        there: set[tuple[str, int]] = set()
        for question in asked if len(asked) <= QUESTIONS_MAX else ():
            try:
                answer = self._wire.ask("GET", question)
                if now.unsaid < UNSAID_MAX or answer.status != 500:
                    _said_now(answer, self._wire.url)
            except Overlong:
                break
            except Away as error:
                now.unsaid += error.status == 500
                raise Away(error.message, error.retry_s, doubtful=False) from None
            if answer.status == 200:
                there.update(identities(answer.json()))
        known = [row for row in now.rows if row.identity in there]
        now.duplicates += len(known)
        _done(now, known)

    def _send(self, now: _Open, rows: list[Row]) -> None:
        """Send rows and take what was taken off the batch; those that are refused are put aside."""
        while rows:
            part, rest = rows[: self._rows_max], rows[self._rows_max :]
            answer = self._wire.ask("POST", "/readings/bulk", encode(part), _JSON)
            if answer.status == 413 and len(part) > 1:
                self._rows_max = len(part) // 2
                continue
            if answer.status in (400, 409, 413, 422):
                rows = self._without_bad(now, part, answer) + rest
                continue
            checked(answer, self._wire.url)
            if answer.status >= 300:
                raise Misplaced(f"{self._wire.url} answered {answer.status}: {answer.reason}")
            _done(now, part)
            now.committed += len(part)
            self._taken += 1
            rows = rest

    def _without_bad(self, now: _Open, rows: list[Row], answer: Answer) -> list[Row]:
        """Return what may be sent again of rows that were refused."""
        bad = bad_rows(answer.json(), len(rows))
        if bad:
            for index, reason in bad.items():
                self._put_aside(now, [rows[index]], f"{answer.status}: {reason}")
            return [row for index, row in enumerate(rows) if index not in bad]
        if len(rows) == 1:
            self._put_aside(now, rows, f"{answer.status}: {answer.reason}")
            return []
        half = len(rows) // 2
        self._send(now, rows[:half])
        return rows[half:]

    def _take_apart(self, now: _Open) -> None:
        """Find the readings that the hub breaks over: smaller and smaller parts, and the rest is taken.

        They are put aside only if it has taken others since they were suspected: a hub that is broken itself
        answers 500 to everything.
        """
        before = self._taken
        sure = now.suspected is not None and before > now.suspected
        parts, suspects, failed = [list(now.rows)], list[Row](), 0
        while parts:
            part = _left(now, parts.pop())
            taken = self._taken
            try:
                self._send(now, part)
                failed = 0 if self._taken > taken else failed
                continue
            except Away as error:
                if error.status != 500:
                    raise
            failed += 1
            if failed > PARTS_MAX and not sure:
                break
            half = len(part) // 2
            parts += [part[half:], part[:half]] if half else []
            suspects += [] if half else part
        if parts or (suspects and self._taken == before and not sure):
            now.suspected = self._taken
            raise Suspect(f"{self._wire.url} answered 500 to readings one by one", status=500)
        self._put_aside(now, suspects, "500: the hub breaks over it")

    def _put_aside(self, now: _Open, rows: Iterable[Row], reason: str) -> None:
        rows = list(rows)
        now.aside += [Aside(row.seq, row.seq, reason, encode([row])) for row in rows]
        _done(now, rows)


def _said_now(answer: Answer, url: str) -> None:
    """Raise `Away` if a hub cannot say now what it has; any other answer is one."""
    try:
        checked(answer, url)
    except (Denied, Misplaced):
        pass


def _done(now: _Open, rows: Iterable[Row]) -> None:
    gone = {row.seq for row in rows}
    now.rows = [row for row in now.rows if row.seq not in gone]


def _left(now: _Open, rows: Iterable[Row]) -> list[Row]:
    left = {row.seq for row in now.rows}
    return [row for row in rows if row.seq in left]
