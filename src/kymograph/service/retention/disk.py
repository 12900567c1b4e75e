"""How full a disk is, as `df` says it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kymograph.store.durable import storage_error


@dataclass(frozen=True, slots=True)
class DiskUse:
    """A file system: bytes in use, and bytes that may still be used."""

    used_bytes: int
    free_bytes: int

    @property
    def used_percent(self) -> float:
        """How much of what may be used is."""
        return 100.0 * self.used_bytes / max(self.used_bytes + self.free_bytes, 1)

    def excess_bytes(self, percent_max: float) -> int:
        """Return how much has to go until so much is used at most."""
        allowed = int((self.used_bytes + self.free_bytes) * percent_max / 100.0)
        return max(self.used_bytes - allowed, 0)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "used_bytes": self.used_bytes, "free_bytes": self.free_bytes,
            "used_percent": round(self.used_percent, 1),
        }  # fmt: skip


def disk_use(path: Path) -> DiskUse:
    """Return how full the file system of a path is.

    Raises:
        StorageError: it cannot be asked.
    """
    try:
        told = os.statvfs(path)
    except OSError as error:
        raise storage_error(error, path) from error
    used = (told.f_blocks - told.f_bfree) * told.f_frsize
    return DiskUse(used, told.f_bavail * told.f_frsize)
