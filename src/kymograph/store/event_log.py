"""Events of a recording or a station: one JSON object a line, appended, durable when `append` returns."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kymograph.model.errors import InvalidInput
from kymograph.model.event import Event, event_from_dict
from kymograph.model.limits import METADATA_BYTES_MAX
from kymograph.store.durable import fsync_folder, storage_error
from kymograph.store.lines import end_of_lines


class EventLog:
    """An `events.jsonl`. Any thread may append; only the process that owns the data folder does."""

    def __init__(self, path: Path) -> None:
        """Take the file as it is; it is made by the first `append`."""
        self.path = path
        self._guard = threading.Lock()
        self._fd = -1

    def append(self, *events: Event) -> None:
        """Write events, durable on return. A half line that a crash left behind is cut first.

        Raises:
            InvalidInput: an event's body is no JSON, or too long.
            StorageError: the disk does not take them; none of them is there then.
        """
        data = b"".join(_line(event) for event in events)
        if not data:
            return
        with self._guard:
            try:
                self._write(data)
            except OSError as error:
                self._close()
                raise storage_error(error, self.path) from error

    def read(self) -> Iterator[Event]:
        """Yield the events, oldest first. Lines that are not events, such as a half one, are left out."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_error(error, self.path) from error
        with file:
            for line in file:
                event = _parse(line)
                if event is not None:
                    yield event

    def close(self) -> None:
        """Close the file; a later `append` opens it again."""
        with self._guard:
            self._close()

    def _write(self, data: bytes) -> None:
        if self._fd < 0:
            self._open()
        size = os.fstat(self._fd).st_size
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            os.fdatasync(self._fd)
        except OSError:
            _cut(self._fd, size)
            raise

    def _open(self) -> None:
        new = not self.path.exists()
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        if new:
            fsync_folder(self.path.parent)
        size = os.fstat(self._fd).st_size
        whole = end_of_lines(self._fd, size)
        if whole < size:
            os.ftruncate(self._fd, whole)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _cut(fd: int, size: int) -> None:
    try:
        os.ftruncate(fd, size)
    except OSError:
        pass


def _line(event: Event) -> bytes:
    try:
        data = json.dumps(event.to_dict(), ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the body of a {event.kind} event is no JSON: {error}") from None
    if len(data) > METADATA_BYTES_MAX:
        raise InvalidInput(
            f"a {event.kind} event of {len(data)} bytes", hint=f"at most {METADATA_BYTES_MAX} are kept"
        )
    return data + b"\n"


def _parse(line: bytes) -> Event | None:
    try:
        plain: Any = json.loads(line)
        return event_from_dict(plain)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
