"""Columns of files that anybody may have made, as times and numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from kymograph.drivers.stm32_channels import QUANTITIES
from kymograph.model.block import Column, Times
from kymograph.model.errors import Corrupt
from kymograph.plot.source import Quantity

TIME_NAMES: Final = ("time_ns", "timestamp", "time", "Time", "Timestamp", "datetime", "t")
"""What a column of times may be called, the best first."""
NO_TIME: Final = np.iinfo(np.int64).min
"""Where a row has no time; NumPy's own NaT is the same number."""
_MAGNITUDES: Final = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000))
"""From which number on a time since 1970 is in ns, µs, ms; below it is in seconds."""
_TITLE: Final = re.compile(r"(?P<name>.+?) ?\[(?P<unit>[^\]]*)\]")


def to_ns(values: Column, name: str = "") -> Times:
    """Return times as nanoseconds: of dates, or of numbers in s, ms, µs or ns, whichever their size says.

    A column called `time_ns` is what it says. Where there is no time it is `NO_TIME`.

    Raises:
        Corrupt: they are no times.
    """
    if values.dtype.kind == "M":
        return values.astype("M8[ns]").astype(np.int64)
    if values.dtype.kind in "US":
        return _of_texts(values)
    if values.dtype.kind not in "iuf":
        raise Corrupt("its column of times has no times")
    if not len(values):
        return np.empty(0, np.int64)
    size = float(np.abs(values[np.isfinite(values)]).max(initial=0))
    scale = next((scale for least, scale in _MAGNITUDES if size >= least), 1_000_000_000)
    scale = 1 if name == "time_ns" else scale
    if values.dtype.kind in "iu":
        return values.astype(np.int64) * scale
    whole = np.floor(values)
    fraction = np.nan_to_num(np.rint((values - whole) * scale)).astype(np.int64)
    return np.where(np.isfinite(values), np.nan_to_num(whole).astype(np.int64) * scale + fraction, NO_TIME)


def _of_texts(values: Column) -> Times:
    try:
        # NumPy reads dates without a zone, which ours have: all are UTC.
        plain = np.char.replace(np.char.rstrip(values.astype("U35"), "Z"), "+00:00", "")
        return plain.astype("M8[ns]").astype(np.int64)
    except ValueError:
        raise Corrupt("its times are neither RFC 3339 in UTC nor numbers") from None


def quantity_of(title: str, unit: str = "", labels: tuple[str, ...] = ()) -> Quantity:
    """Return the quantity of a column, whose title may name its unit as `distance [m]`."""
    found = _TITLE.fullmatch(title)
    if found and not unit:
        return Quantity(found["name"], found["unit"], labels)
    return Quantity(title, unit, labels)


def time_column(names: Sequence[str], file: str) -> str:
    """Return which of a file's columns has the times.

    Raises:
        Corrupt: none has.
    """
    for name in TIME_NAMES:
        if name in names:
            return name
    raise Corrupt(f"{file} has no column of times", hint=f"it would be called {TIME_NAMES[1]}")


def with_units(quantities: tuple[Quantity, ...]) -> tuple[Quantity, ...]:
    """Return quantities with the units of the test stand's logs, if they are all theirs and have none."""
    known = {quantity.name: quantity.unit for quantity in QUANTITIES}
    if any(quantity.unit or quantity.name not in known for quantity in quantities):
        return quantities
    return tuple(replace(quantity, unit=known[quantity.name]) for quantity in quantities)
