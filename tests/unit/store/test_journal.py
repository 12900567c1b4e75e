from __future__ import annotations

import errno
from pathlib import Path

import pytest

from kymograph.model.block import Cursor
from kymograph.model.errors import Corrupt, NotFound, StorageError
from kymograph.store import frames
from kymograph.store.journal import JournalHead, JournalReader, JournalWriter, read_blocks, write_journal
from kymograph.store.salvage import DAMAGED_SUFFIX, recover, scan
from tests.unit.store.made import EPOCH, STREAM, check_block, make_block, make_head, places


def small_journal(path: Path) -> list[tuple[int, int]]:
    """Three frames of 3, 2 and 4 rows, a jump before the last; return their places."""
    blocks = [make_block(0, 3), make_block(3, 2), make_block(10, 4)]
    write_journal(path, make_head(), blocks)
    return places(blocks)


def test_what_was_appended_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    writer = JournalWriter.create(path, make_head())
    writer.append(make_block(0, 5))
    assert writer.durable is None
    assert writer.sync() == Cursor(EPOCH, 5)
    writer.append(make_block(5, 7), make_block(12, 1))
    assert writer.durable == Cursor(EPOCH, 5)
    writer.close()
    assert writer.durable == Cursor(EPOCH, 13)
    blocks = list(read_blocks(path))
    assert places(blocks) == [(EPOCH, i) for i in range(13)]
    for block in blocks:
        check_block(block)
    with JournalReader(path) as reader:
        assert reader.head == make_head()


def test_a_closed_journal_has_no_claimed_space_left(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    writer = JournalWriter.create(path, make_head())
    writer.append(make_block(0, 5))
    size = path.stat().st_size
    assert size == writer.size_bytes
    assert path.stat().st_blocks * 512 > 1024 * 1024
    writer.close()
    assert path.stat().st_size == size
    assert path.stat().st_blocks * 512 < 64 * 1024


def test_a_reader_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    writer = JournalWriter.create(path, make_head())
    with JournalReader(path) as reader:
        assert list(reader.blocks()) == []
        writer.append(make_block(0, 5))
        assert places(reader.blocks()) == [(EPOCH, i) for i in range(5)]
        writer.append(make_block(5, 2))
        assert places(reader.blocks()) == [(EPOCH, 5), (EPOCH, 6)]
        assert list(reader.blocks()) == []
    writer.close()


def test_a_reader_that_came_before_the_head(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    path.touch()
    with JournalReader(path) as reader:
        assert reader.head is None
        writer = JournalWriter.create(path, make_head())
        writer.append(make_block(0, 5))
        assert len(places(reader.blocks())) == 5
        writer.close()


def test_cut_at_every_byte(tmp_path: Path) -> None:
    whole = tmp_path / "whole.journal"
    wanted = small_journal(whole)
    data = whole.read_bytes()
    path = tmp_path / "cut.journal"
    lengths: set[int] = set()
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        found = recover(path)
        assert not found.damaged
        assert appended_again(path, found.head) == wanted[: found.rows]
        lengths.add(found.rows)
    assert lengths == {0, 3, 5, 9}


def appended_again(path: Path, head: JournalHead | None) -> list[tuple[int, int]]:
    """Append to a recovered journal, check it whole, and return the places of what was there before."""
    if head is None:
        assert path.stat().st_size == 0
        writer = JournalWriter.create(path, make_head())
    else:
        writer = JournalWriter.reopen(path)
    before = writer.rows
    writer.append(make_block(1000, 2))
    writer.close()
    blocks = list(read_blocks(path))
    for block in blocks:
        check_block(block)
    assert places(blocks[-1:]) == [(EPOCH, 1000), (EPOCH, 1001)]
    assert len(places(blocks)) == before + 2
    return places(blocks)[:-2]


def test_a_bit_flipped_in_every_byte(tmp_path: Path) -> None:
    whole = tmp_path / "whole.journal"
    wanted = small_journal(whole)
    data = whole.read_bytes()
    for at in range(len(data)):
        path = tmp_path / f"{at}.journal"
        broken = bytearray(data)
        broken[at] ^= 1 << (at % 8)
        path.write_bytes(broken)
        found = recover(path)
        assert found.rows < len(wanted)
        head = found.head if found.prefix_bytes else None
        assert appended_again(path, head) == wanted[: found.rows]
        aside = path.with_name(path.name + DAMAGED_SUFFIX)
        assert aside.exists() == found.damaged
        if aside.exists():
            assert aside.read_bytes() == broken
            aside.unlink()
        path.unlink()


def test_flipped_bits_with_salvage_lose_one_frame_and_say_which(tmp_path: Path) -> None:
    whole = tmp_path / "whole.journal"
    wanted = small_journal(whole)
    data = whole.read_bytes()
    starts = [0, 0, 3, 5, 9]
    for at in range(0, len(data), 3):
        path = tmp_path / f"{at}.journal"
        broken = bytearray(data)
        broken[at] ^= 0x40
        path.write_bytes(broken)
        found = recover(path, salvage=True, head=make_head())
        blocks = list(read_blocks(path))
        for block in blocks:
            check_block(block)
        left = places(blocks)
        lost = [place for place in wanted if place not in left]
        assert len(lost) in (0, 3, 2, 4)
        assert not lost or wanted.index(lost[0]) in starts
        assert left == [place for place in wanted if place not in lost]
        if lost and lost[0] != wanted[5] and lost[0] != wanted[0]:
            (loss,) = found.losses
            assert (loss.epoch, loss.from_seq, loss.to_seq) == (EPOCH, 3, 10)


def test_salvage_can_be_killed_between_its_steps(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    small_journal(path)
    data = bytearray(path.read_bytes())
    data[data.find(frames.MARKER, 500) + 60] ^= 1
    path.write_bytes(data)
    aside = path.with_name(path.name + DAMAGED_SUFFIX)
    aside.hardlink_to(path)
    path.with_name(path.name + ".tmp").write_bytes(b"half")
    first = recover(path, salvage=True)
    assert first.damaged
    assert aside.read_bytes() == data
    assert not recover(path, salvage=True).damaged
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.journal", "a.journal.damaged"]


@pytest.mark.parametrize("content", [b"", b"\x00" * 4096, b"\x89KYMJ\r\n", b"junk" * 100])
def test_files_without_a_head_are_states_not_errors(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.journal"
    path.write_bytes(content)
    assert list(read_blocks(path)) == []
    found = recover(path)
    assert (found.head, found.rows, path.stat().st_size) == (None, 0, 0)
    JournalWriter.create(path, make_head()).close()


def test_a_tail_of_zeros_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    wanted = small_journal(path)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(bytes(10_000))
    found = recover(path)
    assert (found.damaged, found.tail_bytes, path.stat().st_size) == (False, 10_000, size)
    assert places(read_blocks(path)) == wanted


def test_frames_of_another_journal_inside_a_damaged_payload_are_not_taken_for_ours(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.journal"
    write_journal(foreign, make_head(), [make_block(500, 3)])
    data = foreign.read_bytes()
    path = tmp_path / "a.journal"
    write_journal(path, make_head(), [make_block(0, 3), make_block(3, 3)])
    ours = bytearray(path.read_bytes())
    ours[ours.rfind(frames.MARKER) + 4] ^= 1
    path.write_bytes(bytes(ours) + data[frames.PREAMBLE.size :] + bytes(8))
    assert not scan(path).damaged
    recover(path, salvage=True)
    assert places(read_blocks(path)) == [(EPOCH, i) for i in range(3)]


def test_a_frame_that_repeats_rows_is_not_salvaged(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    write_journal(path, make_head(), [make_block(0, 3), make_block(3, 3)])
    data = path.read_bytes()
    start = data.rfind(frames.MARKER)
    path.write_bytes(data + b"\x55" * 8 + data[start:])
    recover(path, salvage=True)
    assert places(read_blocks(path)) == [(EPOCH, i) for i in range(6)]


def test_reopen_wants_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    small_journal(path)
    with path.open("ab") as file:
        file.write(b"half")
    with pytest.raises(Corrupt):
        JournalWriter.reopen(path)


def test_a_journal_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    small_journal(path)
    with pytest.raises(StorageError):
        JournalWriter.create(path, make_head())


def test_a_missing_journal_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        list(read_blocks(tmp_path / "none.journal"))


def test_a_file_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        JournalWriter.create(tmp_path / "missing" / "a.journal", make_head())
    assert caught.value.facts["errno"] == errno.ENOENT


def test_many_blocks_in_one_append(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    writer = JournalWriter.create(path, make_head())
    writer.append(*(make_block(i * 3, 3) for i in range(1201)))
    writer.close()
    assert places(read_blocks(path)) == [(EPOCH, i) for i in range(3603)]


def test_the_head_survives_names_of_all_kinds(tmp_path: Path) -> None:
    head = JournalHead("r", "Nacht-1", 3, STREAM, 1, 2)
    assert JournalHead.from_json(head.to_json()) == head
    assert JournalHead.from_json(b'{"index": 1}    ') is None
    assert JournalHead.from_json(b"[1, 2]  ") is None
