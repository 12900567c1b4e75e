"""Files of lines that grow at their end: where the last whole line ends, and reading on from a place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Final

from kymograph.store.durable import storage_error

_STEP: Final = 64 * 1024


def end_of_lines(fd: int, size: int) -> int:
    """Return where the last whole line ends."""
    end = size
    while end > 0:
        start = max(0, end - _STEP)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def read_lines(path: Path, offset: int, bytes_max: int) -> tuple[list[bytes], int]:
    """Return whole lines from a place on, without their ends, and where they end.

    At least one if there is any, else at most `bytes_max`. A place that is no beginning of a line means that
    the file is another than it was: it is read from its beginning. A file that is not there has no lines.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = _start(file, offset)
            return _take(file, start, bytes_max)
    except FileNotFoundError:
        return [], offset
    except OSError as error:
        raise storage_error(error, path) from error


def _start(file: BinaryIO, offset: int) -> int:
    file.seek(max(offset - 1, 0))
    if offset and file.read(1) != b"\n":
        file.seek(0)
        return 0
    return offset


def _take(file: BinaryIO, start: int, bytes_max: int) -> tuple[list[bytes], int]:
    lines: list[bytes] = []
    end = start
    for line in file:
        if not line.endswith(b"\n") or (lines and end + len(line) - start > bytes_max):
            break
        lines.append(line[:-1])
        end += len(line)
    return lines, end
