"""A Bosch BME280 as its bus sees it: registers, a calibration, conversions that take their time, weather.

    sim://bme280?address=0x77&chip=bme280&seed=1&hour=10&day_s=86400&time_scale=1

`chip` is `bme280`, `bmp280` (no humidity), or an id such as `0x61`; a day takes `day_s` seconds and begins at
`hour`; conversions take `time_scale` of their real time. The registers are those of the data sheet
BST-BME280-DS002, the calibration is that of its example.

Faults, beside those of the bus (see `kymograph.sim.i2c`) and of every wire:

    id 0x61        be another chip                    stuck on|off    never finish a conversion
    garbage N      measure noise N times              brownout        lose the settings, and a conversion
    raw HEX        measure these 8 bytes for ever, until `raw off`
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Mapping
from typing import Final

from kymograph.model.errors import InvalidInput
from kymograph.sim.i2c import Adapter
from kymograph.sim.weather import Air, Weather, take_weather

IDS: Final[Mapping[str, int]] = {"bme280": 0x60, "bmp280": 0x58}
BME280: Final = 0x60

T: Final = (27504, 26435, -1000)
P: Final = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
H: Final = (75, 363, 0, 349, 30, 30)
"""What the factory wrote, T1 to H6."""

ID, RESET, CTRL_HUM, STATUS, CTRL_MEAS, CONFIG, DATA = 0xD0, 0xE0, 0xF2, 0xF3, 0xF4, 0xF5, 0xF7
_RESET_WORD: Final = 0xB6
_COPY_S: Final = 0.002
"""After a reset the calibration is copied for so long."""
_MEASURING, _COPYING = 0x08, 0x01
_NOTHING: Final = bytes.fromhex("800000 800000 8000")


def calibration_registers() -> dict[int, bytes]:
    """Return the calibration as it lies in the registers."""
    h1, h2, h3, h4, h5, h6 = H
    split = bytes([h4 >> 4 & 0xFF, (h4 & 0x0F) | (h5 & 0x0F) << 4, h5 >> 4 & 0xFF])
    return {
        0x88: struct.pack("<HhhHhhhhhhhh", *T, *P), 0xA1: bytes([h1]),
        0xE1: struct.pack("<hB", h2, h3) + split + struct.pack("<b", h6),
    }  # fmt: skip


def fine(temperature: float) -> float:
    """Return the temperature as the formulas of pressure and humidity take it."""
    return temperature * 5120.0


def temperature_adc(temperature: float) -> float:
    """Return what the converter gives at a temperature: the formula of the data sheet, solved for it."""
    # x = adc/16384 - T1/1024;  x*T2 + (x/8)^2*T3 = t_fine
    a, b, c = T[2] / 64.0, float(T[1]), -fine(temperature)
    x = (-b + math.sqrt(b * b - 4 * a * c)) / (2 * a)
    return (x + T[0] / 1024.0) * 16384.0


def pressure_adc(pressure_pa: float, t_fine: float) -> float:
    """Return what the converter gives at a pressure."""
    warm = t_fine / 2.0 - 64000.0
    offset = (warm * warm * P[5] / 32768.0 + warm * P[4] * 2.0) / 4.0 + P[3] * 65536.0
    gain = (1.0 + (P[2] * warm * warm / 524288.0 + P[1] * warm) / 524288.0 / 32768.0) * P[0]
    # P9/2^35 p^2 + (1 + P8/2^19) p + P7/16 = pressure
    a, b, c = P[8] / 2.0**35, 1.0 + P[7] / 2.0**19, P[6] / 16.0 - pressure_pa
    p = (-b + math.sqrt(b * b - 4 * a * c)) / (2 * a)
    return 1048576.0 - offset / 4096.0 - p * gain / 6250.0


def humidity_adc(humidity: float, t_fine: float) -> float:
    """Return what the converter gives at a relative humidity."""
    warm = t_fine - 76800.0
    bend = H[0] / 524288.0
    h = (1.0 - math.sqrt(1.0 - 4.0 * bend * humidity)) / (2.0 * bend)
    slope = H[1] / 65536.0 * (1.0 + H[5] / 2.0**26 * warm * (1.0 + H[2] / 2.0**26 * warm))
    return h / slope + H[3] * 64.0 + H[4] / 16384.0 * warm


class Bme280:
    """The chip: a register file that counts up as it is read, and a converter."""

    def __init__(self, kind: int, weather: Weather, seed: int = 0, time_scale: float = 1.0) -> None:
        self._kind = kind
        self._weather = weather
        self._random = random.Random(seed)
        self._time_scale = time_scale
        self._raw: bytes | None = None
        self._garbage = 0
        self._stuck = False
        self.conversions = 0
        self.power_on()

    def power_on(self) -> None:
        """Begin as after the power came: asleep, nothing measured."""
        self.registers = bytearray(256)
        for register, values in calibration_registers().items():
            if self._kind == BME280 or register == 0x88:
                self.registers[register : register + len(values)] = values
        self.registers[ID] = self._kind
        self.registers[DATA : DATA + 8] = _NOTHING
        self._pointer = 0
        self._humidity_set = 0
        """`ctrl_hum` as it counts: it is taken over when `ctrl_meas` is written."""
        self._ready_s: float | None = None
        self._copied_s = 0.0
        self._filtered: Air | None = None

    def fault(self, words: list[str]) -> bool:
        """Have a fault of the chip's own."""
        if words[0] == "id" and len(words) == 2:
            self._kind = _number(words[1])
            self.registers[ID] = self._kind
        elif words[0] == "stuck" and words[1:] in (["on"], ["off"]):
            self._stuck = words[1] == "on"
        elif words[0] == "garbage" and len(words) == 2 and words[1].isdecimal():
            self._garbage = int(words[1])
        elif words == ["brownout"]:
            self.power_on()
        elif words[0] == "raw" and len(words) == 2:
            self._raw = _raw(words[1])
        else:
            return False
        return True

    def write(self, data: bytes, time_s: float) -> None:
        """Take a register's address, or pairs of an address and a value."""
        self._settle(time_s)
        self._pointer = data[0]
        for register, value in zip(data[0::2], data[1::2], strict=False):
            self._set(register, value, time_s)

    def _set(self, register: int, value: int, time_s: float) -> None:
        if register == RESET and value == _RESET_WORD:
            self.power_on()
            self._copied_s = time_s + _COPY_S * self._time_scale
        elif register in (CTRL_HUM, CTRL_MEAS, CONFIG):
            self.registers[register] = value
        if register == CTRL_MEAS:
            self._humidity_set = self.registers[CTRL_HUM] & 0x07
            if value & 0x03 in (1, 2):
                self._ready_s = time_s + self._conversion_s() * self._time_scale

    def _conversion_s(self) -> float:
        """Return the usual time of the data sheet, section 9.1."""
        settings = self.registers[CTRL_MEAS]
        t, p, h = _samples(settings >> 5), _samples(settings >> 2 & 7), _samples(self._humidity_set)
        return (1 + 2 * t + (2 * p + 0.5) * (p > 0) + (2 * h + 0.5) * (h > 0)) / 1000

    def read(self, count: int, time_s: float) -> bytes:
        """Return registers from the last address on; one reading of them is of one conversion."""
        self._settle(time_s)
        at = self._pointer
        self._pointer = (at + count) % 256
        return bytes(self.registers[(at + i) % 256] for i in range(count))

    def _settle(self, time_s: float) -> None:
        """Bring the registers up to this time."""
        if self._ready_s is not None and time_s >= self._ready_s and not self._stuck:
            self._ready_s = None
            self.registers[CTRL_MEAS] &= 0xFC
            self.registers[DATA : DATA + 8] = self._measure(time_s)
            self.conversions += 1
        busy = _MEASURING if self._ready_s is not None else 0
        self.registers[STATUS] = busy | (_COPYING if time_s < self._copied_s else 0)

    def _measure(self, time_s: float) -> bytes:
        if self._garbage:
            self._garbage -= 1
            return self._random.choice((bytes(8), b"\xff" * 8))
        if self._raw is not None:
            return self._raw
        air = self._filter(self._weather.at(time_s))
        settings, t_fine = self.registers[CTRL_MEAS], fine(air.temperature)
        pressure = round(pressure_adc(air.pressure * 100, t_fine)) if settings >> 2 & 7 else 0x80000
        temperature = round(temperature_adc(air.temperature)) if settings >> 5 else 0x80000
        humidity = round(humidity_adc(air.humidity, t_fine)) if self._humidity_set else 0x8000
        return b"".join(
            (value << 4).to_bytes(3, "big") for value in (pressure, temperature)
        ) + humidity.to_bytes(2, "big")

    def _filter(self, air: Air) -> Air:
        """Return what the low-pass makes of it; it leaves humidity alone."""
        before, code = self._filtered, min(self.registers[CONFIG] >> 2 & 7, 4)
        if before is not None and code:
            share = 1 / 2**code
            air = Air(
                before.temperature + (air.temperature - before.temperature) * share,
                before.pressure + (air.pressure - before.pressure) * share,
                air.humidity,
            )
        self._filtered = air
        return air


def _samples(code: int) -> int:
    """Return how many samples a setting of three bits stands for."""
    return 0 if code == 0 else min(1 << (code - 1), 16)


def _number(text: str) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number <= 0xFF:
        raise InvalidInput(f"{text} is no byte", hint="write 0x61")
    return number


def _raw(text: str) -> bytes | None:
    if text == "off":
        return None
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != len(_NOTHING):
        raise InvalidInput(
            f"{text} is not 8 bytes in hexadecimal", hint="write raw 655AC07EED006FF0, or raw off"
        )
    return data


def make(parameters: Mapping[str, str]) -> Adapter:
    """Make a bus with one sensor from the parameters of its address.

    Raises:
        InvalidInput: one is unknown or makes no sense.
    """
    given = dict(parameters)
    seed = given.get("seed", "0")
    try:
        address = int(given.pop("address", "0x77"), 0)
        chip = given.pop("chip", "bme280")
        kind = IDS[chip] if chip in IDS else _number(chip)
        time_scale = float(given.pop("time_scale", "1"))
        weather = take_weather(given)
        if given or time_scale <= 0 or not 0x08 <= address <= 0x77:
            raise ValueError(", ".join(sorted(given)) or "address or time_scale")
    except ValueError as error:
        raise InvalidInput(
            f"the simulated sensor does not understand {error}", hint="see kymograph.sim.bme280"
        ) from None
    return Adapter({address: Bme280(kind, weather, int(seed), time_scale)})
