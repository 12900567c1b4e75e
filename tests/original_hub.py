"""An original hub of the older system, as far as an edge sees it: `POST /readings/bulk` and two queries.

It has no idea of a reading that it has already (unless `dedupe`), and takes a batch whole or not at all.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.hub_server import Answered, HubServer


class OriginalHub(HubServer):
    """Keeps readings in the order in which they came."""

    def __init__(self, dedupe: bool = False, names_bad: bool = True) -> None:
        super().__init__()
        self.dedupe = dedupe
        self.names_bad = names_bad
        """Whether a refusal says which reading it is about."""
        self.readings: list[dict[str, Any]] = []
        self.bad: set[str] = set()
        """Times in UTC of readings that it refuses by 422."""
        self.breaks: set[str] = set()
        """… over which it breaks: 500."""
        self.rows_max = 10_000
        self.queries = True
        """Whether it answers what it has between two times."""

    def times(self) -> list[str]:
        """Return the UTC times of what it has, as they came."""
        return [one["ts_utc"] for one in self.readings]

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answered:
        if (method, path) == ("GET", "/readings/latest"):
            newest = max(self.readings, key=lambda one: one["ts_utc"], default=None)
            return _json(200, newest) if newest else _json(404, {"detail": "No readings found"})
        if method == "GET" and path.startswith("/readings?") and self.queries:
            return _json(200, self._between(**parse_qs(urlsplit(path).query)))
        if (method, path) != ("POST", "/readings/bulk"):
            return _json(404, {"detail": "Not Found"})
        assert "content-encoding" not in headers, "the older system unpacks nothing"
        sent = json.loads(body)["readings"]
        if len(sent) > self.rows_max:
            return _json(413, {"detail": "Request Entity Too Large"})
        refused = [_refusal(at) for at, one in enumerate(sent) if self._is_bad(one)]
        if refused:
            return _json(422, {"detail": refused if self.names_bad else "Unprocessable Entity"})
        if any(one["ts_utc"] in self.breaks for one in sent):
            return _json(500, {"detail": "Internal Server Error"})
        known = set(self.times()) if self.dedupe else set()
        fresh = [one for one in sent if one["ts_utc"] not in known]
        self.readings += fresh
        return _json(201, {"created": len(fresh), "message": f"Successfully created {len(fresh)} readings"})

    def _between(self, start_date: list[str], end_date: list[str]) -> list[dict[str, Any]]:
        start, end = (datetime.strptime(text[0], "%Y-%m-%d %H:%M:%S") for text in (start_date, end_date))
        return [one for one in self.readings if start <= datetime.fromisoformat(one["ts_local"]) <= end]

    def _is_bad(self, one: dict[str, Any]) -> bool:
        at = datetime.fromisoformat(one["ts_utc"])
        local = datetime.fromisoformat(one["ts_local"])
        assert at.tzinfo is not None and local.tzinfo is None and isinstance(one["payload"], dict)
        return one["ts_utc"] in self.bad


def _refusal(at: int) -> dict[str, Any]:
    return {
        "loc": ["body", "readings", at, "ts_utc"],
        "msg": "invalid datetime format",
        "type": "value_error",
    }


def _json(status: int, told: Any) -> Answered:
    return status, {"content-type": "application/json"}, json.dumps(told).encode()
