"""The bytes of a journal: its preamble and its frames. `journal.py` draws them.

Nothing here opens a file: it packs headers, and judges bytes that were read.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple, cast

import crc32c as _crc32c_module

from kymograph.model.channel import Stream
from kymograph.model.limits import BLOCK_BYTES_MAX, BLOCK_ROWS_MAX, JOURNAL_HEAD_BYTES_MAX

MAGIC: Final = b"\x89KYMJ\r\n\x1a"
"""Not text, and broken by any transfer that rewrites line ends, so that such a copy is seen at once."""
VERSION: Final = 1
PREAMBLE: Final = struct.Struct("<8sII")
"""magic, version, salt."""

MARKER: Final = b"\xf5KyF"
HEADER: Final = struct.Struct("<4sIIIHHIQQ")
"""marker, crc, length, salt, kind, zero, rows, epoch, seq."""
_SIGNED: Final = struct.Struct("<IIHHIQQ")
"""What follows marker and crc."""

HEAD: Final = 1
"""Kind of the first frame: JSON that says what the rows are."""
ROWS: Final = 2
"""Kind of a frame whose payload is a block's buffer."""

crc32c: Any = cast("Any", _crc32c_module).crc32c


class FrameHeader(NamedTuple):
    """The 40 bytes before a payload, apart from the marker."""

    crc: int
    length: int
    salt: int
    kind: int
    zero: int
    rows: int
    epoch: int
    seq: int

    def plausible(self, salt: int) -> bool:
        """Return whether it is worth reading the payload: the cheap half of the judgement."""
        if self.salt != salt or self.zero != 0 or self.length % 8:
            return False
        if self.kind == ROWS:
            return 0 < self.rows <= BLOCK_ROWS_MAX and 0 < self.length <= BLOCK_BYTES_MAX
        return self.kind == HEAD and self.rows == 0 and 0 < self.length <= JOURNAL_HEAD_BYTES_MAX

    def holds(self, payload: bytes | memoryview) -> bool:
        """Return whether the checksum over header and payload is right."""
        signed = _SIGNED.pack(*self[1:])
        return len(payload) == self.length and crc32c(payload, crc32c(signed)) == self.crc


def pack_preamble(salt: int) -> bytes:
    """Return the first 16 bytes of a journal."""
    return PREAMBLE.pack(MAGIC, VERSION, salt)


def parse_preamble(data: bytes) -> int | None:
    """Return the salt, or None if these are not the first bytes of a journal this program can read."""
    if len(data) < PREAMBLE.size:
        return None
    magic, version, salt = PREAMBLE.unpack_from(data)
    return int(salt) if magic == MAGIC and version == VERSION else None


def pack_header(kind: int, salt: int, rows: int, at: tuple[int, int], payload: bytes | memoryview) -> bytes:
    """Return the 40 bytes that go before a payload; `at` is the epoch and seq of its first row."""
    length = len(payload)
    signed = _SIGNED.pack(length, salt, kind, 0, rows, *at)
    crc = crc32c(payload, crc32c(signed))
    return MARKER + crc.to_bytes(4, "little") + signed


def parse_header(data: bytes) -> FrameHeader | None:
    """Return the header in the first 40 bytes, or None if they are too few or have no marker."""
    if len(data) < HEADER.size or data[:4] != MARKER:
        return None
    return FrameHeader(*HEADER.unpack_from(data)[1:])


def fits(stream: Stream, header: FrameHeader) -> bool:
    """Return whether a frame of rows is as long as the stream's columns demand."""
    padded = sum((dtype.itemsize * header.rows + 7) & ~7 for dtype in stream.dtypes)
    return header.kind == ROWS and header.length == 8 * header.rows + padded
