"""A name from a client never becomes a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from kymograph.model.errors import NotFound
from kymograph.model.recording import Recording
from kymograph.service.archive.files import find_file, list_files
from kymograph.store.journal import JournalHead, JournalWriter, write_journal
from kymograph.store.recording_folder import RecordingFolder
from kymograph.store.sealing import SealJob, seal
from tests.unit.store.made import EPOCH, STREAM, make_block


@pytest.fixture
def folder(tmp_path: Path) -> RecordingFolder:
    recording = Recording("r1", "night", (STREAM,), "csv", 60.0, EPOCH * 1_000_000)
    made = RecordingFolder.create(tmp_path, recording)
    made.attach("notes.json", "{}")
    head = JournalHead("r1", "night", 0, STREAM, 0, 0)
    write_journal(made.journal_path("lidar", 0), head, [make_block(0, 10)])
    segment = seal(SealJob(str(made.path), "lidar", 0, "csv", 0), lambda: None)
    assert segment is not None
    made.write_manifest("r1", [segment])
    made.journal_path("lidar", 0).unlink()
    (made.path / "secret").symlink_to("/etc/passwd")
    (made.path / "link.json").symlink_to("/etc/passwd")
    (made.path / "lidar_00000.csv.tmp").write_text("half")
    return made


def test_every_file_is_named_with_what_it_is(folder: RecordingFolder) -> None:
    JournalWriter.create(folder.journal_path("lidar", 1), JournalHead("r1", "night", 1, STREAM, 0, 0)).close()
    kinds = {one["filename"]: one["kind"] for one in list_files(folder.path, sealed=True)}
    assert kinds == {
        "SHA256SUMS": "sums", "lidar_00000.csv": "sealed", "lidar_00001.journal": "journal",
        "manifest.json": "description", "notes.json": "attachment", "recording.json": "description",
    }  # fmt: skip
    assert "lidar_00000.csv" not in {one["filename"] for one in list_files(folder.path, sealed=False)}


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "..", ".", "", "secret", "link.json", "a\0b", "%2e%2e/x",
     "lidar_00000.csv/", "./recording.json", "lidar_00000.csv.tmp", "lidar_00000.preview", "x" * 5000],
)  # fmt: skip
def test_what_is_no_file_of_the_recording_is_not_found(folder: RecordingFolder, name: str) -> None:
    with pytest.raises(NotFound):
        find_file(folder.path, name)


def test_a_sealed_file_is_tagged_with_its_hash_and_a_journal_with_its_salt(folder: RecordingFolder) -> None:
    path = folder.journal_path("lidar", 1)
    with path.open("wb"):
        pass
    writer = JournalWriter.create(path, JournalHead("r1", "night", 1, STREAM, 0, 0))
    before = find_file(folder.path, path.name)
    writer.append(make_block(0, 5))
    writer.close()
    after = find_file(folder.path, path.name)
    assert before.tag == after.tag and before.size_bytes < after.size_bytes
    assert len(find_file(folder.path, "lidar_00000.csv").tag) == 64
