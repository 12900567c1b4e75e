"""How full a disk is.

    [instruments.disk_space]
    driver = "disk_space"

    [instruments.disk_space.options]
    path = "/"                 # any folder on the disk
    rate_hz = 1.0
    timeout_s = 2.0            # a network disk may never answer

Megabytes are of 1024² bytes. Free is what a program without special rights may still write.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from kymograph.drivers.base import DriverOptions
from kymograph.drivers.shapes import PolledDriver
from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import DeviceError, DeviceSilent

MIB: Final = 1024 * 1024
_CHANNELS: Final = (
    Channel("total_mb", "float64", "MiBy", "of the whole disk", 0),
    Channel("used_mb", "float64", "MiBy", "taken", 0),
    Channel("free_mb", "float64", "MiBy", "that may still be written", 0),
)


class DiskSpaceOptions(DriverOptions):
    """Options of the driver `disk_space`."""

    path: Path = Path("/")
    rate_hz: float = Field(default=1.0, gt=0, le=1000)
    timeout_s: float = Field(default=2.0, gt=0, le=60)


class DiskSpace(PolledDriver[DiskSpaceOptions]):
    """How full a disk is."""

    Options = DiskSpaceOptions

    def __init__(self, options: DiskSpaceOptions, clock: Clock, port: str = "") -> None:
        super().__init__(options, clock, port)
        self.statvfs: Callable[[Path], os.statvfs_result] = os.statvfs
        self._asker: _Asker | None = None

    def streams(self) -> Sequence[Stream]:
        """Return the one stream."""
        return [Stream("space", _CHANNELS, self.options.rate_hz, f"of the disk at {self.options.path}")]

    def open(self) -> Mapping[str, Any]:
        """Look whether it answers.

        Raises:
            DeviceError: there is no such folder, or its disk does not answer.
        """
        self.poll()
        return {"path": str(self.options.path)}

    def poll(self) -> Sequence[float]:
        """Ask the file system.

        Raises:
            DeviceSilent: it does not answer in time; it is asked again only when it has.
            DeviceError: it cannot say.
        """
        # A disk that hangs holds its caller for good, so somebody else calls it, one at a time.
        if self._asker is None:
            self._asker = _Asker(lambda: self.statvfs(self.options.path))
        found = self._asker.answer(self.options.timeout_s)
        if found is None:
            raise DeviceSilent(
                f"the disk at {self.options.path} does not answer",
                hint="is it a network disk whose server is away? mount it with the option soft",
            )
        self._asker = None
        if isinstance(found, OSError):
            raise DeviceError(
                f"{self.options.path}: {found.strerror}", hint="give a folder that exists in options.path"
            )
        block = found.f_frsize / MIB
        return (
            found.f_blocks * block, (found.f_blocks - found.f_bfree) * block, found.f_bavail * block,
        )  # fmt: skip


class _Asker:
    """One question in a thread of its own, which may never come back."""

    def __init__(self, ask: Callable[[], os.statvfs_result]) -> None:
        self._ask = ask
        self._found: queue.SimpleQueue[os.statvfs_result | OSError] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="disk-space", daemon=True).start()

    def _run(self) -> None:
        try:
            self._found.put(self._ask())
        except OSError as error:
            self._found.put(error)

    def answer(self, timeout_s: float) -> os.statvfs_result | OSError | None:
        """Return the answer, None if there is none in time."""
        try:
            return self._found.get(timeout=timeout_s)
        except queue.Empty:
            return None
