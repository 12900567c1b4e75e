"""What stand-in hubs have in common: HTTP on loopback, and faults on request.

hub.faults += ["lost", 503]     # the next request is carried out, its answer lost; the one after gets a 503
"""

from __future__ import annotations

import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answered = tuple[int, dict[str, str], bytes]


class HubServer:
    """A hub whose answers a test can lose."""

    def __init__(self) -> None:
        self.faults: deque[str | int] = deque()
        """One for each next request: `refused` nothing is read, `cut` half of its body is, `lost` it is
        carried out and not answered, a number is the status of the answer, `` is no fault."""
        self.headers: dict[str, str] = {}
        """Of answers that are faults."""
        self.key = ""
        """What must be shown, if anything."""
        self.asked: list[str] = []
        self.meanwhile = threading.Event()
        self.meanwhile.set()
        """Cleared, every request waits for it."""
        self._guard = threading.Lock()
        self._http: ThreadingHTTPServer | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *exc: object) -> None:
        self.leave()

    def listen(self) -> None:
        """Be there, on the same port as before."""
        port = int(self.url.rpartition(":")[2]) if self.url else 0
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def leave(self) -> None:
        """Be gone: nobody answers at its port."""
        if self._http is not None:
            self.meanwhile.set()
            self._http.shutdown()
            self._http.server_close()
            self._http = None

    def carried_out(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answered:
        """Answer with the next fault, or as a hub does; one request at a time."""
        self.meanwhile.wait(20)
        with self._guard:
            self.asked.append(f"{method} {path}")
            fault = self.faults.popleft() if self.faults else ""
            if fault in ("refused", "cut"):
                raise ConnectionAbortedError
            if isinstance(fault, int):
                return fault, dict(self.headers), b'{"detail": "a fault"}'
            shown = headers.get("authorization", "").removeprefix("Bearer ")
            if self.key and not (shown == self.key == headers.get("x-api-key")):
                return 401, {}, b'{"detail": "no such key"}'
            found = self.answer(method, path, headers, body)
            if fault == "lost":
                raise ConnectionAbortedError
            return found

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answered:
        raise NotImplementedError


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def _do(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            if hub.faults and hub.faults[0] == "cut":
                length //= 2
            body = self.rfile.read(length)
            given = {name.lower(): value for name, value in self.headers.items()}
            try:
                status, headers, data = hub.carried_out(self.command, self.path, given, body)
            except ConnectionAbortedError:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("content-length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD" and status != 204:
                self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_HEAD = _do  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
