"""The numbers of a payload, each called by its dotted path: `bme280.temperature.c`, of lists `levels.0`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

import msgspec
import numpy as np

from kymograph.model.limits import NAME_CHARS_MAX, ROLLED_FIELDS_MAX
from kymograph.store.sql.buckets import Numbers, Whole

_LARGEST: Final = 1e150
"""Beyond, its square is no number any more."""
_decoder: Final = msgspec.json.Decoder()

Columns = dict[str, tuple[Whole, Numbers]]
"""Of each field, the times and the numbers."""


def columns(rows: Iterable[tuple[int, str | bytes]]) -> Columns:
    """Take times and payloads apart into one column a number; payloads that are no objects have none.

    Of more than `ROLLED_FIELDS_MAX` fields the rest is left out.
    """
    found: dict[str, tuple[list[int], list[float]]] = {}
    for time_ns, field, value in _all_numbers(rows):
        if field in found:
            column = found[field]
        elif len(found) < ROLLED_FIELDS_MAX:
            column = found[field] = ([], [])
        else:
            continue
        column[0].append(time_ns)
        column[1].append(value)
    return {
        field: (np.array(times, np.int64), np.array(values, np.float64))
        for field, (times, values) in found.items()
    }


def _all_numbers(rows: Iterable[tuple[int, str | bytes]]) -> Iterator[tuple[int, str, float]]:
    for time_ns, payload in rows:
        for field, value in numbers(payload):
            yield time_ns, field, value


def numbers(payload: str | bytes) -> Iterator[tuple[str, float]]:
    """Yield the finite numbers of a payload with their paths, in its order."""
    try:
        whole = _decoder.decode(payload)
    except (msgspec.MsgspecError, RecursionError):
        return
    stack: list[tuple[str, Any]] = [("", whole)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, float | int) and not isinstance(value, bool):
            if path and -_LARGEST < value < _LARGEST:
                yield path, float(value)
        elif isinstance(value, dict):
            inner = cast("dict[str, Any]", value)
            head = f"{path}." if path else ""
            stack += [(head + key, one) for key, one in reversed(inner.items()) if len(key) <= NAME_CHARS_MAX]
        elif isinstance(value, list):
            head = f"{path}." if path else ""
            stack += [(f"{head}{i}", one) for i, one in reversed(list(enumerate(cast("list[Any]", value))))]


def column(rows: Iterable[tuple[int, str | bytes]], field: str) -> tuple[Whole, Numbers]:
    """Return the times and the numbers of one field."""
    found = [(time_ns, number(payload, field)) for time_ns, payload in rows]
    there = [(time_ns, value) for time_ns, value in found if value is not None]
    times, values = zip(*there, strict=True) if there else ((), ())
    return np.array(times, np.int64), np.array(values, np.float64)


def number(payload: str | bytes, field: str) -> float | None:
    """Return the number of that path, None if there is none."""
    return next((value for path, value in numbers(payload) if path == field), None)
