"""The reader against folders in every state that recording, sealing and merging pass through."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from kymograph.model.block import Block, Cursor, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import Corrupt, InvalidInput, NotFound
from kymograph.model.recording import Recording, Run, Segment
from kymograph.store import formats
from kymograph.store.formats.base import Header
from kymograph.store.journal import JournalHead, JournalWriter, write_journal
from kymograph.store.preview import preview_path, write_preview
from kymograph.store.reader import RecordingReader
from kymograph.store.recording_folder import RecordingFolder, stem

STREAM = Stream("s", (Channel("a"), Channel("n", "int64")))
OTHER = Stream("s.t", (Channel("b"),))
Place = tuple[int, int]


def made_blocks() -> list[Block]:
    """Return rows of three epochs with gaps; the clock was moved back between the last two."""
    found: list[Block] = []
    at = 0
    for epoch, start_ns in ((1000, 0), (2000, 2_000_000), (1500, 500_000)):
        seq = 5
        for k in range(120):
            seq += 100 if k % 50 == 20 else 0
            n = np.arange(37) + seq
            found.append(Block.pack(STREAM, epoch, seq, Rows("s", start_ns + n * 100, [n, n + at])))
            seq, at = seq + 37, at + 37
    return found


BLOCKS = made_blocks()
CUTS = (0, 90, 150, 260, 360)
PIECES = [BLOCKS[a:b] for a, b in pairwise(CUTS)]


def places(blocks: Sequence[Block] | Iterator[Block]) -> list[Place]:
    return [(b.epoch, b.seq + i) for b in blocks for i in range(b.rows)]


ALL = places(BLOCKS)
TIMES = [int(t) for block in BLOCKS for t in block.time_ns]


class Folder:
    """A recording's folder, taken by hand through the states that the recorder takes it through."""

    def __init__(self, path: Path, form: str) -> None:
        path.mkdir()
        self.recording = Recording("r-1", "night", (STREAM, OTHER), form, 60.0, 0)
        self.files = RecordingFolder.create(path, self.recording)
        self.path = self.files.path
        self.listed: list[Segment] = []
        self.replaced: list[str] = []

    def journal(self, index: int, blocks: Sequence[Block]) -> Path:
        path = self.files.journal_path("s", index)
        write_journal(path, JournalHead("r-1", "night", index, STREAM, 0, 0), blocks)
        return path

    def seal(
        self, index: int, blocks: Sequence[Block], filename_stem: str = "", preview: bool = True
    ) -> Segment:
        form = formats.find(self.recording.format)
        path = self.path / ((filename_stem or stem("s", index)) + form.suffix)
        with path.open("w+b") as file:
            form.write(file, Header(STREAM, 0), blocks)
        if preview:
            write_preview(preview_path(path), STREAM, blocks)
        runs: list[Run] = []
        rows, place = 0, None
        for block in blocks:
            if (block.epoch, block.seq) != place:
                runs.append(Run(rows, block.epoch, block.seq))
            rows, place = rows + block.rows, block.next
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        return Segment(
            "s", index, path.name, rows, path.stat().st_size, sha256, blocks[0].first_ns, blocks[-1].last_ns,
            0, tuple(runs),
        )  # fmt: skip

    def list(self, *segments: Segment) -> None:
        self.listed += segments
        self.files.write_manifest("r-1", self.listed, self.replaced)

    def merge(self) -> None:
        old = self.listed
        merged = self.seal(0, BLOCKS, "night")
        self.listed, self.replaced = [], [segment.filename for segment in old]
        self.list(merged)
        for segment in old:
            (self.path / segment.filename).unlink()


@pytest.fixture(params=formats.names())
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return Folder(tmp_path / "recordings", request.param)


@pytest.fixture
def parquet(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "recordings", "parquet")


def check(folder: Folder) -> None:
    """Fail unless everything reads as it should: whole, from cursors, in time ranges, single channels."""
    reader = RecordingReader(folder.path)
    assert places(reader.blocks("s")) == ALL
    assert [int(v) for b in reader.blocks("s", channels=["n", "a"]) for v in b.columns()[0]] == [
        int(v) for b in BLOCKS for v in b.columns()[1]
    ]
    assert (reader.rows("s"), reader.extent("s")) == (len(ALL), (TIMES[0], TIMES[-1]))
    dice = np.random.default_rng(1)
    for row in [0, len(ALL) - 1, *dice.integers(0, len(ALL), 5).tolist()]:
        assert places(reader.blocks("s", since=Cursor(*ALL[row]))) == ALL[row:]
    for _ in range(5):
        start, stop = (int(t) for t in sorted(dice.choice(TIMES, 2)))
        wanted = [place for place, time in zip(ALL, TIMES, strict=True) if start <= time < stop]
        assert places(reader.blocks("s", start, stop, channels=["a"])) == wanted


def test_journals_alone(folder: Folder) -> None:
    for index, blocks in enumerate(PIECES):
        folder.journal(index, blocks)
    check(folder)


def test_every_state_from_the_first_journal_to_one_merged_file(folder: Folder) -> None:
    journals = [folder.journal(index, blocks) for index, blocks in enumerate(PIECES)]
    for index, blocks in enumerate(PIECES):
        segment = folder.seal(index, blocks)
        check(folder)  # sealed, not listed
        folder.list(segment)
        check(folder)  # listed, its journal still there
        journals[index].unlink()
    check(folder)
    folder.merge()
    check(folder)


def test_a_journal_that_could_not_be_sealed_stays_in_its_place(folder: Folder) -> None:
    for index in (0, 2, 3):
        folder.list(folder.seal(index, PIECES[index], preview=False))
    folder.journal(1, PIECES[1])
    check(folder)


def test_journals_whose_rows_were_merged_are_left_out(parquet: Folder) -> None:
    for index, blocks in enumerate(PIECES):
        parquet.list(parquet.seal(index, blocks))
    parquet.merge()
    parquet.journal(2, PIECES[2])  # as a crash between the manifest and the deletion leaves it
    check(parquet)


@pytest.mark.parametrize("read_before", [1, 89, 90, 91, 200, 359])
def test_files_that_vanish_while_reading_cost_no_row_and_give_none_twice(
    folder: Folder, read_before: int
) -> None:
    journals = [folder.journal(index, PIECES[index]) for index in (2, 3)]
    folder.list(folder.seal(0, PIECES[0]), folder.seal(1, PIECES[1]))
    reading = RecordingReader(folder.path).blocks("s")
    found: list[Place] = []
    while len(found) < 37 * read_before:
        found += places([next(reading)])
    for index, journal in zip((2, 3), journals, strict=True):
        folder.list(folder.seal(index, PIECES[index]))
        journal.unlink()
    folder.merge()
    assert found + places(reading) == ALL


def test_a_cursor_in_a_gap_or_a_strange_epoch_means_what_comes_next(folder: Folder) -> None:
    folder.list(folder.seal(0, PIECES[0]))
    for index in (1, 2, 3):
        folder.journal(index, PIECES[index])
    reader = RecordingReader(folder.path)
    gap = next(i for i in range(1, len(ALL)) if ALL[i][1] - ALL[i - 1][1] > 1)
    assert places(reader.blocks("s", since=Cursor(ALL[gap][0], ALL[gap][1] - 3))) == ALL[gap:]
    ends = [i for i in range(1, len(ALL)) if ALL[i][0] != ALL[i - 1][0]]
    assert places(reader.blocks("s", since=Cursor(1000, 10**9))) == ALL[ends[0] :]
    assert places(reader.blocks("s", since=Cursor(1, 0))) == ALL
    assert places(reader.blocks("s", since=Cursor(1999, 0))) == ALL[ends[0] :]
    assert places(reader.blocks("s", since=Cursor(1500, 10**9))) == []
    assert places(reader.blocks("s", since=Cursor(9999, 0))) == []


def test_what_comes_after_reading_began_is_left_out(parquet: Folder) -> None:
    path = parquet.files.journal_path("s", 0)
    writer = JournalWriter.create(path, JournalHead("r-1", "night", 0, STREAM, 0, 0))
    writer.append(*BLOCKS[:10])
    reading = RecordingReader(parquet.path).blocks("s")
    found = places([next(reading)])
    writer.append(*BLOCKS[10:20])
    assert found + places(reading) == places(BLOCKS[:10])
    writer.abandon()


def test_an_empty_recording_has_no_rows(parquet: Folder) -> None:
    reader = RecordingReader(parquet.path)
    assert (list(reader.blocks("s")), reader.rows("s"), reader.extent("s"), reader.segments()) == (
        [],
        0,
        None,
        [],
    )
    parquet.files.journal_path("s", 0).touch()
    assert list(reader.blocks("s")) == []


def test_streams_are_kept_apart(parquet: Folder) -> None:
    parquet.list(parquet.seal(0, PIECES[0]))
    reader = RecordingReader(parquet.path)
    assert list(reader.blocks("s.t")) == []
    assert [segment.stream for segment in reader.segments("s")] == ["s"]
    assert reader.segments("s.t") == []


def test_unknown_streams_and_channels_are_refused(parquet: Folder) -> None:
    reader = RecordingReader(parquet.path)
    with pytest.raises(NotFound):
        list(reader.blocks("nothing"))
    with pytest.raises(InvalidInput):
        list(reader.blocks("s", channels=["nothing"]))
    with pytest.raises(NotFound):
        RecordingReader(parquet.path.parent)


def test_a_listed_file_that_is_gone_or_short_is_corrupt(parquet: Folder) -> None:
    segment = parquet.seal(0, PIECES[0])
    parquet.list(replace(segment, rows=segment.rows + 1))
    with pytest.raises(Corrupt):
        list(RecordingReader(parquet.path).blocks("s"))
    (parquet.path / segment.filename).unlink()
    with pytest.raises(Corrupt):
        list(RecordingReader(parquet.path).blocks("s"))


def test_a_deleted_recording_is_not_found(parquet: Folder) -> None:
    reader = RecordingReader(parquet.path)
    parquet.files.delete()
    with pytest.raises(NotFound):
        list(reader.blocks("s"))


def test_a_time_range_opens_no_file_outside_it(parquet: Folder) -> None:
    first, second = BLOCKS[:60], BLOCKS[60:110]  # one epoch: its times never run backwards
    parquet.list(parquet.seal(0, first), parquet.seal(1, second))
    (parquet.path / parquet.listed[1].filename).write_bytes(b"never looked at")
    found = RecordingReader(parquet.path).blocks("s", stop_ns=second[0].first_ns)
    assert places(found) == places(first)
