"""One sealed file on its way to a hub, piece by piece, going on where the hub says that it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kymograph.model.errors import Corrupt, NotFound
from kymograph.sync.pusher.hub import Hub, TooLarge
from kymograph.sync.pusher.wire import Away

PIECE_S: Final = 0.5
"""How long a piece should take: what is live waits for no more than one."""
PIECE_BYTES_MIN: Final = 4 * 1024
PIECE_BYTES_MAX: Final = 4 * 1024 * 1024
_FIRST_BYTES: Final = 256 * 1024
_WRONG_MAX: Final = 3


class PieceSize:
    """How many bytes to send at once: by the cap, or as long as pieces take."""

    def __init__(self, bytes_per_s: float | None) -> None:
        self._most = PIECE_BYTES_MAX if bytes_per_s is None else _clamped(int(bytes_per_s * PIECE_S))
        self.nbytes = min(_FIRST_BYTES, self._most)

    def took(self, seconds: float) -> None:
        """Learn from how long a piece took."""
        if seconds > 2 * PIECE_S:
            self.nbytes = _clamped(self.nbytes // 2)
        elif seconds < PIECE_S / 2:
            self.nbytes = min(self._most, self.nbytes * 2)

    def broke_off(self) -> None:
        """Try less: what takes too long never arrives."""
        self.nbytes = _clamped(self.nbytes // 2)

    def too_large(self) -> bool:
        """Take half; return whether that is still something."""
        if self.nbytes <= PIECE_BYTES_MIN:
            return False
        self.nbytes = self._most = _clamped(self.nbytes // 2)
        return True


def _clamped(nbytes: int) -> int:
    return min(max(nbytes, PIECE_BYTES_MIN), PIECE_BYTES_MAX)


class Uploading:
    """One object."""

    def __init__(self, sha256: str, size_bytes: int, find: Callable[[str], Path | None]) -> None:
        self.sha256 = sha256
        self.size_bytes = size_bytes
        self.offset: int | None = None
        """Bytes that the hub has; None while it was not asked."""
        self._find = find
        self._wrong = 0

    def step(self, hub: Hub, size: PieceSize) -> bool:
        """Ask, or send one piece; return whether the hub has all of it.

        Raises:
            NotFound: the file is gone here.
            Corrupt: it is not what it was sealed as, or arrives damaged again and again.
            TooLarge: not even the smallest piece is taken.
            Away: the hub is; the next step asks it again how far it is.
        """
        try:
            return self._step(hub, size)
        except Away:
            self.offset = None
            size.broke_off()
            raise
        except Corrupt:
            self.offset = None
            self._wrong += 1
            if self._wrong >= _WRONG_MAX:
                raise
            return False

    def _step(self, hub: Hub, size: PieceSize) -> bool:
        if self.offset is None:
            self.offset = hub.offset(self.sha256)
            return self.offset is None
        piece = self._piece(self.offset, size.nbytes)
        began = time.monotonic()
        try:
            taken = hub.append(self.sha256, self.offset, piece, self.size_bytes)
        except TooLarge:
            if not size.too_large():
                raise
            return False
        size.took(time.monotonic() - began)
        if not taken:
            self.begin_again()
            return False
        self.offset += len(piece)
        return self.offset >= self.size_bytes

    def begin_again(self) -> None:
        """The hub does not have what it said it has: ask it anew.

        Raises:
            Away: it is always so.
        """
        self.offset = None
        self._wrong += 1
        if self._wrong >= _WRONG_MAX:
            self._wrong = 0
            raise Away("the hub does not agree with itself how far an object has come")

    def _piece(self, offset: int, nbytes: int) -> bytes:
        path = self._find(self.sha256)
        if path is None:
            raise NotFound("the file is here no more")
        try:
            with path.open("rb") as file:
                file.seek(offset)
                piece = file.read(min(nbytes, max(0, self.size_bytes - offset)))
        except FileNotFoundError:
            raise NotFound("the file is here no more", path=str(path)) from None
        except OSError as error:
            raise Corrupt(f"the file cannot be read: {error.strerror}", path=str(path)) from None
        if not piece and self.size_bytes:
            raise Corrupt("the file is shorter than it was when it was sealed", path=str(path))
        return piece
