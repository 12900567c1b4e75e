"""The YDLidar family: what each model sends, and how fast.

Source: YDLidar SDK data set and development manuals. A model's number in its device information does not
name the model (X2, X3, X4 and X4Pro all say 6), so the model is configuration and the number a cross-check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kymograph.drivers.base import LinkLoad
from kymograph.drivers.ydlidar_frames import HEAD_BYTES

PACKET_SAMPLES: Final = 40
"""Samples in a full packet, as most models send; the rates below are counted with it."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model.

    `rates_khz` are its sampling rates, its usual one first; `rotation_hz` its slowest and fastest rotation;
    `intensity_bits` 0, 8, 10 or 16; `mm_per_count` the unit of its distances where no intensity comes with
    them; `triangle` whether its angles need the second-level correction; `single_channel` whether it streams
    from power-on and ignores commands; `steps` whether commands set its rotation; `frequency_offset_hz` what
    has to be added to the frequency in its packets.
    """

    name: str
    ids: tuple[int, ...]
    baud: int
    rates_khz: tuple[int, ...]
    range_m: float
    rotation_hz: tuple[int, int] = (5, 12)
    intensity_bits: int = 0
    mm_per_count: float = 0.25
    triangle: bool = True
    single_channel: bool = False
    steps: bool = True
    frequency_offset_hz: float = 0.0


def _tof(name: str, ids: tuple[int, ...], rates_khz: tuple[int, ...], range_m: float) -> Model:
    """Describe a time-of-flight model of the TG series."""
    return Model(
        name,
        ids,
        512000,
        rates_khz,
        range_m,
        (3, 16),
        mm_per_count=1.0,
        triangle=False,
        frequency_offset_hz=3.0,
    )


def _tx(name: str, range_m: float) -> Model:
    return Model(
        name, (100,), 115200, (4,), range_m, (4, 8),
        mm_per_count=1.0, triangle=False, single_channel=True, steps=False,
    )  # fmt: skip


def _x2(name: str) -> Model:
    return Model(name, (6,), 115200, (3,), 8, (4, 8), single_channel=True, steps=False)


def _tmini(name: str, number: int, bits: int, range_m: float = 12) -> Model:
    return Model(name, (number,), 230400, (4,), range_m, (6, 12), bits, triangle=False)


_TABLE: Final = (
    _x2("X2"), _x2("X2L"), _x2("X2N"), _x2("X3"),
    Model("X4", (6,), 128000, (5,), 10, steps=False),
    Model("X4Pro", (6,), 128000, (5,), 10, single_channel=True, steps=False),
    Model("S2", (4, 12), 115200, (3,), 8, (4, 8), single_channel=True, steps=False),
    Model("S4", (4,), 115200, (4,), 8, steps=False),
    Model("S4B", (4, 11), 153600, (4,), 8, intensity_bits=8, steps=False),
    Model("F4", (1,), 115200, (4,), 12),
    Model("F4Pro", (8,), 230400, (4, 6), 12),
    Model("G1", (19,), 230400, (9, 8, 4), 16),
    Model("G4", (5,), 230400, (9, 8, 4), 16),
    Model("G5", (20,), 230400, (9, 8, 4), 16),
    Model("G2A", (14,), 230400, (5,), 12),
    Model("G2", (15,), 230400, (5,), 16, intensity_bits=8),
    Model("G2C", (16,), 115200, (4,), 12),
    Model("G4C", (18,), 115200, (4,), 12),
    Model("G4B", (17,), 512000, (10,), 16, intensity_bits=10),
    Model("G6", (13,), 512000, (18, 16, 8), 25, mm_per_count=0.5),
    Model("G7", (21,), 512000, (18, 16, 8), 25, mm_per_count=0.5),
    Model("R2", (9,), 230400, (5,), 16),
    _tof("TG15", (100,), (20, 18, 10), 15),
    _tof("TG30", (101,), (20, 18, 10), 30),
    _tof("TG50", (102,), (20, 18, 10), 50),
    _tx("TX8", 8), _tx("TX20", 20),
    _tmini("T-mini", 140, 8), _tmini("T-mini-Pro", 150, 8),
    _tmini("T-mini-Plus", 151, 8), _tmini("T-mini-PlusSH", 152, 16, 25),
)  # fmt: skip

MODELS: Final = {model.name: model for model in _TABLE}


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


_BY_PLAIN_NAME: Final = {_plain(name): name for name in MODELS} | {"g2b": "G2"}


def canonical(name: str) -> str:
    """Return a model's name as the table has it; case, spaces and hyphens do not matter.

    Raises:
        ValueError: there is no such model.
    """
    found = _BY_PLAIN_NAME.get(_plain(name))
    if found is None:
        raise ValueError(f"there is no model {name}; models are: {', '.join(MODELS)}")
    return found


def sample_bytes(intensity_bits: int) -> int:
    """Return the bytes of one sample: distance alone, or with 8, 10 or 16 bits of intensity."""
    return {0: 2, 8: 3, 10: 3, 16: 4}[intensity_bits]


def link_load(rate_khz: float, intensity_bits: int, baud: int, bits_per_byte: int = 10) -> LinkLoad:
    """Return what a lidar puts on its serial line, with the arithmetic."""
    size_bytes = sample_bytes(intensity_bits)
    samples = rate_khz * 1000
    packets = samples / PACKET_SAMPLES
    needed = samples * size_bytes + packets * HEAD_BYTES
    carried = baud / bits_per_byte
    return LinkLoad(
        needed,
        carried,
        f"{samples:.0f} samples/s x {size_bytes} B + {packets:.0f} packets/s x {HEAD_BYTES} B = "
        f"{needed:.0f} B/s, and {baud} baud carry {carried:.0f} B/s ({needed / carried:.0%})",
    )
