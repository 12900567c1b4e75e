"""A Biospherical Q-Series light sensor as its host sees it: boots, streams, answers polls, shows its menu.

    sim://qseries?averaging=125&adc_rate_hz=125&mode=freerun&tag=A&time_scale=1

What it says is that of firmware 2150REV4.003, byte for byte as far as that is public; the prompts of menus O
and P are not, and are made up. Its delays are the firmware's, times `time_scale`; text takes the time that
9600 baud need. `log=FILE` keeps every line of data it sent, as JSON, for tests that look for each.

Faults of its own, beside those of the wire: `brownout`, `adc fail|weak|ok`, `rate fail|ok`, `error write|ok`,
`quiet on|off`, `probe` (another program tries the port), `hear TEXT` (bytes as the host might send them).
"""

from __future__ import annotations

import json
import math
import random
import time
from collections import deque
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import NamedTuple

from kymograph.model.errors import InvalidInput
from kymograph.sim.qseries_firmware import Firmware, Memory, Sleep, Until

BITS_PER_BYTE = 10
PROBE = b"BR\x02\x00\x06\x00\x00\x00\x04\x00\xa1\x00"
"""What BlueOS sends to every serial port that it finds, looking for an echo sounder."""
REAL_PERIOD = 1.0338
"""Seconds between two readings that the settings say are one second apart, as measured over half an hour."""


class Light(NamedTuple):
    """What the sensor sees: a dive of half an hour down to 30 m and back, again and again."""

    time_s: float

    def value(self, noise: float) -> float:
        """Return the light in the sensor's unit: fainter with depth, flickering with the waves above."""
        waves = 1 + 0.06 * math.sin(self.time_s * 1.7) + 0.03 * math.sin(self.time_s * 3.1)
        return 100 * math.exp(-0.15 * self._depth_m) * waves + 0.00001 * noise

    def temperature(self) -> float:
        """Return degrees Celsius, in the steps of the sensor's converter."""
        return round((21.5 - 0.2 * self._depth_m) / 0.41) * 0.41

    @property
    def _depth_m(self) -> float:
        phase = self.time_s % 1800 / 900
        return 30 * (phase if phase < 1 else 2 - phase)


class QSeries:
    """The device: a firmware that runs in its own time, and the line it talks on."""

    def __init__(self, memory: Memory, time_scale: float = 1.0, log: Path | None = None) -> None:
        self.memory = memory
        self.time_scale = time_scale
        self.interval_s = max(0.001, 0.01 * min(time_scale, 1.0))
        self.boots = 0
        self._log = log
        self._random = random.Random(1)
        self._time_s = 0.0
        self._began_s: float | None = None
        self.power_on()

    @property
    def baud(self) -> int:
        """The speed it talks at."""
        return self.memory.baud

    def power_on(self) -> None:
        """Begin as after the power came; what is in its memory stays."""
        self.boots += 1
        self._in: deque[int] = deque()
        self._out = bytearray()
        self._program = self._run()
        self._waits: Sleep | Until = next(self._program)

    def receive(self, data: bytes) -> None:
        """Take what the host sent."""
        self._in.extend(data)

    def fault(self, words: list[str]) -> bool:
        """Have a fault of its own; return False for one that it does not know."""
        word, *rest = words
        memory, argument = self.memory, rest[0] if rest else ""
        if word == "brownout":
            self.power_on()
        elif word == "adc" and argument in ("fail", "weak", "ok"):
            memory.adc = argument
        elif word == "rate" and argument in ("fail", "ok"):
            memory.rate_fails = argument == "fail"
        elif word == "error" and argument in ("write", "ok"):
            memory.write_fails = argument == "write"
        elif word == "quiet" and argument in ("on", "off"):
            memory.quiet = argument == "on"
        elif word == "probe":
            self.receive(PROBE)
        elif word == "hear":
            self.receive(" ".join(rest).encode("latin-1").decode("unicode_escape").encode("latin-1"))
        else:
            return False
        return True

    def advance(self, time_s: float) -> bytes:
        """Return what the device sends until `time_s`."""
        if self._began_s is None:
            self._began_s = time_s
        now = (time_s - self._began_s) / self.time_scale
        while True:
            waits = self._waits
            if isinstance(waits, Until) and self._in:
                self._time_s = max(self._time_s, min(now, waits.time_s))
                self._waits = self._program.send(self._in.popleft())
            elif waits.time_s <= now:
                self._time_s = max(self._time_s, waits.time_s)
                self._waits = self._program.send(None)
            else:
                self._time_s = max(self._time_s, now)
                break
        out, self._out = bytes(self._out), bytearray()
        return out

    # -- what the firmware finds on its board --------------------------------------------------------------
    def now_s(self) -> float:
        """Return the firmware's own time."""
        return self._time_s

    def put(self, text: bytes) -> float:
        """Send bytes, and return how long the line takes for them."""
        self._out += text
        return len(text) * BITS_PER_BYTE / self.memory.baud

    def measure(self) -> tuple[float, float, float]:
        """Return light, temperature in degrees Celsius, and supply in volts."""
        light = Light(self._time_s)
        supply = 7.515 if self._random.random() < 0.2 else 7.494
        return light.value(self._random.uniform(-40, 40)), light.temperature(), supply

    def note(self, line: bytes) -> None:
        """Keep a line of data that was sent, where a test will look for it."""
        if self._log is not None:
            told = {"time_ns": time.time_ns(), "line": line.decode("latin-1").rstrip("\r\n")}
            with self._log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(told) + "\n")

    def _run(self) -> Generator[Sleep | Until, int | None, None]:
        while True:
            yield from Firmware(self).life()


def make(parameters: Mapping[str, str]) -> QSeries:
    """Make a sensor from the parameters of its address.

    Raises:
        InvalidInput: one is unknown or makes no sense.
    """
    given = dict(parameters)
    try:
        time_scale = float(given.pop("time_scale", "1"))
        log = given.pop("log", "")
        given.pop("seed", "")
        memory = Memory(
            serial=given.pop("serial", "Q12345"),
            averaging=int(given.pop("averaging", "125")),
            adc_rate=int(given.pop("adc_rate_hz", "125")),
            polled={"freerun": False, "polled": True}[given.pop("mode", "freerun")],
            tag=given.pop("tag", "A"),
            preamble=given.pop("preamble", ""),
            baud=int(given.pop("baud", "9600")),
            temperature=given.pop("temperature", "1") == "1",
            voltage=given.pop("voltage", "1") == "1",
            quiet=given.pop("quiet", "0") == "1",
            period=float(given.pop("period", str(REAL_PERIOD))),
        )
    except (ValueError, KeyError) as error:
        raise InvalidInput(f"the simulated sensor does not understand {error}") from None
    if given or time_scale <= 0:
        unknown = ", ".join(sorted(given)) or "time_scale"
        raise InvalidInput(f"the simulated sensor does not understand {unknown}", hint="see its docstring")
    return QSeries(memory, time_scale, Path(log) if log else None)
