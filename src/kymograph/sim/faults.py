"""What can go wrong on a wire, on request: each fault is a line of words.

    drop N       lose the next N bytes                  corrupt N    flip a bit in each of the next N
    junk N       send N bytes of noise                  noise P      flip bits of bytes with probability P
    silence [S]  send nothing for S seconds, or         unplug [S]   pull the wire, and put it back after
                 until `speak`                                       S seconds, or at `replug`
    refuse on    be deaf to the host, until             cut N [S]    pull the wire after N more bytes, in the
                 `refuse off`                                        middle of whatever; back after S seconds
    ok           end every fault but `unplug`

Counts are bytes; the same seed makes the same noise.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Final

from kymograph.model.errors import InvalidInput

WORDS: Final = (
    "drop", "corrupt", "junk", "noise", "refuse", "silence", "speak", "unplug", "replug", "cut", "ok",
)  # fmt: skip
CUT_S: Final = 0.05
"""Between the last byte of a cut and the pull of the wire: what was sent has been read by then."""


class Faults:
    """The faults of one wire. `unplugged` is what was asked for; whoever owns the wire does it."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._drop_bytes = 0
        self._corrupt_bytes = 0
        self._junk = b""
        self._noise = 0.0
        self._silent_until_s = 0.0
        self._replug_at_s = 0.0
        self._cut_bytes = -1
        self._cut_for_s = math.inf
        self._pull_at_s = math.inf
        self.refusing = False
        self.unplugged = False

    def request(self, line: str, time_s: float) -> None:
        """Take a fault, from now on.

        Raises:
            InvalidInput: there is no such fault, or its argument makes no sense.
        """
        word, *arguments = line.split() or [""]
        if word not in WORDS:
            raise InvalidInput(f"there is no fault {word!r}", hint=f"faults are: {', '.join(WORDS)}")
        try:
            self._take(word, arguments, time_s)
        except (ValueError, IndexError, KeyError):
            raise InvalidInput(f"fault {line!r}: the argument makes no sense") from None

    def _take(self, word: str, arguments: Sequence[str], time_s: float) -> None:
        seconds = float(arguments[0]) if word in ("silence", "unplug") and arguments else math.inf
        if word == "drop":
            self._drop_bytes = int(arguments[0])
        elif word == "corrupt":
            self._corrupt_bytes = int(arguments[0])
        elif word == "junk":
            self._junk = self._random.randbytes(int(arguments[0]))
        elif word == "noise":
            self._noise = min(max(float(arguments[0]), 0.0), 1.0)
        elif word == "refuse":
            self.refusing = {"on": True, "off": False}[arguments[0] if arguments else "on"]
        elif word in ("silence", "speak"):
            self._silent_until_s = time_s + seconds if word == "silence" else 0.0
        elif word == "cut":
            self._cut_bytes = int(arguments[0])
            self._cut_for_s = float(arguments[1]) if len(arguments) > 1 else math.inf
        elif word in ("unplug", "replug"):
            self.unplugged, self._replug_at_s = word == "unplug", time_s + seconds
        else:
            self._drop_bytes, self._corrupt_bytes, self._junk, self._noise = 0, 0, b"", 0.0
            self._silent_until_s, self.refusing, self._cut_bytes = 0.0, False, -1

    def due(self, time_s: float) -> bool:
        """Return whether the wire should be out, at this time."""
        if time_s >= self._pull_at_s:
            self.unplugged, self._pull_at_s = True, math.inf
        if self.unplugged and time_s >= self._replug_at_s:
            self.unplugged = False
        return self.unplugged

    def apply(self, data: bytes, time_s: float) -> bytes:
        """Return what is left of the bytes that the device sends."""
        if time_s < self._silent_until_s or self._pull_at_s < math.inf:
            return b""
        if self._cut_bytes >= 0 and data:
            data = self._cut(data, time_s)
        dropped = min(self._drop_bytes, len(data))
        self._drop_bytes -= dropped
        data, self._junk = self._junk + data[dropped:], b""
        if not data or (self._corrupt_bytes == 0 and self._noise == 0.0):
            return data
        harmed = bytearray(data)
        for i in self._places(len(harmed)):
            harmed[i] ^= 1 << self._random.randrange(8)
        return bytes(harmed)

    def _cut(self, data: bytes, time_s: float) -> bytes:
        left, self._cut_bytes = data[: self._cut_bytes], self._cut_bytes - len(data)
        if self._cut_bytes <= 0:
            self._cut_bytes, self._pull_at_s = -1, time_s + CUT_S
            self._replug_at_s = time_s + CUT_S + self._cut_for_s
        return left

    def _places(self, count: int) -> list[int]:
        first = min(self._corrupt_bytes, count)
        self._corrupt_bytes -= first
        places = list(range(first))
        at = first - 1
        while self._noise:
            # How far it is to the next flipped byte, rather than a draw for each byte.
            draw = 1.0 - self._random.random()
            at += 1 + int(math.log(draw) / math.log1p(-self._noise)) if self._noise < 1 else 1
            if at >= count:
                break
            places.append(at)
        return places
