"""The journal: the only way to the disk. Frames are appended, made durable, read up to the last whole one.

A journal holds one segment's worth of one stream. Everything is little-endian; everything starts at a
multiple of 8 bytes, so that columns can be viewed in place.

    file       preamble, one head frame, then frames of rows to the end of the file

    preamble    0  magic    89 4B 59 4D 4A 0D 0A 1A        "\\x89KYMJ\\r\\n\\x1a"
                8  version  u32   1
               12  salt     u32   drawn by lot for each file

    frame       0  marker   F5 4B 79 46                    "\\xf5KyF"
                4  crc      u32   CRC-32C of bytes 8 to the end of the payload
                8  length   u32   bytes of the payload, a multiple of 8
               12  salt     u32   that of the preamble
               16  kind     u16   1 head, 2 rows
               18  zero     u16   0
               20  rows     u32   rows in the payload (head: 0)
               24  epoch    u64   of the rows (head: 0)
               32  seq      u64   of the first row (head: 0)
               40  payload        head: JSON padded with spaces; rows: the block's buffer as it is

Why a salt? After damage, the next whole frame is found by its marker; a channel of bytes may carry the bytes
of some other journal, and those must not be taken for rows of this one.
Why no count of frames and no footer? The end of the file is wherever the last whole frame ends: there is
nothing to update in place, and so nothing that a power cut can leave half updated.
Why `fallocate` with FALLOC_FL_KEEP_SIZE? Space is claimed ahead in steps, so that a full disk is met at the
claim and never in the middle of a frame, while the size of the file stays that of its frames: a copy made at
any moment has no tail of zeros. (`posix_fallocate` would grow the file, and where the file system cannot
claim space it writes to every block.) A file system that cannot do it is used without.
The whole specification: docs/format/journal.md.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from kymograph.model.block import Block, Cursor
from kymograph.model.channel import Stream, stream_from_dict
from kymograph.model.errors import Corrupt, KymographError, NotFound, StorageError
from kymograph.model.limits import JOURNAL_PREALLOCATE_BYTES
from kymograph.store import frames
from kymograph.store.durable import fallocate_keep_size, fsync_folder, storage_error
from kymograph.store.frames import HEADER, PREAMBLE, ROWS, FrameHeader

SUFFIX: Final = ".journal"
_FRAMES_A_WRITE: Final = 500
"""Frames in one writev: the kernel takes 1024 pieces, and a frame is two."""
_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class JournalHead:
    """What a journal says of itself, enough to make a file of it when everything else is gone."""

    recording_id: str
    recording: str
    index: int
    stream: Stream
    started_ns: int
    created_ns: int

    def to_json(self) -> bytes:
        """Return the payload of the head frame."""
        plain = {key: getattr(self, key) for key in JournalHead.__dataclass_fields__}
        data = json.dumps({**plain, "stream": self.stream.to_dict()}, ensure_ascii=False).encode()
        return data + b" " * (-len(data) % 8)

    @classmethod
    def from_json(cls, data: bytes) -> JournalHead | None:
        """Return the head that `to_json` wrote, or None if this is not one."""
        try:
            plain: dict[str, Any] = json.loads(data)
            known: dict[str, Any] = {key: plain[key] for key in cls.__dataclass_fields__}
            known["stream"] = stream_from_dict(plain["stream"])
            return cls(**known)
        except (ValueError, KeyError, TypeError, KymographError):
            return None


class JournalWriter:
    """An open journal. Used by one thread.

    After any StorageError the writer is of no more use: what was not durable must be written elsewhere. An
    error from fsync in particular is told once and then forgotten by the kernel, which drops the pages: a
    second fsync would succeed over lost data.
    """

    def __init__(self, path: Path, fd: int, salt: int, size_bytes: int) -> None:
        """Use `create` or `reopen`."""
        self.path = path
        self.size_bytes = size_bytes
        """Bytes written: preamble, head and whole frames."""
        self.durable_bytes = 0
        self.rows = 0
        """Rows appended through this writer."""
        self.next: Cursor | None = None
        """The place after the last row appended."""
        self.durable: Cursor | None = None
        """The place after the last row that an fdatasync has covered."""
        self._fd = fd
        self._salt = salt
        self._allocated_bytes = size_bytes
        self._can_allocate = True
        self._named = False

    @classmethod
    def create(cls, path: Path, head: JournalHead, claim: bool = True) -> JournalWriter:
        """Begin a journal; a file that is there must be empty. Not durable before the first `sync`.

        With `claim` false no space is claimed ahead: for the last rows on a disk that is full.

        Raises:
            StorageError: it cannot be made, or is not empty.
        """
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise storage_error(error, path) from error
        salt = secrets.randbits(32)
        writer = cls(path, fd, salt, 0)
        writer._can_allocate = claim
        try:
            if os.fstat(fd).st_size:
                raise StorageError(f"{path} is there already and not empty")
            payload = head.to_json()
            header = frames.pack_header(frames.HEAD, salt, 0, (0, 0), payload)
            writer._write([frames.pack_preamble(salt), header, payload])
        except StorageError:
            os.close(fd)
            raise
        return writer

    @classmethod
    def reopen(cls, path: Path) -> JournalWriter:
        """Go on with a journal that `recover` has cut to its last whole frame.

        Raises:
            Corrupt: it has no whole head, or something behind its last whole frame.
        """
        with JournalReader(path) as reader:
            rows, end = 0, None
            for block in reader.blocks():
                rows, end = rows + block.rows, block.next
            if reader.head is None or reader.offset != path.stat().st_size:
                raise Corrupt(f"{path} is not whole", hint="recover it first")
            salt, size = reader.salt, reader.offset
        try:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            raise storage_error(error, path) from error
        writer = cls(path, fd, salt, size)
        writer.rows, writer.next = rows, end
        return writer

    def append(self, *blocks: Block) -> None:
        """Write blocks as they are, one frame each, without copying them. Not durable before `sync`.

        Raises:
            DiskFull: nothing of these blocks can be claimed or written.
            StorageError: the disk failed.
        """
        for start in range(0, len(blocks), _FRAMES_A_WRITE):
            part = blocks[start : start + _FRAMES_A_WRITE]
            pieces: list[bytes | memoryview] = []
            rows = 0
            for block in part:
                payload = block.payload
                at = (block.epoch, block.seq)
                pieces.append(frames.pack_header(ROWS, self._salt, block.rows, at, payload))
                pieces.append(payload)
                rows += block.rows
            self._write(pieces)
            self.rows += rows
            self.next = part[-1].next

    def sync(self) -> Cursor | None:
        """Make what was appended durable; return the place after the last durable row.

        Raises:
            StorageError: see the class; nothing beyond `durable` may be counted on.
        """
        if self.durable_bytes == self.size_bytes:
            return self.durable
        try:
            os.fdatasync(self._fd)
            if not self._named:
                fsync_folder(self.path.parent)
                self._named = True
        except OSError as error:
            raise storage_error(error, self.path) from error
        self.durable, self.durable_bytes = self.next, self.size_bytes
        return self.durable

    def close(self) -> None:
        """Make everything durable, give back the space claimed ahead, and close.

        Raises:
            StorageError: as `sync`; the file is closed all the same.
        """
        try:
            self.sync()
        except StorageError:
            self.abandon()
            raise
        if self._allocated_bytes > self.size_bytes:
            self._cut_back()
        self._close()

    def abandon(self) -> None:
        """Close after an error, keeping what is durable as far as the disk still listens. Never raises."""
        try:
            os.ftruncate(self._fd, self.durable_bytes)
        except OSError:
            pass
        self._close()

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            os.close(fd)
        except OSError:
            pass

    def _write(self, pieces: Sequence[bytes | memoryview]) -> None:
        total = sum(map(len, pieces))
        try:
            if self._can_allocate and self.size_bytes + total > self._allocated_bytes:
                self._claim(self.size_bytes + total)
            written = os.writev(self._fd, pieces)
            if written < total:
                rest = memoryview(b"".join(pieces))[written:]
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            self._cut_back()
            raise storage_error(error, self.path) from error
        self.size_bytes += total

    def _cut_back(self) -> None:
        """Take away what is behind the last frame; should that fail, it is recovery's work."""
        try:
            os.ftruncate(self._fd, self.size_bytes)
        except OSError:
            pass
        self._allocated_bytes = self.size_bytes

    def _claim(self, end: int) -> None:
        steps = -(-(end - self._allocated_bytes) // JOURNAL_PREALLOCATE_BYTES)
        length = steps * JOURNAL_PREALLOCATE_BYTES
        self._can_allocate = fallocate_keep_size(self._fd, self._allocated_bytes, length)
        self._allocated_bytes += length


class JournalReader:
    """Reads a journal, also one that is being written: `blocks` goes on where it stopped."""

    def __init__(self, path: Path) -> None:
        """Open the file and read its head.

        Raises:
            NotFound: there is no such file (a sealed segment has taken its place).
        """
        self.path = path
        self.head: JournalHead | None = None
        """None while the file has no whole head: empty, just begun, or damaged."""
        self.offset = 0
        """The end of the last whole frame read."""
        self.salt = 0
        try:
            self._file: BinaryIO = path.open("rb", buffering=_READ_BYTES)
        except FileNotFoundError:
            raise NotFound(f"there is no journal {path.name}", path=str(path)) from None
        except OSError as error:
            raise storage_error(error, path) from error
        self._read_head()

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks from `offset` to the last whole frame; damage ends them and raises nothing."""
        if self.head is None and not self._read_head():
            return
        assert self.head is not None
        stream = self.head.stream
        for header, payload in read_frames(self._file, self.salt, self.offset):
            if not frames.fits(stream, header):
                return
            self.offset += HEADER.size + header.length
            yield Block.from_payload(stream, Cursor(header.epoch, header.seq), header.rows, payload)

    def _read_head(self) -> bool:
        self._file.seek(0)
        salt = frames.parse_preamble(self._file.read(PREAMBLE.size))
        if salt is None:
            return False
        for header, payload in read_frames(self._file, salt, PREAMBLE.size):
            if header.kind == frames.HEAD:
                self.head = JournalHead.from_json(payload)
                self.salt = salt
                self.offset = PREAMBLE.size + HEADER.size + header.length
            break
        return self.head is not None


def read_frames(file: BinaryIO, salt: int, offset: int) -> Iterator[tuple[FrameHeader, bytes]]:
    """Yield header and payload of each frame from `offset` on, up to the first that is not whole."""
    file.seek(offset)
    while True:
        header = frames.parse_header(file.read(HEADER.size))
        if header is None or not header.plausible(salt):
            return
        payload = file.read(header.length)
        if not header.holds(payload):
            return
        yield header, payload


def read_blocks(path: Path) -> Iterator[Block]:
    """Yield every block of a journal up to its last whole frame; none if it has no whole head.

    Raises:
        NotFound: there is no such file.
    """
    with JournalReader(path) as reader:
        yield from reader.blocks()


def write_journal(path: Path, head: JournalHead, blocks: Iterable[Block]) -> JournalWriter:
    """Write a whole journal durably and return its closed writer, for its counts."""
    writer = JournalWriter.create(path, head)
    for block in blocks:
        writer.append(block)
    writer.close()
    return writer
