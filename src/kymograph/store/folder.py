"""The data folder: owned by one process for as long as it lives, and honest about its disk.

.lock         flock held for life; its text says who
.reserve      bytes to be given up when the disk is full
station.json  {"id", "name"}
recordings/   one folder each, see `recording_folder`
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import threading
import uuid
from pathlib import Path
from typing import Any, Final

from kymograph.model.clock import Clock
from kymograph.model.errors import DiskFull, FolderLocked, StorageError
from kymograph.model.limits import DISK_LOW_BYTES, DISK_RESERVE_BYTES
from kymograph.store.durable import storage_error, write_durably

log = logging.getLogger(__name__)

OK: Final = "ok"
LOW: Final = "low"
FULL: Final = "full"
FAILED: Final = "failed"
"""States of the disk: plenty, `DISK_LOW_BYTES` left, recording was ended for want of room, gave an error."""

_ZEROS: Final = bytes(1 << 20)


class DataFolder:
    """An open data folder. Any thread may use it."""

    def __init__(self, path: Path, lock_fd: int, station: dict[str, Any], clock: Clock) -> None:
        """Use `open`."""
        self.path = path
        self.recordings = path / "recordings"
        self.station_id: str = station["id"]
        self.station: str = station["name"]
        self._lock_fd = lock_fd
        self._clock = clock
        self._guard = threading.Lock()
        self._full = False
        self._failure = ""

    @classmethod
    def open(cls, path: Path, clock: Clock, station: str = "kymograph") -> DataFolder:
        """Make the folder if need be and own it until `close` or the end of the process.

        Raises:
            FolderLocked: another process owns it; the facts say which.
            StorageError: it cannot be made or written to.
        """
        path = path.absolute()
        try:
            (path / "recordings").mkdir(parents=True, exist_ok=True)
            fd = os.open(path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise storage_error(error, path) from error
        try:
            _lock(fd, path)
            folder = cls(path, fd, _identity(path, station), clock)
            folder.restore_reserve()
        except BaseException:
            os.close(fd)
            raise
        return folder

    def __enter__(self) -> DataFolder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        with self._guard:
            fd, self._lock_fd = self._lock_fd, -1
        if fd >= 0:
            os.close(fd)

    def free_bytes(self) -> int:
        """Return the bytes that may still be written, the reserve not counted."""
        return self._space()[0]

    def total_bytes(self) -> int:
        """Return the size of the file system."""
        return self._space()[1]

    def state(self) -> str:
        """Return `ok`, `low`, `full` or `failed`; `full` ends when there is room again."""
        if self._failure:
            return FAILED
        free, total = self._space()
        if self._full and free >= 2 * DISK_RESERVE_BYTES:
            self.restore_reserve()
        if self._full:
            return FULL
        return LOW if free < min(DISK_LOW_BYTES, total // 10) else OK

    @property
    def failure(self) -> str:
        """Why the disk counts as failed, or ""."""
        return self._failure

    def require_room(self) -> None:
        """Refuse to begin anything while the disk is full or has failed.

        Raises:
            DiskFull: say how much is free.
            StorageError: the disk failed earlier.
        """
        state = self.state()
        if state == FAILED:
            raise StorageError(f"the disk failed: {self._failure}", hint="see dmesg, then start again")
        free = self.free_bytes()
        if state == FULL or free < DISK_RESERVE_BYTES:
            raise DiskFull(
                f"only {free // 1_000_000} MB are free under {self.path}",
                hint="delete old recordings or give another data folder",
                free_bytes=free,
            )

    def release_reserve(self) -> None:
        """Give up the reserve, so that what is open can be closed. Never raises."""
        with self._guard:
            self._full = True
            try:
                (self.path / ".reserve").unlink(missing_ok=True)
            except OSError as error:
                log.warning("the reserve cannot be removed: %s", error)

    def restore_reserve(self) -> bool:
        """Claim the reserve again if there is room for it twice over; return whether it is there."""
        path = self.path / ".reserve"
        with self._guard:
            try:
                there = path.exists() and path.stat().st_size >= DISK_RESERVE_BYTES
                if not there and self.free_bytes() >= 2 * DISK_RESERVE_BYTES:
                    _fill(path)
                    there = True
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise storage_error(error, path) from error
                path.unlink(missing_ok=True)
                there = False
            self._full = self._full and not there
            return there

    def mark_failed(self, why: str) -> None:
        """Take the disk as failed from now on; only a new start trusts it again."""
        self._failure = self._failure or why

    def _space(self) -> tuple[int, int]:
        try:
            facts = os.statvfs(self.path)
        except OSError as error:
            raise storage_error(error, self.path) from error
        return facts.f_bavail * facts.f_frsize, facts.f_blocks * facts.f_frsize


def folder_identity(path: Path) -> str:
    """Return the id of the station whose data folder this is; "" if it says none."""
    try:
        found: Any = json.loads((path / "station.json").read_bytes())
        return str(found["id"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _fill(path: Path) -> None:
    """Write the reserve out, byte for byte: a file with holes would hold nothing back."""
    with path.open("wb") as file:
        for _ in range(DISK_RESERVE_BYTES // len(_ZEROS)):
            file.write(_ZEROS)
        file.flush()
        os.fsync(file.fileno())


def _lock(fd: int, path: Path) -> None:
    """Why flock and no pid file? The kernel lets go of it when the process dies, however it dies."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = _text(fd)
        raise FolderLocked(
            f"the data folder {path} is in use by {who or 'another process'}",
            hint="stop that one, or give another folder",
            holder=who,
        ) from None
    except OSError as error:
        raise storage_error(error, path) from error
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise storage_error(error, path) from error


def _text(fd: int) -> str:
    return os.pread(fd, 200, 0).decode("utf-8", "replace").strip()


def _identity(path: Path, name: str) -> dict[str, Any]:
    """Return who this station is; the id is drawn once and kept for ever."""
    file = path / "station.json"
    known: dict[str, Any] = {}
    try:
        found: Any = json.loads(file.read_bytes())
        known = found if isinstance(found["id"], str) else {}
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError):
        log.warning("%s is damaged; the station gets a new id", file)
    except OSError as error:
        raise storage_error(error, file) from error
    if not known or known.get("name") != name:
        known = {**known, "id": known.get("id") or uuid.uuid4().hex, "name": name}
        write_durably(file, json.dumps(known, ensure_ascii=False).encode() + b"\n")
    return known
