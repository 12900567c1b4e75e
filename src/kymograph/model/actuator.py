"""What can be moved: an actuator, its bounds, and the value at which it does no harm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kymograph.model.errors import InvalidInput
from kymograph.model.names import safe_name


@dataclass(frozen=True, slots=True)
class Actuator:
    """One thing that a driver can move: a valve, a motor, a heater.

    `unit` is a UCUM code; `low` and `high` bound what it may be told. `labels` are words for the values
    0, 1, 2, … `safe` is the value that it takes when control is lost; None means: stay where it is.
    """

    name: str
    unit: str = ""
    low: float = 0.0
    high: float = 1.0
    labels: tuple[str, ...] = ()
    safe: float | None = None
    description: str = ""

    def __post_init__(self) -> None:
        safe_name(self.name, "actuator name")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InvalidInput(f"actuator {self.name} has no range", low=self.low, high=self.high)
        if self.safe is not None:
            self.check(self.safe)

    def check(self, value: float) -> float:
        """Return a value that this actuator may be told, as a float.

        Raises:
            InvalidInput: it is no number, or out of bounds.
        """
        if not self.low <= value <= self.high:  # NaN is in no range
            unit = f" {self.unit}" if self.unit else ""
            raise InvalidInput(
                f"{self.name} cannot be {value:g}{unit}",
                hint=f"it goes from {self.low:g} to {self.high:g}{unit}",
                low=self.low,
                high=self.high,
            )
        return float(value)

    def to_dict(self) -> dict[str, Any]:
        """Return the actuator as plain data, the inverse of `actuator_from_dict`."""
        return {
            "name": self.name, "unit": self.unit, "low": self.low, "high": self.high,
            "labels": list(self.labels), "safe": self.safe, "description": self.description,
        }  # fmt: skip


def actuator_from_dict(data: Mapping[str, Any]) -> Actuator:
    """Make the actuator again that `Actuator.to_dict` took apart; unknown keys are left aside."""
    return Actuator(
        name=data["name"], unit=data.get("unit", ""), low=data.get("low", 0.0), high=data.get("high", 1.0),
        labels=tuple(data.get("labels") or ()), safe=data.get("safe"),
        description=data.get("description", ""),
    )  # fmt: skip
