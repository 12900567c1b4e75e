"""An adapter with an I²C bus behind it, as the chips on the bus see it.

The host speaks lines (each of words, with a CRC-16 CCITT in hexadecimal as the last one):

    host       12 76 f7 8 <crc>          number, chip, bytes to write (or -), how many to read
    adapter    12 ok 655ac0… <crc>       or `12 nack -`; `12 bad -` for a line that arrived damaged

Faults of the bus:  `hang on|off` (a line of the bus is held low: the adapter never answers)
                    `nack N` (the next N transactions are not acknowledged)
                    `vanish`, `return` (no chip is there; they are back, freshly powered)
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Final, Protocol

_LINE_BYTES_MAX: Final = 1024


class Chip(Protocol):
    """A chip on a bus. The times never run backwards."""

    def write(self, data: bytes, time_s: float) -> None:
        """Take bytes that were written to it."""
        ...

    def read(self, count: int, time_s: float) -> bytes:
        """Return bytes that are read from it."""
        ...

    def power_on(self) -> None:
        """Begin as after the power came."""
        ...

    def fault(self, words: list[str]) -> bool:
        """Have a fault of the chip's own; return False for one that it does not know."""
        ...


class Adapter:
    """A simulated device: an adapter and the chips behind it, by their addresses."""

    interval_s = 0.5
    baud = 0

    def __init__(self, chips: Mapping[int, Chip]) -> None:
        self.chips = chips
        self._in = b""
        self._began_s: float | None = None
        self._hangs = False
        self._nacks = 0
        self._away = False

    def power_on(self) -> None:
        """Begin as after the power came."""
        self._in, self._hangs = b"", False
        for chip in self.chips.values():
            chip.power_on()

    def fault(self, words: list[str]) -> bool:
        """Have a fault of the bus, or of a chip."""
        if words[0] == "hang" and words[1:] in (["on"], ["off"]):
            self._hangs = words[1] == "on"
        elif words[0] == "nack" and len(words) == 2 and words[1].isdecimal():
            self._nacks = int(words[1])
        elif words in (["vanish"], ["return"]):
            self._away = words == ["vanish"]
            for chip in self.chips.values():
                chip.power_on()
        else:
            return any([chip.fault(words) for chip in self.chips.values()])
        return True

    def receive(self, data: bytes) -> None:
        """Keep what came until the time is known."""
        self._in += data

    def advance(self, time_s: float) -> bytes:
        """Answer the transactions that have arrived whole."""
        if self._began_s is None:
            self._began_s = time_s
        *lines, self._in = self._in.split(b"\n")
        self._in = self._in[-_LINE_BYTES_MAX:]
        return b"".join(self._answer(line, time_s - self._began_s) for line in lines)

    def _answer(self, line: bytes, time_s: float) -> bytes:
        if self._hangs:
            return b""
        text, _, crc = line.decode("latin-1").rpartition(" ")
        words = text.split(" ")
        try:
            if _crc(text) != crc:
                return _line(words[0], "bad", "-")
            number, chip, data, count = words
            got = self._transfer(int(chip, 16), bytes.fromhex(data.strip("-")), int(count), time_s)
        except ValueError:
            return _line(words[0], "bad", "-")
        return _line(number, "nack" if got is None else "ok", (got or b"").hex() or "-")

    def _transfer(self, address: int, data: bytes, count: int, time_s: float) -> bytes | None:
        chip = self.chips.get(address)
        if self._nacks:
            self._nacks -= 1
            return None
        if chip is None or self._away:
            return None
        if data:
            chip.write(data, time_s)
        return chip.read(count, time_s)


def _crc(text: str) -> str:
    return f"{binascii.crc_hqx(text.encode('latin-1'), 0xFFFF):04x}"


def _line(*words: str) -> bytes:
    text = " ".join(words)
    return f"{text} {_crc(text)}\n".encode("latin-1")
