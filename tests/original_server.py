"""An original server of the Q_Sensor_API, as far as one who mirrors it sees it, with faults on request."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

SESSION = "6f1f9f1e-6c3a-4a7e-8a5b-3f5a3c0e9d11"


def chunk_bytes(index: int, rows: int = 60) -> bytes:
    """Return a chunk as that server writes it."""
    lines = [
        {
            "timestamp": f"2026-03-01T10:{index:02d}:{row:02d}.250000+00:00", "sensor_id": "Q12345",
            "mode": "freerun", "value": index + row / 1000, "TempC": 21.5, "Vin": 12.3,
        }
        for row in range(rows)
    ]  # fmt: skip
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


class OriginalServer:
    """Serves one session, whose chunks a test adds."""

    def __init__(self, later: bool = False, ranges: bool = True) -> None:
        self.later = later
        """Speaks the later version: a bare list of chunks, with `name` and `rows`, `created_at` a float."""
        self.ranges = ranges
        self.chunks: dict[int, bytes] = {}
        self.recording = True
        self.damaged: set[int] = set()
        self.missing: set[int] = set()
        self.asked: list[str] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, path: str) -> tuple[int, Any]:
        asked = urlsplit(path)
        session = parse_qs(asked.query).get("session_id", [""])[0]
        if asked.path == "/record/status":
            if session not in ("", SESSION):
                return 400, {"detail": "Session ID mismatch"}
            return 200, self._status()
        if asked.path == "/record/snapshots":
            return (200, self._snapshots()) if session == SESSION else (404, {"detail": "Session not found"})
        if asked.path.startswith(f"/files/{SESSION}/chunk_"):
            index = int(asked.path[-11:-6])
            if index in self.chunks and index not in self.missing:
                data = self.chunks[index]
                return 200, data[:-3] + b"x}\n" if index in self.damaged else data
        return 404, {"detail": "Not Found"}

    def _status(self) -> dict[str, Any]:
        if not self.recording and not self.later:
            return {"is_recording": False, "session_id": None, "chunk_count": 0, "total_rows": 0}
        said: dict[str, Any] = {
            "is_recording": self.recording, "session_id": SESSION, "chunk_count": len(self.chunks),
            "elapsed_time_s": 1.0, "current_chunk_rows": 3, "total_rows": 60 * len(self.chunks) + 3,
        }  # fmt: skip
        if self.later:
            said["state"] = "recording" if self.recording else "stopped"
            del said["is_recording"]
        return said

    def _snapshots(self) -> Any:
        chunks: list[dict[str, Any]] = []
        for index, data in sorted(self.chunks.items()):
            sha256, filename = hashlib.sha256(data).hexdigest(), f"chunk_{index:05d}.jsonl"
            one: dict[str, Any] = {"index": index, "size_bytes": len(data), "sha256": sha256}
            rows = data.count(b"\n")
            if self.later:
                one |= {"name": filename, "rows": rows, "created_at": 1_772_359_200.25 + 60 * index}
            else:
                created = f"2026-03-01T10:{index:02d}:59.900000Z"
                one |= {"filename": filename, "row_count": rows, "created_at": created}
            chunks.append(one)
        if self.later:
            return chunks
        return {"session_id": SESSION, "chunks": chunks, "total_chunks": len(chunks)}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.asked.append(self.path)
                status, body = server.answer(self.path)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                begin = self.headers.get("range", "")
                headers = {}
                if begin and server.ranges and status == 200:
                    offset = int(begin.removeprefix("bytes=").partition("-")[0])
                    headers["content-range"] = f"bytes {offset}-{len(data) - 1}/{len(data)}"
                    status, data = 206, data[offset:]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
