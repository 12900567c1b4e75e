"""What many numbers come to in stretches of time: n, smallest, mean, largest, sum of squared deviations.

Two stretches are merged without the numbers themselves (Chan, Golub, LeVeque 1979), so days come from hours,
hours from minutes, and what comes late is added.

The minutes of an hour, packed (little-endian), for one field:

    | flags u8 | count u8 | minute u8 … | n u32 … | smallest f64 … | mean … | largest … | squares … |

Flag 1: one number a minute, so only the means follow the minutes. Flag 2: all behind the flags is zlib.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kymograph.model.errors import Corrupt

MINUTE_NS: Final = 60_000_000_000
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS

_SINGLE: Final = 1
_ZLIB: Final = 2

Whole = NDArray[np.int64]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Buckets:
    """Stretches of time in order, those with numbers only; the arrays are of one length."""

    start_ns: Whole
    n: Whole
    minimum: Numbers
    mean: Numbers
    maximum: Numbers
    m2: Numbers

    def __len__(self) -> int:
        return len(self.start_ns)

    def grouped(self, width_ns: int) -> Buckets:
        """Return them merged into stretches of a greater width, which begin at its multiples."""
        if not len(self):
            return self
        start = self.start_ns // width_ns * width_ns
        order = np.argsort(start, kind="stable")
        start = start[order]
        firsts = np.flatnonzero(np.r_[True, start[1:] != start[:-1]])
        if len(firsts) == len(start):
            return Buckets(start, *(getattr(self, name)[order] for name in _COLUMNS))
        n, mean, m2 = self.n[order], self.mean[order], self.m2[order]
        total = np.add.reduceat(n, firsts)
        middle = np.add.reduceat(n * mean, firsts) / total
        lengths = np.diff(np.r_[firsts, len(start)])
        spread = np.add.reduceat(m2 + n * (mean - np.repeat(middle, lengths)) ** 2, firsts)
        low = np.minimum.reduceat(self.minimum[order], firsts)
        high = np.maximum.reduceat(self.maximum[order], firsts)
        return Buckets(start[firsts], total, low, np.clip(middle, low, high), high, spread)

    def between(self, start_ns: int, stop_ns: int) -> Buckets:
        """Return those that begin in a span; its end is not in it."""
        first, stop = np.searchsorted(self.start_ns, (start_ns, stop_ns))
        return Buckets(*(getattr(self, name)[first:stop] for name in ("start_ns", *_COLUMNS)))

    def without(self, spans: Sequence[int], length_ns: int) -> Buckets:
        """Return those that begin in none of the spans that begin at these multiples of their length."""
        kept = ~np.isin(self.start_ns // length_ns * length_ns, np.array(spans, np.int64))
        return Buckets(*(getattr(self, name)[kept] for name in ("start_ns", *_COLUMNS)))

    @property
    def std(self) -> Numbers:
        """The standard deviation of the numbers in each, as of a sample; 0 where there is one only."""
        return np.sqrt(self.m2 / np.maximum(self.n - 1, 1))


_COLUMNS: Final = ("n", "minimum", "mean", "maximum", "m2")
_NOTHING: Final = np.zeros(0)
EMPTY: Final = Buckets(_NOTHING.astype(np.int64), _NOTHING.astype(np.int64), *(_NOTHING,) * 4)


def of_values(times_ns: Whole, values: Numbers, width_ns: int) -> Buckets:
    """Sum up numbers that were read at these times, in any order."""
    ones = np.ones(len(values), np.int64)
    return Buckets(times_ns, ones, values, values, values, np.zeros(len(values))).grouped(width_ns)


def together(parts: Sequence[Buckets], width_ns: int) -> Buckets:
    """Merge any number of buckets, of this width or finer."""
    if not parts:
        return EMPTY
    joined = [np.concatenate([getattr(part, name) for part in parts]) for name in ("start_ns", *_COLUMNS)]
    return Buckets(*joined).grouped(width_ns)


def pack(minutes: Buckets, hour_ns: int) -> bytes:
    """Return the minutes of one hour as bytes."""
    places = ((minutes.start_ns - hour_ns) // MINUTE_NS).astype(np.uint8)
    single = bool((minutes.n == 1).all())
    parts: list[NDArray[Any]] = [np.array([len(places)], np.uint8), places]
    if single:
        parts.append(minutes.mean)
    else:
        parts += [minutes.n.astype("<u4"), minutes.minimum, minutes.mean, minutes.maximum, minutes.m2]
    plain = b"".join(part.astype(part.dtype.newbyteorder("<")).tobytes() for part in parts)
    small = zlib.compress(plain, 1)
    packed = len(small) < len(plain)
    return bytes([_SINGLE * single | _ZLIB * packed]) + (small if packed else plain)


def unpack(packed: bytes, hour_ns: int) -> Buckets:
    """Return the minutes that `pack` took.

    Raises:
        Corrupt: it is something else.
    """
    try:
        flags = packed[0]
        plain = zlib.decompress(packed[1:]) if flags & _ZLIB else packed[1:]
        count = plain[0]
        places = np.frombuffer(plain, np.uint8, count, 1)
        start = hour_ns + places.astype(np.int64) * MINUTE_NS
        if flags & _SINGLE:
            mean = np.frombuffer(plain, "<f8", count, 1 + count)
            return Buckets(start, np.ones(count, np.int64), mean, mean, mean, np.zeros(count))
        n = np.frombuffer(plain, "<u4", count, 1 + count).astype(np.int64)
        rest = np.frombuffer(plain, "<f8", 4 * count, 1 + 5 * count).reshape(4, count)
        return Buckets(start, n, *rest)
    except (ValueError, IndexError, zlib.error) as error:
        raise Corrupt(f"the roll-ups of an hour are damaged: {error}") from None


def pack_times(times_ns: Whole, hour_ns: int) -> bytes:
    """Return sorted times of one hour as bytes: how far each is from the one before."""
    return zlib.compress(np.diff(times_ns, prepend=hour_ns).astype("<i8").tobytes(), 6)


def unpack_times(packed: bytes, hour_ns: int) -> Whole:
    """Return the times that `pack_times` took."""
    return np.cumsum(np.frombuffer(zlib.decompress(packed), "<i8"), dtype=np.int64) + hour_ns
