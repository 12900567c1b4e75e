from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kymograph.model.clock import Clock
from kymograph.model.errors import DiskFailed, DiskFull, FolderLocked, StorageError
from kymograph.model.limits import DISK_RESERVE_BYTES
from kymograph.store.durable import storage_error, write_durably
from kymograph.store.folder import DataFolder

HOLDER = """
import sys, time
from pathlib import Path
from kymograph.model.clock import Clock
from kymograph.store.folder import DataFolder
folder = DataFolder.open(Path(sys.argv[1]), Clock(time.monotonic_ns, time.time_ns))
print("open", flush=True)
sys.stdin.read()
"""


def test_a_folder_is_made_and_keeps_its_identity(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "a" / "data"
    with DataFolder.open(path, clock, "roof") as folder:
        first = folder.station_id
        assert folder.recordings.is_dir()
        assert (path / ".reserve").stat().st_size == DISK_RESERVE_BYTES
        assert (path / ".reserve").stat().st_blocks * 512 >= DISK_RESERVE_BYTES
        assert folder.free_bytes() > 0
    with DataFolder.open(path, clock, "cellar") as folder:
        assert (folder.station_id, folder.station) == (first, "cellar")


def test_a_second_process_is_told_who_owns_the_folder(tmp_path: Path, clock: Clock) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"open\n"
    try:
        with pytest.raises(FolderLocked) as caught:
            DataFolder.open(tmp_path, clock)
        assert str(holder.pid) in caught.value.facts["holder"]
    finally:
        holder.kill()
        holder.wait()
    DataFolder.open(tmp_path, clock).close()


def test_two_openings_in_one_process_are_refused_too(tmp_path: Path, clock: Clock) -> None:
    with DataFolder.open(tmp_path, clock):
        with pytest.raises(FolderLocked):
            DataFolder.open(tmp_path, clock)
    DataFolder.open(tmp_path, clock).close()


def test_the_reserve_is_given_up_and_claimed_again(tmp_path: Path, clock: Clock) -> None:
    with DataFolder.open(tmp_path, clock) as folder:
        folder.release_reserve()
        assert not (tmp_path / ".reserve").exists()
        assert folder.state() in ("ok", "low")  # there is room, so the reserve is back
        assert (tmp_path / ".reserve").exists()


def test_a_disk_without_room_is_full_until_there_is_some(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DataFolder.open(tmp_path, clock) as folder:
        real = os.statvfs(tmp_path)
        blocks = DISK_RESERVE_BYTES // real.f_frsize
        tight = os.statvfs_result((*real[:4], blocks // 2, *real[5:]))
        monkeypatch.setattr("kymograph.store.folder.os.statvfs", lambda path: tight)
        assert folder.state() == "low"
        folder.release_reserve()
        assert folder.state() == "full"
        with pytest.raises(DiskFull):
            folder.require_room()
        monkeypatch.undo()
        folder.require_room()


def test_a_failed_disk_stays_failed(tmp_path: Path, clock: Clock) -> None:
    with DataFolder.open(tmp_path, clock) as folder:
        folder.require_room()
        folder.mark_failed("the first reason")
        folder.mark_failed("the second")
        assert (folder.state(), folder.failure) == ("failed", "the first reason")
        with pytest.raises(StorageError):
            folder.require_room()


def test_a_damaged_identity_is_drawn_anew(tmp_path: Path, clock: Clock) -> None:
    for content in (b"", b"[1]", b'{"id": 3}', b"{"):
        (tmp_path / "station.json").write_bytes(content)
        with DataFolder.open(tmp_path, clock, "roof") as folder:
            assert len(folder.station_id) == 32


def test_a_file_in_place_of_the_folder_is_said(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "data").write_text("no folder")
    with pytest.raises(StorageError):
        DataFolder.open(tmp_path / "data", clock)


def test_a_durable_write_leaves_no_half_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_durably(path, b"old")
    write_durably(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    with pytest.raises(StorageError):
        write_durably(tmp_path / "missing" / "a.json", b"")


@pytest.mark.parametrize(
    ("number", "kind"),
    [("ENOSPC", DiskFull), ("EDQUOT", DiskFull), ("EIO", DiskFailed), ("EROFS", DiskFailed),
     ("EACCES", StorageError), ("ENOENT", StorageError)],
)  # fmt: skip
def test_each_errno_has_a_meaning_and_says_what_to_do(number: str, kind: type[StorageError]) -> None:
    import errno

    value = getattr(errno, number)
    error = storage_error(OSError(value, os.strerror(value)), "/data")
    assert type(error) is kind
    assert error.facts["errno"] == value
    assert error.hint or number == "ENOENT"
