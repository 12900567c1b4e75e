"""Whether a host has opened a pseudo-terminal anew: what a board sees whose reset hangs on the line DTR.

A pseudo-terminal has no modem lines, but Linux tells of each opening of its file.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Final

_IN_OPEN: Final = 0x20


class Openings:
    """Watches one file. Where the system cannot tell, nobody seems to open it."""

    def __init__(self, path: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd >= 0 and libc.inotify_add_watch(self._fd, path.encode(), _IN_OPEN) < 0:
            self.close()

    def any_new(self) -> bool:
        """Return whether it was opened since this was last asked."""
        if self._fd < 0:
            return False
        try:
            return bool(os.read(self._fd, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Watch no more."""
        if self._fd >= 0:
            with suppress(OSError):
                os.close(self._fd)
        self._fd = -1
