"""`kymograph doctor`: every finding says what it found and, if it is not well, what to do."""

import fcntl
import json
import os
import socket

import pytest

from kymograph.cli import findings
from kymograph.cli.app import run
from kymograph.cli.findings import FAIL, OK, WARN, Finding


def told(capsys):
    return {f["subject"]: f for f in json.loads(capsys.readouterr().out)["findings"]}


def station(folder, text):
    path = folder / "station.toml"
    path.write_text(text, "utf-8")
    return str(path)


def test_it_looks_at_this_computer_and_changes_nothing(tmp_path, capsys):
    run(["doctor", "--data", str(tmp_path), "--json"])
    found = told(capsys)
    assert {"python", "data folder", "disk space", "disk speed", "clock", "data folder lock"} <= set(found)
    assert found["python"]["state"] == OK
    assert list(tmp_path.iterdir()) == []


def test_every_finding_that_is_not_well_says_what_to_do(tmp_path, capsys):
    run(["doctor", "--data", str(tmp_path), "--json"])
    for finding in told(capsys).values():
        assert finding["state"] == OK or finding["advice"]


def test_nothing_failed_leaves_with_0_and_the_text_says_the_same(tmp_path, capsys):
    code = run(["doctor", "--data", str(tmp_path)])
    out = capsys.readouterr().out
    assert "python: Python 3" in out
    assert (code == 0) == ("0 failed" in out or "All is well" in out)


def test_a_station_that_cannot_start_is_a_failure(tmp_path, capsys):
    assert run(["doctor", station(tmp_path, "colour = 'red'"), "--json"]) == 1
    found = told(capsys)["station file"]
    assert found["state"] == FAIL
    assert "colour" in found["found"]


def test_a_device_that_is_not_there_is_a_failure(tmp_path, capsys):
    text = '[instruments.l]\ndriver = "ydlidar"\nport = "serial:///dev/ttyUSB77"\n'
    assert run(["doctor", station(tmp_path, text), "--data", str(tmp_path / "d"), "--json"]) == 1
    assert "/dev/ttyUSB77" in told(capsys)["instrument l"]["found"]


def test_an_address_that_is_taken_is_a_failure(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = station(tmp_path, f"[web]\nport = {port}\n[station]\ndata = '{tmp_path}'")
        assert run(["doctor", path, "--json"]) == 1
        assert told(capsys)[f"address 127.0.0.1:{port}"]["state"] == FAIL
    assert findings.listening("127.0.0.1", port).state == OK


def test_a_folder_that_a_station_owns_is_said_to_be_owned(tmp_path):
    assert findings.lock(tmp_path).state == OK
    owner = os.open(tmp_path / ".lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(owner, fcntl.LOCK_EX)
    assert findings.lock(tmp_path).state == WARN
    os.close(owner)
    assert findings.lock(tmp_path).state == OK


def test_looking_at_the_lock_takes_it_from_nobody(tmp_path):
    (tmp_path / ".lock").touch()
    findings.lock(tmp_path)
    owner = os.open(tmp_path / ".lock", os.O_RDWR)
    fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(owner)


def test_a_data_folder_that_is_a_file_is_a_failure(tmp_path):
    (tmp_path / "data").touch()
    [found] = findings.disk(tmp_path / "data")
    assert found.state == FAIL


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_a_failure(tmp_path):
    tmp_path.chmod(0o500)
    [found] = findings.disk(tmp_path / "data")
    assert found.state == FAIL
    assert "chown" in found.advice


def test_a_folder_that_is_not_there_yet_is_judged_by_its_parent(tmp_path):
    found = {f.subject: f for f in findings.disk(tmp_path / "a/b/c")}
    assert found["data folder"].state == OK
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("states", "worst"), [([OK], OK), ([OK, WARN], WARN), ([WARN, FAIL, OK], FAIL), ([], OK)]
)
def test_the_worst_counts(states, worst):
    assert findings.summary([Finding("x", state, "") for state in states]) == worst
