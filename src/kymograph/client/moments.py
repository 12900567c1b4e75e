"""Times as people have them: everything becomes int64 nanoseconds since 1970 UTC, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from operator import index
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kymograph.model.errors import InvalidInput

Moment = int | str | datetime | np.datetime64
"""Nanoseconds since 1970, RFC 3339 text, a datetime with a zone, or a `datetime64` (which is UTC)."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_ns(moment: Moment) -> int:
    """Return a moment as nanoseconds since 1970.

    Raises:
        InvalidInput: a datetime without a zone, whose meaning depends on where one is; or no time at all.
    """
    if isinstance(moment, np.datetime64):
        if np.isnat(moment):
            raise InvalidInput("NaT is no time")
        return int(moment.astype("datetime64[ns]").astype(np.int64))
    if isinstance(moment, str):
        return _of_text(moment)
    if isinstance(moment, datetime):
        return _of_datetime(moment)
    try:
        return index(moment)
    except TypeError:
        raise InvalidInput(
            f"{moment!r} is not a time",
            hint="give whole nanoseconds since 1970, RFC 3339 text, a datetime or a datetime64",
        ) from None


def _of_text(text: str) -> int:
    whole, point, rest = text.strip().partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))] if point else ""
    try:
        moment = datetime.fromisoformat(whole + rest[len(digits) :])
    except ValueError:
        raise InvalidInput(f"{text!r} is not a time", hint="write it as 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)  # as the station reads it
    return _of_datetime(moment) + int((digits + "000000000")[:9])


def _of_datetime(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise InvalidInput(
            f"{moment.isoformat()} says no zone", hint="give it one: moment.replace(tzinfo=timezone.utc)"
        )
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    return microseconds * 1000 + int(getattr(moment, "nanosecond", 0))  # which those of pandas have


def to_datetime64(time_ns: int | npt.NDArray[np.int64]) -> npt.NDArray[np.datetime64]:
    """Return nanoseconds as NumPy's `datetime64[ns]`, which is UTC; an array is viewed, not copied."""
    return np.asarray(time_ns, np.int64).view("datetime64[ns]")


def in_query(query: dict[str, Any]) -> dict[str, str]:
    """Return the parameters of a request: what is None is left out, names are joined, times are counted."""
    said: dict[str, str] = {}
    for key, value in query.items():
        if value is None:
            continue
        if key in ("start", "stop"):
            said[key] = str(to_ns(value))
        elif isinstance(value, bool):
            said[key] = str(value).lower()
        elif isinstance(value, str | int | float):
            said[key] = str(value)
        else:
            said[key] = ",".join(value)
    return said
