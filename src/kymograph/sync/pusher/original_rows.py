"""Readings as the older system writes them, and what it says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast
from urllib.parse import urlencode

import msgspec

APART_NS: Final = 3600 * 10**9
"""Rows with a longer gap between them are asked for by two questions: a clock that stepped makes such."""
QUESTIONS_MAX: Final = 8


class Row(msgspec.Struct):
    """A reading as it waits in the outbox."""

    seq: int
    device_id: str
    time_ns: int
    local_ns: int
    payload: msgspec.Raw

    @property
    def identity(self) -> tuple[str, int]:
        """Device and time in microseconds: what the older system can tell apart."""
        return self.device_id, self.time_ns // 1000


def rows_of(body: bytes) -> list[Row]:
    """Return the rows of a batch."""
    decoder = msgspec.json.Decoder(Row)
    return [decoder.decode(line) for line in body.splitlines() if line]


def encode(rows: Iterable[Row]) -> bytes:
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


def questions(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the queries whose answers together hold every one of these rows that the hub has."""
    locals_ns = sorted(row.local_ns for row in rows)
    begin = 0
    for at in range(1, len(locals_ns) + 1):
        if at < len(locals_ns) and locals_ns[at] - locals_ns[at - 1] <= APART_NS:
            continue
        start, stop = _second(locals_ns[begin]), _second(locals_ns[at - 1] + 1_000_000_000)
        yield "/readings?" + urlencode({"start_date": start, "end_date": stop})
        begin = at


def _second(time_ns: int) -> str:
    return spelled(time_ns, None)[:19].replace("T", " ")


def identities(told: Any) -> Iterator[tuple[str, int]]:
    """Yield device and time of the readings in an answer to one of our `questions`."""
    listed: Any = cast("dict[str, Any]", told).get("readings") if isinstance(told, dict) else told
    for one in cast("list[Any]", listed if isinstance(listed, list) else []):
        if not isinstance(one, dict):
            continue
        entry = cast("dict[str, Any]", one)
        try:
            moment = datetime.fromisoformat(str(entry.get("ts_utc")))
        except ValueError:
            continue
        since = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        yield str(entry.get("device_id")), micros
