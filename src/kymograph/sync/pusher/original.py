"""A hub of the older system: `POST /readings/bulk`, readings only.

It takes a batch whole or not at all, and one reading that it cannot take would hold up all others for ever.
So what it refuses is taken apart, by the index that it gives or else by halves, until the bad ones are found.
What it has taken of a batch is not sent to it again: it does not know a reading that it has already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

import msgspec

from kymograph.sync.pusher.hub import Aside, Held, Missing, Receipt, Suspect
from kymograph.sync.pusher.outbox import READINGS, Batch, Extent
from kymograph.sync.pusher.wire import Answer, Away, Misplaced, Wire, checked

BROKEN_MAX: Final = 3
"""How often a batch is answered by 500, once a wait, before it is taken apart."""
PARTS_MAX: Final = 24
"""Parts of one batch that are answered by 500 with none taken between, before others are tried."""
ROWS_MAX: Final = 10_000
"""In one request, until the hub says that it is too much."""
OPEN_MAX: Final = 16
"""Batches that are remembered in part."""
_JSON: Final = {"content-type": "application/json"}


class _Row(msgspec.Struct):
    """A reading as it waits in the outbox."""

    seq: int
    device_id: str
    time_ns: int
    local_ns: int
    payload: msgspec.Raw


@dataclass(slots=True)
class _Open:
    """The batch under way, over lost connections too."""

    rows: list[_Row]
    """Not taken yet."""
    committed: int
    broken: int
    """Times in a row that it was answered by 500."""
    suspected: int | None
    """How many batches the hub had taken when nothing but these rows was left to blame."""
    aside: list[Aside]


class OriginalHub:
    """Sends readings as the older edge program does."""

    kind = "original"
    streams = (READINGS,)

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._open: dict[tuple[int, int], _Open] = {}
        self._rows_max = ROWS_MAX
        self._taken = 0
        """Requests that the hub has answered with 2xx."""

    def hello(self, extents: Sequence[Extent]) -> Held | None:
        """See `Hub.hello`: it would not understand."""
        del extents
        return None

    def offset(self, sha256: str) -> int | None:
        """See `Hub.offset`: it takes no objects."""
        raise Misplaced(f"{self._wire.url} takes readings only")

    def append(self, sha256: str, offset: int, piece: bytes, size_bytes: int) -> bool:
        """See `Hub.append`: it takes no objects."""
        raise Misplaced(f"{self._wire.url} takes readings only")

    def put(self, batch: Batch) -> Receipt | Missing:
        """See `Hub.put`."""
        span = (batch.first, batch.last)
        now = self._open.get(span) or _Open(_rows(batch.body), 0, 0, None, [])
        self._open[span] = now
        if len(self._open) > OPEN_MAX:
            del self._open[next(iter(self._open))]
        try:
            if now.broken < BROKEN_MAX:
                self._send(now, list(now.rows))
            else:
                self._take_apart(now)
        except Away as error:
            now.broken = now.broken + 1 if error.status == 500 else 0
            raise
        self._open.pop(span)
        return Receipt(now.committed, 0, tuple(now.aside))

    def _send(self, now: _Open, rows: list[_Row]) -> None:
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

    def _without_bad(self, now: _Open, rows: list[_Row], answer: Answer) -> list[_Row]:
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
        parts, suspects, failed = [list(now.rows)], list[_Row](), 0
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

    def _put_aside(self, now: _Open, rows: Iterable[_Row], reason: str) -> None:
        rows = list(rows)
        now.aside += [Aside(row.seq, row.seq, reason, encode([row])) for row in rows]
        _done(now, rows)


def _done(now: _Open, rows: Iterable[_Row]) -> None:
    gone = {row.seq for row in rows}
    now.rows = [row for row in now.rows if row.seq not in gone]


def _left(now: _Open, rows: Iterable[_Row]) -> list[_Row]:
    left = {row.seq for row in now.rows}
    return [row for row in rows if row.seq in left]


def _rows(body: bytes) -> list[_Row]:
    decoder = msgspec.json.Decoder(_Row)
    return [decoder.decode(line) for line in body.splitlines() if line]


def encode(rows: Iterable[_Row]) -> bytes:
    """Return readings as the body of `POST /readings/bulk`."""
    readings = [
        {
            "device_id": row.device_id,
            "ts_utc": spelled(row.time_ns, UTC),
            "ts_local": spelled(row.local_ns, None),
            "payload": row.payload,
        }
        for row in rows
    ]
    return msgspec.json.encode({"readings": readings})


def spelled(time_ns: int, zone: Any) -> str:
    """Return a time as the older system writes it: ISO 8601 to the microsecond; UTC with its offset."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000, tzinfo=zone)
    return moment.isoformat(timespec="microseconds")


def bad_rows(told: Any, count: int) -> Mapping[int, str]:
    """Return which rows of a refused batch are bad and why, by their index; empty if the answer does not say.

    Read are the answers of FastAPI (`detail`: a list with `loc`), and of a Kymograph hub (`facts.bad`: a list
    with `index` and `reason`).
    """
    if not isinstance(told, dict):
        return {}
    said = cast("dict[str, Any]", told)
    facts: Any = said.get("facts")
    listed: Any = cast("dict[str, Any]", facts).get("bad") if isinstance(facts, dict) else said.get("bad")
    found: dict[int, str] = {}
    for one in cast("list[Any]", listed if isinstance(listed, list) else said.get("detail") or []):
        if not isinstance(one, dict):
            continue
        entry = cast("dict[str, Any]", one)
        index = entry.get("index", _index(entry.get("loc")))
        if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < count:
            found.setdefault(index, str(entry.get("reason") or entry.get("msg") or "refused"))
    return found


def _index(loc: Any) -> int | None:
    if not isinstance(loc, list):
        return None
    return next((part for part in cast("list[Any]", loc) if isinstance(part, int)), None)
