"""Faults on the wire at 10 kHz x 24: counted, told, survived; and of all rows not one is wrong.

The simulated controller sends a ramp: its counts tell which sample they belong to. So each row that is on the
disk can be judged by itself, and each row that is not can be named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kymograph import config as configuration
from kymograph.model.errors import KymographError
from kymograph.service.station import Station
from kymograph.store.reader import RecordingReader
from tests.running import until

pytestmark = pytest.mark.timeout(180)

CHANNELS = 24
STEP = 977
"""Between two channels of a sample."""
NAMES = [*(f"P{i}" for i in range(1, 9)), *(f"c{i}" for i in range(9, CHANNELS + 1))]
STUCK_COUNT = 12_345
TABLES: dict[str, Any] = {
    "instruments": {
        "stand": {
            "driver": "stm32",
            "port": "sim://stm32?protocol=frames&rate_hz=10000&batch=10&ramp=1",
            "options": {
                "protocol": "frames", "rate_hz": 10_000, "link": "usb", "channels": NAMES,
                "scale": dict.fromkeys(NAMES, 1.0), "offset": dict.fromkeys(NAMES, 0.0),
            },
        }
    },
    "interlocks": {
        "alive": {
            "trip": "stand.P1 > 70000", "applies_to": ["stand"], "actions": "safe", "max_age_s": 0.4,
            "latched": False,
        }
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    data = tmp_path_factory.mktemp("wire") / "data"
    made = Station(configuration.parse({"station": {"data": str(data)}, **TABLES}))
    made.start()
    try:
        until(lambda: interlock(made)["state"] == "ok", what="fresh data")
        made.record_start({"name": "faults"})
        yield made
    finally:
        made.shutdown()


def fault(station: Station, line: str) -> None:
    station._instruments.simulator("stand").fault(line)


def health(station: Station) -> dict[str, Any]:
    return station.instrument("stand")["health"]


def interlock(station: Station) -> dict[str, Any]:
    return station.control.status()["interlocks"][0]


def open_valve(station: Station) -> Any:
    return station.command("stand", "set_valves", {"valves": [1] + [0] * 8}, "test")


def flows(station: Station, rows: int = 2000) -> None:
    """Wait until good rows come again, steadily."""
    before = health(station)["rows"]
    until(lambda: health(station)["rows"] >= before + rows, what="rows")


def counted(station: Station, key: str, do: Callable[[], None], least: int = 1) -> int:
    """Return by how much a count grows from what is done."""
    before = health(station)[key]
    do()
    until(lambda: health(station)[key] >= before + least, what=f"{key} to grow")
    flows(station)
    return health(station)[key] - before


def test_without_faults_nothing_is_bad(station: Station) -> None:
    def bad() -> int:
        before = health(station)["frames_bad"]
        flows(station, 5000)
        return health(station)["frames_bad"] - before

    # A busy computer lets the wire overrun, which is damage too; not each of ten times.
    assert any(bad() == 0 for _ in range(10))


def test_flipped_bits_are_counted(station: Station) -> None:
    def flip() -> None:
        fault(station, "noise 0.0002")
        until(lambda: health(station)["frames_bad"] >= before + 40, what="damage")
        fault(station, "ok")

    before = health(station)["frames_bad"]
    assert counted(station, "resyncs", flip) >= 10


@pytest.mark.parametrize("line", ["drop 137", "corrupt 60", "junk 700", "drop 4000", "junk 30000"])
def test_cuts_and_junk_are_counted_and_got_over(station: Station, line: str) -> None:
    assert counted(station, "frames_bad", lambda: fault(station, line)) < 400
    assert station.instrument("stand")["state"] == "acquiring"


def test_whole_frames_that_are_missing_are_told_row_by_row(station: Station) -> None:
    lost = missing(station)
    fault(station, "skip 7")
    until(lambda: missing(station) >= lost + 70, what="the gap")
    flows(station)


def missing(station: Station) -> int:
    """Return how many rows the recording knows to be missing."""
    return sum(e["body"]["rows"] or 0 for e in gaps(station) if e["body"]["reason"] == "device")


def gaps(station: Station) -> list[dict[str, Any]]:
    [recorder] = station.recordings.running()
    return [e.to_dict() for e in recorder.folder.events.read() if e.kind == "gap"]


def test_an_unplug_in_mid_frame_and_a_return(station: Station) -> None:
    reopens = health(station)["reopens"]
    fault(station, "cut 731 0.7")
    until(lambda: station.instrument("stand")["state"] == "fault", what="the loss")
    until(lambda: interlock(station)["state"] == "tripped", what="a trip by silence")
    with pytest.raises(KymographError):
        open_valve(station)
    until(lambda: station.instrument("stand")["state"] == "acquiring", 40, "the return")
    flows(station)
    assert health(station)["reopens"] > reopens
    until(lambda: interlock(station)["state"] == "ok", what="fresh data")


def test_silence_is_unsafe_although_the_wire_is_there(station: Station) -> None:
    fault(station, "silence")
    until(lambda: interlock(station)["state"] == "tripped", what="a trip by silence")
    assert "stale" in interlock(station)["reason"]
    assert station.instrument("stand")["state"] == "acquiring"  # nothing but the data is missing
    with pytest.raises(KymographError, match="stale"):
        open_valve(station)
    fault(station, "speak")
    until(lambda: interlock(station)["state"] == "ok", what="fresh data")
    flows(station)


def test_a_value_that_is_stuck_does_not_hide_the_others(station: Station) -> None:
    fault(station, "stuck P2")
    flows(station, 3000)
    until(lambda: station.latest("stand")["values"]["P2"] == STUCK_COUNT, what="the stuck value")
    assert interlock(station)["state"] == "ok"
    fault(station, "stuck off")
    flows(station)


def test_in_the_end_every_row_is_right_and_every_missing_one_is_known(station: Station) -> None:
    [recorder] = station.recordings.running()
    ended = station.record_stop(recorder.recording.id)
    told = [e.to_dict() for e in station.recordings.files(ended["id"]).events.read() if e.kind == "gap"]
    seq, epoch, counts, times = read(station.recordings.files(ended["id"]).path)
    assert len(seq) > 30_000
    # each row by itself: whatever was damaged has made no row
    number = counts[:, 0]
    right = (number[:, None] + STEP * np.arange(CHANNELS)) % 65_536
    wrong = counts != right
    wrong[:, 1] &= counts[:, 1] != STUCK_COUNT
    assert not wrong.any(), f"rows {np.flatnonzero(wrong.any(axis=1))[:5]} are wrong"
    # each gap: the samples that are missing are as many as the numbers that are missing
    assert (np.diff(times) >= 0).all()
    steps, numbers = np.diff(seq), np.diff(number) % 65_536
    same = np.diff(epoch) == 0
    unknown = same & (steps % 65_536 != numbers)
    holes = int((steps[same] - 1).sum())
    known = sum(e["body"]["rows"] or 0 for e in told)
    assert holes == known > 70
    # where the device itself began anew or fell silent, that is told, at that very row
    silent = {e["body"]["from_seq"] for e in told if e["body"]["rows"] is None}
    assert set((seq[1:][unknown]).tolist()) <= silent
    assert unknown.sum() <= 12


def read(path: Path) -> tuple[Any, Any, Any, Any]:
    seq, epoch, counts, times = [], [], [], []
    for block in RecordingReader(path).blocks("stand"):
        seq.append(np.arange(block.seq, block.seq + block.rows))
        epoch.append(np.full(block.rows, block.epoch))
        counts.append(np.stack(block.columns(), axis=1).astype(np.int64))
        times.append(block.time_ns)
    return tuple(np.concatenate(parts) for parts in (seq, epoch, counts, times))
