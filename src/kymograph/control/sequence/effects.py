"""What a run wants done, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Tell:
    """Give this command. After `deadline_ns` nobody waits for it any more: it is not to be sent late."""

    number: int
    instrument: str
    command: str
    arguments: Mapping[str, Any]
    deadline_ns: int
    always: bool


@dataclass(frozen=True, slots=True)
class Recording:
    """Begin or end a recording."""

    number: int
    do: str
    name: str
    metadata: Mapping[str, Any]
    deadline_ns: int
    always: bool


@dataclass(frozen=True, slots=True)
class Event:
    """Write an event."""

    text: str
    fields: Mapping[str, Any]
    always: bool


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Do not send these any more, if they have not been sent."""

    numbers: tuple[int, ...]


Effect: TypeAlias = Tell | Recording | Event | Withdraw


@dataclass(slots=True)
class Asked:
    """Something that was to be done, and what came of it: `waiting`, `unanswered`, `failed` or any word."""

    number: int
    what: str
    line: int
    always: bool
    told_ns: int
    outcome: str = "waiting"
    detail: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ended_ns: int | None = None
    """When its answer came."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "number": self.number, "what": self.what, "line": self.line, "always": self.always,
            "told_ns": self.told_ns, "outcome": self.outcome, "detail": self.detail,
            "arguments": dict(self.arguments), "ended_ns": self.ended_ns,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Met:
    """A condition that came true, when it began to be waited for and when the run went on."""

    condition: str
    line: int
    since_ns: int
    met_ns: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)
