"""Which row numbers there are: disjoint ranges in order, both ends included.

What a destination has, what a hub holds, what is owed: each is a few ranges, however many rows it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator


class Ranges:
    """A set of whole numbers, as (first, last) pairs. Immutable: every change is a new one."""

    __slots__ = ("_firsts", "_pairs")

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        """Take pairs in any order; those that touch or overlap become one. Empty ones are left out."""
        merged: list[tuple[int, int]] = []
        for first, last in sorted(pair for pair in pairs if pair[0] <= pair[1]):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        self._pairs = tuple(merged)
        self._firsts = [first for first, _ in merged]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the pairs, lowest first."""
        return iter(self._pairs)

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and self._pairs == other._pairs

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return f"Ranges({list(self._pairs)!r})"

    def __contains__(self, number: int) -> bool:
        at = bisect_left(self._firsts, number + 1) - 1
        return at >= 0 and number <= self._pairs[at][1]

    def __or__(self, other: Ranges) -> Ranges:
        """Return what is in either."""
        return Ranges((*self._pairs, *other._pairs))

    def __sub__(self, other: Ranges) -> Ranges:
        """Return what is here and not there."""
        left: list[tuple[int, int]] = []
        for first, last in self._pairs:
            for begin, end in other._pairs:
                if end < first or begin > last:
                    continue
                left.append((first, begin - 1))
                first = end + 1
            left.append((first, last))
        return Ranges(left)

    def __and__(self, other: Ranges) -> Ranges:
        """Return what is in both."""
        return self - (self - other)

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return sum(last - first + 1 for first, last in self._pairs)

    def to_list(self) -> list[list[int]]:
        """Return the pairs as plain data."""
        return [[first, last] for first, last in self._pairs]
