"""How each simulated YDLidar behaves on its wire. Written from the device's side, on purpose not shared with
the driver: what both got wrong in the same way would not be found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kymograph.model.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Kind:
    """One model: the number it gives, samples a second, its bits of intensity, and how it counts.

    `counts_per_mm` of the 16-bit distance word; `skewed` whether it measures from beside its laser, so that
    the angle it reports is not yet that of the return; `mute` whether it only speaks; `tenths` whether zero
    packets tell the rotation, `told_low` by how many tenths of Hz too low; `health` the command it knows.
    """

    number: int
    rate_hz: int
    intensity_bits: int = 0
    counts_per_mm: float = 4.0
    skewed: bool = True
    mute: bool = False
    steps: bool = True
    tenths: bool = True
    told_low: int = 0
    rotation_hz: float = 7.0
    rotation_max_hz: float = 12.0
    rates: tuple[int, ...] = ()
    health: tuple[int, ...] = (0x91, 0x92)
    firmware: tuple[int, int] = (1, 10)


def _x(rate_hz: int, *, mute: bool) -> Kind:
    return Kind(6, rate_hz, mute=mute, steps=False, tenths=False)


def _g(number: int) -> Kind:
    return Kind(number, 9000, rates=(4000, 8000, 9000, 10000))


def _octave(number: int) -> Kind:
    return Kind(number, 18000, counts_per_mm=2.0, rates=(10000, 16000, 18000, 20000))


def _tg(number: int) -> Kind:
    return Kind(
        number, 20000, counts_per_mm=1.0, skewed=False, told_low=30, rotation_max_hz=16.0,
        rates=(10000, 16000, 18000, 20000), firmware=(1, 4),
    )  # fmt: skip


def _tx() -> Kind:
    return Kind(100, 4000, counts_per_mm=1.0, skewed=False, mute=True, steps=False, tenths=False)


def _tmini(number: int, bits: int = 8) -> Kind:
    return Kind(number, 4000, bits, 1.0 if bits == 16 else 4.0, skewed=False, rotation_hz=9.9, health=(0x92,))


KINDS: Final = {
    "X2": _x(3000, mute=True), "X2L": _x(3000, mute=True), "X2N": _x(3000, mute=True),
    "X3": _x(3000, mute=True), "X4": _x(5000, mute=False), "X4Pro": _x(5000, mute=True),
    "S2": Kind(4, 3000, mute=True, steps=False), "S4": Kind(4, 4000, steps=False),
    "S4B": Kind(4, 4000, 8, steps=False), "F4": Kind(1, 4000), "F4Pro": Kind(8, 4000, rates=(4000, 6000)),
    "G1": _g(19), "G4": _g(5), "G5": _g(20), "G2A": Kind(14, 5000), "G2": Kind(15, 5000, 8),
    "G2C": Kind(16, 4000), "G4C": Kind(18, 4000), "G4B": Kind(17, 10000, 10), "R2": Kind(9, 5000),
    "G6": _octave(13), "G7": _octave(21), "TG15": _tg(100), "TG30": _tg(101), "TG50": _tg(102),
    "TX8": _tx(), "TX20": _tx(), "T-mini": _tmini(140), "T-mini-Pro": _tmini(150),
    "T-mini-Plus": _tmini(151), "T-mini-PlusSH": _tmini(152, 16),
}  # fmt: skip


def find_kind(model: str) -> tuple[str, Kind]:
    """Return a model by its name, whose case does not matter.

    Raises:
        InvalidInput: it is not simulated.
    """
    for name, kind in KINDS.items():
        if name.lower() == model.lower():
            return name, kind
    raise InvalidInput(f"there is no simulated {model}", hint=f"models are: {', '.join(KINDS)}")
