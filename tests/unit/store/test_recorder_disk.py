from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import StorageError
from kymograph.store import journal as journal_module
from kymograph.store.journal import JournalWriter
from tests.unit.store.made import EPOCH, make_block, make_head, wait_until
from tests.unit.store.station import Station, rows_of

OTHER = Stream("thermo", (Channel("t", "float64", "Cel"),))


class Disk:
    """The edge of the disk: system calls of the journal that fail on request, by file name and count."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.errors: list[tuple[str, str, int]] = []
        self.calls: list[str] = []
        self._real = {"fdatasync": os.fdatasync, "writev": os.writev}
        monkeypatch.setattr(journal_module.os, "fdatasync", lambda fd: self._call("fdatasync", fd))
        monkeypatch.setattr(journal_module.os, "writev", lambda fd, data: self._call("writev", fd, data))

    def fail(self, call: str, name: str, number: int) -> None:
        self.errors.append((call, name, number))

    def _call(self, call: str, fd: int, *rest: object) -> object:
        name = Path(f"/proc/self/fd/{fd}").readlink().name
        self.calls.append(f"{call} {name}")
        for wanted, part, number in self.errors:
            if call == wanted and part in name:
                raise OSError(number, os.strerror(number))
        return self._real[call](fd, *rest)  # type: ignore[operator]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_after_a_failed_fsync_the_file_is_never_synced_again(station: Station, disk: Disk) -> None:
    recorder = station.recorder(flush_interval_s=0.1)
    recorder.start()
    recorder.put(make_block(0, 10))
    wait_until(lambda: recorder.status().streams[0].durable_seq == 10)
    disk.fail("fdatasync", "lidar_00000", errno.EIO)
    before = len(disk.calls)
    recorder.put(make_block(10, 10))
    wait_until(lambda: recorder.status().streams[0].durable_seq == 20)
    recorder.put(make_block(20, 10))
    assert recorder.stop().ended == "stop"
    assert rows_of(recorder) == list(range(30))
    segments, _ = recorder.folder.manifest()
    assert [(s.index, s.rows) for s in segments] == [(0, 10), (1, 20)]
    assert [c for c in disk.calls[before:] if c == "fdatasync lidar_00000.journal"] == [
        "fdatasync lidar_00000.journal"
    ]
    assert [event.kind for event in station.events] == ["alarm"]
    assert "lidar" in recorder.status().error


def test_a_failed_write_moves_on_to_a_new_file(station: Station, disk: Disk) -> None:
    recorder = station.recorder(flush_interval_s=60.0)
    recorder.start()
    recorder.put(make_block(0, 10))
    wait_until(lambda: recorder.status().streams[0].durable_seq == 10)
    recorder.put(make_block(10, 10))
    wait_until(lambda: recorder.status().streams[0].next_seq == 20)
    disk.fail("writev", "lidar_00000", errno.EIO)
    recorder.put(make_block(20, 10))
    recorder.stop()
    assert rows_of(recorder) == list(range(30))


def test_a_disk_that_fails_twice_ends_the_recording(station: Station, disk: Disk) -> None:
    recorder = station.recorder(flush_interval_s=0.1)
    recorder.start()
    recorder.put(make_block(0, 10))
    wait_until(lambda: recorder.status().streams[0].durable_seq == 10)
    disk.fail("fdatasync", "lidar", errno.EIO)
    recorder.put(make_block(10, 10))
    assert recorder.wait_ended(10)
    assert recorder.recording.ended == "disk failed"
    assert rows_of(recorder) == list(range(10))
    assert recorder.rows_lost == 10
    assert {"stream": "lidar", "epoch": EPOCH, "from_seq": 10, "to_seq": 20, "rows": 10,
            "reason": "disk failed"} in station.gaps()  # fmt: skip
    assert station.data.state() == "failed"
    with pytest.raises(StorageError):
        station.recorder().start()


def test_a_full_disk_ends_the_recording_with_what_waited_saved(station: Station, disk: Disk) -> None:
    recorder = station.recorder(flush_interval_s=60.0)
    recorder.start()
    recorder.put(make_block(0, 10))
    wait_until(lambda: recorder.status().streams[0].durable_seq == 10)
    disk.fail("writev", "lidar_00000", errno.ENOSPC)
    recorder.put(make_block(10, 10))
    assert recorder.wait_ended(10)
    assert recorder.stop() == recorder.recording == station.ended[0]
    assert recorder.recording.ended == "disk full"
    assert recorder.folder.recording().ended == "disk full"
    assert rows_of(recorder) == list(range(20))
    assert station.gaps() == []
    assert [event.kind for event in station.events] == ["alarm", "alarm"]


def test_a_disk_with_no_room_at_all_tells_what_is_lost(station: Station, disk: Disk) -> None:
    recorder = station.recorder(flush_interval_s=60.0)
    recorder.start()
    recorder.put(make_block(0, 10))
    wait_until(lambda: recorder.status().streams[0].durable_seq == 10)
    disk.fail("writev", "lidar", errno.ENOSPC)
    for i in range(1, 4):
        recorder.put(make_block(i * 10, 10))
    assert recorder.wait_ended(10)
    assert rows_of(recorder) == list(range(10))
    assert recorder.rows_lost == sum(gap["rows"] for gap in station.gaps())  # type: ignore[misc]
    assert {gap["reason"] for gap in station.gaps()} == {"disk full"}


def test_a_writer_after_an_error_is_closed(tmp_path: Path, disk: Disk) -> None:
    writer = JournalWriter.create(tmp_path / "lidar_00000.journal", make_head())
    writer.append(make_block(0, 10))
    disk.fail("fdatasync", "lidar", errno.EIO)
    with pytest.raises(StorageError):
        writer.close()
    assert (tmp_path / "lidar_00000.journal").stat().st_size == 0
