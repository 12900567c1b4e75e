"""Where the packets are in what a YDLidar sent, and what lies between them.

    +--------+----+-----+-------+-------+-------+------------------------+
    | AA 55  | CT | LSN |  FSA  |  LSA  |  CS   | LSN samples of         |   all numbers little-endian
    |        |    |     |       |       |       | 2, 3 or 4 bytes        |
    +--------+----+-----+-------+-------+-------+------------------------+
    0        2    3     4       6       8       10

FSA and LSA have bit 0 set. CS is the exclusive or of all other 16-bit words, a 3-byte sample counting as its
first byte and a word. Some models send a time stamp between packets: `AA 66`, an exclusive or, five bytes.
Source: YDLidar development manuals and the SDK's protocol header.

Two ways lead to the same packets. `walk` goes from one to the next: best for the few packets of one read.
`survey` judges all places that look like a packet at once, by a running exclusive or over the whole buffer:
best for many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

HEAD_BYTES: Final = 10
SAMPLES_MAX: Final = 80
"""Samples of a packet above which the SDK takes it for damaged."""
STAMP_BYTES: Final = 8
SURVEY_BYTES_MIN: Final = 4096
"""Bytes from which on a survey is faster than a walk."""

GOOD: Final = 0
STAMP: Final = 1
OPEN: Final = 2
"""Not whole yet: what follows is undecided."""
BAD: Final = 3

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Place = tuple[int, int, int]
"""Where a packet begins and ends in the buffer, and what it is."""

_HEAD: Final = Struct("<BBHH")
_MARK_SUM: Final = 0xAA ^ 0x66


class Frames(NamedTuple):
    """The good packets of a buffer: where each begins and ends, how many bytes of junk came before it."""

    spans: list[tuple[int, int]]
    lost_bytes: list[int]
    consumed: int


class FrameFinder:
    """Finds the packets of a stream that comes in pieces, and counts what was wrong with it."""

    def __init__(self) -> None:
        self.packets_good = 0
        self.packets_bad = 0
        self.resyncs = 0
        self.bad_in_a_row = 0
        """Bad packets since the last good one of several samples."""
        self.good_in_a_row = 0
        """Good packets of several samples since the last bad one."""
        self._in_step = False
        self._junk_bytes = 0

    def lose_step(self) -> None:
        """Expect the middle of something next, without counting that as damage."""
        self._in_step = False
        self._junk_bytes = 0

    def find(self, buffer: bytes, sample_nbytes: int) -> Frames:
        """Return the packets that are whole; never raises."""
        if len(buffer) < SURVEY_BYTES_MIN:
            return self._count(buffer, walk(buffer, sample_nbytes))
        found = survey(buffer, sample_nbytes)
        if self._in_step and self._junk_bytes == 0:
            starts, ends, consumed = _unbroken(found, len(buffer))
            if len(starts):
                self.packets_good += len(starts)
                self.good_in_a_row += len(starts)
                self.bad_in_a_row = 0
                return Frames(
                    list(zip(starts.tolist(), ends.tolist(), strict=True)), [0] * len(starts), consumed
                )
        return self._count(buffer, outermost(found))

    def _count(self, buffer: bytes, places: Iterable[Place]) -> Frames:
        """Take the packets in order, and count what is bad and what lies between."""
        spans: list[tuple[int, int]] = []
        lost: list[int] = []
        edge, consumed = 0, len(buffer)
        for start, end, kind in places:
            if kind == OPEN:
                consumed = start
                break
            if kind == BAD:
                self.packets_bad += 1
                self.bad_in_a_row += 1
                self.good_in_a_row = 0
                continue
            self._pass_over(buffer, edge, start)
            edge = end
            junk_bytes = self._take_step()
            if kind == GOOD:
                spans.append((start, end))
                lost.append(junk_bytes)
                if end - start > HEAD_BYTES + 4:
                    self.bad_in_a_row = 0
                    self.good_in_a_row += 1
        self._pass_over(buffer, edge, consumed)
        self.packets_good += len(spans)
        return Frames(spans, lost, consumed)

    def _pass_over(self, buffer: bytes, start: int, stop: int) -> None:
        # A repeated AA before a packet is how some models fill; it is no loss.
        if start < stop and buffer[start:stop].strip(b"\xaa"):
            self._junk_bytes += stop - start

    def _take_step(self) -> int:
        """Note that a packet follows here; return the bytes that were lost before it."""
        junk_bytes, self._junk_bytes = (self._junk_bytes if self._in_step else 0), 0
        self.resyncs += junk_bytes > 0
        self._in_step = True
        return junk_bytes


def _folded(data: bytes, unit_bytes: int) -> int:
    """Return the exclusive or of all units of so many bytes, as a number."""
    units, total = len(data) // unit_bytes, int.from_bytes(data, "little")
    while units > 1:
        half = (units + 1) // 2
        bits = half * unit_bytes * 8
        total = (total >> bits) ^ (total & ((1 << bits) - 1))
        units = half
    return total


def _sound(packet: bytes, sample_nbytes: int) -> bool:
    if sample_nbytes != 3:
        return _folded(packet, 2) == 0
    sample = _folded(packet[HEAD_BYTES:], 3)
    return _folded(packet[:HEAD_BYTES], 2) ^ (sample & 0xFF) ^ (sample >> 8) == 0


def walk(buffer: bytes, sample_nbytes: int) -> Iterator[Place]:
    """Go from packet to packet; a packet inside a good one is a coincidence, and passed over."""
    at, size = buffer.find(b"\xaa"), len(buffer)
    while at >= 0:
        if at + 1 == size:
            yield at, size, OPEN
            return
        place = _judged(buffer, at, sample_nbytes) if buffer[at + 1] in (0x55, 0x66) else None
        if place is not None:
            yield place
            if place[2] == OPEN:
                return
        at = buffer.find(b"\xaa", place[1] if place is not None and place[2] != BAD else at + 1)


def _judged(buffer: bytes, at: int, sample_nbytes: int) -> Place | None:
    """Say what begins here; None if it is no stamp after all."""
    size = len(buffer)
    if buffer[at + 1] == 0x66:
        end = at + STAMP_BYTES
        if end > size:
            return at, end, OPEN
        # Whether the mark AA 66 itself is summed up is not documented.
        return (at, end, STAMP) if _folded(buffer[at:end], 1) in (0, _MARK_SUM) else None
    if at + HEAD_BYTES > size:
        return at, size, OPEN
    _, count, fsa, lsa = _HEAD.unpack_from(buffer, at + 2)
    if not (0 < count <= SAMPLES_MAX and fsa & lsa & 1):
        return at, at + 2, BAD
    end = at + HEAD_BYTES + count * sample_nbytes
    if end > size:
        return at, end, OPEN
    return at, end, GOOD if _sound(buffer[at:end], sample_nbytes) else BAD


class Survey(NamedTuple):
    """All places of a buffer that look like a packet, in order, also those inside another."""

    starts: Ints
    ends: Ints
    kinds: Ints


def survey(buffer: bytes, sample_nbytes: int) -> Survey:
    """Judge all places at once."""
    data = np.frombuffer(buffer, np.uint8)
    size = len(data)
    starts = np.flatnonzero(data == 0xAA)
    second = data[np.minimum(starts + 1, size - 1)]
    like = (second == 0x55) | (second == 0x66) | (starts == size - 1)
    starts, second = starts[like], second[like]
    kinds, ends = np.full(len(starts), OPEN), starts + STAMP_BYTES
    stamp = np.flatnonzero((second == 0x66) & (ends <= size))
    total = np.bitwise_xor.reduce(data[starts[stamp][:, None] + np.arange(STAMP_BYTES)], axis=1)
    kinds[stamp] = np.where((total == 0) | (total == _MARK_SUM), STAMP, -1)
    headed = np.flatnonzero((second == 0x55) & (starts + HEAD_BYTES <= size))
    at = starts[headed]
    counts = data[at + 3].astype(np.int64)
    sane = (counts > 0) & (counts <= SAMPLES_MAX) & (data[at + 4] & data[at + 6] & 1 == 1)
    stops = at + HEAD_BYTES + counts * sample_nbytes
    ends[headed] = stops
    kinds[headed[~sane]] = BAD
    whole = sane & (stops <= size)
    good = _checksums(data, at[whole], stops[whole], sample_nbytes) == 0
    kinds[headed[whole]] = np.where(good, GOOD, BAD)
    real = kinds >= 0
    return Survey(starts[real], ends[real], kinds[real])


def outermost(found: Survey) -> Iterator[Place]:
    """Leave out what lies inside a good packet."""
    free = 0
    for place in zip(*(column.tolist() for column in found), strict=True):
        if place[0] >= free:
            yield place
            if place[2] != BAD:
                free = place[1]


def _unbroken(found: Survey, size: int) -> tuple[Ints, Ints, int]:
    """Return the packets if nothing but good ones follow each other to the end, and how many bytes they are.

    Else nothing. This is what a sound line sends, and needs no look at each.
    """
    starts, ends, kinds = found
    good = np.flatnonzero(kinds == GOOD)
    none = good[:0]
    if len(good) == 0 or starts[good[0]] != 0 or (starts[good[1:]] != ends[good[:-1]]).any():
        return none, none, 0
    consumed = int(ends[good[-1]])
    after = np.flatnonzero(starts >= consumed)
    if consumed < size and (len(after) == 0 or starts[after[0]] != consumed or kinds[after[0]] != OPEN):
        return none, none, 0
    return starts[good], ends[good], consumed


def _checksums(data: Bytes, starts: Ints, stops: Ints, sample_nbytes: int) -> npt.NDArray[np.uint16]:
    """Return the exclusive or of all words of each packet, its checksum among them: 0 if it is sound."""
    sums = np.zeros(len(starts), np.uint16)
    step = 3 if sample_nbytes == 3 else 2
    begins = starts
    if step == 3:
        for offset in range(0, HEAD_BYTES, 2):
            sums ^= data[starts + offset] | data[starts + offset + 1].astype(np.uint16) << np.uint16(8)
        begins = starts + HEAD_BYTES
    for phase in range(step):
        mine = np.flatnonzero(begins % step == phase)
        if len(mine) == 0:
            continue
        rows = data[phase : phase + (len(data) - phase) // step * step].reshape(-1, step)
        total = _running(rows.view("<u2")[:, 0] if step == 2 else _triples(rows))
        sums[mine] ^= total[stops[mine] // step] ^ total[begins[mine] // step]
    return sums


def _running(values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Return the exclusive or of the first 0, 1, 2 … values."""
    total = np.empty(len(values) + 1, np.uint16)
    total[0] = 0
    np.bitwise_xor.accumulate(values, out=total[1:])
    return total


def _triples(rows: Bytes) -> npt.NDArray[np.uint16]:
    """Return what each 3-byte sample adds to a checksum: its first byte, and the word after it."""
    words = rows[:, 2].astype(np.uint16)
    words <<= 8
    words |= rows[:, 0] ^ rows[:, 1]
    return words
