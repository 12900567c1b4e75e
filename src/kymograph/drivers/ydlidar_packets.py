"""Scan packets of YDLidars: bytes in, columns out, in one pass over whatever has arrived.

CT bit 0 marks the packet that begins a revolution; FSA and LSA are the angles of a packet's first and last
sample, in 1/128 degrees; the samples between lie evenly. On triangulating models each angle is then corrected
for its distance. See `ydlidar_frames` for how a packet lies in memory.
Source: YDLidar development manuals and the SDK's protocol header.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from kymograph.drivers.ydlidar_frames import HEAD_BYTES, Bytes, FrameFinder, Frames, Ints
from kymograph.drivers.ydlidar_models import PACKET_SAMPLES, sample_bytes

_TURN: Final = np.float32(360)
Floats = npt.NDArray[np.float32]
Words = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class SampleFormat:
    """How samples are written: bits of intensity, millimetres a count, whether angles are corrected."""

    intensity_bits: int
    mm_per_count: float
    triangle: bool

    @property
    def nbytes(self) -> int:
        """Bytes of one sample."""
        return sample_bytes(self.intensity_bits)


class Samples(NamedTuple):
    """What a buffer held, one item a sample in every array, oldest first.

    `distance` in metres (0 is no return), `angle` in degrees [0, 360); `flags` the two lowest bits of the
    sample's word; `ticks` the sample's number from 1, counting what was lost between good packets too, or
    None if nothing was; `consumed` how many bytes are done with.
    """

    distance: Floats
    angle: Floats
    intensity: Words
    scan: npt.NDArray[np.uint32]
    flags: Bytes
    ticks: Ints | None
    consumed: int


def _nothing(consumed: int) -> Samples:
    none, words, scans = np.empty(0, np.float32), np.empty(0, np.uint16), np.empty(0, np.uint32)
    return Samples(none, none, words, scans, np.empty(0, np.uint8), None, consumed)


@cache
def corrections(mm_per_count: float) -> Floats:
    """Return the second-level angle correction in degrees for each of the 65 536 words of a triangle lidar.

    A triangle lidar's lens sits 21.8 mm beside its laser, so the angle of a return depends on its distance.
    """
    distance = np.arange(65_536) * mm_per_count
    distance[0] = 155.3
    table = np.degrees(np.arctan(21.8 * (155.3 - distance) / (155.3 * distance)))
    table[0] = 0.0
    return table.astype(np.float32)


class PacketDecoder(FrameFinder):
    """Decodes a stream of packets that comes in pieces, and counts what was wrong with it.

    However the stream is cut, the samples are the same (but `ticks`, which begin anew with every buffer).
    """

    def __init__(self, sample_format: SampleFormat) -> None:
        super().__init__()
        self.format = sample_format
        self.frequency_raw = 0
        """Upper seven bits of CT of the last zero packet; tenths of Hz on models that measure it."""
        self.scan = 0
        """Zero packets so far."""

    def decode(self, buffer: bytes) -> Samples:
        """Return the samples of all whole packets and how many bytes are done with; never raises."""
        frames = self.find(buffer, self.format.nbytes)
        return self._samples(buffer, frames) if frames.spans else _nothing(frames.consumed)

    def _samples(self, buffer: bytes, frames: Frames) -> Samples:
        """Take the samples of all packets at once."""
        size = self.format.nbytes
        heads = b"".join([buffer[start : start + HEAD_BYTES] for start, _ in frames.spans])
        bodies = b"".join([buffer[start + HEAD_BYTES : end] for start, end in frames.spans])
        head = np.frombuffer(heads, "<u2").reshape(-1, HEAD_BYTES // 2)
        counts = (head[:, 1] >> 8).astype(np.int64)
        intensity, word = self._fields(bodies)
        flags = (word & 3).astype(np.uint8)
        if size == 3:
            if self.format.intensity_bits == 10:
                intensity |= flags.astype(np.uint16) << np.uint16(8)
            word &= np.uint16(0xFFFC)
        distance = word * np.float32(self.format.mm_per_count / 1000)
        angle = _angles(head, counts)
        if self.format.triangle:
            angle += corrections(self.format.mm_per_count)[word]
            angle[angle < 0] += _TURN
            # Once more: just below zero and 360 make 360 in 32 bits.
            angle[angle >= _TURN] -= _TURN
        scan = self._scans(head[:, 1]).repeat(counts)
        ticks = self._ticks(frames.lost_bytes, counts) if any(frames.lost_bytes) else None
        return Samples(distance, angle, intensity, scan, flags, ticks, frames.consumed)

    def _fields(self, bodies: bytes) -> tuple[Words, Words]:
        """Return the intensities and the distance words, each an array of its own."""
        size = self.format.nbytes
        if size == 3:
            body = np.frombuffer(bodies, np.uint8).reshape(-1, 3)
            word = body[:, 2].astype(np.uint16)
            word <<= 8
            word |= body[:, 1]
            return body[:, 0].astype(np.uint16), word
        words = np.frombuffer(bodies, "<u2")
        if size == 4:
            return words[0::2].copy(), words[1::2].copy()
        return np.zeros(len(words), np.uint16), words

    def _scans(self, types_and_counts: Words) -> npt.NDArray[np.uint32]:
        """Number the packets' revolutions, and note the frequency that the last zero packet tells."""
        zero = types_and_counts & 1
        scans = zero.cumsum(dtype=np.uint32)
        scans += np.uint32(self.scan)
        if scans[-1] != self.scan:
            last = int(types_and_counts[zero.nonzero()[0][-1]])
            self.frequency_raw = (last & 0xFF) >> 1 or self.frequency_raw
            self.scan = int(scans[-1])
        return scans

    def _ticks(self, lost_bytes: list[int], counts: Ints) -> Ints:
        """Number the samples from 1, as many left out as the bytes between the packets may have held."""
        sample_nbytes = self.format.nbytes + HEAD_BYTES / PACKET_SAMPLES
        skipped = np.rint(np.array(lost_bytes) / sample_nbytes).astype(np.int64).cumsum()
        return np.arange(1, int(counts.sum()) + 1) + skipped.repeat(counts)


def _angles(head: Words, counts: Ints) -> Floats:
    """Return the angle of each sample before its correction, in [0, 360)."""
    ends = (head[:, 2:4] >> 1) / 64.0 % 360.0
    first = ends[:, 0].astype(np.float32)
    step = ((ends[:, 1] - ends[:, 0]) % 360.0 / np.maximum(counts - 1, 1)).astype(np.float32)
    index = np.arange(int(counts.sum()))
    index -= (counts.cumsum() - counts).repeat(counts)
    angle = index.astype(np.float32)
    angle *= step.repeat(counts)
    angle += first.repeat(counts)
    angle[angle >= _TURN] -= _TURN
    return angle
