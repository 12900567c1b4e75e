"""Biospherical Q-Series light sensors (digital engine 2150, firmware 4.003), free-running or polled.

    [instruments.sensor]
    driver = "qseries"
    port = "serial:///dev/ttyUSB0?baud=9600"

    [instruments.sensor.options]      # what is left out stays as the sensor has it
    averaging = 125                   # 1 to 65535 samples make one reading
    adc_rate_hz = 125                 # 4 8 16 33 62 125 250 500
    mode = "freerun"                  # or "polled"
    tag = "A"                         # the letter of polls
    poll_hz = 1.0

The options are the wanted state: opening reads the sensor's menu, sets what differs and reads it back. There
is no command to stop it: while it does not acquire, it shows its menu, and a start resets it.

The sensor has no checksum and no clock. A row's time is when the end of its line arrived, in whole
microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from kymograph.drivers.base import DriverOptions, LinkLoad
from kymograph.drivers.dialogue import Dialogue
from kymograph.drivers.ports import open_port, parse_port
from kymograph.drivers.qseries_lines import BOOT, Flags, Reading, is_talk, parse_reading
from kymograph.drivers.qseries_menu import Menu, Settings, with_preamble
from kymograph.drivers.shapes import PortDriver
from kymograph.model.block import Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import DeviceError, DeviceSilent, PortError
from kymograph.model.limits import LINE_BYTES_MAX

MODES: Final = ("freerun", "polled")
BITS_PER_BYTE: Final = 10
BAUDS: Final = (9600, 19200, 38400, 57600, 115200)
"""What menu B offers: tried in this order where the sensor does not answer at the port's own."""
READING_BYTES: Final = 26
"""Of a line with temperature and voltage, without its preamble."""
SILENT_PERIODS: Final = 2.5
"""So many periods without a reading are a silence, and told as one."""
BOOT_S: Final = 3.5
"""From a reset to the first sample at the latest, where quiet mode says nothing of it."""
_POLL_REST_S: Final = 0.5
PATIENCE_MIN: Final = 0.15
"""Of the real delays, however fast a simulated sensor is: this computer may be busy."""
TRUE_PERIOD: Final = 1.05
"""A nominal period takes up to this much of one; a poll before its end is not answered at all. (Measured over
half an hour: 1.0338.)"""

STREAM: Final = Stream(
    "reading",
    (
        Channel("value", "float64", description="light, in the sensor's calibration units"),
        Channel("temperature", "float64", "Cel", "of the sensor; NaN if it does not send it"),
        Channel("voltage", "float64", "V", "of the supply; NaN if it does not send it"),
        Channel("mode", "uint8", description="how the reading came", labels=MODES),
    ),
    description="readings of a light sensor",
)


class QSeriesOptions(DriverOptions):
    """Options of the driver `qseries`; None leaves the sensor as it is."""

    averaging: int | None = Field(default=None, ge=1, le=65535)
    adc_rate_hz: Literal[4, 8, 16, 33, 62, 125, 250, 500] | None = None
    mode: Literal["freerun", "polled"] | None = None
    tag: str | None = Field(default=None, pattern="^[A-Z]$")
    poll_hz: float = Field(default=1.0, gt=0, le=50)
    preamble: str | None = None
    """What comes before each value, where the menu does not say it well."""
    time_scale: float = Field(default=1.0, gt=0, le=1.0)
    """Below 1 for a simulated sensor that runs faster than a real one."""


class QSeries(PortDriver[QSeriesOptions]):
    """A Biospherical Q-Series light sensor on a serial port."""

    Options: ClassVar[type[DriverOptions]] = QSeriesOptions
    paced: ClassVar[bool] = True
    baud: ClassVar[int] = 9600

    def __init__(self, options: QSeriesOptions, clock: Clock, port: str = "") -> None:
        super().__init__(options, clock, port)
        self._settings: Settings | None = None
        self._dialogue: Dialogue | None = None
        self._line_baud = self.baud
        self._rest = b""
        self._left: list[Rows] = []
        self._adc = ""
        self._last_ns = 0
        self._row_ns = 0
        self._order_at_ns = 0
        self._poll_at_ns = 0
        self.restarts = 0
        """How often the sensor began anew by itself."""

    def streams(self) -> Sequence[Stream]:
        """Return the one stream; irregular, as its rate may be changed while it runs."""
        return [STREAM]

    def link_load(self) -> LinkLoad | None:
        """Return what the readings put on the line, where the options say how many there are."""
        o = self.options
        if o.mode == "polled" or o.averaging is None or o.adc_rate_hz is None or not self.port:
            return None
        address = parse_port(self.port)
        if address.kind != "serial":
            return None
        return _load(o.adc_rate_hz / o.averaging, len(o.preamble or ""), address.baud or self.baud)

    # -- open and close ------------------------------------------------------------------------------------
    def open(self) -> Mapping[str, Any]:
        """Open the port, call the menu, set what differs from the options, and return what it says.

        Raises:
            PortError: the port cannot be opened.
            DeviceSilent: the menu does not come, at no speed.
            DeviceError: a setting is not taken.
        """
        settings = self._find()
        settings = self._configure(self._menu(), settings)
        settings = with_preamble(settings, self.options.preamble)
        rate_hz = 1 / settings.period_s
        if not settings.polled and parse_port(self.port).kind == "serial":
            _load(rate_hz, len(settings.preamble), self._line_baud).check()
        self._settings = settings
        return {**settings.facts(), "baud": self._line_baud, "adc": self._adc or "ok"}

    def _menu(self) -> Menu:
        return Menu(self._talk, self._do, max(self.options.time_scale, PATIENCE_MIN))

    def _do(self, activity: str) -> None:
        self.activity = activity

    @property
    def _talk(self) -> Dialogue:
        if self._dialogue is None:
            raise PortError("the port is not open")
        return self._dialogue

    def _find(self) -> Settings:
        """Call the menu at the port's own speed, then at the others."""
        address = parse_port(self.port)
        own = address.baud or self.baud
        bauds = [own, *(baud for baud in BAUDS if baud != own)] if address.kind == "serial" else [own]
        heard = ""
        for baud in bauds:
            try:
                self._open_at(baud)
                return self._menu().enter(3 if baud == own else 1)
            except DeviceSilent as error:
                self.close()
                heard = error.facts.get("heard") or heard
        raise DeviceSilent(
            f"no Q-Series sensor answers on {self.port}",
            hint="check its power, the cable and the port; every baud rate of its menu was tried",
            heard=heard,
        )

    def _open_at(self, baud: int) -> None:
        if baud != (parse_port(self.port).baud or self.baud):
            self._do(f"trying {baud} baud")
        base, _, query = self.port.partition("?")
        rest = [part for part in query.split("&") if part and not part.startswith("baud=")]
        serial = parse_port(self.port).kind == "serial"
        url = f"{base}?{'&'.join([*rest, f'baud={baud}'])}" if serial else self.port
        self._link = open_port(url, baud=baud)
        self._line_baud = baud
        self._dialogue = Dialogue(self._link, self.hurry)

    def _configure(self, menu: Menu, settings: Settings) -> Settings:
        """Set what differs from the options, or from what it was before a fault: junk can change settings."""
        o, known = self.options, self._settings or settings
        averaging, rate_hz = o.averaging or known.averaging, o.adc_rate_hz or known.adc_rate_hz
        if averaging != settings.averaging:
            settings = menu.set_averaging(averaging)
        if rate_hz != settings.adc_rate_hz:
            settings = menu.set_rate(rate_hz)
        polled = known.polled if o.mode is None else o.mode == "polled"
        tag = o.tag or known.tag or "A"
        if polled != settings.polled or (polled and tag != settings.tag):
            settings = menu.set_mode(polled, tag)
        return settings

    def close(self) -> None:
        """Let go of the port."""
        super().close()
        self._dialogue = None

    # -- acquire -------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Restart the sensor out of its menu; polled, give it the order to begin."""
        self._rest = b""
        self._menu().restart()
        self._heard_now(forget=True)
        self._boots()
        self.activity = ""

    def _boots(self) -> None:
        """Have a sensor that has just been reset begin; a polled one once it has booted."""
        settings = self._known
        if settings.polled:
            self._order_at_ns = self._in_s(BOOT_S * self.options.time_scale)
            self._poll_at_ns = 0
        self._heard_now()

    @property
    def _known(self) -> Settings:
        if self._settings is None:
            raise PortError("the sensor is not open")
        return self._settings

    def _in_s(self, seconds: float) -> int:
        return self.clock.monotonic_ns() + int(seconds * 1e9)

    def _heard_now(self, forget: bool = False) -> None:
        self._heard_ns = self.clock.monotonic_ns()
        if forget:
            self._row_ns = 0

    @property
    def _period_s(self) -> float:
        """Seconds between two readings as they should come."""
        settings, scale = self._known, self.options.time_scale
        period_s = settings.period_s * scale
        if not settings.polled:
            return period_s
        return max(period_s * TRUE_PERIOD, scale / self.options.poll_hz)

    def read(self, timeout_s: float) -> Sequence[Rows]:
        """Return the readings that have come; polled, ask for the next when it is due."""
        if self._known.polled:
            timeout_s = self._poll(timeout_s)
        data = self._talk.take() + self.receive(timeout_s)
        rows = self._rows(data)
        self._check_silence(bool(rows))
        return rows

    def _poll(self, timeout_s: float) -> float:
        """Send what is due, and return how long to wait for what comes."""
        now, settings = self.clock.monotonic_ns(), self._known
        if not self._poll_at_ns:
            if now < self._order_at_ns:
                return min(timeout_s, (self._order_at_ns - now) / 1e9)
            self._talk.send(f"*{settings.tag}Q000!\r".encode())
            wait_s = (settings.period_s + _POLL_REST_S) * self.options.time_scale
            self._poll_at_ns = self._in_s(wait_s)
        elif now >= self._poll_at_ns:
            self._talk.send(f">{settings.tag}*".encode())
            behind = max((now - self._poll_at_ns) / 1e9, 0.0)
            steps = math.floor(behind / self._period_s) + 1
            self._poll_at_ns += int(steps * self._period_s * 1e9)
        return max(min(timeout_s, (self._poll_at_ns - self.clock.monotonic_ns()) / 1e9), 0.0)

    def _rows(self, data: bytes) -> list[Rows]:
        """Take whole lines; stop before what changes the course, so that rows and gaps keep their order."""
        arrival_ns = self.clock.now_ns()
        *lines, self._rest = (self._rest + data).split(b"\n")
        behind = len(self._rest) + sum(len(line) + 1 for line in lines)
        readings: list[tuple[int, Reading]] = []
        for i, line in enumerate(lines):
            behind -= len(line) + 1
            if BOOT.search(line):
                if readings:
                    self._rest = b"\n".join([*lines[i:], self._rest])
                    break
                self._restarted()
                continue
            cut = i + 1 < len(lines) and BOOT.search(lines[i + 1]) is not None
            reading = self._reading(line.strip(b"\r"), cut)
            if reading is not None:
                late_ns = int(behind * BITS_PER_BYTE / self._line_baud * 1e9)
                readings.append((arrival_ns - late_ns, reading))
        if len(self._rest) > LINE_BYTES_MAX:
            self._rest = b""
            self.counters.frames_bad += 1
            self.counters.resyncs += 1
        return self._stamped(readings)

    def _reading(self, line: bytes, cut: bool) -> Reading | None:
        """Return the reading of a line; `cut` says that a reset ended it, and not the sensor."""
        settings = self._known
        if not line.strip() or is_talk(line):
            self._hear_talk(line)
            return None
        flags = Flags(settings.temperature, settings.voltage, settings.tag if settings.polled else "")
        reading = None if cut else parse_reading(line, settings.preamble, flags)
        if reading is None:
            self.counters.frames_bad += 1
        else:
            self.counters.frames_good += 1
        return reading

    def _hear_talk(self, line: bytes) -> None:
        if b"Select the letter of the menu entry" in line:
            # Somebody else's bytes called the menu: it waits there for ever unless it is left.
            self.counters.resyncs += 1
            self._talk.send(b"X")
        elif b"SetupADC did not complete" in line:
            raise DeviceError(
                "the sensor's converter could not be set up",
                hint="switch the sensor off and on; if it stays so it needs service",
            )
        elif b"ADC did not startup ok" in line:
            self._adc = "did not start up well"

    def _restarted(self) -> None:
        """Take note that the sensor has begun anew, by our order or by itself."""
        if self._row_ns:
            self.restarts += 1
            self.fell_silent = True
            self._row_ns = 0
        if self._known.polled:
            self._boots()
        self._heard_now()

    def _stamped(self, readings: Sequence[tuple[int, Reading]]) -> list[Rows]:
        if not readings:
            return []
        times = np.array([time_ns for time_ns, _ in readings], np.int64) // 1000 * 1000
        times = np.maximum.accumulate(np.maximum(times, self._last_ns))
        if self._row_ns and int(times[0]) - self._row_ns > self._patience_s * 1e9:
            self.fell_silent = True
        self._last_ns = self._row_ns = int(times[-1])
        columns = [np.array(column) for column in zip(*(reading for _, reading in readings), strict=True)]
        mode = np.full(len(readings), self._known.polled, np.uint8)
        return [Rows(STREAM.name, times, [*columns, mode])]

    @property
    def _patience_s(self) -> float:
        """Longer than this between two readings is a silence."""
        return SILENT_PERIODS * self._period_s + 0.5

    def _check_silence(self, heard: bool) -> None:
        """Open it anew after a long silence: junk from another program may have changed its state.

        Raises:
            DeviceSilent: nothing for several periods, or for longer than it takes to boot.
        """
        scale = self.options.time_scale
        self.silence_s = max(3 * self._period_s + 2.0 * scale, (BOOT_S + 2.0) * scale, 2.0)
        if not self._row_ns:
            self.silence_s += self._period_s + (BOOT_S + 2.0) * scale
        self.check_silence(heard)

    def forget_time(self) -> None:
        """Let times begin anew."""
        self._last_ns = self._row_ns = 0

    # -- stop ----------------------------------------------------------------------------------------------
    def stop(self) -> None:
        """Call the menu; a reading that came before it is kept for `leftover`."""
        menu = self._menu()
        settings = menu.enter()
        before = BOOT.split(menu.before)[0]
        # The banner begins with an end of line: what it ended was cut, what ended before it was whole.
        whole = before[: before.rstrip(b" ").rfind(b"\r\n")] if before.endswith(b"\r\n") else b""
        self._left = self._rows(whole[: whole.rfind(b"\n") + 1])
        self._rest = b""
        self._settings = with_preamble(settings, self.options.preamble)
        self.activity = ""

    def leftover(self) -> Sequence[Rows]:
        """Return readings that came before the menu did."""
        left, self._left = self._left, []
        return left


def _load(rate_hz: float, preamble_bytes: int, baud: int) -> LinkLoad:
    needed = rate_hz * (READING_BYTES + preamble_bytes)
    carried = baud / BITS_PER_BYTE
    arithmetic = (
        f"{rate_hz:g} readings/s of {READING_BYTES + preamble_bytes} bytes are {needed:.0f} bytes/s, "
        f"{baud} baud carry {carried:.0f}"
    )
    return LinkLoad(needed, carried, arithmetic)
