"""A dialogue with a device that prompts: send, then wait for words, whether or not a line ends there.

Prompts of menus end without an end of line, so nothing here reads lines: what has come is searched.
"""

from __future__ import annotations

import re
import threading
import time
from typing import Final

from kymograph.drivers.base import GivenUp
from kymograph.drivers.ports import Port
from kymograph.model.errors import DeviceSilent

_SLICE_S: Final = 0.05
_KEPT_BYTES: Final = 16_384
"""What a device may say before the words that are waited for; more is noise."""


class Dialogue:
    """Words with one device over its port. Used by the instrument's thread."""

    def __init__(self, port: Port, hurry: threading.Event) -> None:
        self._port = port
        self._hurry = hurry
        self._heard = b""
        self.bytes_received = 0

    def send(self, data: bytes) -> None:
        """Send bytes as they are.

        Raises:
            PortError: the other end is gone.
        """
        self._port.write(data)

    def expect(self, pattern: re.Pattern[bytes], timeout_s: float) -> re.Match[bytes]:
        """Wait for words, take them and what came before them out of what was heard, and return them.

        `match.string[: match.start()]` is what came before.

        Raises:
            DeviceSilent: they do not come in time.
            GivenUp: nobody waits for this any more.
            PortError: the other end is gone.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            found = pattern.search(self._heard)
            if found is not None:
                self._heard = self._heard[found.end() :]
                return found
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise DeviceSilent(
                    f"{self._port.description} does not answer as expected within {timeout_s:g} s",
                    hint="check the sensor's power and the baud rate",
                    heard=self._heard[-80:].decode("latin-1"),
                )
            if self._hurry.is_set():
                raise GivenUp("the dialogue with the device was left")
            more = self._port.read(min(left_s, _SLICE_S))
            self.bytes_received += len(more)
            self._heard = (self._heard + more)[-_KEPT_BYTES:]

    def take(self) -> bytes:
        """Return what was heard and not asked for, and forget it."""
        heard, self._heard = self._heard, b""
        return heard
