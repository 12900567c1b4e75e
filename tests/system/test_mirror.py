"""`kymograph mirror` of a running station: every recording of any instrument, whole and byte for byte."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from kymograph.store.completeness import ledger
from kymograph.store.reader import RecordingReader
from tests.mirroring import RunningMirror, check_copy, differences
from tests.proxy import Cable
from tests.running import RunningStation, generator, until

pytestmark = pytest.mark.timeout(180)


def begin(station, name="night", **more):
    return station.call("POST", "/v1/recordings", {"name": name, "segment_interval_s": 1, **more})


def end(station, recording):
    return station.call("POST", f"/v1/recordings/{recording['id']}/stop")


def folder_of(station, name):
    [path] = (station.data / "recordings").glob(f"*_{name}")
    return path


def rows_in(path):
    blocks = list(RecordingReader(path).blocks("gen"))
    if not blocks:
        return np.empty(0, np.int64)
    seqs = np.concatenate([np.arange(block.seq, block.seq + block.rows) for block in blocks])
    values = np.concatenate([block.columns()[0] for block in blocks])
    assert (np.diff(seqs) == 1).all() and (values - values[0] == seqs - seqs[0]).all()
    return seqs


@pytest.mark.parametrize("form", ["parquet", "csv", "hdf5", "jsonl"])
def test_a_recording_while_it_is_made(tmp_path, form):
    with RunningStation(tmp_path, generator(2000)) as station:
        recording = begin(station, format=form, metadata={"who": "Ana"})
        with RunningMirror(station.url, tmp_path / "copy") as mirror:
            until(lambda: mirror.lines() and mirror.lines()[-1]["held"] >= 2, what="two files held")
            station.call("POST", f"/v1/recordings/{recording['id']}/events", {"text": "valve opened"})
            end(station, recording)
            assert mirror.wait() == 0
            [copy] = mirror.copies()
            check_copy(folder_of(station, "night"), copy)
            assert json.loads(mirror.log().splitlines()[-1])["completeness"]["complete"]
            assert "valve opened" in (copy / "events.jsonl").read_text()


def test_rows_that_are_not_sealed_yet(tmp_path):
    """The open tail follows within the second or two that the source needs to make it durable."""
    with RunningStation(tmp_path, generator(1000)) as station:
        recording = begin(station, segment_interval_s=600)
        with RunningMirror(station.url, tmp_path / "copy") as mirror:
            until(lambda: mirror.copies() and len(rows_in(mirror.copies()[0])) > 3000, what="3000 rows")
            assert list(mirror.copies()[0].glob("*.journal"))
            there = station.call("GET", f"/v1/recordings/{recording['id']}")["rows"]
            until(lambda: len(rows_in(mirror.copies()[0])) >= there, 5, "the rows of that moment")

            def heard():
                told = station.call("GET", f"/v1/recordings/{recording['id']}/mirrors")["items"]
                return told and told[0]["state"] == "running" and told[0]["tail_bytes"] > 0

            until(heard, what="the source's knowledge of its mirror")
            end(station, recording)
            assert mirror.wait() == 0
            check_copy(folder_of(station, "night"), mirror.copies()[0])
            assert not list(mirror.copies()[0].glob("*.journal*"))


def test_a_cable_that_fails_again_and_again(tmp_path):
    with RunningStation(tmp_path, generator(5000)) as station:
        recording = begin(station)
        with (
            Cable(int(station.url.rpartition(":")[2])) as cable,
            RunningMirror(cable.url, tmp_path / "copy") as mirror,
        ):
            until(mirror.copies, what="the first contact")
            for bytes_through in (100, 3_000, 40_000, 200_000, 150_000):
                cable.cut_after(bytes_through)
                time.sleep(0.3)
            cable.lose_answers = True
            time.sleep(1)
            cable.lose_answers = False
            cable.cut()
            time.sleep(2)
            assert mirror.process.poll() is None and "waiting: " in mirror.log()
            end(station, recording)
            cable.mend()
            assert mirror.wait() == 0 and "it is back" in mirror.log()
        check_copy(folder_of(station, "night"), mirror.copies()[0])


def test_the_source_s_engine_is_killed(tmp_path):
    with RunningStation(tmp_path, generator(2000), '[recording]\nafter_crash = "continue"\n') as station:
        recording = begin(station)
        with RunningMirror(station.url, tmp_path / "copy") as mirror:
            for _ in range(3):
                before = mirror.lines()[-1]["held"] if mirror.lines() else 0
                until(lambda b=before: mirror.lines() and mirror.lines()[-1]["held"] > b, 30, "one more file")
                station.kill_engine()
                station.start()
            end(station, recording)
            assert mirror.wait() == 0
        check_copy(folder_of(station, "night"), mirror.copies()[0])
        told = ledger(mirror.copies()[0], time.time_ns())
        assert [missing.reason for missing in told.missing] == ["crash"] * 3
        assert all(missing.from_ns and missing.until_ns for missing in told.missing)
        assert "rows of unknown number missing in 3 places (crash)" in told.summary


def test_merged_at_its_source(tmp_path):
    with RunningStation(tmp_path, generator(2000)) as station:
        recording = begin(station, merge=True)
        with RunningMirror(station.url, tmp_path / "copy") as mirror:
            until(lambda: mirror.lines() and mirror.lines()[-1]["held"] >= 2, what="two files held")
            end(station, recording)
            mirror.wait()
        source = folder_of(station, "night")
        until(
            lambda: len(json.loads((source / "manifest.json").read_bytes())["segments"]) == 1, what="merging"
        )
        with RunningMirror(station.url, tmp_path / "copy") as mirror:
            assert mirror.wait() == 0
        check_copy(source, mirror.copies()[0])


def test_what_was_there_already_and_two_stations_into_one_folder(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    with (
        RunningStation(tmp_path / "a", generator(500)) as one,
        RunningStation(tmp_path / "b", generator(500)) as other,
    ):
        for station, name in ((one, "first"), (one, "second"), (other, "first")):
            recording = begin(station, name)
            time.sleep(1.2)
            end(station, recording)
        with (
            RunningMirror(one.url, tmp_path / "copy") as mirror,
            RunningMirror(other.url, tmp_path / "copy") as second,
        ):
            assert (mirror.wait(), second.wait()) == (0, 0)
        assert len(mirror.copies()) == 3
        wanted = [folder_of(one, "first"), folder_of(one, "second"), folder_of(other, "first")]
        for source in wanted:
            assert sum(not differences(source, copy) for copy in mirror.copies()) == 1
        with RunningMirror(one.url, tmp_path / "some", "--recording", "second") as some:
            assert some.wait() == 0
        assert [path.name.split("_")[1] for path in some.copies()] == ["second"]
        with RunningMirror(one.url, tmp_path / "none", "--recording", "third") as none:
            assert none.wait() == 1 and "has no recording third" in none.log()


def test_watching_waits_for_the_next_recording(tmp_path):
    with RunningStation(tmp_path, generator(500)) as station:
        with RunningMirror(station.url, tmp_path / "copy", "--watch") as mirror:
            for name in ("first", "second"):
                recording = begin(station, name)
                time.sleep(1.2)
                end(station, recording)
                until(
                    lambda n=name: any(
                        line["name"] == n and line["state"] == "whole" for line in mirror.lines()
                    ),
                    what=name,
                )
            assert mirror.process.poll() is None
            mirror.stop()
        assert "Traceback" not in mirror.log()
        for name in ("first", "second"):
            [copy] = [path for path in mirror.copies() if f"_{name}_" in path.name]
            check_copy(folder_of(station, name), copy)


def test_a_mirror_is_viewed_while_it_is_made(tmp_path):
    with RunningStation(tmp_path, generator(2000)) as station:
        recording = begin(station)
        with RunningMirror(station.url, tmp_path / "copy") as mirror:
            until(lambda: mirror.lines() and mirror.lines()[-1]["held"] >= 1, what="a file held")
            (tmp_path / "view").mkdir()
            with RunningStation(tmp_path / "view", "", data=tmp_path / "copy") as viewer:
                [held] = viewer.call("GET", "/v1/mirrors")["items"]
                assert held["recording_id"] == recording["id"] and held["url"] == station.url
                told = viewer.call("GET", f"/v1/recordings/{recording['id']}/completeness")
                assert told["side"] == "mirror" and told["source"]["url"] == station.url
                plotted = viewer.call(
                    "GET", f"/v1/recordings/{recording['id']}/data?stream=gen&max_points=100"
                )
                assert plotted["rows"] > 0
                end(station, recording)
                assert mirror.wait() == 0
                told = viewer.call("GET", f"/v1/recordings/{recording['id']}/completeness?verify=true")
                assert told["complete"] and told["state"] == "complete"
            check_copy(folder_of(station, "night"), mirror.copies()[0])


def test_a_station_that_asks_for_a_key(tmp_path):
    with RunningStation(tmp_path, generator(500), arguments=("--host", "0.0.0.0")) as station:
        with RunningMirror(station.url, tmp_path / "copy") as mirror:
            assert mirror.wait() == 1 and "--key" in mirror.log() and "Traceback" not in mirror.log()
