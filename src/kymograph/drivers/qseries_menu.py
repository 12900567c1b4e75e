"""The menu of a Q-Series sensor: reading its settings, and changing them.

Source: the public reading of firmware 2150REV4.003 (serial protocol of the 2150 digital engine). Dialogue A
and R block until CR, M takes single characters, and every one ends in the menu again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from kymograph.drivers.dialogue import Dialogue
from kymograph.model.errors import DeviceError, DeviceSilent

RATES: Final = (4, 8, 16, 33, 62, 125, 250, 500)
"""What menu R takes, in Hz."""
ESC: Final = b"\x1b"
MENU_S: Final = 6.0
"""How long the menu may take: a banner, a second of rest, and 1500 characters at 9600 baud."""
PROMPT_S: Final = 4.0
REFUSAL_S: Final = 12.0
"""The firmware rests for 4 or 5 s after a number that it does not take."""
_SELECT: Final = re.compile(rb"Select the letter of the menu entry:\s*\r\n")
_ASKS_AVERAGING: Final = re.compile(rb"Enter\s+#\s+readings to average before update \(1-65535\):\s*")
_SAYS_AVERAGING: Final = re.compile(
    rb"ADC set to averaging\s+(\d+)|\*{4}Invalid number|Error writing eAdc\w+"
)
_ASKS_RATE: Final = re.compile(rb"Enter selection:\s*")
_SAYS_RATE: Final = re.compile(rb"ADC rate set to\s+(\d+)|Invalid rate!!!|Oh my goodness!")
_ASKS_MODE: Final = re.compile(rb"Enter the\s+operating mode number:\s*")
_ASKS_TAG: Final = re.compile(rb"acquisition software\s*:\s*")
_SAYS_TAG: Final = re.compile(rb"[A-Z]\r\n|Bad TAG|Timed out")
_SAYS_FREERUN: Final = re.compile(rb"0\r\n|I am confused|Timed out")
RESETS: Final = re.compile(rb"Rebooting program\r\n")

_LINES: Final = {
    "firmware": re.compile(r"Digital Log Engine v: (\S+)"),
    "sensor_id": re.compile(r"^Model: (.*)$", re.M),
    "averaging": re.compile(r"averaged before update:\s*(\d+)"),
    "baud": re.compile(r"baudrate, now:\s*(\d+)"),
    "factor": re.compile(r"for digital output:\s*(\S+)"),
    "tag": re.compile(r"polled with tag=\s*(\S)\s*\)"),
    "mode": re.compile(r"polled with tag=.*?\)\s*currently\s+(\d)"),
    "temperature": re.compile(r"temperature is (enabled|disabled)"),
    "voltage": re.compile(r"line voltage is (enabled|disabled)"),
    "preamble": re.compile(r"preamble for the data transmission = (.*)$", re.M),
    "adc_rate_hz": re.compile(r"set ADC sample rate:\s*(\d+)"),
    "units": re.compile(r"calibration units: (.*)$", re.M),
    "supply_v": re.compile(r"Input Supply Voltage measures\s+([\d.]+)v"),
}
_NEEDED: Final = ("averaging", "mode", "adc_rate_hz", "temperature", "voltage")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the menu says. `preamble` comes before each value, with nothing between."""

    sensor_id: str
    firmware: str
    averaging: int
    adc_rate_hz: int
    polled: bool
    tag: str
    temperature: bool
    voltage: bool
    preamble: str
    units: str
    factor: str
    baud: int
    supply_v: float | None

    @property
    def period_s(self) -> float:
        """Nominal seconds between two readings; true ones take about 3 % longer."""
        return self.averaging / self.adc_rate_hz

    def facts(self) -> dict[str, Any]:
        """Return the settings as what a device says of itself."""
        return {
            "sensor_id": self.sensor_id, "model": "Q-Series", "firmware": self.firmware, "baud": self.baud,
            "averaging": self.averaging, "adc_rate_hz": self.adc_rate_hz,
            "mode": "polled" if self.polled else "freerun", "tag": self.tag, "preamble": self.preamble,
            "temperature_enabled": self.temperature, "voltage_enabled": self.voltage, "units": self.units,
            "calibration_factor": self.factor, "supply_v": self.supply_v,
            "sample_period_s": round(self.period_s, 6),
        }  # fmt: skip


def parse_menu(text: str) -> Settings:
    """Read the settings off the menu's text.

    Raises:
        DeviceError: it is not that menu.
    """
    text = text.replace("\r\n", "\n")
    found = {name: match[1] for name, pattern in _LINES.items() if (match := pattern.search(text))}
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise DeviceError(
            f"the sensor's menu does not say its {', '.join(missing)}",
            hint="is this a Q-Series sensor with firmware 4.003?",
        )
    supply = found.get("supply_v")
    return Settings(
        sensor_id=found.get("sensor_id", "").strip(), firmware=found.get("firmware", ""),
        averaging=int(found["averaging"]), adc_rate_hz=int(found["adc_rate_hz"]),
        polled=found["mode"] == "1", tag=found.get("tag", ""),
        temperature=found["temperature"] == "enabled", voltage=found["voltage"] == "enabled",
        preamble=found.get("preamble", ""), units=found.get("units", "").strip(),
        factor=found.get("factor", ""), baud=int(found.get("baud", 0)),
        supply_v=None if supply is None else float(supply),
    )  # fmt: skip


class Menu:
    """The menu, once it is there. `say` is told what is being done, for people."""

    def __init__(self, dialogue: Dialogue, say: Callable[[str], None], patience: float = 1.0) -> None:
        self._dialogue = dialogue
        self._say = say
        self._patience = patience
        """Times the real sensor's delays."""
        self.before = b""
        """What the sensor sent before the menu came."""

    def enter(self, tries: int = 3) -> Settings:
        """Call the menu, whatever the sensor is doing, and return what it says.

        A sensor that another program left in the middle of a dialogue waits for CR there for ever; and X
        gets it out of a menu that does not show itself again.

        Raises:
            DeviceSilent: it does not come.
        """
        self._say("waiting for the menu")
        before = self._dialogue.take()
        for attempt in range(tries):
            self._dialogue.send((b"", b"\r", b"X")[attempt % 3])
            self._dialogue.send(ESC)
            try:
                settings = self._read(MENU_S)
            except DeviceSilent:
                if attempt == tries - 1:
                    raise
                before += self._dialogue.take()
            else:
                self.before = before + self.before
                return settings
        raise AssertionError("not reached")

    def _read(self, timeout_s: float) -> Settings:
        found = self._expect(_SELECT, timeout_s)
        said = found.string[: found.start()]
        begins = said.rfind(b"Biospherical Instruments Inc: Digital Log Engine")
        self.before = said[: max(begins, 0)]
        return parse_menu(said[max(begins, 0) :].decode("latin-1"))

    def _expect(self, words: re.Pattern[bytes], timeout_s: float = PROMPT_S) -> re.Match[bytes]:
        return self._dialogue.expect(words, timeout_s * self._patience)

    def _ask(self, letter: bytes, prompt: re.Pattern[bytes]) -> None:
        self._dialogue.send(letter)
        self._expect(prompt)

    def set_averaging(self, number: int) -> Settings:
        """Have so many samples averaged (1 to 65535).

        Raises:
            DeviceError: the sensor does not take it.
        """
        self._say(f"setting the averaging to {number}")
        self._ask(b"A", _ASKS_AVERAGING)
        self._dialogue.send(f"{number}\r".encode())
        said = self._expect(_SAYS_AVERAGING)
        return self._confirmed("averaging", number, said, lambda s: s.averaging)

    def set_rate(self, rate_hz: int) -> Settings:
        """Have the converter run at one of `RATES`.

        Raises:
            DeviceError: the sensor does not take it.
        """
        self._say(f"setting the sample rate to {rate_hz} Hz")
        self._ask(b"R", _ASKS_RATE)
        self._dialogue.send(f"{rate_hz}\r".encode())
        said = self._expect(_SAYS_RATE)
        return self._confirmed("sample rate", rate_hz, said, lambda s: s.adc_rate_hz)

    def set_mode(self, polled: bool, tag: str) -> Settings:
        """Have it stream, or answer polls that bear a tag (one letter).

        Raises:
            DeviceError: the sensor does not take it.
        """
        self._say(f"setting the mode to {'polled' if polled else 'free run'}")
        self._ask(b"M", _ASKS_MODE)
        self._dialogue.send(b"1" if polled else b"0")
        if polled:
            self._expect(_ASKS_TAG)
            self._dialogue.send(tag.encode())
        said = self._expect(_SAYS_TAG if polled else _SAYS_FREERUN)
        wanted = (polled, tag if polled else None)
        return self._confirmed("mode", wanted, said, lambda s: (s.polled, s.tag if polled else None))

    def _confirmed(
        self, what: str, wanted: object, said: re.Match[bytes], read: Callable[[Settings], object]
    ) -> Settings:
        """Read the menu that follows, and see that it says what was asked for."""
        settings = self._read(REFUSAL_S)
        if read(settings) != wanted:
            words = said[0].decode("latin-1").strip()
            raise DeviceError(
                f"the sensor did not take the {what} {wanted}: it says {words!r} and has {read(settings)}",
                hint="try again; if it stays so, switch the sensor off and on",
            )
        return settings

    def restart(self) -> None:
        """Leave the menu: the sensor resets, and samples in the mode it has kept."""
        self._say("restarting the sensor")
        self._dialogue.send(b"X")
        self._expect(RESETS)


def with_preamble(settings: Settings, preamble: str | None) -> Settings:
    """Return the settings with a preamble that is known better than the menu says it."""
    return settings if preamble is None else replace(settings, preamble=preamble)
