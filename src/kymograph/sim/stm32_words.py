"""What the test stand's controller says and understands: lines and frames, written from its papers.

A line is a sample; a frame is `type ver seq body crc`, stuffed so that a zero ends it. Counts of frames are a
quantity's value less an offset, over a scale.
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from kymograph.sim.rocket import NAMES

Floats = npt.NDArray[np.float64]

SCALES: Final = (*(0.001,) * 8, *(0.01,) * 6, 0.05, 0.05, 0.001, 0.001, 0.1, 0.01, 0.001, 0.001, 1.0, 0.1)
OFFSETS: Final = (*(-1.0,) * 8, *(-100.0,) * 8, 0.0, 0.0, -500.0, 0.0, 0.0, 0.0, 0.0, 0.0)

ZEROS_MANY: Final = 60
"""Zeros in a frame from which on they are replaced all at once rather than one by one."""
_TITLES: Final = {
    "thrust": "THRUST", "isp": "ISP", "oxygen_consumption": "D1", "fuel_consumption": "D2",
    "total_impulse": "IMPULSE", "exhaust_velocity": "VELOCITY",
}  # fmt: skip
_LINE_NAMES: Final = (*NAMES[:15], "thrust", "isp", "Tbogaz2", *NAMES[20:])
LINE_PLACES: Final = tuple(NAMES.index(name) for name in _LINE_NAMES)


def line_form(quoted: bool) -> str:
    """Return the form of a line; `quoted` wraps the values, as some firmware does."""
    value = '"%.1f"' if quoted else "%.1f"
    return " | ".join(f"{_TITLES.get(name, name)}: {value}" for name in _LINE_NAMES) + "\r\n"


def lines(values: Floats, form: str) -> bytes:
    """Return a line for each row of values."""
    rows: list[list[float]] = values[:, LINE_PLACES].tolist()
    return "".join([form % tuple(row) for row in rows]).encode()


def crc(data: bytes) -> int:
    """Return CRC-16/CCITT-FALSE: polynomial 1021, begun with FFFF, nothing reflected."""
    return crc_hqx(data, 0xFFFF)


def stuff(data: bytes) -> bytes:
    """Return the bytes without a zero, and the zero that ends them."""
    if data.count(0) > ZEROS_MANY:
        out = np.frombuffer(b"\0" + data, np.uint8).copy()
        zeros = np.flatnonzero(out == 0)
        lengths = np.diff(zeros, append=len(out))
        if lengths.max() < 255:
            # No run is long: each zero becomes the way to the next one.
            out[zeros] = lengths
            return out.tobytes() + b"\0"
    blocks: list[bytes] = []
    for run in data.split(b"\0"):
        whole = len(run) // 254
        blocks += [b"\xff" + run[i * 254 : i * 254 + 254] for i in range(whole)]
        blocks.append(bytes((len(run) - whole * 254 + 1,)) + run[whole * 254 :])
    return b"".join(blocks) + b"\0"


def unstuff(data: bytes) -> bytes:
    """Return what was stuffed, without its zero; b"" for what makes no sense."""
    out = bytearray()
    while data:
        count = data[0] or 1
        block, data = data[1:count], data[count:]
        if len(block) != count - 1:
            return b""
        out += block
        if count < 255 and data:
            out.append(0)
    return bytes(out)


class Frame(NamedTuple):
    """A frame that was understood."""

    kind: int
    seq: int
    body: bytes


def frame(kind: int, seq: int, body: bytes = b"") -> bytes:
    """Return a frame as it goes over the wire."""
    raw = struct.pack("<BBH", kind, 1, seq & 0xFFFF) + body
    return stuff(raw + struct.pack("<H", crc(raw)))


def understood(pieces: Iterable[bytes]) -> list[Frame]:
    """Return the frames among what lay between zeros; the others are noise."""
    found: list[Frame] = []
    for piece in pieces:
        raw = unstuff(piece)
        if len(raw) >= 6 and raw[1] == 1 and crc(raw[:-2]) == int.from_bytes(raw[-2:], "little"):
            found.append(Frame(raw[0], int.from_bytes(raw[2:4], "little"), raw[4:-2]))
    return found


def counts(values: Floats, channels: int) -> npt.NDArray[np.uint16]:
    """Return the first channels of rows of values as counts."""
    raw = (values[:, :channels] - np.array(OFFSETS[:channels])) / np.array(SCALES[:channels])
    return np.clip(np.rint(raw), 0, 65_535).astype("<u2")


def ramp(first: int, count: int, channels: int) -> npt.NDArray[np.uint16]:
    """Return counts by which every sample can be told from every other, channel by channel."""
    number = np.arange(first, first + count)[:, None] + 977 * np.arange(channels)
    return (number & 0xFFFF).astype("<u2")


def sample_frames(
    rows: npt.NDArray[np.uint16], batch: int, seq: int, t0_us: Sequence[int], dt_us: int
) -> list[bytes]:
    """Return frames of `batch` rows each; `t0_us` has the time of the first row of each."""
    made: list[bytes] = []
    for i, t_us in enumerate(t0_us):
        part = rows[i * batch : (i + 1) * batch]
        head = struct.pack("<IHBB", t_us & 0xFFFF_FFFF, dt_us, part.shape[1], len(part))
        made.append(frame(0x01, seq + i, head + part.tobytes()))
    return made
