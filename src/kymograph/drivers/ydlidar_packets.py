"""Scan packets of YDLidars: bytes in, columns out, in one pass over whatever has arrived.

    +--------+----+-----+-------+-------+-------+------------------------+
    | AA 55  | CT | LSN |  FSA  |  LSA  |  CS   | LSN samples of         |   all numbers little-endian
    |        |    |     |       |       |       | 2, 3 or 4 bytes        |
    +--------+----+-----+-------+-------+-------+------------------------+
    0        2    3     4       6       8       10

CT bit 0 marks the packet that begins a revolution. FSA and LSA are the angles of the first and the last
sample, in 1/128 degrees with bit 0 set. CS is the exclusive or of all other 16-bit words.
Source: YDLidar development manuals and the SDK's protocol header.

How one pass? Every `AA 55` is a candidate. A running exclusive or over the whole buffer gives the checksum of
any of them by looking at its two ends; the samples of all good packets are then taken by one index.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from kymograph.drivers.ydlidar_models import PACKET_HEAD_BYTES, PACKET_SAMPLES, sample_bytes

SAMPLES_MAX: Final = 80
"""Samples of a packet above which the SDK takes it for damaged."""
STAMP_BYTES: Final = 8
"""`AA 66`, an exclusive or, a time in ms, a spare byte: some models send it between packets."""

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

_GOOD: Final = 0
_STAMP: Final = 1
_OPEN: Final = 2
_BAD: Final = 3
_NONE: Final = 4


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


class Found(NamedTuple):
    """Every place of a buffer that looks like a packet, in order: where it begins and ends, what it is."""

    starts: Ints
    ends: Ints
    kinds: Ints


class Samples(NamedTuple):
    """What a buffer held, one item a sample in every array, oldest first.

    `distance` in metres (0 is no return), `angle` in degrees [0, 360); `flags` the two lowest bits of the
    sample's word; `ticks` the sample's number from 1, counting what was lost between good packets too.
    """

    distance: npt.NDArray[np.float32]
    angle: npt.NDArray[np.float32]
    intensity: npt.NDArray[np.uint16]
    scan: npt.NDArray[np.uint32]
    flags: npt.NDArray[np.uint8]
    ticks: npt.NDArray[np.int64] | None
    consumed: int


def _nothing(consumed: int) -> Samples:
    none = np.empty(0, np.float32)
    return Samples(
        none, none, np.empty(0, np.uint16), np.empty(0, np.uint32), np.empty(0, np.uint8), None, consumed
    )


@cache
def corrections(mm_per_count: float) -> npt.NDArray[np.float32]:
    """Return the second-level angle correction in degrees for each of the 65 536 words of a triangle lidar.

    A triangle lidar's lens sits 21.8 mm beside its laser, so the angle of a return depends on its distance.
    """
    distance = np.arange(65_536) * mm_per_count
    distance[0] = 155.3
    table = np.degrees(np.arctan(21.8 * (155.3 - distance) / (155.3 * distance)))
    table[0] = 0.0
    return table.astype(np.float32)


class PacketDecoder:
    """Decodes a stream of packets that comes in pieces, and counts what was wrong with it.

    However the stream is cut, the samples are the same (but `ticks`, which begin anew with every buffer).
    """

    def __init__(self, sample_format: SampleFormat) -> None:
        self.format = sample_format
        self.packets_good = 0
        self.packets_bad = 0
        self.resyncs = 0
        self.bad_in_a_row = 0
        """Bad packets since the last good one of more than one sample."""
        self.good_in_a_row = 0
        """Good packets of more than one sample since the last bad one."""
        self.frequency_raw = 0
        """Upper seven bits of CT of the last zero packet; tenths of Hz on models that measure it."""
        self.scan = 0
        """Zero packets so far."""
        self._in_step = False
        self._junk_bytes = 0

    def lose_step(self) -> None:
        """Expect the middle of something next, without counting that as damage."""
        self._in_step = False
        self._junk_bytes = 0

    def decode(self, buffer: bytes) -> Samples:
        """Return the samples of all whole packets and how many bytes are done with; never raises."""
        data = np.frombuffer(buffer, np.uint8)
        found = _find(data, self.format.nbytes)
        taken, consumed = _chain(found, len(data))
        lost = self._account(buffer, found, taken, consumed)
        good = found.kinds[taken] == _GOOD
        if not good.any():
            return _nothing(consumed)
        return self._samples(data, found.starts[taken[good]], lost[good], consumed)

    def _account(self, buffer: bytes, found: Found, taken: Ints, consumed: int) -> Ints:
        """Count what was good and bad; return the bytes lost before each packet that was taken."""
        starts, ends, kinds = found
        count = len(taken)
        self.packets_good += int(np.count_nonzero(kinds[taken] == _GOOD))
        self._count_bad(found, taken, consumed)
        gaps = np.append(starts[taken], consumed)
        gaps[1:] -= ends[taken]
        if self._in_step and self._junk_bytes == 0 and not gaps.any():
            return gaps[:count]
        for i in np.flatnonzero(gaps).tolist():
            stop = consumed if i == count else int(starts[taken[i]])
            # A repeated AA before a packet is how some models fill; it is no loss.
            if not buffer[stop - int(gaps[i]) : stop].strip(b"\xaa"):
                gaps[i] = 0
        gaps[0] += self._junk_bytes
        self._junk_bytes = int(gaps[count])
        if not self._in_step:
            gaps[0] = 0
        self._in_step = self._in_step or count > 0
        self.resyncs += int(np.count_nonzero(gaps[:count]))
        return gaps[:count]

    def _count_bad(self, found: Found, taken: Ints, consumed: int) -> None:
        starts, ends, kinds = found
        bad = np.flatnonzero((kinds == _BAD) & (starts < consumed))
        full = taken[(kinds[taken] == _GOOD) & (ends[taken] - starts[taken] > PACKET_HEAD_BYTES + 4)]
        if len(bad) == 0:
            self.good_in_a_row += len(full)
            self.bad_in_a_row = 0 if len(full) else self.bad_in_a_row
            return
        if len(taken):
            before = np.searchsorted(taken, bad) - 1
            bad = bad[(before < 0) | (starts[bad] >= ends[taken[before]])]
        if len(full):
            self.bad_in_a_row = 0
        if len(bad):
            self.good_in_a_row = 0
        self.bad_in_a_row += int(np.count_nonzero(bad > (full[-1] if len(full) else -1)))
        self.good_in_a_row += int(np.count_nonzero(full > (bad[-1] if len(bad) else -1)))
        self.packets_bad += len(bad)

    def _samples(self, data: Bytes, starts: Ints, lost: Ints, consumed: int) -> Samples:
        """Take all samples of the packets that begin at `starts`."""
        size = self.format.nbytes
        counts = data[starts + 3].astype(np.int64)
        first = np.cumsum(counts) - counts
        within = np.arange(int(counts.sum())) - np.repeat(first, counts)
        at = np.repeat(starts + PACKET_HEAD_BYTES, counts) + within * size
        word = _words(data, at + (size - 2))
        flags = (word & 3).astype(np.uint8)
        intensity = self._intensity(data, at, flags)
        if size == 3:
            word &= np.uint16(0xFFFC)
        fsa, step = _angles(data, starts, counts)
        angle = within.astype(np.float32)
        angle *= np.repeat(step, counts)
        angle += np.repeat(fsa, counts)
        angle[angle >= 360] -= np.float32(360)
        if self.format.triangle:
            angle += corrections(self.format.mm_per_count)[word]
            angle[angle < 0] += np.float32(360)
            # Once more: just below zero and 360 make 360 in 32 bits.
            angle[angle >= 360] -= np.float32(360)
        distance = word * np.float32(self.format.mm_per_count / 1000)
        scan = np.repeat(self._scans(data[starts + 2]), counts)
        ticks = self._ticks(lost, counts) if lost.any() else None
        return Samples(distance, angle, intensity, scan, flags, ticks, consumed)

    def _intensity(self, data: Bytes, at: Ints, flags: Bytes) -> npt.NDArray[np.uint16]:
        bits = self.format.intensity_bits
        if bits == 0:
            return np.zeros(len(at), np.uint16)
        if bits == 16:
            return _words(data, at)
        intensity = data[at].astype(np.uint16)
        if bits == 10:
            intensity |= flags.astype(np.uint16) << np.uint16(8)
        return intensity

    def _scans(self, package_types: Bytes) -> npt.NDArray[np.uint32]:
        """Number the packets' revolutions, and note the frequency that the last zero packet tells."""
        zero = package_types & 1
        scans = np.cumsum(zero, dtype=np.uint32) + np.uint32(self.scan)
        self.scan = int(scans[-1])
        told = package_types[(zero == 1) & (package_types > 1)]
        if len(told):
            self.frequency_raw = int(told[-1]) >> 1
        return scans

    def _ticks(self, lost: Ints, counts: Ints) -> Ints:
        """Number the samples from 1, as many left out as the bytes between the packets may have held."""
        sample_nbytes = self.format.nbytes + PACKET_HEAD_BYTES / PACKET_SAMPLES
        return np.arange(1, int(counts.sum()) + 1) + np.repeat(
            np.cumsum(np.rint(lost / sample_nbytes)).astype(np.int64), counts
        )


def _words(data: Bytes, at: Ints) -> npt.NDArray[np.uint16]:
    word = data[at + 1].astype(np.uint16)
    word <<= 8
    word |= data[at]
    return word


def _angles(
    data: Bytes, starts: Ints, counts: Ints
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the first angle and the step of each packet, in degrees; the first in [0, 360)."""
    fsa = _words(data, starts + 4) // 2 / 64 % 360
    lsa = _words(data, starts + 6) // 2 / 64 % 360
    step = (lsa - fsa) % 360 / np.maximum(counts - 1, 1)
    return fsa.astype(np.float32), step.astype(np.float32)


def _find(data: Bytes, sample_nbytes: int) -> Found:
    """Find whatever begins like a packet, and judge it."""
    size = len(data)
    starts = np.flatnonzero(data == 0xAA)
    second = data[np.minimum(starts + 1, size - 1)]
    like = (second == 0x55) | (second == 0x66) | (starts == size - 1)
    starts, second = starts[like], second[like]
    kinds = np.full(len(starts), _OPEN)
    ends = starts + STAMP_BYTES
    stamp = (second == 0x66) & (ends <= size)
    if stamp.any():
        kinds[stamp] = np.where(_stamp_good(data, starts[stamp]), _STAMP, _NONE)
    headed = np.flatnonzero((second == 0x55) & (starts + PACKET_HEAD_BYTES <= size))
    at = starts[headed]
    counts = data[at + 3].astype(np.int64)
    sane = (counts > 0) & (counts <= SAMPLES_MAX) & (data[at + 4] & data[at + 6] & 1 == 1)
    stops = at + PACKET_HEAD_BYTES + counts * sample_nbytes
    ends[headed] = stops
    kinds[headed[~sane]] = _BAD
    whole = sane & (stops <= size)
    good = _checksums(data, at[whole], stops[whole], sample_nbytes) == 0
    kinds[headed[whole]] = np.where(good, _GOOD, _BAD)
    return Found(starts, ends, kinds)


def _stamp_good(data: Bytes, at: Ints) -> npt.NDArray[np.bool_]:
    total = np.bitwise_xor.reduce(data[at[:, None] + np.arange(STAMP_BYTES)], axis=1)
    # Whether the mark AA 66 itself is summed up is not documented.
    return (total == 0) | (total == 0xAA ^ 0x66)


def _running(values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Return the exclusive or of the first 0, 1, 2 … values."""
    total = np.empty(len(values) + 1, np.uint16)
    total[0] = 0
    np.bitwise_xor.accumulate(values, out=total[1:])
    return total


def _checksums(data: Bytes, starts: Ints, stops: Ints, sample_nbytes: int) -> npt.NDArray[np.uint16]:
    """Return the exclusive or of all words of each packet, its checksum among them: 0 if it is sound."""
    sums = np.zeros(len(starts), np.uint16)
    step = 3 if sample_nbytes == 3 else 2
    begins = starts
    if step == 3:
        for offset in range(0, PACKET_HEAD_BYTES, 2):
            sums ^= _words(data, starts + offset)
        begins = starts + PACKET_HEAD_BYTES
    for phase in range(step):
        mine = np.flatnonzero(begins % step == phase)
        if len(mine) == 0:
            continue
        rows = data[phase : phase + (len(data) - phase) // step * step].reshape(-1, step)
        first, last = begins[mine] // step, stops[mine] // step
        words = rows.view("<u2")[:, 0] if step == 2 else _triples(rows)
        total = _running(words)
        sums[mine] ^= total[last] ^ total[first]
    return sums


def _triples(rows: Bytes) -> npt.NDArray[np.uint16]:
    """Return what each 3-byte sample adds to a checksum: its first byte as 00II, then its word."""
    words = rows[:, 2].astype(np.uint16)
    words <<= 8
    words |= rows[:, 0] ^ rows[:, 1]
    return words


def _chain(found: Found, size: int) -> tuple[Ints, int]:
    """Choose the packets that follow each other, and say where the first undecided byte is.

    A packet that begins inside one that was taken is no packet but a coincidence.
    """
    starts, ends, kinds = found
    some = np.flatnonzero(kinds <= _OPEN)
    if len(some) == 0:
        return some, size
    stops = np.where(kinds[some] == _OPEN, size + 1, ends[some])
    if (starts[some[1:]] < stops[:-1]).any():
        some = _without_overlaps(some, starts[some], stops)
    last = some[-1]
    return (some[:-1], int(starts[last])) if kinds[last] == _OPEN else (some, size)


def _without_overlaps(indices: Ints, starts: Ints, stops: Ints) -> Ints:
    kept: list[int] = []
    free = 0
    for index, start, stop in zip(indices.tolist(), starts.tolist(), stops.tolist(), strict=True):
        if start >= free:
            kept.append(index)
            free = stop
    return np.array(kept, np.int64)
