"""The command line as a person uses it: real processes, a real folder, a real port."""

import csv
import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

KYMOGRAPH = [sys.executable, "-m", "kymograph"]
STATION = """
[station]
name = "bench"

[web]
port = 0

[recording]
format = "csv"
segment_interval_s = 1

[instruments.signals]
driver = "sine"

[instruments.signals.options]
rate_hz = 1000
channels = 2
counter = true
"""


def kymograph(*arguments, code=0, **more):
    done = subprocess.run(
        [*KYMOGRAPH, *map(str, arguments)], capture_output=True, text=True, timeout=60, **more
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def answer(*arguments, **more):
    return json.loads(kymograph(*arguments, "--json", **more).stdout)


def line_with(pipe, words, deadline_s=30):
    """Return the first line that has these words in it."""
    deadline = time.monotonic() + deadline_s
    text = b""
    while True:
        assert select.select([pipe], [], [], max(deadline - time.monotonic(), 0))[0], (
            f"no {words!r} in {text!r}"
        )
        more = os.read(pipe.fileno(), 65536)
        assert more, f"ended without {words!r}: {text!r}"
        text += more
        for line in text.decode().splitlines():
            if words in line:
                return line


def until(condition, deadline_s=20):
    deadline = time.monotonic() + deadline_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found


def request(url, method="GET", body=None):
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(asked, timeout=20) as response:
        return json.loads(response.read() or b"null")


class Running:
    """A station in a process of its own."""

    def __init__(self, folder):
        (folder / "station.toml").write_text(STATION)
        self.data = folder / "data"
        command = [*KYMOGRAPH, "serve", "station.toml", "--data", str(self.data)]
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=self.log)
        self.url = line_with(self.process.stdout, "Open http").split()[1]

    def record(self, name):
        made = request(f"{self.url}/v1/recordings", "POST", {"name": name})
        rows = f"{self.url}/v1/recordings/{made['id']}"
        until(lambda: request(rows)["rows"] >= 1100)
        return made["id"]

    def stop(self, recording_id):
        request(f"{self.url}/v1/recordings/{recording_id}/stop", "POST", {})

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(15)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()


@pytest.fixture
def station(tmp_path):
    made = Running(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A data folder with one recording, `night`, made and ended by a real station."""
    made = Running(tmp_path_factory.mktemp("recorded"))
    try:
        made.stop(made.record("night"))
        assert made.end() == 0
    finally:
        made.close()
    return made.data


def counted(text):
    rows = list(csv.reader(text.splitlines()))
    column = next(i for i, name in enumerate(rows[0]) if "ch0" in name or "count" in name or i == 1)
    return [int(float(row[column])) for row in rows[1:]]


def test_ctrl_c_seals_what_is_being_recorded_and_leaves_with_0(station):
    station.record("night")
    assert station.end(signal.SIGINT) == 0
    [item] = answer("recordings", "ls", "--data", station.data)["items"]
    assert (item["name"], item["ended"]) == ("night", "stop")
    assert item["rows"] >= 1100
    [check] = answer("verify", station.data)["recordings"]
    assert check["ok"]
    assert check["journals"] == []
    assert check["rows"] == item["rows"]


def test_after_a_kill_the_next_start_closes_the_recording_as_a_crash(station, tmp_path):
    station.record("night")
    station.process.kill()
    station.process.wait()
    again = Running(tmp_path)
    try:
        [item] = until(lambda: request(f"{again.url}/v1/recordings")["items"])
        assert item["ended"] == "crash"
        assert again.end(signal.SIGTERM) == 0
    finally:
        again.close()
    rows = counted(kymograph("recordings", "export", "night", "--data", station.data, "-o", "-").stdout)
    assert rows == list(range(rows[0], rows[0] + len(rows)))
    assert len(rows) >= 1100


def test_a_running_stations_recordings_are_listed_shown_and_exported_by_its_address(station, tmp_path):
    recording_id = station.record("night")
    [item] = answer("recordings", "ls", "--url", station.url)["items"]
    assert (item["id"], item["ended_ns"]) == (recording_id, None)
    shown = answer("recordings", "show", recording_id[:8], "--url", station.url)
    assert shown["streams"][0]["name"] == "signals"
    target = tmp_path / "out.csv"
    made = answer("recordings", "export", "night", "--url", station.url, "-o", target)
    assert made["size_bytes"] == target.stat().st_size
    rows = counted(target.read_text())
    assert len(rows) >= 1100
    assert rows == list(range(rows[0], rows[0] + len(rows)))
    refused = kymograph("recordings", "rm", "night", "--yes", "--url", station.url, code=1)
    assert "still being recorded" in refused.stderr
    station.stop(recording_id)
    assert answer("recordings", "rm", "night", "--yes", "--url", station.url)["removed"] == recording_id
    assert answer("recordings", "ls", "--url", station.url)["items"] == []


def test_a_folder_that_a_station_owns_is_not_deleted_from(station):
    recording_id = station.record("night")
    station.stop(recording_id)
    refused = kymograph("recordings", "rm", "night", "--yes", "--data", station.data, code=1)
    assert "hint:" in refused.stderr
    assert len(answer("recordings", "ls", "--data", station.data)["items"]) == 1


def test_a_second_station_on_the_same_folder_says_so(station, tmp_path):
    refused = kymograph("serve", "station.toml", "--data", station.data, code=1, cwd=tmp_path)
    assert refused.stderr.splitlines()[-2].startswith("error: ")
    assert refused.stderr.splitlines()[-1].startswith("hint: ")


def test_a_port_that_is_taken_says_so(station, tmp_path):
    port = station.url.rpartition(":")[2]
    refused = kymograph(
        "serve", "station.toml", "--data", tmp_path / "other", "--port", port, code=2, cwd=tmp_path
    )
    assert f"port {port}" in refused.stderr
    assert "--port" in refused.stderr


def test_recordings_of_a_folder_are_shown_to_a_person(recorded):
    listed = kymograph("recordings", "ls", "--data", recorded).stdout.splitlines()
    assert listed[0].split()[:3] == ["name", "id", "started"]
    assert listed[1].split()[0] == "night"
    shown = kymograph("recordings", "show", "night", "--data", recorded).stdout
    assert "ended by stop" in shown
    assert "signals" in shown


@pytest.mark.parametrize("file_format", ["csv", "hdf5", "parquet", "jsonl"])
def test_a_recording_is_exported_in_every_format(recorded, tmp_path, file_format):
    made = answer(
        "recordings", "export", "night", "--data", recorded, "--format", file_format, "-o", tmp_path
    )
    path = tmp_path / made["path"].rpartition("/")[2]
    assert path.stat().st_size == made["size_bytes"] > 0
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_part_of_a_recording_is_exported_by_its_times(recorded):
    [item] = answer("recordings", "ls", "--data", recorded)["items"]
    whole = counted(kymograph("recordings", "export", "night", "--data", recorded, "-o", "-").stdout)
    begin = item["started_ns"] + 500_000_000
    arguments = ["--data", recorded, "--from", begin, "--to", begin + 300_000_000, "-o", "-"]
    part = counted(kymograph("recordings", "export", "night", *arguments).stdout)
    assert 250 <= len(part) <= 300
    assert set(part) < set(whole)


def test_nothing_is_written_over(recorded, tmp_path):
    (tmp_path / "x.csv").write_text("mine")
    arguments = ["recordings", "export", "night", "--data", recorded, "-o", tmp_path / "x.csv"]
    kymograph(*arguments, code=1)
    assert (tmp_path / "x.csv").read_text() == "mine"
    kymograph(*arguments, "--force")
    assert (tmp_path / "x.csv").read_text() != "mine"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "nothing"], 1),
        (["export", "nothing"], 1),
        (["export", "night", "--stream", "nothing"], 2),
        (["export", "night", "--format", "xls"], 2),
        (["export", "night", "--channels", "nothing", "-o", "-"], 2),
        (["export", "night", "--from", "yesterday", "-o", "-"], 2),
        (["rm", "night"], 2),
    ],
)
def test_what_is_not_there_or_not_meant_is_one_line(recorded, tmp_path, arguments, code):
    refused = kymograph(
        "recordings", *arguments, "--data", recorded, code=code, cwd=tmp_path, stdin=subprocess.DEVNULL
    )
    assert refused.stderr.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_data_folder_is_said_to_be_none(tmp_path):
    kymograph("verify", tmp_path, code=2)
    kymograph("recordings", "ls", "--data", tmp_path / "nothing", code=1)
    assert list(tmp_path.iterdir()) == []


def test_a_station_that_does_not_answer_is_said_not_to(tmp_path):
    refused = kymograph("recordings", "ls", "--url", "http://127.0.0.1:9", code=1)
    assert "no station answers" in refused.stderr


def test_a_flipped_bit_is_found_and_named(recorded, tmp_path):
    import shutil

    copy = tmp_path / "data"
    shutil.copytree(recorded, copy, ignore=shutil.ignore_patterns("*.sock"))
    sealed = next(copy.glob("recordings/*/*.csv"))
    spoilt = bytearray(sealed.read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    sealed.write_bytes(spoilt)
    found = kymograph("verify", copy, code=1).stdout
    assert "FAIL" in found
    assert f"{sealed.name} was changed" in found
    sealed.unlink()
    assert f"{sealed.name} is not there" in kymograph("verify", copy, code=1).stdout
    assert json.loads(kymograph("verify", sealed.parent, "--json", code=1).stdout)["ok"] is False


def test_a_lost_catalog_is_made_anew(recorded, tmp_path):
    import shutil

    copy = tmp_path / "data"
    shutil.copytree(recorded, copy, ignore=shutil.ignore_patterns("*.sock", "catalog.db*"))
    assert answer("verify", copy, "--rebuild")["rebuilt"]["recordings"] == 1
    assert [i["name"] for i in answer("recordings", "ls", "--data", copy)["items"]] == ["night"]


def test_a_lost_manifest_is_made_anew_from_its_sealed_files(recorded, tmp_path):
    import shutil

    copy = tmp_path / "data"
    shutil.copytree(recorded, copy, ignore=shutil.ignore_patterns("*.sock"))
    [manifest] = copy.glob("recordings/*/manifest.json")
    manifest.unlink()
    rebuilt = answer("verify", copy, "--rebuild")["rebuilt"]
    assert rebuilt["adopted"] and not rebuilt["failed"]
    assert answer("verify", copy)["ok"] is True


def test_a_recording_is_deleted_from_a_folder_that_nobody_owns(recorded, tmp_path):
    import shutil

    copy = tmp_path / "data"
    shutil.copytree(recorded, copy, ignore=shutil.ignore_patterns("*.sock"))
    assert answer("recordings", "rm", "night", "--yes", "--data", copy)["name"] == "night"
    assert answer("recordings", "ls", "--data", copy)["items"] == []
    assert list((copy / "recordings").iterdir()) == []


def test_a_simulated_lidar_can_be_opened_by_any_program(tmp_path):
    link = tmp_path / "lidar"
    command = [*KYMOGRAPH, "simulate", "ydlidar", "--model", "X4", "--link", str(link)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert line_with(process.stdout, "ready") == f"ready {link}"
        port = os.open(link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        os.write(port, bytes.fromhex("a590"))
        said = b""
        while len(said) < 27:
            assert select.select([port], [], [], 10)[0], said
            said += os.read(port, 100)
        assert said[:7] == bytes.fromhex("a55a1400000004")
        assert said[7] == 6
        os.close(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert not link.is_symlink()
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
