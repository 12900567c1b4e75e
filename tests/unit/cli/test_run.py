"""`kymograph run`: what is wrong is one clear line, and how a run goes is told in order."""

import json

import pytest

from kymograph.cli.app import run
from kymograph.cli.run import happened


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    for name in ("KYMOGRAPH_DATA", "KYMOGRAPH_URL", "KYMOGRAPH_KEY"):
        monkeypatch.delenv(name, raising=False)


def error_of(capsys, *arguments):
    code = run(["run", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().err)["error"]


def test_where_the_station_is_must_be_said(capsys, tmp_path):
    assert error_of(capsys, "ls")[0] == 2
    assert error_of(capsys, "ls", "--data", str(tmp_path), "--url", "http://127.0.0.1:1")[0] == 2
    assert error_of(capsys, "ls", "--data", str(tmp_path / "none"))[1]["code"] == "not_found"
    code, error = error_of(capsys, "ls", "--data", str(tmp_path))
    assert code == 1 and error["code"] == "unavailable"
    code, error = error_of(capsys, "start", "one", "--url", "http://127.0.0.1:1")
    assert code == 1 and "127.0.0.1:1" in error["message"]


def test_nobody_leaves_a_run_without_control(capsys, tmp_path):
    code, error = error_of(capsys, "start", "one", "--data", str(tmp_path), "--detach")
    assert code == 2 and "--keep" in error["hint"]


def test_how_it_goes_is_told_in_order():
    told = {"what": "stand set_valves", "told_ns": 1_000, "ended_ns": 2_000_000, "arguments": {"valves": [1]}}
    lines = happened({
        "started_ns": 0,
        "asked": [
            {**told, "told_ns": 3_000_000_000, "ended_ns": None, "outcome": "unanswered", "detail": ""},
            {**told, "outcome": "verified", "detail": ""},
            {**told, "outcome": "waiting", "detail": ""},
        ],
        "met": [{"condition": "stand.P1 > 1", "since_ns": 1_000_000_000, "met_ns": 2_000_000_000}],
    })  # fmt: skip
    assert [line.strip() for line in lines] == [
        "0.000 s  stand set_valves valves=[1] → verified after 0.002 s",
        "2.000 s  stand.P1 > 1 came true after 1.000 s",
        "3.000 s  stand set_valves valves=[1] → unanswered",
    ]
