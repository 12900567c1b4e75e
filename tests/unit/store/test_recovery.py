from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kymograph.model.clock import Clock
from kymograph.model.event import Event
from kymograph.model.recording import Recording
from kymograph.store.folder import DataFolder
from kymograph.store.formats import find
from kymograph.store.journal import JournalHead, write_journal
from kymograph.store.merging import MergeJob
from kymograph.store.recording_folder import RecordingFolder, all_recordings
from kymograph.store.recovery import Recovered, recover_all
from kymograph.store.sealer import Sealer
from kymograph.store.segments import Segments, Told
from kymograph.store.verify import DIFFERS, EXTRA, MISSING, verify, verify_recording
from tests.unit.store.made import EPOCH, STREAM, make_block, places

STARTED_NS = EPOCH * 1_000_000


@pytest.fixture(scope="module")
def sealer() -> Iterator[Sealer]:
    import time

    sealer = Sealer(Clock(time.monotonic_ns, time.time_ns))
    yield sealer
    sealer.close()


class House:
    """A data folder with one recording that a crash cut off, and what is told of its recovery."""

    def __init__(self, path: Path, clock: Clock, sealer: Sealer) -> None:
        self.clock = clock
        self.sealer = sealer
        self.data = DataFolder.open(path, clock)
        self.events: list[Event] = []
        self.ended: list[Recording] = []

    def recording(self, **changes: object) -> RecordingFolder:
        plain = {
            "id": "rec-1", "name": "night", "streams": (STREAM,), "format": "jsonl",
            "segment_interval_s": 60.0, "started_ns": STARTED_NS, **changes,
        }  # fmt: skip
        return RecordingFolder.create(self.data.recordings, Recording(**plain))  # type: ignore[arg-type]

    def journal(self, folder: RecordingFolder, index: int, *spans: tuple[int, int]) -> Path:
        path = folder.journal_path(STREAM.name, index)
        head = JournalHead("rec-1", "night", index, STREAM, STARTED_NS, STARTED_NS)
        write_journal(path, head, [make_block(seq, rows) for seq, rows in spans])
        return path

    def recover(self, after_crash: str = "close") -> Recovered:
        told = Told(self.events.append, lambda recording, segment: None, self.ended.append)
        found = recover_all(self.data, self.sealer, self.clock, after_crash, told)
        assert found.wait(30)
        return found

    def rows(self, folder: RecordingFolder) -> list[int]:
        segments, _ = folder.manifest()
        read = find("jsonl").read
        rows = [rows for s in segments for rows in read(folder.path / s.filename, STREAM)]
        return [int(t - STARTED_NS) // 1_000_000 for piece in rows for t in piece.time_ns]


@pytest.fixture
def house(tmp_path: Path, clock: Clock, sealer: Sealer) -> Iterator[House]:
    house = House(tmp_path / "data", clock, sealer)
    yield house
    house.data.close()


def test_a_recording_cut_off_is_closed_with_its_rows_and_the_gap(house: House) -> None:
    folder = house.recording()
    house.journal(folder, 0, (0, 10), (10, 5))
    tail = house.journal(folder, 1, (15, 10), (25, 10))
    tail.write_bytes(tail.read_bytes()[:-7])
    found = house.recover()
    assert house.rows(folder) == list(range(25))
    (closed,) = found.closed
    assert (closed.ended, closed.ended_ns) == ("crash", STARTED_NS + 24_000_000)
    assert folder.recording() == closed == house.ended[0]
    (gap,) = folder.events.read()
    assert (gap.kind, gap.body["reason"], gap.body["from_ns"]) == ("gap", "crash", STARTED_NS + 24_000_000)
    assert gap.body["streams"] == {"lidar": [EPOCH, 25]}
    assert house.events == [gap]
    assert folder.journals() == {}
    assert verify(house.data.path).ok


def test_doing_it_again_changes_nothing(house: House) -> None:
    folder = house.recording()
    house.journal(folder, 0, (0, 10))
    house.recover()
    before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    again = house.recover()
    assert (again.closed, again.to_continue, again.segments) == ([], [], [])
    assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before


def test_it_can_be_handed_back_to_be_continued(house: House) -> None:
    folder = house.recording()
    house.journal(folder, 0, (0, 10))
    found = house.recover("continue")
    assert found.closed == []
    assert [recording.id for recording in found.to_continue] == ["rec-1"]
    assert folder.recording().running
    assert [event.body["continued"] for event in folder.events.read()] == [True]
    assert folder.next_index("lidar") == 1


def test_a_recording_that_ended_but_was_not_sealed_in_time_keeps_its_ending(house: House) -> None:
    folder = house.recording(ended="stop", ended_ns=STARTED_NS + 1)
    house.journal(folder, 0, (0, 10))
    found = house.recover()
    assert found.closed == []
    assert folder.recording().ended == "stop"
    assert house.rows(folder) == list(range(10))


def test_every_state_between_sealing_and_listing(house: House) -> None:
    folder = house.recording()
    house.journal(folder, 0, (0, 10))
    house.recover()
    whole = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    journal = house.journal(folder, 0, (0, 10)).read_bytes()
    empty = json.dumps({"recording_id": "rec-1", "segments": []}).encode()
    states: list[dict[str, bytes | None]] = [
        {"lidar_00000.journal": journal},  # listed, the journal not yet removed
        {"lidar_00000.journal": journal, "manifest.json": empty},  # sealed, not yet listed
        {"lidar_00000.journal": journal, "manifest.json": empty, "lidar_00000.jsonl": b'{"half'},
        {"lidar_00000.journal": journal, "manifest.json": empty, "lidar_00000.jsonl": None,
         "lidar_00000.jsonl.tmp": b"half"},
        {"lidar_00000.journal": journal, "manifest.json": None, "lidar_00000.jsonl": None},
        {"lidar_00001.journal": b""},  # begun, no row yet
        {"lidar_00001.journal": journal[:100]},
        {"lidar_00001.journal": bytes(4096)},
        {"manifest.json.tmp": b"{", "SHA256SUMS": b""},
    ]  # fmt: skip
    for state in states:
        for name, data in {**whole, "lidar_00000.journal": None, **state}.items():
            path = folder.path / name
            path.unlink(missing_ok=True)
            if data is not None:
                path.write_bytes(data)
        house.recover()
        assert house.rows(folder) == list(range(10)), state.keys()
        assert folder.journals() == {}
        assert verify(house.data.path).ok
        assert not list(folder.path.glob("*.tmp"))


def test_rows_in_an_abandoned_journal_and_in_the_next_are_sealed_once(house: House) -> None:
    folder = house.recording()
    house.journal(folder, 0, (0, 10), (10, 10))
    house.journal(folder, 1, (15, 10), (25, 5))
    house.recover()
    assert house.rows(folder) == list(range(30))
    segments, _ = folder.manifest()
    assert [segment.runs for segment in segments] == [((0, EPOCH, 0),), ((0, EPOCH, 20),)]


def test_damage_in_the_middle_is_told_exactly(house: House) -> None:
    folder = house.recording()
    path = house.journal(folder, 0, (0, 10), (10, 10), (20, 10))
    data = bytearray(path.read_bytes())
    data[-300] ^= 1  # in the second block
    path.write_bytes(data)
    house.recover()
    assert house.rows(folder) == [*range(10), *range(20, 30)]
    damage = [event.body for event in folder.events.read() if event.body["reason"] == "damage"]
    assert [(b["epoch"], b["from_seq"], b["to_seq"], b["rows"]) for b in damage] == [(EPOCH, 10, 20, 10)]
    assert (folder.path / "lidar_00000.journal.damaged").read_bytes() == data
    check = verify_recording(folder.path)
    assert not check.ok
    assert [(g.from_seq, g.to_seq, g.rows, g.reason) for g in check.gaps] == [(10, 20, 10, "damage")]
    house.recover()
    assert [event.body["reason"] for event in folder.events.read()] == ["damage", "crash"]


def test_a_recording_killed_while_it_began_leaves_nothing(house: House) -> None:
    for name, content in (("20260101T000000Z_a", None), ("20260101T000000Z_b", b"half")):
        path = house.data.recordings / name
        path.mkdir()
        if content is not None:
            (path / "recording.json.tmp").write_bytes(content)
    deleted = house.data.recordings / ".deleted-20260101T000000Z_c"
    deleted.mkdir()
    (deleted / "lidar_00000.jsonl").write_bytes(b"x")
    found = house.recover()
    assert found.failed == {}
    assert list(house.data.recordings.iterdir()) == []


def test_a_lost_recording_file_is_described_from_the_journals(house: House) -> None:
    folder = house.recording()
    house.journal(folder, 0, (0, 10))
    (folder.path / "recording.json").write_bytes(b"")
    found = house.recover()
    assert [(r.id, r.name, r.streams, r.ended) for r in found.closed] == [
        ("rec-1", "night", (STREAM,), "crash")
    ]
    assert house.rows(folder) == list(range(10))


def test_one_recording_that_cannot_be_recovered_stops_no_other(house: House) -> None:
    folder = house.recording()
    house.journal(folder, 0, (0, 10))
    broken = house.data.recordings / "20200101T000000Z_broken"
    broken.mkdir()
    (broken / "recording.json").write_bytes(b"{")
    found = house.recover()
    assert list(found.failed) == [broken.name]
    assert broken.exists()
    assert [event.kind for event in house.events] == ["alarm", "gap"]
    assert house.rows(folder) == list(range(10))


def merged_recording(house: House, format: str = "jsonl") -> RecordingFolder:
    folder = house.recording(merge=True, format=format)
    house.journal(folder, 0, (0, 10))
    house.journal(folder, 1, (12, 10))
    house.journal(folder, 2, (22, 3))
    house.recover()
    return folder


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet", "hdf5"])
def test_an_ended_recording_is_merged_into_one_file(house: House, format: str) -> None:
    folder = merged_recording(house, format)
    (segment,), replaced = folder.manifest()
    suffix = find(format).suffix
    assert segment.filename == f"night{suffix}"
    assert (segment.rows, segment.index) == (23, 0)
    assert segment.runs == ((0, EPOCH, 0), (10, EPOCH, 12))
    rows = list(find(format).read(folder.path / segment.filename, STREAM))
    assert sum(len(piece.time_ns) for piece in rows) == 23
    assert replaced == [f"lidar_{i:05d}{suffix}" for i in range(3)]
    names = [p.name for p in folder.path.iterdir() if p.suffix == suffix and p.name != "events.jsonl"]
    assert names == [segment.filename]
    check = verify_recording(folder.path)
    assert check.ok
    assert [(gap.from_seq, gap.to_seq) for gap in check.gaps] == [(10, 12)]


def test_every_state_of_a_merge_that_a_crash_can_leave(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Segments, "_merge_if_due", lambda self: None)
        folder = merged_recording(house)
    segments, _ = folder.manifest()
    assert len(segments) == 3
    before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    house.recover()
    after = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    assert [s.filename for s in folder.manifest()[0]] == ["night.jsonl"]
    states = [
        {**before, "night.jsonl.tmp": after["night.jsonl"][:50]},
        {**before, "night.jsonl": after["night.jsonl"]},
        {**before, **after},
        {**after, "lidar_00001.jsonl": before["lidar_00001.jsonl"]},
        after,
    ]
    for state in states:
        shutil.rmtree(folder.path)
        folder.path.mkdir()
        for name, data in state.items():
            (folder.path / name).write_bytes(data)
        house.recover()
        now = {path.name: path.read_bytes() for path in folder.path.iterdir()}
        assert now.keys() == after.keys()
        assert now["night.jsonl"] == after["night.jsonl"]
        assert verify(house.data.path).ok


def test_a_merge_of_damaged_segments_is_refused_and_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Segments, "_merge_if_due", lambda self: None)
        folder = merged_recording(house)
    path = folder.path / "lidar_00001.jsonl"
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    house.recover()
    assert len(folder.manifest()[0]) == 3
    assert any(event.kind == "alarm" and event.body.get("damaged") for event in house.events)


def test_a_merge_job_survives_the_wire(house: House) -> None:
    from kymograph.store.merging import merge_job_from_dict

    folder = merged_recording(house)
    job = MergeJob(str(folder.path), STREAM, tuple(folder.manifest()[0]), "night", "jsonl", 5, {"a": 1})
    assert merge_job_from_dict(json.loads(json.dumps(job.to_dict()))) == job


def test_verify_says_what_is_changed_missing_and_extra(house: House) -> None:
    folder = house.recording()
    for i in range(3):
        house.journal(folder, i, (i * 10, 10))
    house.recover()
    assert verify_recording(folder.path).ok
    first = folder.path / "lidar_00000.jsonl"
    first.write_bytes(first.read_bytes().replace(b"0", b"1", 1))
    (folder.path / "lidar_00001.jsonl").unlink()
    (folder.path / "lidar_00009.jsonl").write_bytes(b"")
    told: list[tuple[str, int, int]] = []
    report = verify(house.data.path, lambda *step: told.append(step))
    (check,) = report.recordings
    assert not report.ok
    states = [(file.filename, file.state) for file in check.files if file.state != "ok"]
    assert states == [
        ("lidar_00000.jsonl", DIFFERS), ("lidar_00001.jsonl", MISSING), ("lidar_00009.jsonl", EXTRA),
    ]  # fmt: skip
    assert told[-1][1] == told[-1][2] > 0
    assert json.loads(json.dumps(report.to_dict()))["ok"] is False


def test_verify_of_an_open_journal_counts_its_rows(house: House) -> None:
    folder = house.recording()
    house.journal(folder, 0, (0, 10), (15, 5))
    check = verify_recording(folder.path)
    assert check.ok
    assert (check.rows, check.ended) == (15, "recording")
    assert [(j.filename, j.frames, j.rows, j.damaged) for j in check.journals] == [
        ("lidar_00000.journal", 2, 15, False)
    ]
    assert [(gap.from_seq, gap.to_seq, gap.reason) for gap in check.gaps] == [(10, 15, "device")]


def test_a_folder_that_is_no_recording_is_said_to_be_none(house: House) -> None:
    (house.data.recordings / "stray").mkdir()
    (check,) = verify(house.data.path).recordings
    assert not check.ok
    assert check.error
    assert [folder.path.name for folder in all_recordings(house.data.recordings)] == ["stray"]


def test_blocks_survive_as_they_were(house: House) -> None:
    folder = house.recording()
    path = house.journal(folder, 0, (0, 10))
    from kymograph.store.journal import read_blocks

    assert places(read_blocks(path)) == [(EPOCH, i) for i in range(10)]
