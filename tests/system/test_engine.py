"""The engine under what a night brings: cables pulled, disks filled, kills in between, and an end in time."""

import itertools
import os
import subprocess
import sys
import time

import pytest

from kymograph.client import connect, errors
from kymograph.sim.process import SimulatorProcess
from kymograph.store.reader import RecordingReader
from kymograph.store.verify import verify
from tests.running import RunningStation, generator, until


def test_the_engine_stays_free_of_what_only_fronts_and_workers_need():
    code = "import sys, kymograph.cli.app, kymograph.app.engine; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(out.stdout.split())
    heavy = {
        "fastapi",
        "starlette",
        "uvicorn",
        "asyncio",
        "h5py",
        "pyarrow",
        "polars",
        "pandas",
        "httpx",
        "rich",
    }
    assert "kymograph.service.station" in loaded
    assert not heavy & loaded


def test_a_lidar_unplugged_while_it_is_recorded_comes_back_and_the_gap_is_told(tmp_path):
    with SimulatorProcess("sim://ydlidar?model=X4", tmp_path / "lidar") as lidar:
        table = f'[instruments.lidar]\ndriver = "ydlidar"\nport = "{lidar.url}"\n'
        with RunningStation(tmp_path, table) as station:
            client = connect(station.url)
            instrument = client.instrument("lidar")
            until(lambda: instrument.refresh().state == "acquiring", what="acquiring")
            recording = client.recording("night")
            until(lambda: recording.refresh().rows > 2000, what="rows before")
            lidar.fault("unplug")
            until(lambda: instrument.refresh().state == "fault", what="the fault")
            before = recording.refresh().rows
            lidar.fault("replug")
            until(lambda: instrument.refresh().state == "acquiring", what="the way back")
            until(lambda: recording.refresh().rows > before + 2000, what="rows after")
            ended, events = recording.stop(), recording.events()
        [gap] = [event.body for event in events if event.kind == "gap"]
        assert gap["reason"] == "device silent" and gap["until_ns"] > gap["from_ns"]
        assert "fault" in [event.body.get("state") for event in events if event.kind == "state"]
        [folder] = (station.data / "recordings").iterdir()
        blocks = list(RecordingReader(folder).blocks("lidar"))
        assert sum(block.rows for block in blocks) == ended.rows
        assert all(a.last_ns <= b.first_ns for a, b in itertools.pairwise(blocks))


def test_a_recording_goes_on_after_a_kill_if_the_station_file_says_so(tmp_path):
    with RunningStation(tmp_path, generator(1000), '[recording]\nafter_crash = "continue"\n') as station:
        recording = connect(station.url).recording("night", segment_interval_s=1)
        until(lambda: recording.manifest()["segments"], what="a segment")
        for _ in range(2):
            station.kill_engine()
            station.start()
            assert recording.refresh().ended == "recording"
            until(lambda n=recording.rows: recording.refresh().rows > n + 500, what="more rows")
        assert recording.stop().ended == "stop"
        assert len([event for event in recording.events() if event.kind == "gap"]) >= 2
        assert station.stop() == 0
    [folder] = (station.data / "recordings").iterdir()
    blocks = list(RecordingReader(folder).blocks("gen"))
    assert len({block.epoch for block in blocks}) == 3
    assert verify(station.data).ok


def test_sigterm_ends_it_within_ten_seconds_with_everything_sealed(tmp_path):
    with RunningStation(tmp_path, generator(10_000, 24), '[recording]\nformat = "hdf5"\n') as station:
        station.call("POST", "/v1/recordings", {"name": "night"})
        time.sleep(3)
        began = time.monotonic()
        assert station.stop() == 0
        assert time.monotonic() - began < 10
    [folder] = (station.data / "recordings").iterdir()
    assert RecordingReader(folder).recording.ended == "stop"
    assert not list(folder.glob("*.journal"))
    assert verify(station.data).ok


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 MB, which only root can make."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.root
def test_a_full_disk_ends_the_recording_and_nothing_else(small_disk):
    with RunningStation(small_disk, generator(10_000, 24)) as station:
        client = connect(station.url)
        recording, gen = client.recording("night", segment_interval_s=3600), client.stream("gen")
        until(lambda: recording.refresh().rows > 1000, what="rows")
        ballast = small_disk / "ballast"
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        ballast.write_bytes(bytes(max(free - 6 * 2**20, 0)))
        until(lambda: not recording.refresh().running, 60, "the end for want of room")
        assert recording.ended == "disk full"
        assert client.station().disk["state"] == "full"
        latest = gen.latest().seq
        until(lambda: gen.latest().seq > latest, what="live rows")
        with pytest.raises(errors.DiskFull):
            client.recording("again")
        ballast.unlink()
        until(lambda: client.station().disk["state"] != "full", what="room again")
        client.recording("again").stop()
        assert station.stop() == 0
        assert verify(station.data).ok
