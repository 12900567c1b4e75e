"""A stand-in for a Kymograph hub, as far as one who ships to it sees it: it holds everything in memory."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import Any

from kymograph.model.ranges import Ranges
from tests.hub_server import Answered, HubServer


class NativeHub(HubServer):
    """Takes what any station ships."""

    def __init__(self) -> None:
        super().__init__()
        self.rows_max = 10_000
        """A batch with more is answered by 413."""
        self.piece_max = 1 << 30
        self.bad: set[int] = set()
        """Numbers of rows that are never taken."""
        self.told: dict[str, Any] = {}
        """The last hello."""
        self.arrivals: list[tuple[str, int]] = []
        """Rows in the order in which they were first committed."""
        self.reset()

    def reset(self) -> None:
        """Be installed anew."""
        self.rows: dict[tuple[str, int], dict[int, bytes]] = {}
        self.held: dict[tuple[str, int], Ranges] = {}
        self.hashes: dict[tuple[str, int, int, int], str] = {}
        self.dead: list[tuple[str, int, int]] = []
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}

    def seqs(self, stream: str) -> list[int]:
        """Return which rows it holds, of all epochs."""
        return sorted(seq for (name, _), rows in self.rows.items() if name == stream for seq in rows)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answered:
        parts = path.split("/")[4:]
        if path.split("/")[1:3] != ["v1", "ingest"]:
            return 404, {}, b'{"detail": "Not Found"}'
        if parts == ["hello"]:
            return self._hello(json.loads(body))
        if parts[0] == "objects":
            return self._object(method, parts[1], headers, body)
        first, last = map(int, parts[2].split("-"))
        return self._batch(parts[0], int(parts[1]), (first, last), (headers, body))

    def _hello(self, told: dict[str, Any]) -> Answered:
        self.told = told
        streams = [
            {
                "stream": one["stream"],
                "epoch": one["epoch"],
                "held": self.held.get((one["stream"], one["epoch"]), Ranges()).to_list(),
            }
            for one in told["streams"]
        ]
        return _json(200, {"now_ns": 0, "streams": streams})

    def _batch(
        self, stream: str, epoch: int, span: tuple[int, int], sent: tuple[dict[str, str], bytes]
    ) -> Answered:
        headers, body = sent
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        sha256 = hashlib.sha256(body).hexdigest()
        assert headers["x-content-sha256"] == sha256
        rows = [json.loads(line) for line in body.splitlines()]
        if len(rows) > self.rows_max:
            return _json(413, {"detail": "too large"})
        known = self.hashes.get((stream, epoch, *span))
        if known is not None:
            return _json(200, {}) if known == sha256 else _json(409, {"detail": "other bytes before"})
        if self.bad & {row["seq"] for row in rows}:
            self.dead.append((stream, *span))
            self.held[stream, epoch] = self.held.get((stream, epoch), Ranges()) | Ranges([span])
            return _json(422, {"detail": "a bad row"})
        missing = [row["sha256"] for row in rows if "sha256" in row and row["sha256"] not in self.objects]
        if missing:
            return _json(424, {"missing": missing})
        there = self.rows.setdefault((stream, epoch), {})
        fresh = [row["seq"] for row in rows if row["seq"] not in there]
        for row in rows:
            assert span[0] <= row["seq"] <= span[1]
            there.setdefault(row["seq"], json.dumps(row).encode())
        self.arrivals += [(stream, seq) for seq in fresh]
        self.held[stream, epoch] = self.held.get((stream, epoch), Ranges()) | Ranges([span])
        self.hashes[stream, epoch, *span] = sha256
        return _json(201, {"committed": len(fresh), "duplicates": len(rows) - len(fresh)})

    def _object(self, method: str, sha256: str, headers: dict[str, str], body: bytes) -> Answered:
        part = self.parts.get(sha256, b"")
        if method == "HEAD":
            return (200, {}, b"") if sha256 in self.objects else (404, {"upload-offset": str(len(part))}, b"")
        if len(body) > self.piece_max:
            return _json(413, {"detail": "too large"})
        if int(headers["upload-offset"]) != len(part):
            return _json(409, {"detail": "another offset"})
        self.parts[sha256] = part = part + body
        if len(part) < int(headers["upload-length"]):
            return 204, {"upload-offset": str(len(part))}, b""
        del self.parts[sha256]
        if hashlib.sha256(part).hexdigest() != sha256:
            return _json(422, {"detail": "another hash"})
        self.objects[sha256] = part
        return 204, {"upload-offset": str(len(part))}, b""


def _json(status: int, told: Any) -> Answered:
    return status, {"content-type": "application/json"}, json.dumps(told).encode()
