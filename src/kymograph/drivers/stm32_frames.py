"""The controller's frames (version 2): samples at high rate, orders and answers, each with a checksum.

    +------+-----+-----+------+-----+
    | type | ver | seq | body | CRC |   then stuffed (see `cobs`) and ended by a zero; all little-endian
    +------+-----+-----+------+-----+
    0      1     2     4

    01 samples    u32 t0_us, u16 dt_us, u8 n_ch, u8 n_samp, u16[n_samp][n_ch]
    02 status     u32 t_us, u16 valves, u8 flags (bit 0: took its safe state), u8 n_ch, name    ; empty asks
    10 valves     u16 bits, u16 hold_ms (0: until told otherwise)
    11 scenario   name                12 heart-beat   u16 timeout_ms          1F emergency
    80|type ACK   u16 valves          FF NACK         u8 type, reason         seq: that of the order

CRC-16/CCITT-FALSE over everything before it. The seq of samples counts their frames, t0 wraps after 71.6
minutes. A proposal of this project, written down in docs/drivers/stm32.md.
"""

from __future__ import annotations

from binascii import crc_hqx
from struct import Struct
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from kymograph.drivers import cobs
from kymograph.drivers.base import Counters

SAMPLES: Final = 0x01
STATUS: Final = 0x02
VALVES: Final = 0x10
SCENARIO: Final = 0x11
HEART_BEAT: Final = 0x12
EMERGENCY: Final = 0x1F
ACK: Final = 0x80
NACK: Final = 0xFF
VERSION: Final = 1
CHANNELS_MAX: Final = 24
FRAME_BYTES_MAX: Final = 16_384
"""Above the longest there is: 255 samples of 24 channels, stuffed."""
SLACK_US: Final = 2_000_000
"""How far ahead of this computer's clock the device's may run between two frames: what buffers can hold."""

_HEAD: Final = Struct("<BBH")
_CRC: Final = Struct("<H")
_SAMPLES: Final = Struct("<BBHIHBB")
_HEAD_BYTES: Final = _SAMPLES.size
_CRC_BYTES: Final = 2
_STUFFED_BYTES: Final = 2
"""What a frame without long runs takes more on the wire: the first code and the zero at its end."""
_EVEN_MIN: Final = 3
"""So many frames are decoded faster at once than one after the other."""
_START: Final = 0xFFFF
"""With which CRC-16/CCITT-FALSE begins."""

Raw = npt.NDArray[np.uint16]


class Message(NamedTuple):
    """A frame that is not samples."""

    kind: int
    seq: int
    body: bytes


class Run(NamedTuple):
    """Samples that follow each other without a gap: [samples, channels].

    `skipped` periods lie between the samples before and these; `missing` of them were made and lost.
    `fresh` says that the device's clock does not continue.
    """

    values: Raw
    dt_us: int
    skipped: int
    missing: int
    fresh: bool


class _Piece(NamedTuple):
    bodies: list[bytearray]
    dt_us: int
    skipped: int
    missing: int
    fresh: bool


def crc16(data: bytes | bytearray | memoryview) -> int:
    """Return CRC-16/CCITT-FALSE."""
    return crc_hqx(data, _START)


def encode(kind: int, seq: int, body: bytes = b"") -> bytes:
    """Return a frame as it goes over the wire, with its zero."""
    raw = _HEAD.pack(kind, VERSION, seq & 0xFFFF) + body
    return cobs.encode(raw + _CRC.pack(crc16(raw))) + b"\0"


def sample_bytes(channels: int, batch: int) -> float:
    """Return the bytes on the wire of one sample, in frames of so many."""
    raw = _HEAD_BYTES + 2 * channels * batch + _CRC_BYTES
    return (cobs.encoded_bytes_max(raw) + 1) / batch


class FrameDecoder:
    """Makes samples and messages of bytes that come in pieces, and counts what was wrong with them."""

    def __init__(self, channels: int, counters: Counters) -> None:
        self.channels = channels
        self.counters = counters
        self.messages: list[Message] = []
        """What has come and nobody has taken yet."""
        self.channels_seen = 0
        """Of sound frames of samples, also those that do not fit."""
        self.dt_us: int = 0
        self._rest = b""
        self._seq: int = -1
        self._next_us: int = 0
        self._count: int = 0
        self._raw_bytes: int = 0
        self._each: int = 0
        """Of frames as the last one: their bytes on the wire, where no code is of 255."""
        self._alike = _SAMPLES
        """Of the same: head and checksum."""
        self._head = b""
        """How the next frame begins if it is like the last and nothing is missing."""
        self.begin()

    def begin(self) -> None:
        """Expect the middle of a frame next, without counting that as damage."""
        self._rest = b""
        self._in_step = False
        self._damaged = False
        self._seq = -1
        self._head = b""
        self._arrival_ns = 0

    def take(self, data: bytes, arrival_ns: int) -> list[Run]:
        """Return the samples of the frames that are whole; never raises. `arrival_ns` is monotonic."""
        data = self._rest + data
        even = self._take_even(data, arrival_ns)
        if even is None:
            return self._take_each(data, arrival_ns)
        done_bytes = len(even.values) // self._count * self._each
        self._rest = data[done_bytes:]
        if 0 not in self._rest:
            return [even]
        return [even, *self._take_each(self._rest, arrival_ns)]

    def _take_even(self, data: bytes, arrival_ns: int) -> Run | None:
        """Return the samples of frames that are like the last and follow it without a gap, all at once.

        None if there are too few to be worth it, or anything is otherwise: then each is looked at by itself.
        """
        each, size, dt_us = self._each, self._raw_bytes - _CRC_BYTES, self.dt_us
        count = min(len(data), cobs.EVEN_BYTES_MAX) // each if self._head else 0
        raw = cobs.decode_even(data, count, each) if count >= _EVEN_MIN else None
        if raw is None:
            return None
        plain, at = raw.tobytes(), 0
        seq, next_us, t0_us, span_us = self._seq, self._next_us, 0, self._count * dt_us
        alike = (SAMPLES, VERSION, dt_us, self.channels, self._count)
        for kind, version, its_seq, t0_us, *shape, crc in self._alike.iter_unpack(plain):
            late_us = (t0_us - next_us + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
            if its_seq != seq or abs(late_us) * 2 > dt_us or (kind, version, *shape) != alike:
                return None
            if crc_hqx(plain[at : at + size], _START) != crc:
                return None
            at += self._raw_bytes
            seq, next_us = seq + 1 & 0xFFFF, t0_us + span_us & 0xFFFF_FFFF
        self._in_step, self._damaged = True, False
        self.counters.frames_good += count
        self._went_on(seq, t0_us, arrival_ns)
        values = np.frombuffer(raw[:, _HEAD_BYTES:-_CRC_BYTES].tobytes(), "<u2").reshape(-1, self.channels)
        return Run(values, self.dt_us, 0, 0, False)

    def _take_each(self, data: bytes, arrival_ns: int) -> list[Run]:
        """Return the samples of frames of any kind, and hear what else there is."""
        *stuffed, self._rest = data.split(b"\0")
        if len(self._rest) > FRAME_BYTES_MAX:
            self._rest = b""
            self._bad()
        pieces: list[_Piece] = []
        for one in stuffed:
            raw = cobs.decode(one) if one else None
            if raw is not None and self._sound(raw):
                self._in_step = True
                self._damaged = False
                if raw[0] == SAMPLES:
                    self._add(raw, arrival_ns, pieces)
                else:
                    kind, _, seq = _HEAD.unpack_from(raw)
                    self.messages.append(Message(kind, seq, bytes(raw[_HEAD.size : -_CRC_BYTES])))
            elif one:
                self._bad()
        return [self._run(piece) for piece in pieces]

    def _sound(self, raw: bytearray) -> bool:
        size = len(raw) - _CRC_BYTES
        if size < _HEAD.size or raw[1] != VERSION:
            return False
        return crc16(memoryview(raw)[:size]) == raw[size] | raw[size + 1] << 8

    def _bad(self) -> None:
        if self._in_step:
            self.counters.frames_bad += 1
            self.counters.resyncs += not self._damaged
            self._damaged = True

    def _add(self, raw: bytearray, arrival_ns: int, pieces: list[_Piece]) -> None:
        """Put a sound frame of samples where it belongs: with those before it, or after a gap."""
        if pieces and self._head and raw.startswith(self._head) and len(raw) == self._raw_bytes:
            self.counters.frames_good += 1
            pieces[-1].bodies.append(raw)
            self._went_on((self._seq + 1) & 0xFFFF, self._next_us, arrival_ns)
            return
        size = len(raw) - _CRC_BYTES
        fields: tuple[int, ...] = _SAMPLES.unpack_from(raw) if size >= _HEAD_BYTES else _NONE
        _, _, seq, t0_us, dt_us, channels, count = fields
        if not (count and dt_us and channels) or size != _HEAD_BYTES + 2 * channels * count:
            self.counters.frames_bad += 1
            return
        self.channels_seen = channels
        if channels != self.channels:
            self.counters.frames_bad += 1
            return
        self.counters.frames_good += 1
        lost_frames = (seq - self._seq) & 0xFFFF
        late_us = (t0_us - self._next_us + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        joined = self._seq >= 0 and lost_frames == 0 and abs(late_us) * 2 <= dt_us and dt_us == self.dt_us
        if not (joined and pieces):
            pieces.append(self._opened(joined, lost_frames, late_us, dt_us, arrival_ns))
        pieces[-1].bodies.append(raw)
        self.dt_us, self._count, self._raw_bytes = dt_us, count, len(raw)
        if self._each != len(raw) + _STUFFED_BYTES:
            self._each = len(raw) + _STUFFED_BYTES
            self._alike = Struct(f"{_SAMPLES.format}{size - _HEAD_BYTES}xH")
        self._went_on((seq + 1) & 0xFFFF, t0_us, arrival_ns)

    def _went_on(self, next_seq: int, t0_us: int, arrival_ns: int) -> None:
        """Expect the frame after one that began at `t0_us`."""
        dt_us, count = self.dt_us, self._count
        self._seq = next_seq
        self._next_us = next_us = t0_us + count * dt_us & 0xFFFF_FFFF
        self._arrival_ns = arrival_ns
        self._head = _SAMPLES.pack(SAMPLES, VERSION, next_seq, next_us, dt_us, self.channels, count)

    def _opened(self, joined: bool, lost_frames: int, late_us: int, dt_us: int, arrival_ns: int) -> _Piece:
        """Begin a piece after a gap, after the device began anew, or simply with the first of this read."""
        if joined or self._seq < 0:
            return _Piece([], dt_us, 0, 0, False)
        waited_us = (arrival_ns - self._arrival_ns) / 1000
        if not -dt_us <= late_us <= waited_us + SLACK_US or dt_us != self.dt_us:
            return _Piece([], dt_us, 0, 0, True)
        skipped = max(round(late_us / dt_us), 0)
        return _Piece([], dt_us, skipped, skipped if lost_frames else 0, False)

    def _run(self, piece: _Piece) -> Run:
        body = b"".join([memoryview(raw)[_HEAD_BYTES:-_CRC_BYTES] for raw in piece.bodies])
        values = np.frombuffer(body, "<u2").reshape(-1, self.channels)
        return Run(values, piece.dt_us, piece.skipped, piece.missing, piece.fresh)


_NONE: Final = (0, 0, 0, 0, 0, 0, 0)
