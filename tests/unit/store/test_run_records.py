"""Records of runs: whole after every write, listed newest first, closed when an engine left them open."""

import json

import pytest

from kymograph.model.errors import NotFound
from kymograph.store.run_records import RunRecords

S = 1_000_000_000


def record(number, **more):
    begin = f"{number:08x}"
    return {
        "id": f"{begin}-0000-4000-8000-000000000000", "sequence": "one", "started_ns": number * 100 * S,
        "ended_ns": None, "state": "running", "written_ns": number * 100 * S + 7, "text": "name: one", **more,
    }  # fmt: skip


def test_what_was_written_is_there(tmp_path):
    records = RunRecords(tmp_path)
    assert list(records.newest()) == [] and records.close_open("killed") == []
    for number in (1, 2):
        records.write(record(number))
    (path,) = (tmp_path / "runs").glob("*_one_00000001")
    assert path.name.startswith("19700101T000140Z")
    assert [one["id"][:8] for one in records.newest()] == ["00000002", "00000001"]
    assert records.get(record(1)["id"]) == record(1)
    for wrong in ("00000001-1111-4000-8000-000000000000", "00000009"):
        with pytest.raises(NotFound):
            records.get(wrong)


def test_a_listing_follows_what_changes_and_leaves_out_what_is_long(tmp_path):
    records = RunRecords(tmp_path)
    records.write(record(1))
    assert [one["state"] for one in records.newest(frozenset({"text"}))] == ["running"]
    records.write(record(1, state="done", ended_ns=1))
    for _ in range(2):
        (one,) = records.newest(frozenset({"text"}))
        assert one["state"] == "done" and "text" not in one
    assert next(records.newest())["text"]


def test_what_an_engine_left_open_is_closed_once(tmp_path):
    records = RunRecords(tmp_path)
    records.write(record(1))
    records.write(record(2, state="done", ended_ns=5))
    assert [one["id"] for one in records.close_open("killed")] == [record(1)["id"]]
    closed = records.get(record(1)["id"])
    assert (closed["state"], closed["reason"], closed["ended_ns"]) == ("failed", "killed", 100 * S + 7)
    assert records.close_open("killed") == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id": 3, "started_ns": 1}'])
def test_what_cannot_be_read_is_left_out(tmp_path, text):
    records = RunRecords(tmp_path)
    records.write(record(1, ended_ns=1))
    folder = tmp_path / "runs" / "20000101T000000Z_one_00000003"
    folder.mkdir()
    (folder / "run.json").write_text(text)
    (tmp_path / "runs" / "a file").write_text("x")
    assert [one["id"] for one in records.newest()] == [record(1)["id"]]
    assert json.loads(next((tmp_path / "runs").glob("*_00000001/run.json")).read_text())["id"]
