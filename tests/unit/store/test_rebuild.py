from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kymograph.model.clock import Clock
from kymograph.model.recording import Recording
from kymograph.store.catalog import Catalog
from kymograph.store.folder import DataFolder
from kymograph.store.journal import JournalHead, write_journal
from kymograph.store.rebuild import rebuild
from kymograph.store.recording_folder import RecordingFolder
from kymograph.store.sealing import SealJob, seal
from kymograph.store.verify import verify
from tests.unit.store.made import EPOCH, STREAM, make_block


@pytest.fixture
def data(tmp_path: Path, clock: Clock) -> Iterator[DataFolder]:
    with DataFolder.open(tmp_path, clock) as data:
        yield data


def sealed_recording(data: DataFolder, segments: int) -> RecordingFolder:
    recording = Recording("r1", "night", (STREAM,), "csv", 60.0, EPOCH * 1_000_000, EPOCH, "stop")
    folder = RecordingFolder.create(data.recordings, recording)
    listed = []
    for index in range(segments):
        path = folder.journal_path("lidar", index)
        head = JournalHead("r1", "night", index, STREAM, 0, 0)
        write_journal(path, head, [make_block(index * 10, 10)])
        listed.append(seal(SealJob(str(folder.path), "lidar", index, "csv", 0), lambda: None))
        path.unlink()
    folder.write_manifest("r1", [segment for segment in listed if segment is not None])
    return folder


def test_files_in_no_manifest_are_taken_in_again(data: DataFolder, clock: Clock) -> None:
    folder = sealed_recording(data, 3)
    before, _ = folder.manifest()
    folder.write_manifest("r1", before[:1])
    assert not verify(data.path).ok
    done = rebuild(data, clock)
    assert done.adopted == [f"{folder.path.name}/lidar_0000{i}.csv" for i in (1, 2)]
    assert (done.recordings, done.failed) == (1, {})
    after, _ = folder.manifest()
    assert [(s.index, s.rows, s.sha256) for s in after] == [(s.index, s.rows, s.sha256) for s in before]
    assert [(s.first, s.next) for s in after] == [(s.first, s.next) for s in before]
    assert verify(data.path).ok
    assert [event.kind for event in folder.events.read()] == ["alarm"]
    again = rebuild(data, clock)
    assert again.adopted == []


def test_a_file_that_cannot_be_read_is_named(data: DataFolder, clock: Clock) -> None:
    folder = sealed_recording(data, 1)
    (folder.path / "lidar_00007.csv").write_bytes(b"\xff\xfe junk")
    (data.recordings / "stray").mkdir()
    done = rebuild(data, clock)
    assert sorted(done.failed) == [f"{folder.path.name}/lidar_00007.csv", "stray"]
    assert len(folder.manifest()[0]) == 1


def test_the_catalog_is_made_anew(data: DataFolder, clock: Clock) -> None:
    sealed_recording(data, 1)
    catalog = Catalog.open(data.path)
    catalog.remove("r1")
    catalog.close()
    told: list[str] = []
    rebuild(data, clock, told.append)
    catalog = Catalog.open_readonly(data.path)
    assert [json.loads(json.dumps(e.recording.to_dict()))["id"] for e in catalog.list()] == ["r1"]
    assert len(told) == 1
    catalog.close()
