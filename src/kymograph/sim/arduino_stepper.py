"""An Arduino Uno with two stepper motors, as its host sees it: it boots, moves, and hears nothing meanwhile.

    sim://arduino_stepper?time_scale=1&resets_on_open=1

It plays the public sketch loop by loop, with what is wrong in it. Opening the port resets it, and a reset
forgets where the motors stand. A line is only looked at once 500 ms have passed since the last one was done;
what comes before that is put behind it *without its end*, so `1:90` and `2:45` become `1:902:45`, which turns
motor 1 by 902 degrees. While a motor turns nothing is read, and 63 bytes are kept. All its times are times
`time_scale`.

Faults of its own, beside those of the wire: `reboot` (also in the middle of a move), `mute on|off` (it does
and does not say), `deaf on|off` (it hears nothing), `err TEXT` (the next command is answered so, and is not
done), `cut N` (the next N bytes from the host are lost), `hear TEXT` (bytes as of another program).
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Generator, Mapping
from typing import Final, NamedTuple

from kymograph.model.errors import InvalidInput

BAUD: Final = 115200
LIMIT: Final = 1727.5
STEPS_PER_TURN: Final = 202.8
LOADER_S: Final = 0.8
"""The boot loader waits so long for a new sketch, and takes what is sent meanwhile for one."""
BOOT_DELAY_S: Final = 1.0
GATE_S: Final = 0.5
BEAT_S: Final = 30.0
STEP_S: Final = 0.01
TENTH_STEP_S: Final = 0.0001
"""More for every tenth step."""
SETTLE_S: Final = 0.05
BUFFER_BYTES: Final = 63
"""What the chip keeps of what comes while the sketch does not read."""
NEWLINE: Final = 0x0A


class Wait(NamedTuple):
    """The sketch waits until a time; `listens` says whether bytes wake it."""

    time_s: float
    listens: bool = False


Steps = Generator[Wait, None, None]


def _leading_number(text: str, whole: bool) -> float:
    """Return what Arduino's `toInt` and `toFloat` make of a text: its leading number, 0 for junk."""
    found = re.match(r"\s*[-+]?\d+" if whole else r"\s*[-+]?(\d+\.?\d*|\.\d+)", text)
    return float(found[0]) if found else 0.0


class ArduinoStepper:
    """The board, the sketch on it, and where its motors really are."""

    def __init__(self, time_scale: float = 1.0, resets_on_open: bool = True) -> None:
        self.time_scale = time_scale
        self.interval_s = max(0.001, 0.01 * min(time_scale, 1.0))
        self.true_steps = [0, 0]
        """How far each motor has really been turned, resets or not."""
        self.heard: list[str] = []
        """The commands as the sketch took them."""
        self.boots = 0
        self._resets_on_open = resets_on_open
        self._mute = self._deaf = False
        self._error = ""
        self._lost_bytes = 0
        self._time_s = 0.0
        self._began_s: float | None = None
        self.power_on()

    @property
    def baud(self) -> int:
        """The speed it talks at."""
        return BAUD

    def power_on(self) -> None:
        """Begin as after the power came or the reset line was pulled: the motors stay, the count is lost."""
        self.boots += 1
        self.positions = [-LIMIT, -LIMIT]
        self._in: deque[int] = deque()
        self._out = bytearray()
        self._sketch = self._life()
        self._wait = next(self._sketch)

    def opened(self) -> None:
        """Be reset by DTR, if that is how it is wired."""
        if self._resets_on_open:
            self.power_on()

    def receive(self, data: bytes) -> None:
        """Take what the host sent."""
        lost = min(self._lost_bytes, len(data))
        self._lost_bytes -= lost
        if self._deaf:
            return
        self._in.extend(data[lost:])
        while not self._wait.listens and len(self._in) > BUFFER_BYTES:
            self._in.pop()

    def fault(self, words: list[str]) -> bool:
        """Have a fault of its own; return False for one that it does not know."""
        word, *rest = words
        argument = rest[0] if rest else ""
        if word == "reboot":
            self.power_on()
        elif word == "mute" and argument in ("on", "off"):
            self._mute = argument == "on"
        elif word == "deaf" and argument in ("on", "off"):
            self._deaf = argument == "on"
        elif word == "err":
            self._error = " ".join(rest) or "Format motor_id:açı"
        elif word == "cut" and argument.isdecimal():
            self._lost_bytes = int(argument)
        elif word == "hear":
            self.receive(" ".join(rest).encode("latin-1").decode("unicode_escape").encode("latin-1"))
        else:
            return False
        return True

    def advance(self, time_s: float) -> bytes:
        """Return what the board sends until `time_s`."""
        if self._began_s is None:
            self._began_s = time_s
        now = (time_s - self._began_s) / self.time_scale
        while True:
            if self._wait.listens and self._in:
                self._time_s = max(self._time_s, min(now, self._wait.time_s))
            elif self._wait.time_s <= now:
                self._time_s = max(self._time_s, self._wait.time_s)
            else:
                self._time_s = max(self._time_s, now)
                break
            self._wait = next(self._sketch)
        out, self._out = bytes(self._out), bytearray()
        return out

    # -- the sketch ----------------------------------------------------------------------------------------
    def _say(self, *lines: str) -> None:
        if not self._mute:
            self._out += b"".join(line.encode() + b"\r\n" for line in lines)

    def _sleep(self, seconds: float) -> Wait:
        return Wait(self._time_s + seconds)

    def _life(self) -> Steps:
        yield self._sleep(LOADER_S)
        self._in.clear()
        began_s = self._time_s
        first, second = self.positions
        self._say(
            "=== STEP MOTOR SISTEMI HAZIR ===",
            "Komut: motor_id:açı (örn: 1:90)",
            f"Motor1 başlangıç pozisyonu: {first:.2f}",
            f"Motor2 başlangıç pozisyonu: {second:.2f}",
        )
        yield self._sleep(BOOT_DELAY_S)
        yield from self._loop(began_s)

    def _loop(self, began_s: float) -> Steps:
        """Read, wait for the gate, do: what comes while it waits is put behind what is there."""
        text, complete = bytearray(), False
        done_s, beat_s = began_s, began_s + BEAT_S
        while True:
            while self._in:
                byte = self._in.popleft()
                if byte == NEWLINE:
                    complete = True
                else:
                    text.append(byte)
            if complete and self._time_s - done_s >= GATE_S - 1e-9:
                yield from self._obey(text.decode("utf-8", "replace").strip())
                text, complete, done_s = bytearray(), False, self._time_s
                continue
            if self._time_s >= beat_s:
                first, second = self.positions
                self._say("Sistem aktif - yeni komut bekleniyor...")
                self._say(f"Motor1: {first:.2f}°, Motor2: {second:.2f}°")
                beat_s += BEAT_S * math.ceil((self._time_s - beat_s + 1e-9) / BEAT_S)
            yield Wait(min(beat_s, done_s + GATE_S) if complete else beat_s, listens=True)

    def _obey(self, text: str) -> Steps:
        self.heard.append(text)
        self._say(f"Alınan komut: {text}")
        error, self._error = self._error, ""
        before, colon, after = text.partition(":")
        if error:
            self._say(f"ERR: {error}")
            return
        if not colon:
            self._say("ERR: Format motor_id:açı")
            return
        motor, angle = int(_leading_number(before, whole=True)), _leading_number(after, whole=False)
        self._say(f"Motor ID: {motor}, Delta Açı: {angle:.2f}")
        if motor not in (1, 2):
            self._say("ERR: Motor ID 1 veya 2 olmalı")
        elif abs(angle) < 0.001:
            self._say("Motor hareket etmeyecek (0°)")
        else:
            yield from self._turn(motor, angle)

    def _turn(self, motor: int, angle: float) -> Steps:
        present = self.positions[motor - 1]
        self._say(f"Motor{motor} mevcut pozisyon: {present:.2f}")
        angle = min(max(present + angle, -LIMIT), LIMIT) - present
        if abs(angle) < 0.1:
            self._say("Hareket edilecek açı çok küçük, motor dönmeyecek", "Motor hareketi başarısız!")
            return
        steps = math.floor(abs(angle) * STEPS_PER_TURN / 360 + 0.5)
        sign = 1 if angle > 0 else -1
        self._say(f"Motor {motor} için {steps} adım döndürülecek ({angle:.2f}°)")
        self._say(f"Yön sinyali: {'HIGH' if angle > 0 else 'LOW'} (deltaAngle: {angle:.2f})")
        for step in range(steps):
            if steps > 50 and step % 50 == 0:
                self._say(f"Adım: {step}/{steps}")
            yield self._sleep(STEP_S + (TENTH_STEP_S if step % 10 == 9 else 0.0))
            self.true_steps[motor - 1] += sign
        yield self._sleep(SETTLE_S)
        self.positions[motor - 1] = present + angle
        self._say(
            f"Motor {motor} hareketi tamamlandı",
            f"Motor{motor} yeni pozisyon: {self.positions[motor - 1]:.2f}",
        )


def make(parameters: Mapping[str, str]) -> ArduinoStepper:
    """Make a board from the parameters of its address.

    Raises:
        InvalidInput: one is unknown or makes no sense.
    """
    given = dict(parameters)
    try:
        time_scale = float(given.pop("time_scale", "1"))
        resets = {"1": True, "0": False}[given.pop("resets_on_open", "1")]
        given.pop("seed", "")
    except (ValueError, KeyError) as error:
        raise InvalidInput(f"the simulated board does not understand {error}") from None
    if given or not 0 < time_scale < math.inf:
        unknown = ", ".join(sorted(given)) or "time_scale"
        raise InvalidInput(f"the simulated board does not understand {unknown}", hint="see its docstring")
    return ArduinoStepper(time_scale, resets)
