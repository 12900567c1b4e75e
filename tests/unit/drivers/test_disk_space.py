"""How full a disk is, and one that never answers."""

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from kymograph.drivers.disk_space import DiskSpace, DiskSpaceOptions
from kymograph.model.clock import Clock
from kymograph.model.errors import DeviceError, DeviceSilent


def made(path, **options):
    return DiskSpace(DiskSpaceOptions(path=path, **options), Clock(time.monotonic_ns, time.time_ns))


def test_megabytes_of_1024_squared():
    driver = made(Path("/proc"))
    # (bsize, frsize, blocks, bfree, bavail, files, ffree, favail, flag, namemax)
    driver.statvfs = lambda _: os.statvfs_result((4096, 4096, 2560, 1024, 512, 0, 0, 0, 0, 255))
    assert driver.poll() == (10.0, 6.0, 2.0)
    assert driver.streams()[0].channel_names == ("total_mb", "used_mb", "free_mb")


def test_a_real_disk(tmp_path):
    driver = made(tmp_path)
    assert driver.open() == {"path": str(tmp_path)}
    total, used, free = driver.poll()
    assert total == shutil.disk_usage(tmp_path).total / 1024**2
    assert 0 < used <= total and 0 <= free <= total


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DeviceError, match="No such file") as caught:
        made(tmp_path / "none").open()
    assert caught.value.hint


def test_a_disk_that_never_answers_is_asked_once(tmp_path):
    driver = made(tmp_path, timeout_s=0.05)
    back, asked = threading.Event(), []

    def hang(path):
        asked.append(path)
        back.wait()
        return os.statvfs(path)

    driver.statvfs = hang
    for _ in range(3):
        with pytest.raises(DeviceSilent):
            driver.poll()
    assert len(asked) == 1
    back.set()
    until = time.monotonic() + 20
    while len(asked) < 3:
        assert time.monotonic() < until
        try:
            driver.poll()
        except DeviceSilent:
            continue
