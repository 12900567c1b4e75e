"""A reverse proxy that serves a station under a path, as BlueOS serves its extensions."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

HEAD_BYTES_MAX = 65_536


class PrefixProxy:
    """Takes a prefix off each request's path. WebSockets pass; each other request has its own connection."""

    def __init__(self, port: int, prefix: str, host: str = "") -> None:
        self._target = ("127.0.0.1", port)
        self._prefix = prefix.rstrip("/").encode()
        self._host = host.encode()
        """What to say as Host in place of what the browser said, as proxies do that were told nothing."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended = False
        self.outside: list[str] = []
        """Paths that were asked for and do not lie under the prefix: links that are not relative."""
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{prefix.rstrip('/')}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended = True
        with contextlib.suppress(OSError):
            socket.create_connection(self._listener.getsockname(), 1).close()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended:
            client, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head, body = self._head(client)
            if not head:
                return
            method, path, _ = head[0].split(b" ", 2)
            if not path.startswith(self._prefix + b"/"):
                self.outside.append(path.decode())
                client.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
            upgrade = any(line.lower().startswith(b"upgrade:") for line in head)
            lines = [
                method + b" " + path[len(self._prefix) :] + b" HTTP/1.1",
                *self._headers(head[1:], upgrade),
            ]
            with socket.create_connection(self._target, 10) as server:
                server.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
                threading.Thread(target=_pump, args=(client, server), daemon=True).start()
                _pump(server, client)

    def _headers(self, lines: list[bytes], upgrade: bool) -> list[bytes]:
        kept = [line for line in lines if upgrade or not line.lower().startswith(b"connection:")]
        if self._host:
            kept = [line for line in kept if not line.lower().startswith(b"host:")] + [b"Host: " + self._host]
        return kept if upgrade else [*kept, b"Connection: close"]

    @staticmethod
    def _head(client: socket.socket) -> tuple[list[bytes], bytes]:
        data = b""
        while b"\r\n\r\n" not in data and len(data) < HEAD_BYTES_MAX:
            piece = client.recv(4096)
            if not piece:
                return [], b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        return head.split(b"\r\n"), body


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65_536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
