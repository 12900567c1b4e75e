from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from kymograph.model.errors import NotFound, StorageError
from kymograph.model.recording import Recording, Run, Segment
from kymograph.store.catalog import CATALOG_FILE, Catalog
from kymograph.store.recording_folder import RecordingFolder
from tests.unit.store.made import STREAM


def make_recording(data: Path, number: int, name: str = "") -> RecordingFolder:
    (data / "recordings").mkdir(exist_ok=True)
    recording = Recording(f"r{number}", name or f"run{number}", (STREAM,), "csv", 60.0, number * 10**9)
    folder = RecordingFolder.create(data / "recordings", recording)
    runs = (Run(0, 1, 0),)
    folder.write_manifest(recording.id, [Segment("lidar", 0, "x.csv", 5, 70, "ab", 1, 2, 3, runs)])
    return folder


def test_a_recording_is_found_by_id_and_name(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path)
    folder = make_recording(tmp_path, 1)
    entry = catalog.upsert(folder)
    assert catalog.get("r1") == entry
    assert (entry.rows, entry.size_bytes, entry.segments, entry.folder) == (5, 70, 1, folder.path.name)
    assert catalog.by_name("run1") == [entry]
    assert catalog.by_name("none") == []
    folder.write_recording(entry.recording.end("stop", 5))
    assert catalog.upsert(folder).recording.ended == "stop"
    assert catalog.get("r1").recording.ended == "stop"
    catalog.remove("r1")
    catalog.remove("r1")
    with pytest.raises(NotFound):
        catalog.get("r1")
    catalog.close()


def test_pages_are_newest_first_and_complete(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path)
    for number in (3, 1, 4, 2, 5):
        catalog.upsert(make_recording(tmp_path, number))
    first = catalog.list(2)
    second = catalog.list(10, before=(first[-1].recording.started_ns, first[-1].recording.id))
    assert [e.recording.id for e in first + second] == ["r5", "r4", "r3", "r2", "r1"]
    catalog.close()


def test_it_is_made_anew_from_the_folders(tmp_path: Path) -> None:
    for number in range(3):
        make_recording(tmp_path, number)
    (tmp_path / "recordings" / "stray").mkdir()
    catalog = Catalog.open(tmp_path)
    assert [entry.recording.id for entry in catalog.list()] == ["r2", "r1", "r0"]
    catalog.upsert(make_recording(tmp_path, 7))
    assert catalog.rebuild() == 4
    catalog.close()


@pytest.mark.parametrize("damage", ["junk", "middle", "empty", "tables"])
def test_a_damaged_catalog_is_made_anew(tmp_path: Path, damage: str) -> None:
    make_recording(tmp_path, 1)
    catalog = Catalog.open(tmp_path)
    catalog.close()
    path = tmp_path / CATALOG_FILE
    data = path.read_bytes()
    if damage == "tables":
        other = sqlite3.connect(path)
        other.execute("DROP TABLE recordings")
        other.execute("CREATE TABLE recordings (id TEXT)")
        other.commit()
        other.close()
    else:
        broken = {"junk": b"junk" * 5000, "middle": data[:1000] + bytes(4000) + data[5000:], "empty": b""}
        path.write_bytes(broken[damage])
    catalog = Catalog.open(tmp_path)
    if damage == "empty":
        catalog.rebuild()
    assert [entry.recording.id for entry in catalog.list()] == ["r1"]
    catalog.close()


def test_a_reader_sees_what_is_written_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Catalog.open_readonly(tmp_path)
    catalog = Catalog.open(tmp_path)
    reader = Catalog.open_readonly(tmp_path)
    assert reader.list() == []
    catalog.upsert(make_recording(tmp_path, 1))
    assert [entry.recording.id for entry in reader.list()] == ["r1"]
    with pytest.raises(StorageError):
        reader.remove("r1")
    reader.close()
    catalog.close()


def test_writes_are_as_durable_as_sqlite_can(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path)
    pragma = catalog._connection.execute
    assert pragma("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert pragma("PRAGMA synchronous").fetchone()[0] == 2
    catalog.close()
