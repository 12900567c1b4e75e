"""What the test stand's controller measures and moves: names, units, spans, and the raw counts of frames.

Names are the columns that the stand's logs have had from the beginning. Spans and scales of frames are a
proposal of this project, and can be set by the options `scale` and `offset`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from kymograph.model.actuator import Actuator
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import InvalidInput

STREAM: Final = "reading"

VALVES: Final = ("RELIEF1", "GOX1", "PURGE1", "PURGE2", "FUEL1", "RELIEF2", "GOX2", "FUEL2", "IGNITION")
"""In the order of the digits; in frames the first is bit 8, the last bit 0."""
SCENARIOS: Final = ("o2cleaning", "fuelcleaning", "preburning", "burningstart", "burning", "emergency")
"""What the controller can run by itself."""


class Quantity(NamedTuple):
    """One measured quantity; `scale` and `offset` make it of a raw count: count * scale + offset."""

    name: str
    unit: str
    description: str
    low: float
    high: float
    scale: float
    offset: float
    key: str = ""
    """What the text line calls it; "" if it has none there."""


QUANTITIES: Final = (
    *(Quantity(f"P{i}", "bar", "pressure", 0, 40, 0.001, -1, f"P{i}") for i in range(1, 9)),
    *(Quantity(f"T{i}", "Cel", "temperature", -40, 150, 0.01, -100, f"T{i}") for i in range(1, 7)),
    Quantity("Tbogaz1", "Cel", "throat temperature", 0, 2000, 0.05, -100, "TBOGAZ1"),
    Quantity("Tbogaz2", "Cel", "throat temperature", 0, 2000, 0.05, -100, "TBOGAZ2"),
    Quantity("Debi1", "", "flow 1, as the device gives it; NaN if it has none", 0, 50, 0.001, 0),
    Quantity("Debi2", "", "flow 2, as the device gives it; NaN if it has none", 0, 50, 0.001, 0),
    Quantity("thrust", "N", "thrust", 0, 5000, 0.1, -500, "THRUST"),
    Quantity("isp", "s", "specific impulse", 0, 400, 0.01, 0, "ISP"),
    Quantity("oxygen_consumption", "kg/s", "oxidiser flow", 0, 50, 0.001, 0, "D1"),
    Quantity("fuel_consumption", "kg/s", "fuel flow", 0, 50, 0.001, 0, "D2"),
    Quantity("total_impulse", "N.s", "total impulse", 0, 60_000, 1, 0, "IMPULSE"),
    Quantity("exhaust_velocity", "m/s", "exhaust velocity", 0, 4000, 0.1, 0, "VELOCITY"),
)  # fmt: skip
NAMES: Final = tuple(quantity.name for quantity in QUANTITIES)
_BY_NAME: Final = {quantity.name: quantity for quantity in QUANTITIES}


def stream(names: Sequence[str], rate_hz: float) -> Stream:
    """Return the stream of these quantities; a name that is none of `NAMES` has no unit."""
    channels = [_channel(name) for name in names]
    return Stream(STREAM, tuple(channels), rate_hz, "test-stand controller")


def _channel(name: str) -> Channel:
    known = _BY_NAME.get(name)
    if known is None:
        return Channel(name, "float32")
    return Channel(name, "float32", known.unit, known.description, known.low, known.high)


def factors(
    names: Sequence[str], scale: Mapping[str, float], offset: Mapping[str, float]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return scale and offset of raw counts, one a channel; 1 and 0 where nothing is known or given."""
    known = [_BY_NAME.get(name) for name in names]
    scales = [scale.get(n, q.scale if q else 1.0) for n, q in zip(names, known, strict=True)]
    offsets = [offset.get(n, q.offset if q else 0.0) for n, q in zip(names, known, strict=True)]
    return np.array(scales, np.float32), np.array(offsets, np.float32)


def actuators(safe: str) -> tuple[Actuator, ...]:
    """Return the nine actuators; `safe` is the pattern that is safe."""
    made: list[Actuator] = []
    for name, digit in zip(VALVES, safe, strict=True):
        labels = ("off", "on") if name == "IGNITION" else ("closed", "open")
        made.append(Actuator(name, labels=labels, safe=float(digit)))
    return tuple(made)


def to_pattern(valves: Sequence[int]) -> str:
    """Return nine digits.

    Raises:
        InvalidInput: not nine, or one that is neither 0 nor 1.
    """
    if len(valves) != len(VALVES) or any(valve not in (0, 1) for valve in valves):
        raise InvalidInput(f"valves are {len(VALVES)} times 0 or 1", hint=f"in the order {' '.join(VALVES)}")
    return "".join("1" if valve else "0" for valve in valves)


def to_scenario(name: str) -> str:
    """Return the name of a scenario that the controller has.

    Raises:
        InvalidInput: it has none of that name.
    """
    if name not in SCENARIOS:
        raise InvalidInput(f"the controller has no scenario {name}", hint=f"it has: {', '.join(SCENARIOS)}")
    return name


def to_bits(pattern: str) -> int:
    """Return a pattern as the number that frames carry: the first digit is bit 8."""
    return int(pattern, 2)


def from_bits(bits: int) -> str:
    """Return the pattern of a number that a frame carried."""
    return f"{bits & 0x1FF:09b}"


def endangered(
    command: str,
    arguments: Mapping[str, Any],
    valves: Sequence[Actuator],
    told: Mapping[str, float | None],
) -> list[str]:
    """Return the valves that an order would not leave safe: `Driver.moves` of the controller.

    Valves that an order leaves as the controller says they are, and an emergency, endanger nothing.
    """
    if command == "emergency":
        return []
    wanted = arguments.get("valves") if command == "set_valves" else None
    if not isinstance(wanted, list | tuple) or len(cast("Sequence[object]", wanted)) != len(valves):
        return [valve.name for valve in valves]
    pairs = zip(valves, cast("Sequence[object]", wanted), strict=True)
    return [valve.name for valve, want in pairs if want != valve.safe and told.get(valve.name) != want]
