"""The firmware of a Q-Series sensor as its host sees it: boot, sampling, menu and dialogues.

Written as what it is, a program that waits: `yield Sleep(…)` lets bytes gather, `yield Until(…)` wakes for
the next byte. Texts and delays: the public reading of firmware 2150REV4.003.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

ESC: Final = 0x1B
CR: Final = 0x0D
RATES: Final = (4, 8, 16, 33, 62, 125, 250, 500)
SELECT: Final = b"\r\nSelect the letter of the menu entry:\r\n"
TIMED_OUT: Final = b"Timed out waiting for response. \r\n\r\n"
CHAR_TIMEOUT_S: Final = 20.0
AVERAGING_MAX: Final = 65535
ASK_AVERAGING: Final = (
    b"If you set this to 125 averaged and use R command to set ADC rate to \r\n"
    b"125 samples per second, then you will get data at roughly 1hz.\r\n"
    b"Enter # readings to average before update (1-65535): "
)
ASK_RATE: Final = (
    b"Enter ADC rate (4, 8, 16, 33, 62, 125, 250* Hz) \r\n"
    b"  *250Hz is at reduced resolution     ---- Enter selection: "
)
ASK_MODE: Final = (
    b"Set operating mode. Mode 0 is freerun, 1 is polled. Polled require a TAG to be defined\r\n"
    b"Enter the operating mode number: "
)
ASK_TAG: Final = (
    b"\r\nEnter the single character that will be the tag used in polling (A-F) UPPER case\r\n"
    b"Note tags G-Z may not be supported in some Biospherical acquisition software : "
)
ASK_QUIET: Final = b"Enter 1 for quiet mode with no sign-on message, 0 for sign-on message at power-up: "


class Sleep(NamedTuple):
    """Wait until a time, whatever is heard."""

    time_s: float


class Until(NamedTuple):
    """Wait for a byte, until a time at most."""

    time_s: float


Steps = Generator[Sleep | Until, "int | None", None]
Char = Generator[Sleep | Until, "int | None", "int | None"]
Line = Generator[Sleep | Until, "int | None", str]


@dataclass
class Memory:
    """What the sensor keeps without power, and what is wrong with it."""

    serial: str = "Q12345"
    averaging: int = 125
    adc_rate: int = 125
    polled: bool = False
    tag: str = "A"
    preamble: str = ""
    baud: int = 9600
    temperature: bool = True
    voltage: bool = True
    quiet: bool = False
    description: str = "Q-Series Sensor"
    factor: str = "1.000000"
    units: str = ""
    period: float = 1.0
    """Seconds that a nominal second takes."""
    adc: str = "ok"
    rate_fails: bool = False
    write_fails: bool = False


class Board(Protocol):
    """What the firmware runs on."""

    memory: Memory

    def now_s(self) -> float:
        """Return the time."""
        ...

    def put(self, text: bytes) -> float:
        """Send bytes; return how long that takes."""
        ...

    def measure(self) -> tuple[float, float, float]:
        """Return light, temperature, supply voltage."""
        ...

    def note(self, line: bytes) -> None:
        """Take note of a line of data."""
        ...


class Firmware:
    """One life, from a reset to the next."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._memory = board.memory
        self._entries: dict[str, Callable[[], Steps]] = {
            "A": self._averaging, "B": self._baud, "C": self._factor, "M": self._mode, "O": self._outputs,
            "P": self._preamble, "Q": self._quiet, "R": self._rate, "U": self._units, "^": self._settings,
        }  # fmt: skip

    def life(self) -> Steps:
        """Boot, sample until ESC, show the menu until a reset."""
        yield from self._rest(0.1)
        sampling = yield from self._boot()
        if sampling:
            yield from (self._sample_polled() if self._memory.polled else self._sample_freerun())
        yield from self._menu()

    # -- waiting and talking -------------------------------------------------------------------------------
    def _rest(self, seconds: float) -> Steps:
        yield Sleep(self._board.now_s() + seconds)

    def _say(self, text: str | bytes) -> Steps:
        raw = text.encode("latin-1") if isinstance(text, str) else text
        yield Sleep(self._board.now_s() + self._board.put(raw))

    def _char(self, timeout_s: float = math.inf) -> Char:
        return (yield Until(self._board.now_s() + timeout_s))

    def _line(self) -> Line:
        """Return what is typed up to CR: this blocks for ever, as no watchdog is on."""
        typed = bytearray()
        while (byte := (yield from self._char())) != CR:
            if byte is not None and byte != 0x0A:
                typed.append(byte)
        return typed.decode("latin-1")

    # -- boot ----------------------------------------------------------------------------------------------
    def _boot(self) -> Generator[Sleep | Until, int | None, bool]:
        memory = self._memory
        if not memory.quiet:
            yield from self._say(self._banner())
        if memory.adc == "fail":
            yield from self._say(b"SetupADC did not complete correctly\r\n")
            return False
        if not memory.quiet:
            yield from self._say(b"ADC did not startup ok\r\n" if memory.adc == "weak" else b"ADC OK\r\n")
            start = "Entering polled mainline sampling\r\n"
            if not memory.polled:
                start = "Start free run sampling\r\nStarting Sampling; quiet mode =0\r\n"
            yield from self._say(start)
        return True

    def _banner(self) -> str:
        m = self._memory
        mode = f"polled mode with tag of {m.tag}" if m.polled else "free run mode"
        averaging = f"Averaging {m.averaging} readings" if m.averaging > 1 else "No Averaging"
        _, temperature, supply = self._board.measure()
        return (
            "\r\nBiospherical Instruments Inc: Digital Engine Vers 4.003\r\n"
            f"Unit ID {m.serial}   \r\nOperating in {mode}\r\nADC sample rate {m.adc_rate}, gain 1\r\n"
            f"{averaging}\r\nADC Buffer disabled\r\nSensor temperature: {temperature:.2f} C\r\n"
            f"Input Supply Voltage: {supply:.3f}v\r\nCalfactor: {m.factor}{m.units}\r\n"
        )

    # -- sampling ------------------------------------------------------------------------------------------
    def _period_s(self) -> float:
        return self._memory.averaging / self._memory.adc_rate * self._memory.period

    def _reading(self) -> str:
        m = self._memory
        value, temperature, supply = self._board.measure()
        text = f"{m.preamble}{value:.6f}"
        if m.temperature:
            text += f", {temperature:.2f}"
        return text + (f", {supply:.3f}" if m.voltage else "")

    def _send_reading(self, text: str) -> Steps:
        line = f"{text}\r\n".encode("latin-1")
        yield from self._say(line)
        self._board.note(line)

    def _sample_freerun(self) -> Steps:
        due_s = self._board.now_s() + self._period_s()
        while True:
            byte = yield Until(due_s)
            if byte in (ESC, ord("?")):
                return
            if byte is None:
                yield from self._send_reading(self._reading())
                due_s = max(due_s + self._period_s(), self._board.now_s())

    def _sample_polled(self) -> Steps:
        """Answer each completed average once; deaf to polls before the order to begin has come."""
        m, heard, begun = self._memory, bytearray(), False
        ready_s = math.inf
        while True:
            byte = yield Until(math.inf)
            if byte is None:
                continue
            if byte in (ESC, ord("?")):
                return
            heard = (heard + bytes((byte,)))[-16:]
            if heard.endswith(f"*{m.tag}Q000!\r".encode()):
                begun, ready_s = True, self._board.now_s() + self._period_s()
            elif begun and heard.endswith(f">{m.tag}".encode()) and self._board.now_s() >= ready_s:
                ready_s = self._board.now_s() + self._period_s()
                yield from self._send_reading(f"{m.tag},{self._reading()}")

    # -- menu ----------------------------------------------------------------------------------------------
    def _menu(self) -> Steps:
        yield from self._say(self._banner())
        yield from self._rest(1.0)
        while True:
            yield from self._say(self._menu_text())
            letter = chr((yield from self._char()) or 0).upper()
            while letter not in (*self._entries, "X", "\x1b", "?"):
                letter = chr((yield from self._char()) or 0).upper()
            if letter == "X":
                yield from self._say(b"Calling reset!\r\nRebooting program\r\n")
                return
            if letter in self._entries:
                yield from self._entries[letter]()
            yield from self._rest(0.5)

    def _menu_text(self) -> bytes:
        m = self._memory
        _, temperature, supply = self._board.measure()
        on = {True: "enabled", False: "disabled"}
        lines = (
            "Biospherical Instruments Inc: Digital Log Engine v: 4.003",
            "",
            f"Model: {m.serial}   ",
            f"A to set number of samples averaged before update: {m.averaging}",
            f"B to set the baudrate, now: {m.baud}",
            f"C to set the Calibration Factor for digital output: {m.factor}",
            f"D to set the description available for display in software: {m.description}",
            "I to send unit ID and serial number (password protected)",
            "J to set the immersion factor (not automatically applied): 1.000000",
            "K to set dark zero, currently dark = 0.000000v. ",
            f"M to set the operating mode (0=streaming, 1=polled with tag= {m.tag}) currently {m.polled:d}",
            "N to set analog output mode: Digital only",
            f"O to configure the OUTPUTs, temperature is {on[m.temperature]}, "
            f"line voltage is {on[m.voltage]}",
            f"P to set a preamble for the data transmission = {m.preamble}",
            f"Q to set startup mode (1 = no diagnostic messages, or 0 for diagnostics): {m.quiet:d}",
            f"R to set ADC sample rate: {m.adc_rate}",
            "S to send ADC diagnostic information",
            f"U sets the calibration units: {m.units}",
            "W to set the how calibration constants are used",
            "X to restart sampling",
            "Y to set Log Offset ",
            "Z to set DAC Offset ",
            f"Sensor temperature: {temperature:.2f} C",
            f"Input Supply Voltage measures {supply:.3f}v",
        )
        return "\r\n".join(lines).encode("latin-1") + b"\r\n" + SELECT

    def _averaging(self) -> Steps:
        yield from self._say(ASK_AVERAGING)
        typed = yield from self._line()
        number = int(typed) if typed.strip().isdecimal() else 0
        if not 1 <= number <= AVERAGING_MAX:
            self._memory.averaging = 12
            yield from self._say(
                b"\r\n\n\n****Invalid number, averaging set to 12.  Command ignored ****\r\n\n\n\n"
            )
            yield from self._rest(4.0)
            return
        yield from self._say(f"{number} was entered\r\n")
        if self._memory.write_fails:
            yield from self._say(f"Error writing eAdcToAverage ,,{number},{self._memory.averaging}\r\n")
            return
        self._memory.averaging = number
        yield from self._say(f"\r\nADC set to averaging {number}\r\n")

    def _rate(self) -> Steps:
        yield from self._say(ASK_RATE)
        typed = (yield from self._line()).strip()
        if not typed.isdecimal() or int(typed) not in RATES:
            yield from self._say(b"\r\n\n\nInvalid rate!!! Command is ignored.")
            yield from self._rest(5.0)
            yield from self._say(TIMED_OUT)
        elif self._memory.rate_fails:
            yield from self._say(b"**** Oh my goodness! Option ADC rate setting failed. Try again ****\r\n")
            yield from self._rest(3.0)
        else:
            self._memory.adc_rate = int(typed)
            yield from self._say(f"\r\nADC rate set to {typed}\r\n")

    def _mode(self) -> Steps:
        yield from self._say(ASK_MODE)
        byte = yield from self._char(CHAR_TIMEOUT_S)
        if byte is None:
            yield from self._say(TIMED_OUT)
        elif byte == ord("0"):
            self._memory.polled = False
            yield from self._say(b"0\r\n")
        elif byte == ord("1"):
            yield from self._say(ASK_TAG)
            tag = yield from self._char(CHAR_TIMEOUT_S)
            if tag is None:
                yield from self._say(TIMED_OUT)
            elif ord("A") <= tag <= ord("Z"):
                self._memory.polled, self._memory.tag = True, chr(tag)
                yield from self._say(f"{chr(tag)}\r\n")
            else:
                yield from self._say(b" Bad TAG \r\n")
        else:
            yield from self._say(b"I am confused\r\n")

    def _baud(self) -> Steps:
        yield from self._say(b"Enter the new baudrate: ")
        typed = (yield from self._line()).strip()
        if typed.isdecimal() and int(typed) in (9600, 19200, 38400, 57600, 115200):
            yield from self._say(f"{typed} was entered\r\n")
            self._memory.baud = int(typed)

    def _outputs(self) -> Steps:
        for name in ("temperature", "voltage"):
            yield from self._say(f"\r\nOutput of {name} (Y/N)? ")
            byte = yield from self._char(CHAR_TIMEOUT_S)
            if byte is None:
                yield from self._say(TIMED_OUT)
                return
            setattr(self._memory, name, chr(byte).upper() == "Y")
            yield from self._say(f"{chr(byte)}\r\n")

    def _preamble(self) -> Steps:
        yield from self._say(b"Enter the preamble: ")
        self._memory.preamble = yield from self._line()
        yield from self._say(f"{self._memory.preamble}\r\n")

    def _factor(self) -> Steps:
        yield from self._say(b"Enter the calibration factor: ")
        self._memory.factor = (yield from self._line()).strip() or self._memory.factor
        yield from self._say(f"{self._memory.factor}\r\n")

    def _units(self) -> Steps:
        yield from self._say(b"Enter the units: ")
        self._memory.units = yield from self._line()
        yield from self._say(f"{self._memory.units}\r\n")

    def _quiet(self) -> Steps:
        yield from self._say(ASK_QUIET)
        byte = yield from self._char(CHAR_TIMEOUT_S)
        if byte is None:
            yield from self._say(TIMED_OUT)
        elif byte in (ord("0"), ord("1")):
            self._memory.quiet = byte == ord("1")
            yield from self._say(f"{chr(byte)}\r\n")

    def _settings(self) -> Steps:
        m = self._memory
        _, temperature, supply = self._board.measure()
        fields = (
            m.averaging, m.baud, m.factor, m.description, "E", "4.003", "G", "H", m.serial, "1.000000",
            "0.000000", f"{supply:.3f}", f"{m.polled:d}", m.tag, m.preamble, f"{m.temperature:d}", m.adc_rate,
            "S", f"{temperature:.2f}", m.units, "V", "A",
        )  # fmt: skip
        yield from self._say(",".join(map(str, fields)) + "\r\n")
