"""Readings on their way from the engine to the database: files of lines, durable when `append` returns.

    <data>/readings/0000000001.jsonl      {"device_id","time_ns","local_ns","payload"} a line
    <data>/readings/0000000002.jsonl      the newest one grows; the others are closed

The engine appends. The keeper reads from a place on and, when the database has the rows, removes the files
that lie before it. Neither waits for the other, and either may be killed at any instant.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from kymograph.store.durable import fsync_folder, remove_durably, storage_error
from kymograph.store.lines import end_of_lines, read_lines

FOLDER: Final = "readings"
ROLL_BYTES: Final = 1024 * 1024
"""Size at which a file is closed: some days of a reading a minute; what is removed at once at the most."""
_NAME: Final = re.compile(r"(\d{10})\.jsonl")


class SpoolPlace(NamedTuple):
    """Up to where the spool was read: a byte of a file. Before anything: (0, 0)."""

    number: int
    offset: int


class SpoolWriter:
    """The engine's end. One thread appends."""

    def __init__(self, folder: Path, roll_bytes: int = ROLL_BYTES) -> None:
        """Name the folder; nothing is touched before the first `append`."""
        self._folder = folder
        self._roll_bytes = roll_bytes
        self._fd = -1
        self._number: int = 0
        self._distrusted = 0
        self._size = 0

    def append(self, lines: list[bytes]) -> None:
        """Write whole lines, durable on return.

        Raises:
            StorageError: the disk does not take them; none of them is there then.
        """
        try:
            self._open()
            self._write(b"".join(line + b"\n" for line in lines))
        except OSError as error:
            self.close()
            raise storage_error(error, self._folder) from error

    def close(self) -> None:
        """Close the file; a later `append` goes on with it."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - (len(data) - len(rest)))
            raise
        try:
            os.fdatasync(self._fd)
        except OSError:
            self._distrusted = self._number  # what it held unsynced may be gone: the next one is another
            raise
        self._size += len(data)

    def _open(self) -> None:
        if self._fd >= 0 and self._size < self._roll_bytes:
            return
        self._folder.mkdir(exist_ok=True)
        if self._fd < 0:
            self._number = max(spool_files(self._folder), default=0)
        if self._fd >= 0 or self._number == self._distrusted:
            self._number += 1
        self.close()
        path = _path(self._folder, self._number)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        fsync_folder(self._folder)
        self._size = _cut_torn_line(self._fd)


def _cut_torn_line(fd: int) -> int:
    """Remove the half line that a kill left behind; return the size."""
    size = os.fstat(fd).st_size
    whole = end_of_lines(fd, size)
    if whole < size:
        os.ftruncate(fd, whole)
    return whole


def spool_files(folder: Path) -> dict[int, Path]:
    """Return the files of a spool by number, oldest first."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise storage_error(error, folder) from error
    return {int(found[1]): folder / found[0] for name in names if (found := _NAME.fullmatch(name))}


def read_spool(folder: Path, place: SpoolPlace, bytes_max: int) -> tuple[list[bytes], SpoolPlace]:
    """Return whole lines from a place on, at least one and else at most `bytes_max`, and where they end.

    A line without an end is not returned: in the newest file it is still being written, elsewhere it is what
    a kill has left.

    Raises:
        StorageError: a file cannot be read.
    """
    files = spool_files(folder)
    if files and max(files) < place.number:
        place = SpoolPlace(0, 0)  # the folder was made anew
    for number, path in files.items():
        if number < place.number:
            continue
        offset = place.offset if number == place.number else 0
        lines, end = read_lines(path, offset, bytes_max)
        if lines or number == max(files):
            return lines, SpoolPlace(number, end)
    return [], place


def drop_read(folder: Path, place: SpoolPlace) -> int:
    """Remove the files that lie wholly before a place; return how many. One that comes back is read again."""
    gone = [path for number, path in spool_files(folder).items() if number < place.number]
    for path in gone:
        remove_durably(path)
    return len(gone)


def waiting_bytes(folder: Path, place: SpoolPlace) -> int:
    """Return how many bytes lie behind a place."""
    total = 0
    for number, path in spool_files(folder).items():
        if number >= place.number:
            total += _size(path) - (place.offset if number == place.number else 0)
    return max(total, 0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:010d}.jsonl"
