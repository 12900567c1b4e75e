"""Rows that a hub will never take, with the reason: `<data>/aside/<destination>.jsonl`, a JSON object a line.

{"time_ns": …, "stream": "readings", "epoch": …, "first": 17, "last": 17, "reason": "422: …", "body": "…"}
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from kymograph.model.names import safe_name
from kymograph.model.ranges import Ranges
from kymograph.store.durable import fsync_folder, storage_error

FOLDER: Final = "aside"
SHELF_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of one destination; beyond, the reason is kept and the rows are not: they are in the database still."""


class _Line(msgspec.Struct):
    time_ns: int
    stream: str
    epoch: int
    first: int
    last: int
    reason: str
    body: str = ""


class RowShelf:
    """What one destination will never take. Used by one thread."""

    def __init__(self, data: Path, destination: str) -> None:
        self.path = data / FOLDER / f"{safe_name(destination, 'destination')}.jsonl"

    def put(self, stream: str, epoch: int, first: int, last: int, reason: str, body: bytes) -> None:
        """Keep rows, durably, with the reason.

        Raises:
            StorageError: the disk does not take them.
        """
        try:
            self.path.parent.mkdir(exist_ok=True)
            with self.path.open("ab") as file:
                text = body.decode("utf-8", "replace") if file.tell() + len(body) < SHELF_BYTES_MAX else ""
                line = _Line(time.time_ns(), stream, epoch, first, last, reason, text)
                file.write(b"\n" * self._is_torn() + msgspec.json.encode(line) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            fsync_folder(self.path.parent)
        except OSError as error:
            raise storage_error(error, self.path) from error

    def ranges(self, stream: str, epoch: int) -> Ranges:
        """Return which rows were put here, by earlier runs too."""
        return Ranges(
            (line.first, line.last) for line in self._lines() if (line.stream, line.epoch) == (stream, epoch)
        )

    def _lines(self) -> Iterator[_Line]:
        try:
            with self.path.open("rb") as file:
                yield from filter(None, map(_parsed, file))
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_error(error, self.path) from error

    def _is_torn(self) -> bool:
        """Whether a crash has left half a line at the end."""
        with self.path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"


def _parsed(line: bytes) -> _Line | None:
    try:
        return msgspec.json.decode(line, type=_Line)
    except (msgspec.MsgspecError, UnicodeError):
        return None  # half a line, of a crash
