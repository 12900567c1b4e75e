"""Sealed files that are called as somebody else's programs expect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kymograph.model.clock import Clock
from kymograph.model.errors import InvalidInput
from kymograph.model.recording import Recording, recording_from_dict
from kymograph.store.folder import DataFolder
from kymograph.store.journal import JournalHead, write_journal
from kymograph.store.reader import RecordingReader
from kymograph.store.rebuild import rebuild
from kymograph.store.recording_folder import RecordingFolder
from kymograph.store.recovery import recover_all
from kymograph.store.sealer import Sealer
from kymograph.store.segments import Told
from kymograph.store.verify import verify
from tests.unit.store.made import EPOCH, STREAM, make_block, places
from tests.unit.store.station import Station

SPELLING = {"spelling": {"time": "timestamp", "constants": {"sensor_id": "Q1"}}}


@pytest.fixture
def data(tmp_path: Path, clock: Clock) -> Iterator[DataFolder]:
    with DataFolder.open(tmp_path, clock) as data:
        yield data


@pytest.fixture(scope="module")
def sealer() -> Iterator[Sealer]:
    import time

    sealer = Sealer(Clock(time.monotonic_ns, time.time_ns))
    yield sealer
    sealer.close()


def chunked(data: DataFolder, **changes: object) -> RecordingFolder:
    plain = {
        "id": "rec-1", "name": "dive", "streams": (STREAM,), "format": "jsonl", "segment_interval_s": 60.0,
        "started_ns": EPOCH * 1_000_000, "file_stem": "chunk", "format_options": SPELLING, **changes,
    }  # fmt: skip
    return RecordingFolder.create(data.recordings, Recording(**plain))  # type: ignore[arg-type]


def journal(folder: RecordingFolder, index: int, seq: int, rows: int) -> None:
    head = JournalHead("rec-1", "dive", index, STREAM, 0, 0)
    write_journal(folder.journal_path(STREAM.name, index), head, [make_block(seq, rows)])


def names(folder: RecordingFolder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir())


def test_a_recording_remembers_how_it_is_spelled(data: DataFolder) -> None:
    folder = chunked(data)
    assert (
        recording_from_dict(json.loads((folder.path / "recording.json").read_bytes())) == folder.recording()
    )
    old = {k: v for k, v in folder.recording().to_dict().items() if k not in ("file_stem", "format_options")}
    assert recording_from_dict(old).file_stem == ""


def test_a_recorder_makes_chunks(data: DataFolder, sealer: Sealer, clock: Clock) -> None:
    station = Station(data, sealer, clock)
    recorder = station.recorder(
        station.recording(file_stem="chunk", format_options=SPELLING),
        attachments={"metadata.json": '{"site": "north"}'},
    )
    recorder.start()
    assert (recorder.folder.path / "metadata.json").read_text() == '{"site": "north"}'
    recorder.put(make_block(0, 50))
    recorder.stop()
    assert "chunk_00000.jsonl" in names(recorder.folder) and "chunk_00000.preview" in names(recorder.folder)
    assert not [name for name in names(recorder.folder) if name.endswith(".journal")]
    line = json.loads((recorder.folder.path / "chunk_00000.jsonl").read_text().splitlines()[0])
    assert line["sensor_id"] == "Q1" and "time_ns" not in line
    reader = RecordingReader(recorder.folder.path)
    assert places(reader.blocks(STREAM.name)) == [(EPOCH, i) for i in range(50)]
    assert verify(data.path).ok


@pytest.mark.parametrize("unlisted", [False, True])
def test_a_crash_leaves_chunks_that_go_on_counting(
    data: DataFolder, sealer: Sealer, clock: Clock, unlisted: bool
) -> None:
    folder = chunked(data)
    journal(folder, 0, 0, 10)
    journal(folder, 1, 10, 10)
    if unlisted:  # sealed, and killed before the manifest said so
        (folder.path / "chunk_00000.jsonl").write_text("whatever was being written\n")
    found = recover_all(data, sealer, clock, "close", Told())
    for segments in found.segments:
        assert segments.wait(10)
    listed, _ = folder.manifest()
    assert [s.filename for s in listed] == ["chunk_00000.jsonl", "chunk_00001.jsonl"]
    assert folder.next_index(STREAM.name, "chunk") == 2
    assert places(RecordingReader(folder.path).blocks(STREAM.name)) == [(EPOCH, i) for i in range(20)]
    assert verify(data.path).ok


def test_chunks_of_a_lost_manifest_are_taken_in_again(data: DataFolder, sealer: Sealer, clock: Clock) -> None:
    folder = chunked(data)
    journal(folder, 0, 0, 10)
    journal(folder, 1, 10, 10)
    for segments in recover_all(data, sealer, clock, "close", Told()).segments:
        assert segments.wait(10)
    before, _ = folder.manifest()
    folder.write_manifest("rec-1", [])
    assert [check.state for check in verify(data.path).recordings[0].files] == ["extra", "extra"]
    assert len(rebuild(data, clock).adopted) == 2
    after, _ = folder.manifest()
    assert [(s.filename, s.index, s.rows, s.sha256) for s in after] == [
        (s.filename, s.index, s.rows, s.sha256) for s in before
    ]


@pytest.mark.parametrize("name", ["recording.json", "x_00000.json", "../x.json", "a.journal", "b.jsonl", ""])
def test_an_attachment_cannot_take_the_place_of_a_file_of_ours(data: DataFolder, name: str) -> None:
    with pytest.raises(InvalidInput):
        chunked(data).attach(name, "")
