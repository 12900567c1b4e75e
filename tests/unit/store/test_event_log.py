from __future__ import annotations

import os
from pathlib import Path

import pytest

from kymograph.model.errors import InvalidInput, StorageError
from kymograph.model.event import Event
from kymograph.store.event_log import EventLog


def make_event(number: int) -> Event:
    return Event(f"e{number}", number, "user/änna", "mark", {"text": "Tür offen", "n": number})


def test_events_come_back_in_order(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    assert list(log.read()) == []
    log.append(make_event(1))
    log.append(make_event(2), make_event(3))
    log.append()
    assert list(log.read()) == [make_event(n) for n in (1, 2, 3)]
    log.close()
    log.append(make_event(4))
    assert [event.id for event in EventLog(tmp_path / "events.jsonl").read()] == ["e1", "e2", "e3", "e4"]


def test_a_half_line_is_not_read_and_is_cut_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append(make_event(1), make_event(2))
    log.close()
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        log = EventLog(path)
        before = list(log.read())
        ended = whole[:size].count(b"\n")
        assert before[:ended] == [make_event(n + 1) for n in range(ended)]
        log.append(make_event(9))
        log.close()
        assert [e.id for e in log.read()] == [f"e{n + 1}" for n in range(ended)] + ["e9"]


def test_lines_that_are_no_events_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'\n[]\n{"id": 1}\n\xff\xfe\n' + b"[" * 100_000 + b"\n")
    log = EventLog(path)
    log.append(make_event(1))
    assert list(log.read()) == [make_event(1)]


def test_a_body_that_is_no_json_or_too_long_is_refused(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    with pytest.raises(InvalidInput):
        log.append(Event("a", 1, "x", "mark", {"value": object()}))
    with pytest.raises(InvalidInput):
        log.append(Event("a", 1, "x", "mark", {"text": "x" * 70_000}))
    assert not log.path.exists()


def test_an_event_the_disk_refuses_is_not_half_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append(make_event(1))

    def refuse(fd: int) -> None:
        raise OSError(5, os.strerror(5))

    with monkeypatch.context() as patch:
        patch.setattr("kymograph.store.event_log.os.fdatasync", refuse)
        with pytest.raises(StorageError):
            log.append(make_event(2))
    log.append(make_event(3))
    assert [event.id for event in log.read()] == ["e1", "e3"]


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        EventLog(tmp_path / "gone" / "events.jsonl").append(make_event(1))
