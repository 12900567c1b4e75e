"""What the ledger says is missing is what is missing: no row more, none less."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kymograph.model.clock import Clock
from kymograph.model.recording import Recording, Segment
from kymograph.store.completeness import Ledger, ledger, remember
from kymograph.store.folder import DataFolder
from kymograph.store.gaps import make_event
from kymograph.store.journal import JournalHead, write_journal
from kymograph.store.recording_folder import RecordingFolder
from kymograph.store.sealing import SealJob, seal
from tests.unit.store.made import EPOCH, STREAM, make_block

NOW = 1_800_000_000_000_000_000


@pytest.fixture
def data(tmp_path: Path, clock: Clock) -> Iterator[DataFolder]:
    with DataFolder.open(tmp_path, clock) as data:
        yield data


def sealed(
    data: DataFolder, *spans: tuple[int, int], ended: str = "stop", epochs: tuple[int, ...] = ()
) -> RecordingFolder:
    """Make a recording of which each span of seq is a sealed file."""
    recording = Recording("r1", "night", (STREAM,), "csv", 60.0, EPOCH * 1_000_000, NOW, ended)
    folder = RecordingFolder.create(data.recordings, recording)
    listed: list[Segment] = []
    for index, ((start, stop), epoch) in enumerate(zip(spans, epochs or [EPOCH] * len(spans), strict=True)):
        path = folder.journal_path("lidar", index)
        write_journal(
            path, JournalHead("r1", "night", index, STREAM, 0, 0), [make_block(start, stop - start, epoch)]
        )
        segment = seal(SealJob(str(folder.path), "lidar", index, "csv", 0), lambda: None)
        assert segment is not None
        listed.append(segment)
        path.unlink()
    folder.write_manifest("r1", listed)
    return folder


def missing(found: Ledger) -> list[tuple[int, int | None, str]]:
    return [(m.from_seq, m.to_seq, m.reason) for m in found.missing]


def test_nothing_missing_is_said_in_a_sentence(data: DataFolder) -> None:
    folder = sealed(data, (0, 10), (10, 25))
    found = ledger(folder.path, NOW)
    assert (found.state, found.complete) == ("complete", True)
    assert found.summary == "2 of 2 files, 25 rows, nothing missing"
    told = found.to_dict()
    assert (
        told["expected"]
        == told["held"]
        == {"segments": 2, "rows": 25, "size_bytes": told["held"]["size_bytes"]}
    )
    assert told["verified"]["rows"] == 0
    assert found.root_hash == hashlib.sha256((folder.path / "SHA256SUMS").read_bytes()).hexdigest()
    json.dumps(told)


def test_verified_is_what_was_hashed_and_has_not_changed_since(data: DataFolder) -> None:
    folder = sealed(data, (0, 10), (10, 25))
    found = ledger(folder.path, NOW, verify=True).to_dict()
    assert found["verified"] == {**found["held"], "at_ns": NOW}
    assert ledger(folder.path, NOW + 1).to_dict()["verified"]["rows"] == 25
    path = folder.path / "lidar_00001.csv"
    os.utime(path, ns=(1, 1))
    again = ledger(folder.path, NOW + 2)
    assert [file.state for file in again.files] == ["verified", "held"]
    data_bytes = path.read_bytes()
    path.write_bytes(data_bytes[:-2] + bytes((data_bytes[-2] ^ 1,)) + b"\n")
    assert [f.state for f in ledger(folder.path, NOW + 3, verify=True).files] == ["verified", "differs"]
    assert ledger(folder.path, NOW + 4, verify=True).state == "damaged"
    (folder.path / "verified.json").write_bytes(b"{junk")
    assert ledger(folder.path, NOW + 5).to_dict()["verified"]["segments"] == 0


def test_what_verify_has_hashed_can_be_remembered(data: DataFolder) -> None:
    folder = sealed(data, (0, 10))
    remember(folder.path, [s for s in folder.manifest()[0] if s.filename == "lidar_00000.csv"], NOW)
    assert ledger(folder.path, NOW).to_dict()["verified"]["rows"] == 10


def test_a_gap_between_rows_has_its_reason(data: DataFolder, clock: Clock) -> None:
    folder = sealed(data, (0, 10), (12, 20), (25, 30))
    body = {"stream": "lidar", "epoch": EPOCH, "from_seq": 20, "to_seq": 25, "rows": 5, "reason": "overflow"}
    folder.events.append(make_event(clock, "gap", body))
    found = ledger(folder.path, NOW)
    assert missing(found) == [(10, 12, "lost by the device"), (20, 25, "overflow")]
    assert (found.state, found.streams[0].expected_rows, found.streams[0].held_rows) == ("incomplete", 30, 23)
    assert found.summary == "3 of 3 files, 23 rows, 7 rows missing in 2 places"


@pytest.mark.parametrize("reason", ["device silent", "paused", "stopped"])
def test_a_silence_is_listed_and_nothing_is_missing(data: DataFolder, clock: Clock, reason: str) -> None:
    folder = sealed(data, (0, 10), (10, 20))
    body = {
        "stream": "lidar", "epoch": EPOCH, "from_seq": 10, "to_seq": 10, "rows": None, "from_ns": 5,
        "until_ns": 9, "reason": reason,
    }  # fmt: skip
    folder.events.append(make_event(clock, "gap", body))
    found = ledger(folder.path, NOW)
    assert found.complete and missing(found) == [(10, 10, reason)]
    assert (found.missing[0].from_ns, found.missing[0].until_ns) == (5, 9)
    assert found.summary.endswith("nothing missing; 1 silence")


def test_a_crash_is_a_time_with_an_unknown_number_of_rows(data: DataFolder, clock: Clock) -> None:
    folder = sealed(data, (0, 10), ended="crash")
    body = {"reason": "crash", "from_ns": 7, "to_ns": 9, "streams": {"lidar": [EPOCH, 10]}, "continued": True}
    folder.events.append(make_event(clock, "gap", body))
    [lost] = ledger(folder.path, NOW).missing
    assert (lost.from_seq, lost.to_seq, lost.rows, lost.from_ns, lost.until_ns) == (10, None, None, 7, 9)
    assert not ledger(folder.path, NOW).complete


def test_a_crash_lasts_until_the_first_row_after_it(data: DataFolder, clock: Clock) -> None:
    folder = sealed(data, (0, 10), (0, 5), (5, 9), epochs=(EPOCH, EPOCH + 1, EPOCH + 1))
    body = {"reason": "crash", "from_ns": 7, "to_ns": 9, "streams": {"lidar": [EPOCH, 10]}, "continued": True}
    folder.events.append(make_event(clock, "gap", body))
    [lost] = [one for one in ledger(folder.path, NOW).missing if one.reason == "crash"]
    assert (lost.from_ns, lost.until_ns) == (7, make_block(0, 1, EPOCH + 1).first_ns)


def test_rows_of_an_open_journal_are_held(data: DataFolder) -> None:
    folder = sealed(data, (0, 10))
    folder.write_recording(replace(folder.recording(), ended="recording", ended_ns=None))
    head = JournalHead("r1", "night", 1, STREAM, 0, 0)
    write_journal(folder.journal_path("lidar", 1), head, [make_block(10, 7), make_block(20, 3)])
    found = ledger(folder.path, NOW)
    assert (found.state, found.streams[0].tail_rows, found.streams[0].held_rows) == ("running", 10, 20)
    assert missing(found) == [(17, 20, "lost by the device")]


def test_a_mirror_is_held_against_its_source(data: DataFolder) -> None:
    folder = sealed(data, (0, 10), (10, 20), (20, 30))
    expected, _ = folder.manifest()
    source = {
        "version": 1,
        "url": "http://sub:9150",
        "running": False,
        "segments": [s.to_dict() for s in expected],
    }
    (folder.path / "mirror.json").write_text(json.dumps(source))
    (folder.path / "lidar_00001.csv").unlink()
    folder.write_manifest("r1", [expected[0], expected[2]])
    found = ledger(folder.path, NOW)
    assert missing(found) == [(10, 20, "never fetched")]
    assert found.missing[0].files == ("lidar_00001.csv",)
    told = found.to_dict()
    assert (told["side"], told["source"]["url"], told["state"]) == ("mirror", "http://sub:9150", "incomplete")
    assert (told["expected"]["rows"], told["held"]["rows"]) == (30, 20)


@pytest.mark.parametrize("seed", range(25))
def test_held_and_missing_are_together_what_is_expected(data: DataFolder, seed: int) -> None:
    """Whatever files and frames are lost, each row is held or missing, and none is both."""
    chance = random.Random(seed)
    cuts = sorted(chance.sample(range(1, 300), 8))
    edges = list(zip([0, *cuts], [*cuts, 300], strict=True))
    spans = [span for span in edges if chance.random() > 0.25] or [(0, 300)]
    folder = sealed(data, *spans)
    lost_files = [path.name for path in sorted(folder.path.glob("*.csv")) if chance.random() < 0.3]
    for name in lost_files:
        (folder.path / name).unlink()
    found = ledger(folder.path, NOW)
    segments, _ = folder.manifest()
    held = {seq for s in segments if s.filename not in lost_files for seq in range(s.first.seq, s.next.seq)}
    gone = [seq for m in found.missing for seq in range(m.from_seq, m.to_seq or 0)]
    assert len(gone) == len(set(gone)) and not held & set(gone)
    assert held | set(gone) == set(range(spans[0][0], spans[-1][1]))
    assert found.streams[0].held_rows == len(held)
    assert found.streams[0].expected_rows == len(held) + len(gone)
