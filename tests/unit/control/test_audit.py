"""The audit: durable, gone on with after a crash, and nobody changes a byte of it unseen."""

import hashlib
import json
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kymograph.control.audit import NO_HASH, Audit, read, verify
from kymograph.model.errors import InvalidInput, NotFound, StorageError


def write(path, *whats):
    audit = Audit(path, 0)
    entries = [audit.append(1000 + n, "änna", what, {"n": n, "text": "Tür"}) for n, what in enumerate(whats)]
    audit.close()
    return entries


def test_entries_come_back_and_are_bound_together(tmp_path):
    path = tmp_path / "audit.jsonl"
    entries = write(path, "lease", "command")
    entries += write(path, "stop")
    assert list(read(path))[:2] == entries[:2]
    assert [entry.seq for entry in read(path)] == [0, 1, 2]
    assert entries[0].prev == NO_HASH
    assert [entry.prev for entry in read(path)][1:] == [entry.hash for entry in entries[:2]]
    check = verify(path)
    assert (check.ok, check.entries, check.head) == (True, 3, entries[-1].hash)
    assert Audit(path, 0).head == check.head


def test_a_line_is_on_the_disk_when_append_returns(tmp_path, monkeypatch):
    audit = Audit(tmp_path / "audit.jsonl", 0)
    synced = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append(os.fstat(fd).st_size))
    for _ in range(2):
        audit.append(0, "anna", "x")
        assert synced[-1] == audit.path.stat().st_size
    assert len(synced) == 2


def test_any_tool_can_check_it(tmp_path):
    path = tmp_path / "audit.jsonl"
    write(path, "a", "b", "c")
    prev = "0" * 64
    for line in path.read_bytes().splitlines():
        plain = json.loads(line)
        assert plain["prev"] == prev
        prev = hashlib.sha256(line[line.index(b'"seq"') :]).hexdigest()
        assert plain["hash"] == prev


def test_a_change_of_any_byte_is_noticed_where_it_is(tmp_path):
    path = tmp_path / "audit.jsonl"
    write(path, "a", "b", "c")
    whole = path.read_bytes()
    for place in range(len(whole)):
        line = whole[:place].count(b"\n") + 1
        for changed in (whole[place] ^ 1, whole[place] ^ 0x20, 10):
            spoiled = bytearray(whole)
            spoiled[place] = changed
            if spoiled == whole:
                continue
            path.write_bytes(spoiled)
            check = verify(path)
            assert not check.ok
            assert check.torn_bytes or check.breaks[0].line == line
            assert check.torn_bytes or check.breaks[0].offset == whole.rfind(b"\n", 0, place) + 1


@given(data=st.data())
def test_what_is_cut_out_put_in_or_moved_is_noticed(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("audit") / "audit.jsonl"
    write(path, "a", "b", "c", "d")
    whole = path.read_bytes()
    head = verify(path).head
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    instead = data.draw(st.binary(max_size=20) | st.sampled_from(whole.splitlines(keepends=True)))
    spoiled = whole[:start] + instead + whole[stop:]
    path.write_bytes(spoiled)
    assert verify(path, head).ok is (spoiled == whole)


@pytest.mark.parametrize(
    ("order", "line", "words"),
    [
        ([0, 2, 3], 2, "1 lines before it are missing: it is number 2, not 1"),
        ([1, 2, 3], 1, "1 lines before it are missing"),
        ([0, 1, 1, 2, 3], 3, "it is number 1 and stands where 2 belongs"),
        ([0, 2, 1, 3], 2, "missing"),
    ],
)
def test_it_says_what_was_done_to_it(tmp_path, order, line, words):
    path = tmp_path / "audit.jsonl"
    write(path, "a", "b", "c", "d")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[n] for n in order))
    check = verify(path)
    assert check.breaks[0].line == line
    assert check.breaks[0].offset == sum(len(lines[n]) for n in order[: line - 1])
    assert words in check.breaks[0].reason


def test_one_change_is_one_break(tmp_path):
    path = tmp_path / "audit.jsonl"
    write(path, "a", "b", "c", "d")
    path.write_bytes(
        path.read_bytes().replace(b'"what":"a"', b'"what":"z"').replace(b'"what":"c"', b'"what":"y"')
    )
    check = verify(path)
    assert [place.line for place in check.breaks] == [1, 3]
    assert check.entries == 2
    assert [entry.what for entry in read(path)] == ["b", "d"]


def test_a_line_written_by_another_chain_is_noticed(tmp_path):
    write(tmp_path / "one", "a", "b", "c")
    write(tmp_path / "two", "a", "B", "c")
    one, two = ((tmp_path / name).read_bytes().splitlines(keepends=True) for name in ("one", "two"))
    (tmp_path / "one").write_bytes(one[0] + two[1] + one[2])
    check = verify(tmp_path / "one")
    assert [(place.line, place.reason) for place in check.breaks] == [
        (3, "it is bound to another line than the one before it")
    ]


def test_lines_cut_off_at_the_end_are_noticed_by_a_hash_kept_elsewhere(tmp_path):
    path = tmp_path / "audit.jsonl"
    entries = write(path, "a", "b", "c")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert verify(path).ok
    check = verify(path, entries[2].hash)
    assert not check.ok
    assert "were cut" in check.breaks[0].reason
    assert verify(path, entries[0].hash).ok, "an older head is there still"


def test_a_half_line_is_cut_and_the_next_start_says_so(tmp_path):
    path = tmp_path / "audit.jsonl"
    write(path, "a", "b")
    whole = path.read_bytes()
    ends = [0, *(n + 1 for n, byte in enumerate(whole) if byte == 10)]
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        torn = size - max(end for end in ends if end <= size)
        assert verify(path).torn_bytes == torn
        assert verify(path).breaks == ()
        audit = Audit(path, 5)
        audit.append(9, "anna", "after")
        audit.close()
        assert verify(path).ok
        whats = [entry.what for entry in read(path)]
        assert whats == ["a", "b"][: whole[:size].count(b"\n")] + ["recovered"] * bool(torn) + ["after"]
        recovered = [entry for entry in read(path) if entry.what == "recovered"]
        assert [entry.body["cut_bytes"] for entry in recovered] == ([torn] if torn else [])


def test_a_damaged_chain_is_gone_on_with_and_stays_damaged(tmp_path):
    path = tmp_path / "audit.jsonl"
    write(path, "a", "b")
    path.write_bytes(path.read_bytes().replace(b'"what":"b"', b'"what":"x"'))
    write(path, "c", "d")
    check = verify(path)
    assert [place.line for place in check.breaks] == [2]
    assert [entry.seq for entry in read(path)] == [0, 2, 3]


@pytest.mark.parametrize("rest", [b'"seq":"x"}', b'"seq":0}', b"[", b'"seq":0,"body":7}', b""])
def test_a_line_that_is_bound_but_no_entry_is_noticed(tmp_path, rest):
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b'{"hash":"' + hashlib.sha256(rest).hexdigest().encode() + b'",' + rest + b"\n")
    assert verify(path).breaks == ((1, 0, "it is no entry"),)
    write(path, "b")
    assert [place.line for place in verify(path).breaks] == [1]


def test_threads_make_one_chain(tmp_path):
    audit = Audit(tmp_path / "audit.jsonl", 0)
    threads = [
        threading.Thread(target=lambda who=who: [audit.append(n, who, "x") for n in range(20)])
        for who in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check = verify(audit.path)
    assert (check.ok, check.entries) == (True, 80)


def test_what_cannot_be_kept_is_refused_and_leaves_nothing(tmp_path):
    audit = Audit(tmp_path / "audit.jsonl", 0)
    with pytest.raises(InvalidInput):
        audit.append(0, "anna", "x", {"v": object()})
    with pytest.raises(InvalidInput):
        audit.append(0, "anna", "x", {"v": "x" * 70_000})
    assert audit.path.read_bytes() == b""
    audit.close()
    with pytest.raises(StorageError):
        audit.append(0, "anna", "x")
    with pytest.raises(NotFound):
        verify(tmp_path / "nothing")
    with pytest.raises(StorageError):
        Audit(tmp_path / "no" / "folder", 0)


def test_a_full_disk_leaves_no_half_line(tmp_path):
    import resource
    import signal

    path = tmp_path / "audit.jsonl"
    audit = Audit(path, 0)
    audit.append(0, "anna", "a")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50, before[1]))
        with pytest.raises(StorageError):
            audit.append(1, "anna", "b")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    audit.append(2, "anna", "c")
    assert verify(path).ok
    assert [(entry.seq, entry.what) for entry in read(path)] == [(0, "a"), (1, "c")]
