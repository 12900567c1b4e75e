"""What happened, as sparse structured facts beside the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

KINDS: Final = ("reading", "spray", "command", "state", "alarm", "mark", "clock", "gap", "tombstone")
"""The kinds of event there are. A new kind is a new line here and in the documentation of events."""


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. Changed by a new revision with the same id, never in place.

    `source` names who says it (`instrument/lidar`, `recorder`, `user/anna`); `body` is JSON.
    """

    id: str
    time_ns: int
    source: str
    kind: str
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    revision: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the event as plain data, the inverse of `event_from_dict`."""
        return {
            "id": self.id, "time_ns": self.time_ns, "source": self.source,
            "kind": self.kind, "body": dict(self.body), "revision": self.revision,
        }  # fmt: skip


def event_from_dict(data: Mapping[str, Any]) -> Event:
    """Make the event again that `Event.to_dict` took apart."""
    return Event(
        id=data["id"], time_ns=data["time_ns"], source=data["source"],
        kind=data["kind"], body=data.get("body") or {}, revision=data.get("revision", 0),
    )  # fmt: skip
