"""The spool: what was appended is read, whole lines only, from any place on, across kills and full disks."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kymograph.model.errors import DiskFull, StorageError
from kymograph.store import spool
from kymograph.store.spool import SpoolPlace, SpoolWriter, drop_read, read_spool, spool_files, waiting_bytes

BEGIN = SpoolPlace(0, 0)


def line(number: int) -> bytes:
    return b'{"n":%d}' % number


def read_all(folder: Path, place: SpoolPlace = BEGIN, bytes_max: int = 20) -> tuple[list[bytes], SpoolPlace]:
    found: list[bytes] = []
    while True:
        lines, after = read_spool(folder, place, bytes_max)
        if after == place:
            return found, place
        found, place = found + lines, after


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "readings"


@pytest.mark.parametrize("roll_bytes", [1, 30, 10_000])
def test_what_is_written_is_read_in_order_over_files(folder: Path, roll_bytes: int) -> None:
    writer = SpoolWriter(folder, roll_bytes)
    for number in range(20):
        writer.append([line(number)])
    assert read_all(folder)[0] == [line(number) for number in range(20)]


def test_reading_goes_on_where_it_ended_while_more_is_written(folder: Path) -> None:
    writer = SpoolWriter(folder, 40)
    found: list[bytes] = []
    place = BEGIN
    for number in range(30):
        writer.append([line(number)])
        if number % 3 == 0:
            lines, place = read_all(folder, place)
            found += lines
            drop_read(folder, place)
    assert found + read_all(folder, place)[0] == [line(number) for number in range(30)]
    assert len(spool_files(folder)) == 1


def test_a_long_line_is_read_though_it_is_more_than_asked_for(folder: Path) -> None:
    SpoolWriter(folder).append([b"x" * 5000, line(1)])
    assert read_all(folder, bytes_max=10)[0] == [b"x" * 5000, line(1)]


def test_a_torn_line_is_cut_by_the_next_writer_and_never_read(folder: Path) -> None:
    SpoolWriter(folder).append([line(1)])
    newest = max(spool_files(folder).values())
    with newest.open("ab") as file:
        file.write(b'{"n":2')
    lines, place = read_all(folder)
    assert lines == [line(1)]

    SpoolWriter(folder).append([line(3)])

    assert read_all(folder, place)[0] == [line(3)]


def test_a_torn_line_in_a_closed_file_holds_up_nobody(folder: Path) -> None:
    folder.mkdir()
    (folder / "0000000001.jsonl").write_bytes(line(1) + b"\n" + b'{"n"')
    (folder / "0000000002.jsonl").write_bytes(line(2) + b"\n")
    assert read_all(folder)[0] == [line(1), line(2)]


def test_a_folder_that_was_made_anew_is_read_from_its_beginning(folder: Path) -> None:
    SpoolWriter(folder).append([line(1)])
    assert read_all(folder, SpoolPlace(7, 800))[0] == [line(1)]


def test_a_place_within_a_line_is_not_believed(folder: Path) -> None:
    SpoolWriter(folder).append([line(1), line(2)])
    assert read_all(folder, SpoolPlace(1, 3))[0] == [line(1), line(2)]


def test_what_waits_is_counted(folder: Path) -> None:
    assert waiting_bytes(folder, BEGIN) == 0
    writer = SpoolWriter(folder, 20)
    for number in range(8):
        writer.append([line(number)])
    assert waiting_bytes(folder, BEGIN) == 8 * 8
    _, place = read_all(folder)
    assert waiting_bytes(folder, place) == 0


class Disk:
    """The edge of the disk: a write that takes some bytes and then no more; an fdatasync that fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: int | None = None
        self.syncs_fail = False
        self._write, self._sync = os.write, os.fdatasync
        monkeypatch.setattr(spool.os, "write", self.write)
        monkeypatch.setattr(spool.os, "fdatasync", self.sync)

    def write(self, fd: int, data: bytes) -> int:
        if self.room is None:
            return self._write(fd, data)
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(fd, data[: self.room])
        self.room -= written
        return written

    def sync(self, fd: int) -> None:
        if self.syncs_fail:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._sync(fd)


def test_a_full_disk_leaves_whole_lines_and_the_next_try_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    writer = SpoolWriter(folder)
    writer.append([line(1)])
    for room in (0, 3, 10):
        disk.room = room
        with pytest.raises(DiskFull):
            writer.append([line(2), line(3)])
        assert read_all(folder)[0] == [line(1)]
    disk.room = None
    writer.append([line(2), line(3)])
    assert read_all(folder)[0] == [line(1), line(2), line(3)]
    assert len(spool_files(folder)) == 1


def test_after_a_failed_fdatasync_another_file_is_begun(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    writer = SpoolWriter(folder)
    writer.append([line(1)])
    disk.syncs_fail = True
    with pytest.raises(StorageError):
        writer.append([line(2)])
    disk.syncs_fail = False
    writer.append([line(2)])
    assert len(spool_files(folder)) == 2
    # what the kernel may or may not have kept is there again; the database knows a reading by device and time
    assert set(read_all(folder)[0]) == {line(1), line(2)}
