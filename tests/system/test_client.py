"""`kymograph.client` against a station in its own processes, killed where it hurts."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kymograph.client import Batch, Client, Cursor, Gap, LiveStream, RowsMissing, connect, errors
from kymograph.service.keys import CONTROL, READ, RECORD, KeyStore
from tests.running import LIDAR, RunningStation, generator, until

RATE_HZ = 2000
TABLES = '[recording]\nformat = "parquet"\nsegment_interval_s = 1\n'


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningStation]:
    both = generator(RATE_HZ) + LIDAR + '[instruments.lidar.options]\nmodel = "X4"\n'
    with RunningStation(tmp_path_factory.mktemp("client"), both, TABLES) as made:
        with connect(made.url) as client:
            until(lambda: client.instrument("lidar").state == "acquiring", what="the lidar")
        yield made


@pytest.fixture
def client(station: RunningStation) -> Generator[Client]:
    with connect(station.url) as made:
        yield made


class Whole:
    """Takes batches, and fails at the first row that is missing, comes twice or is not what it was."""

    def __init__(self) -> None:
        self.at: Cursor | None = None
        self.value: int | None = None
        self.batches = 0

    def take(self, item: Batch | Gap) -> None:
        assert isinstance(item, Batch), item
        assert self.at is None or (item.epoch, item.seq) == self.at
        counts = item["counter"]
        assert len(counts) == len(item.time_ns) == item.rows == item.seq_to - item.seq
        np.testing.assert_array_equal(counts - counts[0], np.arange(len(counts)))
        assert self.value is None or counts[0] == self.value + 1
        assert (np.diff(item.time_ns) > 0).all()
        self.at, self.value = item.cursor, int(counts[-1])
        self.batches += 1


def kill_front(station: RunningStation) -> None:
    front = station.front()
    assert front is not None
    os.kill(front.pid, signal.SIGKILL)


# -- what there is -----------------------------------------------------------------------------------------
def test_the_station_and_what_it_has(client: Client, station: RunningStation) -> None:
    told = client.station()
    assert told.name == "bench" and told.simulated and told.disk["state"] == "ok"
    assert abs(told.now_ns - time.time_ns()) < 60e9
    assert [one.name for one in client.instruments()] == ["gen", "lidar"]
    lidar = client.stream("lidar")
    assert lidar.units == {"distance": "m", "angle": "deg", "intensity": "", "scan": ""}
    assert lidar.instrument == "lidar" and lidar.rate_hz > 0
    assert client.events()[0].kind
    with pytest.raises(errors.NotFound) as wrong:
        client.stream("nope")
    assert wrong.value.facts["streams"] == ["gen", "lidar"]
    with pytest.raises(errors.NotFound):
        client.instrument("nope")
    with pytest.raises(errors.InvalidInput):
        client.instrument("../station")


def test_an_instrument_is_operated(client: Client) -> None:
    gen = client.instrument("gen")
    assert gen.state == "acquiring" and gen.options["rate_hz"] == RATE_HZ and gen.health.rows > 0
    assert gen.options_schema["properties"]["rate_hz"]
    try:
        assert gen.pause().paused and gen.state == "idle"
        assert not gen.resume().paused and gen.state == "acquiring"
        assert gen.stop().state == "idle"
        with pytest.raises(errors.Refused):
            gen.resume()
        assert gen.configure(amplitude=2.0).options["amplitude"] == 2.0
        with pytest.raises(errors.ConfigError, match="amplitude"):
            gen.configure(amplitude="loud")
        with pytest.raises(errors.KymographError):
            gen.command("dance", fast=True)
        assert gen.close().state == "closed"
    finally:
        assert gen.start().state == "acquiring"


def test_newest_rows(client: Client) -> None:
    gen = client.stream("gen")
    row = until(lambda: newest(gen), what="a row")
    assert list(row.values) == ["counter", "ch1", "ch2", "ch3"] and row.cursor == (row.epoch, row.seq + 1)
    assert row.time == np.datetime64(row.time_ns, "ns")
    until(lambda: (gen.latest().values["counter"] or 0) > 1.5 * RATE_HZ, what="rows without a stop")
    frame = gen.data(seconds=1, channels=["counter"], max_points=20_000)
    assert frame.mode == "raw" and len(frame) == frame.rows == pytest.approx(RATE_HZ, abs=50)
    assert (np.diff(frame["counter"]) == 1).all() and frame["counter"].dtype == np.int64
    peaks = gen.data(seconds=1, max_points=10)
    assert peaks.mode == "minmax" and len(peaks) == 10 and peaks.rows > 1000
    assert peaks["counter:max"].max() - peaks["counter:min"].min() == peaks.rows - 1
    part = gen.data(start=frame.time[10], stop=int(frame.time_ns[20]))
    assert part.time_ns.tolist() == frame.time_ns[10:20].tolist()


def newest(stream: LiveStream) -> Any:
    try:
        return stream.latest()
    except errors.NotFound:
        return None


# -- live --------------------------------------------------------------------------------------------------
def test_live_rows_are_whole_and_the_loop_ends_in_time(client: Client) -> None:
    whole = Whole()
    for item in client.live("gen", seconds=1.5):
        whole.take(item)
    assert whole.batches > 20


def test_several_streams_with_their_units(client: Client) -> None:
    units: dict[str, dict[str, str]] = {}
    for batch in client.live(on_gap="raise", timeout_s=20):
        units[batch.stream] = batch.units
        frame = batch.to_pandas()
        assert frame.attrs["units"] == batch.units and len(frame) == len(batch)
        if len(units) == 2:
            break
    assert units["lidar"] == client.stream("lidar").units and set(units) == {"gen", "lidar"}


def test_a_loop_is_left_and_begun_again(client: Client) -> None:
    live, whole = client.live("gen", timeout_s=20), Whole()
    for _ in range(3):
        for item in live:
            whole.take(item)
            if whole.batches % 5 == 0:
                break
        time.sleep(0.2)  # rows that nobody listens to
    assert live.connections == 3 and live.cursors == {"gen": whole.at}
    for item in client.live("gen", since=live.cursors, seconds=1):
        whole.take(item)
    assert whole.batches > 15


def test_a_loop_is_ended_from_elsewhere(client: Client) -> None:
    ended = threading.Event()
    live = client.live("gen")

    def read() -> None:
        for _ in live:
            pass
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    until(lambda: live.cursors, what="rows")
    live.close()
    assert ended.wait(10)


def test_reduced_views(client: Client) -> None:
    batches = list(
        take(client.live("gen", mode="minmax", channels=["counter"], max_rate_hz=10, timeout_s=20), 3)
    )
    for before, batch in itertools.pairwise(batches):
        assert (batch.epoch, batch.seq) == before.cursor
        assert batch["counter:max"][0] - batch["counter:min"][0] == batch.rows - 1 > 10
    for batch in take(client.live("gen", mode="latest", max_rate_hz=20, timeout_s=20), 3):
        assert len(batch) == batch.rows == 1 and batch.seq_to == batch.seq + 1


def take(live: Iterable[Batch | Gap], count: int) -> Generator[Batch]:
    for number, item in enumerate(live, 1):
        assert isinstance(item, Batch)
        yield item
        if number == count:
            return


def test_silence_is_raised_after_the_time_that_was_given(client: Client) -> None:
    gen = client.instrument("gen").stop()
    try:
        with pytest.raises(errors.TimedOut, match="no live rows"):
            for _ in client.live("gen", timeout_s=1):
                pass
        assert list(client.live("gen", seconds=0.5)) == []
    finally:
        gen.start()


@pytest.mark.parametrize(
    ("wish", "kind"),
    [
        ({"streams": ["nope"]}, errors.NotFound),
        ({"channels": ["nope"]}, errors.InvalidInput),
        ({"max_rate_hz": 0}, errors.InvalidInput),
        ({"since": {"gen": (2**62, 5)}, "timeout_s": 1}, None),
        ({"mode": "best"}, errors.InvalidInput),
        ({"on_gap": "panic"}, errors.InvalidInput),
    ],
)
def test_what_cannot_be_had_live(client: Client, wish: dict[str, Any], kind: Any) -> None:
    streams = wish.pop("streams", ["gen"])
    if kind is None:  # an epoch that nobody knows: what is left of it is told, and it goes on
        first = next(iter(client.live(*streams, **wish)))
        assert isinstance(first, Gap) and first.to_seq is None
        return
    with pytest.raises(kind):
        next(iter(client.live(*streams, **wish)))


@pytest.mark.parametrize("how", ["for", "async for"])
def test_the_front_is_killed_in_mid_stream(tmp_path: Path, how: str) -> None:
    with RunningStation(tmp_path, generator(RATE_HZ)) as station, connect(station.url) as client:
        live, whole = client.live("gen", timeout_s=30), Whole()

        def enough(item: Batch | Gap) -> bool:
            whole.take(item)
            if whole.batches in (20, 60):
                kill_front(station)
            return live.connections >= 3 and whole.batches > 120

        if how == "for":
            assert any(enough(item) for item in live)
        else:
            asyncio.run(follow(live.__aiter__(), enough))


async def follow(items: AsyncIterator[Batch | Gap], enough: Callable[[Batch | Gap], bool]) -> None:
    async for item in items:
        if enough(item):
            return
    raise AssertionError("it ended by itself")


def test_the_engine_is_killed_in_mid_stream(tmp_path: Path) -> None:
    with RunningStation(tmp_path, generator(RATE_HZ)) as station, connect(station.url) as client:
        live = client.live("gen", timeout_s=60)
        items = iter(live)
        before = [next(items) for _ in range(5)][-1]
        assert isinstance(before, Batch)
        station.kill_engine()
        restart = threading.Thread(target=station.start)
        restart.start()
        gap: Batch | Gap = before
        while isinstance(gap, Batch):
            before, gap = gap, next(items)
        restart.join()
        assert gap == Gap("gen", before.epoch, before.seq_to, None, "not in ring")
        after = next(items)
        assert isinstance(after, Batch) and after.epoch > before.epoch and after.seq == 0
        items.close()


def test_a_slow_reader_is_told_what_it_lost_and_can_have_it_again(tmp_path: Path) -> None:
    wide = generator(10_000, 100)
    with RunningStation(tmp_path, wide) as station, connect(station.url) as client:
        items = iter(client.live("gen", timeout_s=30))
        first = next(items)
        assert isinstance(first, Batch)
        at, lost = first.cursor, None
        time.sleep(5)  # slower than 4 MB/s, and than what lies between here and there
        for item in items:
            if isinstance(item, Gap):
                assert item.cursor == at and item.to_seq is not None
                at, lost = Cursor(item.epoch, item.to_seq), item
            else:
                assert (item.epoch, item.seq) == at
                at = item.cursor
            if lost is not None and isinstance(item, Batch):
                break
        assert lost is not None and lost.reason == "slow client" and (lost.rows or 0) > 0
        again = next(iter(client.live("gen", since={"gen": lost.cursor})))
        assert isinstance(again, Batch) and (again.epoch, again.seq) == lost.cursor


def test_a_gap_can_be_raised_or_left_out(client: Client) -> None:
    since = {"gen": (1, 5)}
    with pytest.raises(RowsMissing) as missing:
        for _ in client.live("gen", since=since, on_gap="raise", timeout_s=20):
            pass
    assert missing.value.gap.reason == "not in ring" and missing.value.gap.from_seq == 5
    assert isinstance(next(iter(client.live("gen", since=since, on_gap="ignore"))), Batch)


def test_async_and_left_in_the_middle(client: Client) -> None:
    async def read() -> None:
        whole = Whole()
        async with client.live("gen", timeout_s=20) as live:
            async for item in live:
                whole.take(item)
                if whole.batches == 10:
                    break
            async for item in live:
                whole.take(item)
                if whole.batches == 30:
                    await live.aclose()
        assert live.connections == 2
        others = await asyncio.gather(*(count(client) for _ in range(3)))
        assert min(others) > 5

    asyncio.run(read())


async def count(client: Client) -> int:
    return len([item async for item in client.live("lidar", seconds=1)])


def test_an_async_loop_is_cancelled(client: Client) -> None:
    async def read() -> None:
        task = asyncio.ensure_future(count_for_ever(client))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)

    asyncio.run(read())


async def count_for_ever(client: Client) -> None:
    async for _ in client.live("gen"):
        pass


# -- recordings --------------------------------------------------------------------------------------------
def test_a_recording_from_its_beginning_to_its_table(client: Client, tmp_path: Path) -> None:
    with client.recording("dive", metadata={"site": "north"}, instruments=["gen"], merge=True) as recording:
        assert recording.running and client.recordings(running=True)[0].id == recording.id
        with pytest.raises(errors.Conflict) as busy:
            client.recording("again", streams=["gen"])
        assert busy.value.facts["recording_id"] == recording.id
        mark = recording.mark("a fish", size=3)
        until(lambda: recording.refresh().rows > 3 * RATE_HZ, 30, "three seconds of rows")
        recording.annotate(weather="calm", site=None)
        assert len(recording.to_arrow()) > RATE_HZ, "while it runs"
    assert recording.ended == "stop" and not recording.running and recording.ended_ns is not None
    assert recording.metadata == {"weather": "calm"}
    [seen] = [event for event in recording.events() if event.kind == "mark"]
    assert seen.id == mark.id and seen.body["text"] == "a fish" and seen.body["size"] == 3

    table = recording.to_arrow()
    assert len(table) == recording.rows
    counts = table.column("counter").to_numpy()
    assert (np.diff(counts) == 1).all()
    known = table.schema.field("counter").metadata
    assert known[b"unit"] == b"" and json.loads(known[b"channel"])["dtype"] == "int64"
    frame = recording.to_pandas()
    assert frame.index.asi8.tolist() == table.column("timestamp").cast(pa.int64()).to_pylist()
    assert frame.attrs["recording_id"] == recording.id and (frame["counter"].to_numpy() == counts).all()
    assert recording.to_polars()["counter"].to_list() == counts.tolist()

    start, stop = frame.index[100], frame.index[200]
    part = recording.to_pandas(start=start, stop=stop, channels=["ch1", "counter"])
    assert list(part.columns) == ["ch1", "counter"] and part.equals(frame.loc[:, ["ch1", "counter"]][100:200])
    view = recording.data(max_points=50)
    assert view.mode == "minmax" and view.rows == recording.rows and len(view) == 50

    steps: list[tuple[int, int | None]] = []
    made = recording.export(tmp_path, progress=lambda done, total: steps.append((done, total)))
    assert made == tmp_path / "dive.csv" and steps[-1][0] == made.stat().st_size
    assert len(made.read_text().splitlines()) == recording.rows + 1
    assert recording.export(tmp_path / "x.h5", "hdf5", channels=["counter"]).stat().st_size > 0
    with pytest.raises(errors.InvalidInput):
        recording.export(tmp_path / "y.xls", "xls")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dive.csv", "x.h5"]

    assert client.recordings["dive"].id == client.recordings[recording.id].id == recording.id
    assert sum(one["rows"] for one in recording.manifest()["segments"]) == recording.rows
    recording.delete()
    with pytest.raises(errors.NotFound):
        client.recordings["dive"]
    with pytest.raises(errors.NotFound):
        client.recordings[recording.id]


def test_units_of_a_lidar_in_three_libraries(client: Client) -> None:
    with client.recording("scan") as recording:
        until(lambda: recording.refresh().rows > 5000, what="rows")
    with pytest.raises(errors.InvalidInput) as several:
        recording.to_pandas()
    assert several.value.facts["streams"] == ["gen", "lidar"]
    units = {"distance": "m", "angle": "deg", "intensity": "", "scan": ""}
    assert recording.units("lidar") == recording.to_pandas("lidar").attrs["units"] == units
    fields = recording.to_arrow("lidar").schema
    assert {f.name: f.metadata[b"unit"].decode() for f in fields if f.name != "timestamp"} == units
    live = next(take(client.live("lidar", timeout_s=20), 1)).to_arrow().schema
    assert live.equals(fields, check_metadata=False), "live and recorded rows are the same table"
    assert [field.metadata for field in live] == [field.metadata for field in fields]
    frame = recording.to_polars("lidar")
    assert frame.columns == ["timestamp", *units] and str(frame["timestamp"].dtype.time_zone) == "UTC"
    assert client.recordings(name="SCA", instrument="lidar")[0].id == recording.id


def test_an_exception_is_marked_and_the_recording_ended(client: Client) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        with client.recording("unlucky", streams=["lidar"]) as recording:
            print(1 / 0)
    assert not hasattr(raised.value, "__notes__")
    assert recording.ended == "stop"
    [mark] = [event for event in recording.events() if event.kind == "mark"]
    assert mark.body["text"] == "ZeroDivisionError: division by zero"
    assert mark.body["exception"] == "ZeroDivisionError"


def test_a_recording_that_was_stopped_elsewhere_ends_quietly(client: Client) -> None:
    with client.recording("short", streams=["lidar"]) as recording:
        client.recordings["short"].stop()
    assert recording.ended == "stop"


def test_a_recording_survives_the_front(tmp_path: Path) -> None:
    with RunningStation(tmp_path, generator(RATE_HZ), TABLES) as station, connect(station.url) as client:
        with client.recording("night") as recording:
            until(lambda: recording.refresh().rows > RATE_HZ, what="rows")
            kill_front(station)
        assert recording.ended == "stop" and len(recording.to_arrow()) == recording.rows


def test_a_recording_that_ended_before_its_time_says_so(tmp_path: Path) -> None:
    with RunningStation(tmp_path, generator(RATE_HZ), TABLES) as station, connect(station.url) as client:
        with pytest.raises(errors.StorageError, match="before its time: crash"):
            with client.recording("night") as recording:
                until(lambda: recording.refresh().rows > RATE_HZ, what="rows")
                station.kill_engine()
                station.start()


def test_completeness(client: Client) -> None:
    with client.recording("ledger", streams=["gen"]) as recording:
        until(lambda: recording.refresh().rows > RATE_HZ, what="rows")
    try:
        ledger = recording.completeness(verify=True)
    except errors.NotFound as missing:
        if "path" in missing.message:
            pytest.skip("this station keeps no ledger yet")
        raise
    assert ledger and ledger.state == "complete" and ledger.missing == ()
    assert ledger.told["held"]["rows"] == recording.rows and ledger.root_hash


# -- doors -------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningStation]:
    folder = tmp_path_factory.mktemp("guarded")
    with RunningStation(folder, generator(1000), arguments=("--host", "0.0.0.0")) as made:
        yield made


def keyed(station: RunningStation, name: str, *scopes: str) -> Client:
    return connect(station.url, KeyStore(station.data / "keys.json").create(name, scopes))


@pytest.mark.parametrize("key", [None, "kym_wrong"])
def test_no_key_or_a_wrong_one(guarded: RunningStation, key: str | None) -> None:
    client = connect(guarded.url, key)
    with pytest.raises(errors.KeyNeeded, match="kymograph key add"):
        client.station()
    with pytest.raises(errors.KeyNeeded, match="kymograph key add"):
        next(iter(client.live("gen")))

    async def read() -> None:
        async for _ in client.live("gen"):
            pass

    with pytest.raises(errors.KeyNeeded):
        asyncio.run(read())


def test_a_key_does_what_its_scopes_say(guarded: RunningStation) -> None:
    reader, recorder, controller = (
        keyed(guarded, scope, scope) for scope in (READ, RECORD, CONTROL)
    )  # fmt: skip
    assert isinstance(next(iter(reader.live("gen"))), Batch)
    with pytest.raises(errors.Forbidden) as refused:
        reader.recording("x")
    assert refused.value.facts["scope"] == "record"
    with recorder.recording("x") as recording:
        recording.mark("seen")
    with pytest.raises(errors.Forbidden):
        recording.delete()
    with pytest.raises(errors.Forbidden):
        recorder.instrument("gen").stop()
    assert controller.instrument("gen").stop().start().state == "acquiring"


def test_a_key_that_is_removed_ends_the_loop(guarded: RunningStation) -> None:
    client = keyed(guarded, "gone", READ)
    with pytest.raises(errors.KeyNeeded):
        for number, _ in enumerate(client.live("gen", timeout_s=30)):
            if number == 3:
                KeyStore(guarded.data / "keys.json").remove("gone")


def test_a_host_name_that_is_not_the_stations_is_refused_with_what_to_do(station: RunningStation) -> None:
    client = connect(station.url.replace("127.0.0.1", "127.0.0.2"))
    with pytest.raises((errors.Forbidden, errors.Unavailable)) as refused:
        client.station()
    assert refused.value.hint


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://kymograph.invalid"])
def test_where_no_station_is_it_says_what_to_look_at(url: str) -> None:
    client = connect(url)
    with pytest.raises(errors.Unavailable, match="no station answers") as away:
        client.station()
    assert "kymograph serve" in away.value.hint
    with pytest.raises(errors.Unavailable, match="no station answers"):
        next(iter(client.live("gen")))

    async def read() -> None:
        async for _ in client.live("gen"):
            pass

    with pytest.raises(errors.Unavailable, match="no station answers"):
        asyncio.run(read())


def test_one_client_in_many_threads(client: Client) -> None:
    failed: list[Exception] = []

    def ask() -> None:
        try:
            for _ in range(3):
                assert client.station().name == "bench" and len(client.streams()) == 2
                assert isinstance(next(iter(client.live("gen"))), Batch)
        except (errors.KymographError, AssertionError) as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed and not any(thread.is_alive() for thread in threads)
