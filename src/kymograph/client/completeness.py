"""What a recording should have, what it has, and what is missing and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Missing:
    """Rows of a recording that are not there: `from_seq` to `to_seq` (without it) of an epoch.

    What nobody can know is None: how many rows a silent device would have made, or when they would have come.
    """

    stream: str
    epoch: int
    from_seq: int
    to_seq: int | None
    rows: int | None
    from_ns: int | None
    until_ns: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Completeness:
    """The ledger of a recording. `told` has all of it, file by file.

    `state` is `complete`, `incomplete`, `running` or `damaged`; `summary` says it in a sentence. `missing`
    lists silences too, which do not make a recording incomplete: nothing that was delivered is missing.
    `root_hash` is the SHA-256 of the recording's `SHA256SUMS`.
    """

    complete: bool
    state: str
    summary: str
    missing: tuple[Missing, ...]
    root_hash: str | None
    told: Mapping[str, Any]

    def __bool__(self) -> bool:
        return self.complete

    def __str__(self) -> str:
        return self.summary


def completeness_of(told: Mapping[str, Any]) -> Completeness:
    """Return an answer of the station as a ledger."""
    missing = tuple(
        Missing(
            stream["stream"], one["epoch"], one["from_seq"], one.get("to_seq"), one.get("rows"),
            one.get("from_ns"), one.get("until_ns"), one["reason"],
        )
        for stream in told["streams"]
        for one in stream["missing"]
    )  # fmt: skip
    return Completeness(
        told["complete"], told["state"], told["summary"], missing, told.get("root_hash"), told
    )
