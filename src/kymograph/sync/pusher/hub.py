"""What a pusher needs of a hub, whichever program that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kymograph.model.errors import KymographError
from kymograph.model.ranges import Ranges
from kymograph.sync.pusher.outbox import Batch, Extent
from kymograph.sync.pusher.wire import Away

About = Callable[[], Mapping[str, Any]]
"""What a station says of itself: `name`, `interval_s`, `disk` …"""
Held = Mapping[tuple[str, int], Ranges]
"""By stream and epoch: what a hub says it holds."""


class Suspect(Away):
    """The hub fails at every row of this batch, and it cannot be told yet whether it is they or the hub: let
    it try others."""


class TooLarge(KymographError):
    """The hub does not take so much at once."""


@dataclass(frozen=True, slots=True)
class Aside:
    """Rows that a hub will never take: they count as told."""

    first: int
    last: int
    reason: str
    body: bytes | None = None
    """None if the hub keeps them: then they are its to ask for again."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The whole range of a batch has been told."""

    committed: int
    duplicates: int = 0
    aside: tuple[Aside, ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """The hub needs these objects before it takes the batch."""

    sha256s: tuple[str, ...]


class Hub(Protocol):
    """One hub. Every method may raise `Away`, `Denied` or `Misplaced`."""

    @property
    def kind(self) -> str: ...
    @property
    def streams(self) -> tuple[str, ...]: ...

    def hello(self, extents: Sequence[Extent]) -> Held | None:
        """Say what there is; return what the hub holds, None if it cannot say."""
        ...

    def put(self, batch: Batch) -> Receipt | Missing:
        """Send a batch. On return its whole range counts as told.

        Raises:
            TooLarge: send less at once.
            Suspect: send others first.
        """
        ...

    def offset(self, sha256: str) -> int | None:
        """Return how many bytes of an object the hub has; None if all of them."""
        ...

    def append(self, sha256: str, offset: int, piece: bytes, size_bytes: int) -> bool:
        """Send a piece of an object of so many bytes; return whether it was taken. The last one is taken when
        the whole is right.

        Raises:
            TooLarge: send less at once.
            Corrupt: the bytes that have arrived are not those of that hash.
        """
        ...
