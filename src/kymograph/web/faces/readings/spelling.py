"""How this face writes readings and times, and how it reads them.

    {"id": 7, "device_id": "roof", "ts_utc": "2026-05-01T03:00:00Z", "ts_local": "2026-05-01T13:00:00",
     "payload": {…}}

`ts_utc` is an instant: with a zone it is that, without one it is UTC. `ts_local` is what the clock on the
wall showed: a zone in it is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from kymograph.model.errors import InvalidInput
from kymograph.service.hub.readings import KeptReading

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WALL_EPOCH: Final = datetime(1970, 1, 1)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_FINE: Final = re.compile(r"[.,]\d{6}(\d{1,3})", re.ASCII)
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d{1,12})?)?([Zz]|[+ -]\d\d:?\d\d)?", re.ASCII
)
_USUAL: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:Z|\+00:00)?"
    r"(?:\n\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:Z|\+00:00)?)*",
    re.ASCII,
)
"""Times to the second, in UTC or as the wall has it: for these both clocks are read alike."""
_SPELLINGS: Final = "YYYY-MM-DD HH:MM:SS, YYYY-MM-DD, or ISO 8601"
_NS_MAX: Final = 2**63 - 1
_MICROSECOND_NS: Final = 1000
"""How exact a date is: PostgreSQL orders the times on the wall by that."""


def instant_ns(text: str) -> int:
    """Return an instant in nanoseconds since 1970 UTC.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return _nanoseconds(moment - _EPOCH, text)


def wall_ns(text: str) -> int:
    """Return what a clock on the wall showed, as if that were UTC.

    Raises:
        ValueError: it is no time.
    """
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo is None else moment.replace(tzinfo=None)
    return _nanoseconds(moment - _WALL_EPOCH, text)


def _nanoseconds(since: timedelta, text: str) -> int:
    found = ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
    if len(text) > 26 and (fine := _FINE.search(text)):
        found += int(fine[1].ljust(3, "0"))
    if abs(found) > _NS_MAX:
        raise ValueError("out of range")
    return found


def many_ns(texts: Sequence[str], of: Callable[[str], int]) -> list[int]:
    """Return `instant_ns` or `wall_ns` of each text, all at once where they are spelled as usual.

    Raises:
        ValueError: one of them is no time.
    """
    together = "\n".join(texts)
    if _USUAL.fullmatch(together) is None or not "1700" < min(texts)[:4] <= max(texts)[:4] < "2250":
        return [of(text) for text in texts]
    found: Any = np.array([text[:19] for text in texts], "datetime64[ns]").astype(np.int64)
    return found.tolist()


class Bound(NamedTuple):
    """One end of a stretch of time, by one of the two clocks."""

    clock: Literal["time_ns", "local_ns"]
    first_ns: int
    after_ns: int
    """Behind the whole of what was named: a day, or one instant."""


def bound(text: str, what: str) -> Bound:
    """Return a `start_date` or `end_date`: without a zone by `ts_local`, with one by the instant it is.

    Raises:
        InvalidInput: it is no date.
    """
    text = text.strip()
    try:
        if _DAY.fullmatch(text):
            first = wall_ns(date.fromisoformat(text).isoformat())
            return Bound("local_ns", first, first + 86_400 * 1_000_000_000)
        if _MOMENT.fullmatch(text) is None:
            raise ValueError
        # A plus that a client forgot to escape arrives as a space.
        spelled = (
            re.sub(r" (\d\d:?\d\d)$", r"+\1", text) if text.count(":") > 1 and text[10:].count(" ") else text
        )
        zoned = datetime.fromisoformat(spelled).tzinfo is not None
        at = instant_ns(spelled) if zoned else wall_ns(spelled)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{what} is no date", hint=_SPELLINGS) from None
    return Bound("time_ns" if zoned else "local_ns", at, at + _MICROSECOND_NS)


def written(time_ns: int) -> str:
    """Return a time as text, with as many digits behind the second as it needs."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    text = (_WALL_EPOCH + timedelta(seconds=seconds)).isoformat()
    if rest == 0:
        return text
    return f"{text}.{rest // 1000:06d}" if rest % 1000 == 0 else f"{text}.{rest:09d}"


def reading_out(reading: KeptReading) -> dict[str, Any]:
    """Return a reading as this face writes it."""
    return {
        "id": reading.id, "device_id": reading.device_id, "ts_utc": f"{written(reading.time_ns)}Z",
        "ts_local": written(reading.local_ns), "payload": reading.payload,
    }  # fmt: skip
