"""How it stands with one destination: what the page, the command line and the metrics are told."""

from __future__ import annotations

import threading
from typing import Any, Final

CONNECTED: Final = "connected"
WAITING: Final = "waiting"
REFUSED: Final = "refused"
BLOCKED: Final = "blocked"
STATES: Final = (CONNECTED, WAITING, REFUSED, BLOCKED)
"""It takes what it is sent; it does not answer, or cannot now; it does not accept the key; what answers there
is no hub of this kind."""


class Standing:
    """Written by one thread, read by any."""

    def __init__(self, name: str, url: str, kind: str) -> None:
        self._guard = threading.Lock()
        self._facts: dict[str, Any] = {
            "name": name, "url": url, "kind": kind, "state": WAITING, "error": "", "hint": "",
            "state_since_ns": None, "last_success_ns": None, "next_try_ns": None,
            "owed": {}, "since_ns": None, "bytes_sent": 0, "batches": 0, "rows": 0, "duplicates": 0,
            "objects": 0, "object": None, "failures": 0, "aside": 0, "aside_reason": "",
        }  # fmt: skip

    def set(self, **facts: Any) -> None:
        """Change some facts together."""
        with self._guard:
            self._facts.update(facts)

    def add(self, **counts: int) -> None:
        """Add to counters."""
        with self._guard:
            for name, count in counts.items():
                self._facts[name] += count

    def get(self, name: str) -> Any:
        """Return one fact."""
        return self._facts[name]

    def to_dict(self) -> dict[str, Any]:
        """Return all of them as plain data."""
        with self._guard:
            return {**self._facts, "owed": dict(self._facts["owed"])}
