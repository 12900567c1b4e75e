"""A cable between two programs: TCP on loopback, which can be cut, slowed down, and lose answers.

with Cable(port) as cable:
    cable.url                # what the client is given
    cable.cut(); cable.mend()
    cable.cut_after(50_000)  # bytes towards the client from now on, then cut once
    cable.lose_answers = True
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from typing import Self

PIECE_BYTES = 16_384


class Cable:
    """Forwards every connection to a port, as long as it is whole."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._guard = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._whole = True
        self._left: int | None = None
        self._ended = False
        self.lose_answers = False
        """Requests arrive, their answers do not: the connection ends in their place."""
        self.delay_s = 0.0
        """Before each piece."""
        self.connections = 0
        self.answered_bytes = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended = True
        # Closing a listener does not wake who waits in it; coming to it does.
        with contextlib.suppress(OSError):
            socket.create_connection(self._listener.getsockname(), 1).close()
        self._listener.close()
        self._break()
        self._thread.join(5)

    def cut(self) -> None:
        """End every connection, in the middle of whatever it is, and refuse new ones."""
        self._whole = False
        self._break()

    def cut_after(self, nbytes: int) -> None:
        """Let so many bytes pass towards the client, then end every connection; new ones pass again."""
        with self._guard:
            self._left = nbytes

    def mend(self) -> None:
        """Be whole again."""
        self._whole = True

    def lead_to(self, port: int) -> None:
        """Lead elsewhere from now on; what is connected ends."""
        self._target = ("127.0.0.1", port)
        self._break()

    def _break(self) -> None:
        with self._guard:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for one in pair:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._ended or not self._whole:
                client.close()
                continue
            try:
                server = socket.create_connection(self._target, 5)
            except OSError:
                client.close()
                continue
            self.connections += 1
            with self._guard:
                self._pairs.add((client, server))
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as ready, client, server:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            try:
                while all(self._pass(key.fileobj is server, key) for key, _ in ready.select(30)):
                    pass
            except OSError:
                pass
        with self._guard:
            self._pairs.discard((client, server))

    def _pass(self, answer: bool, key: selectors.SelectorKey) -> bool:
        source, target = key.fileobj, key.data
        assert isinstance(source, socket.socket)
        piece = source.recv(PIECE_BYTES)
        if not piece or (answer and self.lose_answers):
            return False
        if self.delay_s:
            time.sleep(self.delay_s)
        whole = True
        if answer:
            piece, whole = self._counted(piece)
        target.sendall(piece)
        if not whole:
            self._break()
        return whole

    def _counted(self, piece: bytes) -> tuple[bytes, bool]:
        with self._guard:
            if self._left is not None and len(piece) >= self._left:
                piece, self._left = piece[: self._left], None
                self.answered_bytes += len(piece)
                return piece, False
            if self._left is not None:
                self._left -= len(piece)
            self.answered_bytes += len(piece)
            return piece, True
