"""What is left of a journal after a crash or a damaged disk, and exactly what is not.

A crash cuts the end of a file off: then what is there is a prefix, and nothing that was durable is missing.
Damage in the middle is different: whole frames may follow, and as each carries its `seq`, the rows in between
are known exactly. They are kept; the damaged original is put aside and never thrown away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from kymograph.model.block import Cursor
from kymograph.store import frames
from kymograph.store.durable import TMP_SUFFIX, fsync_folder, storage_error
from kymograph.store.frames import HEADER, MARKER, FrameHeader
from kymograph.store.journal import JournalHead, JournalReader, read_frames

DAMAGED_SUFFIX: Final = ".damaged"
"""Follows the name of a journal whose damaged original was put aside."""
_WINDOW_BYTES: Final = 1 << 20


class Loss(NamedTuple):
    """Damaged bytes, and the rows that were there.

    `to_seq` is exclusive, and None where the next whole frame is of another epoch or there is none: then the
    number of rows cannot be known.
    """

    offset: int
    nbytes: int
    epoch: int | None
    from_seq: int | None
    to_seq: int | None


class _Frame(NamedTuple):
    offset: int
    nbytes: int
    rows: int
    first: Cursor

    @property
    def next(self) -> Cursor:
        return Cursor(self.first.epoch, self.first.seq + self.rows)


@dataclass(frozen=True, slots=True)
class Scan:
    """The state of a journal's bytes.

    `prefix_bytes` end with the last whole frame before any damage; `later` are whole frames behind damage.
    """

    head: JournalHead | None
    size_bytes: int
    prefix_bytes: int
    frames: int
    rows: int
    next: Cursor | None
    last_ns: int = 0
    """Time of the prefix's last row."""
    later: tuple[_Frame, ...] = ()
    losses: tuple[Loss, ...] = ()

    @property
    def tail_bytes(self) -> int:
        """Bytes behind the prefix."""
        return self.size_bytes - self.prefix_bytes

    @property
    def damaged(self) -> bool:
        """Whether whole frames follow what is not whole: this is damage, not a crash."""
        return bool(self.later)


def scan(path: Path, head: JournalHead | None = None) -> Scan:
    """Read a whole journal and say what of it holds; nothing is changed.

    `head` stands in for that of a file whose own is damaged.

    Raises:
        NotFound: there is no such file.
    """
    with JournalReader(path) as reader:
        count, rows, end, last_ns = 0, 0, None, 0
        for block in reader.blocks():
            count, rows, end, last_ns = count + 1, rows + block.rows, block.next, block.last_ns
    size, prefix = path.stat().st_size, reader.offset
    found = reader.head or head
    if found is None or prefix == size:
        return Scan(found, size, prefix, count, rows, end, last_ns)
    salt = reader.salt if reader.head is not None else None
    with path.open("rb") as file:
        later = tuple(_later_frames(file, salt, found, prefix, end))
    losses = tuple(_losses(prefix, size, end, later))
    return Scan(found, size, prefix, count, rows, end, last_ns, later, losses)


def recover(path: Path, salvage: bool = False, head: JournalHead | None = None) -> Scan:
    """Cut a journal to its last whole frame, durably, so that it can be appended to; return what was found.

    A file without a whole head becomes empty. If whole frames follow damage, the original is first put aside
    under `.damaged`; with `salvage` those frames are kept, and what was between them is a jump in `seq`.
    Killed at any point, doing it again gives the same.

    Raises:
        NotFound: there is no such file.
        StorageError: the disk does not let us.
    """
    found = scan(path, head)
    try:
        if found.damaged:
            _put_aside(path, found, salvage)
        elif found.tail_bytes:
            with path.open("r+b") as file:
                file.truncate(found.prefix_bytes)
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise storage_error(error, path) from error
    return found


def _put_aside(path: Path, found: Scan, salvage: bool) -> None:
    """Write the good frames to a new file and swap it in; the original keeps its bytes under another name."""
    assert found.head is not None
    tmp = path.with_name(path.name + TMP_SUFFIX)
    with path.open("rb") as source, tmp.open("wb") as target:
        if found.prefix_bytes:
            _copy(source, target, 0, found.prefix_bytes)
        elif salvage:
            salt = _salt_at(source, found.later[0].offset)
            payload = found.head.to_json()
            target.write(frames.pack_preamble(salt))
            target.write(frames.pack_header(frames.HEAD, salt, 0, (0, 0), payload) + payload)
        for frame in found.later if salvage else ():
            _copy(source, target, frame.offset, frame.nbytes)
        target.flush()
        os.fsync(target.fileno())
    aside = path.with_name(path.name + DAMAGED_SUFFIX)
    number = 1
    while aside.exists() and not aside.samefile(path):
        number += 1
        aside = path.with_name(f"{path.name}{DAMAGED_SUFFIX}{number}")
    if not aside.exists():
        aside.hardlink_to(path)
    tmp.replace(path)
    fsync_folder(path.parent)


def _copy(source: BinaryIO, target: BinaryIO, offset: int, nbytes: int) -> None:
    source.seek(offset)
    while nbytes:
        piece = source.read(min(nbytes, _WINDOW_BYTES))
        target.write(piece)
        nbytes -= len(piece)


def _salt_at(source: BinaryIO, offset: int) -> int:
    source.seek(offset)
    header = frames.parse_header(source.read(HEADER.size))
    assert header is not None
    return header.salt


def _later_frames(
    file: BinaryIO, salt: int | None, head: JournalHead, offset: int, end: Cursor | None
) -> Iterator[_Frame]:
    """Yield the whole frames of rows behind `offset` that go forward from `end`."""
    at = offset
    while (at := _find_marker(file, at)) >= 0:
        start = at
        if salt is None:
            salt = _own_salt(file, head, at)
        for header, _ in read_frames(file, salt, at) if salt is not None else ():
            if not frames.fits(head.stream, header):
                break
            first = Cursor(header.epoch, header.seq)
            if end is None or first.epoch != end.epoch or first.seq >= end.seq:
                frame = _Frame(at, HEADER.size + header.length, header.rows, first)
                end = frame.next
                yield frame
            at += HEADER.size + header.length
        at = at if at > start else start + 8


def _own_salt(file: BinaryIO, head: JournalHead, at: int) -> int | None:
    """Return the salt of a frame that proves itself, for a file whose preamble is damaged."""
    file.seek(at)
    header: FrameHeader | None = frames.parse_header(file.read(HEADER.size))
    if header is None or not header.plausible(header.salt) or not frames.fits(head.stream, header):
        return None
    return header.salt if header.holds(file.read(header.length)) else None


def _find_marker(file: BinaryIO, start: int) -> int:
    """Return the next offset from `start` on that is a multiple of 8 and has a frame's marker, or -1."""
    base = (start + 7) & ~7
    while True:
        file.seek(base)
        window = file.read(_WINDOW_BYTES)
        found = window.find(MARKER)
        while found >= 0 and found % 8:
            found = window.find(MARKER, found + 1)
        if found >= 0:
            return base + found
        if len(window) < _WINDOW_BYTES:
            return -1
        base += len(window) & ~7


def _losses(prefix: int, size: int, end: Cursor | None, later: tuple[_Frame, ...]) -> Iterator[Loss]:
    if not later:
        return
    at = prefix
    for frame in later:
        if frame.offset > at:
            if end is None:
                known = (frame.first.epoch, None, frame.first.seq)
            else:
                same = end.epoch == frame.first.epoch
                known = (end.epoch, end.seq, frame.first.seq if same else None)
            yield Loss(at, frame.offset - at, *known)
        at, end = frame.offset + frame.nbytes, frame.next
    if at < size and end is not None:
        yield Loss(at, size - at, end.epoch, end.seq, None)
