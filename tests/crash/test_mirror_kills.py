"""The mirror, killed at random while its source records and its cable fails: in the end all is there."""

import hashlib
import json
import random
import time

import pytest

from kymograph.store.completeness import ledger
from tests.mirroring import RunningMirror, check_copy
from tests.proxy import Cable
from tests.running import RunningStation, generator, until


@pytest.mark.timeout(300)
def test_10_kills_of_the_mirror(tmp_path):
    kill_mirror(tmp_path, 10)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_100_kills_of_the_mirror(tmp_path):
    kill_mirror(tmp_path, 100)


def kill_mirror(tmp_path, kills):
    rng = random.Random(5)
    with RunningStation(tmp_path, generator(20_000)) as station:
        recording = station.call("POST", "/v1/recordings", {"name": "night", "segment_interval_s": 1})
        with (
            Cable(int(station.url.rpartition(":")[2])) as cable,
            RunningMirror(cable.url, tmp_path / "copy") as mirror,
        ):
            cable.delay_s = 0.001
            for _ in range(kills):
                kill_once(rng, cable, mirror)
            station.call("POST", f"/v1/recordings/{recording['id']}/stop")
            assert mirror.wait(120) == 0
        [source] = (station.data / "recordings").iterdir()
        until(lambda: not list(source.glob("*.journal")), what="the last journal's end")
        [copy] = mirror.copies()
        check_copy(source, copy)
        assert not list(copy.glob("*.part"))


def kill_once(rng, cable, mirror):
    if rng.random() < 0.3:
        cable.cut_after(rng.randrange(200, 300_000))
    time.sleep(rng.uniform(0.1, 2.0))
    assert mirror.process.poll() is None
    mirror.kill()
    # What it says of itself at any moment is true: what its manifest lists is there, whole.
    for copy in mirror.copies():
        found = check_promises(copy)
        assert found <= {"verified", "held", "missing"}, found
    mirror.start()


def check_promises(copy):
    """Hash everything that the mirror's manifest lists; return the states of what its source has."""
    for segment in json.loads((copy / "manifest.json").read_bytes())["segments"]:
        data = (copy / segment["filename"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == segment["sha256"], segment["filename"]
    if not (copy / "mirror.json").exists():
        return set()
    return {file.state for file in ledger(copy, time.time_ns()).files}
