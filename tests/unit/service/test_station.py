"""A station: its recordings begun, ended, annotated, refused, continued; its clock and its events."""

import threading
import time

import pytest

from kymograph import config as configuration
from kymograph.model.clock import Clock
from kymograph.model.errors import Conflict, DeviceError, FolderLocked, InvalidInput, NotFound, Refused
from kymograph.service.instruments import check_outside_port
from kymograph.service.station import Station
from kymograph.store.reader import RecordingReader


def until(condition, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.005)
    return found


def make(tmp_path, clock=None, **tables):
    instruments = {
        "gen": {"driver": "sine", "options": {"rate_hz": 1000, "channels": 2, "counter": True}},
        "slow": {"driver": "sine", "start": False, "options": {"rate_hz": 50, "channels": 1}},
    }
    data = {
        "station": {"name": "bench", "data": str(tmp_path / "data")},
        "instruments": instruments,
        **tables,
    }
    return Station(configuration.parse(data), clock)


@pytest.fixture
def station(tmp_path):
    made = make(tmp_path)
    made.start()
    yield made
    made.shutdown()


def folder_of(station, recording):
    return station.recordings.files(recording["id"]).path


def seqs(station, recording, stream="gen"):
    blocks = RecordingReader(folder_of(station, recording)).blocks(stream)
    return [seq for block in blocks for seq in range(block.seq, block.seq + block.rows)]


def test_a_recording_from_start_to_stop(station):
    begun = station.record_start({"name": "night", "streams": ["gen"], "metadata": {"who": "anna"}})
    assert begun["ended"] == "recording" and begun["origin"]["instruments"]["gen"]["driver"] == "sine"
    until(lambda: station.recorders()[0]["rows"] > 200)
    ended = station.record_stop(begun["id"])
    assert ended["ended"] == "stop" and station.recorders() == []
    found = seqs(station, begun)
    assert len(found) > 200 and found == list(range(found[0], found[0] + len(found)))


def test_one_recorder_for_a_stream(station):
    begun = station.record_start({"name": "one", "streams": ["gen"]})
    with pytest.raises(Conflict) as caught:
        station.record_start({"name": "two"})
    assert caught.value.facts["recording_id"] == begun["id"] and caught.value.facts["reason"] == "busy"
    station.record_start({"name": "three", "streams": ["slow"]})
    station.record_stop(begun["id"])
    with pytest.raises(Conflict):
        station.record_stop(begun["id"])
    with pytest.raises(NotFound):
        station.record_stop("none")


def test_of_many_starts_at_once_one_wins(station):
    outcomes = []

    def start():
        try:
            outcomes.append(station.record_start({"name": "race", "streams": ["gen"], "unique": True}))
        except Conflict as error:
            outcomes.append(error)

    threads = [threading.Thread(target=start) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([o for o in outcomes if isinstance(o, dict)]) == 1
    assert len(outcomes) == 12


def test_a_name_that_must_be_unique(station):
    begun = station.record_start({"name": "night", "streams": ["gen"], "unique": True})
    station.record_stop(begun["id"])
    with pytest.raises(Conflict) as caught:
        station.record_start({"name": "night", "streams": ["gen"], "unique": True})
    assert caught.value.facts["reason"] == "exists"
    again = station.record_start({"name": "night", "streams": ["gen"]})
    assert again["id"] != begun["id"]


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"name": "../x"},
        {"name": "x", "format": "doc"},
        {"name": "x", "segment_interval_s": 0.01},
        {"name": 5},
    ],
)
def test_a_bad_request_starts_nothing(station, request_):
    with pytest.raises(InvalidInput):
        station.record_start(request_)
    assert station.recorders() == []
    assert list(station.folder.recordings.iterdir()) == []
    station.record_start({"name": "good"})


def test_unknown_streams_are_named(station):
    with pytest.raises(NotFound):
        station.record_start({"name": "x", "streams": ["none"]})
    with pytest.raises(NotFound):
        station.record_start({"name": "x", "instruments": ["none"]})


def test_begin_acquiring_starts_and_stops_what_it_needs(station):
    begun = station.record_start({"name": "x", "instruments": ["slow"], "begin_acquiring": True})
    assert station.instrument("slow")["state"] == "acquiring"
    station.record_stop(begun["id"], stop_acquiring=True)
    assert station.instrument("slow")["state"] == "closed"


def test_begin_acquiring_leaves_alone_what_was_running(station):
    until(lambda: station.instrument("gen")["state"] == "acquiring")
    begun = station.record_start({"name": "x", "instruments": ["gen"], "begin_acquiring": True})
    station.record_stop(begun["id"], stop_acquiring=True)
    assert station.instrument("gen")["state"] == "acquiring"


def test_begin_acquiring_without_a_device_leaves_nothing_running(tmp_path):
    lidar = {"driver": "ydlidar", "port": f"serial://{tmp_path}/none", "start": False}
    made = make(tmp_path, instruments={"lidar": lidar})
    made.start()
    try:
        began = time.monotonic()
        with pytest.raises(DeviceError):
            made.record_start({"name": "x", "begin_acquiring": True})
        assert time.monotonic() - began < 5
        assert made.recorders() == [] and made.instrument("lidar")["state"] == "closed"
        with pytest.raises(DeviceError):
            made.record_start({"name": "x", "begin_acquiring": True})
    finally:
        made.shutdown()


def test_metadata_and_marks_stay_with_the_recording(station):
    begun = station.record_start({"name": "x", "streams": ["gen"], "metadata": {"a": 1, "b": 2}})
    assert station.annotate(begun["id"], {"b": None, "c": 3})["metadata"] == {"a": 1, "c": 3}
    station.mark(begun["id"], {"text": "door opened"}, by="anna")
    station.record_stop(begun["id"])
    station.annotate(begun["id"], {"c": 4})
    meant = station.mark(begun["id"], {"text": "afterwards", "time_ns": 17})
    assert meant["time_ns"] == 17 and meant["body"] == {"text": "afterwards"}
    files = station.recordings.files(begun["id"])
    assert files.recording().metadata == {"a": 1, "c": 4}
    marks = [event for event in files.events.read() if event.kind == "mark"]
    assert [(m.source, m.body["text"]) for m in marks] == [
        ("user/anna", "door opened"),
        ("user/local", "afterwards"),
    ]
    with pytest.raises(InvalidInput):
        station.mark(begun["id"], {})


def test_only_an_ended_recording_can_be_deleted(station):
    begun = station.record_start({"name": "x", "streams": ["gen"]})
    with pytest.raises(Conflict):
        station.delete(begun["id"])
    station.record_stop(begun["id"])
    path = folder_of(station, begun)
    station.delete(begun["id"])
    assert not path.exists()
    with pytest.raises(NotFound):
        station.delete(begun["id"])


def test_commands_and_their_outcome_are_events(station):
    with pytest.raises(Refused):
        station.command("slow", "anything", {})
    told = until(lambda: [e for e in station.events() if e["kind"] == "command"])
    assert told[0]["body"]["outcome"] == "refused"


def test_a_second_engine_on_the_same_folder_is_refused(station, tmp_path):
    with pytest.raises(FolderLocked):
        make(tmp_path)


def test_a_clock_that_jumps_is_an_event_and_backwards_an_epoch(tmp_path):
    shift = [0]
    clock = Clock(time.monotonic_ns, lambda: time.time_ns() + shift[0])
    made = make(tmp_path, clock)
    made.start()
    try:
        begun = made.record_start({"name": "x", "streams": ["gen"]})
        until(lambda: made.recorders()[0]["rows"] > 50)
        shift[0] = -3600 * 10**9
        epochs = lambda: made.recorders()[0]["streams"][0]["epoch"]  # noqa: E731
        before = epochs()
        until(lambda: epochs() > before)
        until(lambda: made.recorders()[0]["rows"] > 100)
        made.record_stop(begun["id"])
        events = list(made.recordings.files(begun["id"]).events.read())
        [moved] = [event for event in events if event.kind == "clock"]
        assert abs(moved.body["step_ns"] + 3600 * 10**9) < 10**9
        blocks = list(RecordingReader(folder_of(made, begun)).blocks("gen"))
        assert len({block.epoch for block in blocks}) == 2
        for epoch in {block.epoch for block in blocks}:
            times = [t for block in blocks if block.epoch == epoch for t in block.time_ns.tolist()]
            assert times == sorted(times)
    finally:
        made.shutdown()


def test_shutdown_seals_what_is_running(tmp_path):
    made = make(tmp_path)
    made.start()
    begun = made.record_start({"name": "x", "streams": ["gen"]})
    until(lambda: made.recorders()[0]["rows"] > 50)
    path = folder_of(made, begun)
    made.shutdown()
    assert RecordingReader(path).recording.ended == "stop"
    assert not list(path.glob("*.journal")) and (path / "SHA256SUMS").exists()


def test_options_change_while_it_runs(station):
    until(lambda: station.instrument("gen")["state"] == "acquiring")
    changed = station.configure("gen", {"amplitude": 3.0})
    assert changed["options"]["amplitude"] == 3.0
    until(lambda: station.instrument("gen")["state"] == "acquiring")
    for bad in ({"amplitude": "much"}, {"nonsense": 1}):
        with pytest.raises(Exception, match="sine"):
            station.configure("gen", bad)
    with pytest.raises(Refused):
        station.configure("gen", {"channels": 7})
    assert station.instrument("gen")["options"]["channels"] == 2


@pytest.mark.parametrize(
    "port", ["serial:///etc/passwd", "/dev/ttyUSB0", "serial:///dev/tty/../mem", "file:///x"]
)
def test_a_port_from_outside_is_a_serial_device_or_none(port: str) -> None:
    with pytest.raises(InvalidInput):
        check_outside_port(port)


@pytest.mark.parametrize(
    "port",
    [
        "serial:///dev/ttyUSB0?baud=9600",
        "serial://auto",
        "serial:///dev/serial/by-id/usb-FTDI_x-if00",
        "tcp://h:1",
    ],
)
def test_a_serial_device_may_be_named(port: str) -> None:
    check_outside_port(port)
