"""Lines of a Q-Series sensor: readings, and what it says when it talks.

    freerun   <preamble><value>[, <temperature>][, <supply>]
    polled    <tag>,<preamble><value>[, <temperature>][, <supply>]

Nothing separates the preamble from the value, and of two fields only the menu's flags say what the second is.
Source: the public reading of firmware 2150REV4.003.
"""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

_VALUE: Final = re.compile(r"\s*(-?\d+(?:\.\d{1,8})?)")
_TEMPERATURE: Final = re.compile(r"\s*(-?\d+\.\d\d)")
_VOLTAGE: Final = re.compile(r"\s*(-?\d+\.\d{3})\s*")
BOOT: Final = re.compile(rb"Biospherical Instruments Inc: Digital Engine Vers")
"""Begins what it says after a reset, and before its menu."""
_TALK: Final = re.compile(
    rb"Biospherical|^Unit ID|^Operating in|^ADC |^Averaging|^No Averaging|^Sensor temperature|^Input Supply"
    rb"|^Calfactor|did not (?:complete|startup)|^Start|^Entering|^Calling reset|^Rebooting|^Select the letter"
    rb"|^Model:|^[A-Z] (?:to|sets) |^Timed out|^\*{4}|^Enter "
)


class Flags(NamedTuple):
    """What comes with a value: as the menu says, never by position."""

    temperature: bool
    voltage: bool
    tag: str = ""


class Reading(NamedTuple):
    """One reading; NaN for what the sensor does not send."""

    value: float
    temperature: float
    voltage: float


def is_talk(line: bytes) -> bool:
    """Return whether a line is one of those that the sensor says of itself."""
    return _TALK.search(line) is not None


def parse_reading(line: bytes, preamble: str, flags: Flags) -> Reading | None:
    """Return the reading of a line without its end, None if it is none.

    A line that does not begin as it must, or whose fields have not as many decimals as the firmware gives
    them, is no reading: half a line ends in half a number, and looks like one.
    """
    text = line.decode("latin-1")
    if flags.tag:
        head = flags.tag + ","
        if not text.startswith(head):
            return None
        text = text[len(head) :]
    if not text.startswith(preamble):
        return None
    wanted = [_VALUE, *([_TEMPERATURE] * flags.temperature), *([_VOLTAGE] * flags.voltage)]
    fields = text[len(preamble) :].split(",")
    if len(fields) != len(wanted):
        return None
    matches = [pattern.fullmatch(field) for pattern, field in zip(wanted, fields, strict=True)]
    numbers = [float(match[1]) for match in matches if match is not None]
    if len(numbers) != len(wanted):
        return None
    temperature = numbers[1] if flags.temperature else math.nan
    return Reading(numbers[0], temperature, numbers[-1] if flags.voltage else math.nan)
