"""The live streams from the engine's blocks to what one client hears, without a network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from kymograph.model.errors import Conflict, InvalidInput, NotFound
from kymograph.model.limits import CLIENT_QUEUE_MESSAGES_MAX

Wait = Callable[..., Awaitable[None]]


def test_raw_rows_arrive_with_schema_first(live_house: Any, wait_until: Wait) -> None:
    async def run() -> None:
        async with live_house() as h:
            client, listener = h.enter()
            await h.subscribe(client)
            h.engine.make(3)
            h.engine.make(2)
            await wait_until(lambda: sum(b - a for _, a, b in listener.ranges()) == 5)
            schema, data = listener.heard[0], listener.heard[1]
            assert schema["type"] == "schema" and schema["stream"] == "s" and schema["rate_hz"] == 100.0
            assert [c["name"] for c in schema["channels"]] == ["a", "n"]
            assert data["columns"]["n"][:3] == [0, 1, 2]
            assert data["columns"]["time_ns"][0] == 1_000_000_000
            assert data["dropped"] == 0

    asyncio.run(run())


def test_nan_is_null_in_json_and_exact_in_msgpack(
    live_house: Any, wait_until: Wait, decode_columns: Any
) -> None:
    async def run() -> None:
        async with live_house() as h:
            client, listener = h.enter()
            await h.subscribe(client, id="j")
            await h.subscribe(client, id="m", encoding="msgpack")
            block = h.engine.make(10)
            await wait_until(lambda: len(listener.of("data")) == 2)
            as_json, packed = sorted(listener.of("data"), key=lambda m: m["id"])
            assert as_json["columns"]["a"][6] is None and as_json["columns"]["a"][5] == 5.0
            columns = decode_columns(packed)
            np.testing.assert_array_equal(columns["a"], block.columns()[0])
            np.testing.assert_array_equal(columns["time_ns"], block.time_ns)
            assert columns["n"].dtype == np.dtype("<i4")

    asyncio.run(run())


def test_arrow_messages_are_whole_streams(live_house: Any, wait_until: Wait) -> None:
    import pyarrow as pa

    async def run() -> None:
        async with live_house() as h:
            client, listener = h.enter()
            await h.subscribe(client, encoding="arrow")
            h.engine.make(4)
            await wait_until(lambda: listener.of("data"))
            table = pa.ipc.open_stream(listener.of("data")[0]["arrow"]).read_all()
            assert table.column_names == ["time_ns", "a", "n"]
            assert table["n"].to_pylist() == [0, 1, 2, 3]

    asyncio.run(run())


def test_same_wish_same_bytes(live_house: Any, wait_until: Wait) -> None:
    async def run() -> None:
        async with live_house() as h:
            (one, first), (two, second) = h.enter(), h.enter()
            await h.subscribe(one, encoding="msgpack")
            await h.subscribe(two, encoding="msgpack")
            h.engine.make(4)
            await wait_until(lambda: first.of("data") and second.of("data"))
            assert first.raw[-1] is second.raw[-1]

    asyncio.run(run())


def test_channels_are_chosen_and_ordered(live_house: Any, wait_until: Wait) -> None:
    async def run() -> None:
        async with live_house() as h:
            client, listener = h.enter()
            await h.subscribe(client, channels=["n"])
            h.engine.make(2)
            await wait_until(lambda: listener.of("data"))
            assert list(listener.of("data")[0]["columns"]) == ["time_ns", "n"]
            with pytest.raises(InvalidInput):
                await h.subscribe(client, id="b", channels=["nope"])

    asyncio.run(run())


def test_a_limited_rate_gathers_rows_and_keeps_them_all(live_house: Any, wait_until: Wait) -> None:
    async def run() -> None:
        async with live_house() as h:
            client, listener = h.enter()
            await h.subscribe(client, max_rate_hz=20)
            for _ in range(50):
                h.engine.make(4)
                await asyncio.sleep(0.002)
            await wait_until(lambda: listener.ranges()[-1:] == [(1000, listener.ranges()[-1][1], 200)])
            ranges = listener.ranges()
            assert ranges[0][1] == 0
            assert all(a[2] == b[1] for a, b in pairwise(ranges))
            assert len(ranges) < 25

    asyncio.run(run())


def test_minmax_keeps_every_peak(live_house: Any, wait_until: Wait, decode_columns: Any) -> None:
    async def run() -> None:
        async with live_house() as h:
            client, listener = h.enter()
            await h.subscribe(client, mode="minmax", max_rate_hz=10, encoding="msgpack")
            for _ in range(40):
                h.engine.make(5)
            await wait_until(lambda: listener.ranges() and listener.ranges()[-1][2] == 200)
            low, high = [], []
            for message in listener.of("data"):
                columns = decode_columns(message)
                assert len(columns["time_ns"]) == len(columns["a"]["min"]) == 1
                low.append(columns["n"]["min"][0])
                high.append(columns["n"]["max"][0])
                assert not np.isnan(columns["a"]["max"]).any()
                assert (low[-1], high[-1] + 1) == (message["seq_from"], message["seq_to"])
            assert min(low) == 0 and max(high) == 199

    asyncio.run(run())


def test_latest_shows_the_newest_row_at_once_and_never_a_queue(live_house: Any, wait_until: Wait) -> None:
    async def run() -> None:
        async with live_house() as h:
            h.engine.make(3)
            client, listener = h.enter()
            await h.subscribe(client, mode="latest", max_rate_hz=1000)
            await wait_until(lambda: listener.ranges() == [(1000, 2, 3)])
            listener.taking.clear()
            for _ in range(200):
                h.engine.make(1)
                await asyncio.sleep(0)
            await asyncio.sleep(0.02)
            listener.taking.set()
            await wait_until(lambda: listener.ranges()[-1] == (1000, 202, 203))
            assert len(listener.of("data")) < 20
            assert not listener.of("gap")

    asyncio.run(run())


def test_resume_gives_what_was_missed_then_live_without_hole_or_duplicate(
    live_house: Any, wait_until: Wait
) -> None:
    async def run() -> None:
        async with live_house() as h:
            for _ in range(200):
                h.engine.make(10)
            client, listener = h.enter()
            await h.subscribe(client, since={"s": (1000, 37)}, encoding="msgpack")
            for _ in range(100):
                h.engine.make(10)
                await asyncio.sleep(0.001)
            await wait_until(lambda: listener.ranges() and listener.ranges()[-1][2] == 3000)
            ranges = listener.ranges()
            assert ranges[0][1] == 37
            assert all(a[2] == b[1] for a, b in pairwise(ranges))
            assert not listener.of("gap")

    asyncio.run(run())


def test_resume_in_an_epoch_that_an_empty_ring_does_not_know(
    live_house: Any, memory_station: Any, wait_until: Wait
) -> None:
    async def run() -> None:
        async with live_house() as h:
            client, listener = h.enter()
            await h.subscribe(client, since={"s": (999, 50)})
            await wait_until(lambda: not h.hub.busy)
            for _ in range(2):
                memory_station.make(10)
            await wait_until(lambda: listener.ranges() and listener.ranges()[-1][2] == 20)
            [gap] = listener.of("gap")
            assert (gap["epoch"], gap["from_seq"], gap["to_seq"]) == (999, 50, None)
            assert gap["reason"] == "not in ring"

    asyncio.run(run())


def test_rows_that_come_while_the_ring_is_found_empty_are_not_left_out(
    live_house: Any, make_station: Any, wait_until: Wait
) -> None:
    class Late(make_station):
        """Its first row is there just after the ring was looked into."""

        def history(self, *asked: Any) -> Any:
            found = super().history(*asked)
            if not self.seq:
                self.make(10)
                time.sleep(0.05)  # the event loop sees it go by
            return found

    async def run() -> None:
        async with live_house(Late()) as h:
            client, listener = h.enter()
            await h.subscribe(client, since={"s": (1000, 0)})
            await wait_until(lambda: not h.hub.busy)
            h.engine.make(10)
            await wait_until(lambda: listener.ranges() and listener.ranges()[-1][2] == 20)
            assert listener.of("gap") == [] and listener.ranges()[0][1] == 0

    asyncio.run(run())


def test_resume_beyond_the_ring_tells_the_gap(live_house: Any, make_station: Any, wait_until: Wait) -> None:
    async def run() -> None:
        async with live_house(make_station(capacity=100)) as h:
            for _ in range(50):
                h.engine.make(10)
            client, listener = h.enter()
            await h.subscribe(client, since={"s": (1000, 5)})
            await wait_until(lambda: listener.ranges() and listener.ranges()[-1][2] == 500)
            gap = listener.of("gap")[0]
            assert (gap["from_seq"], gap["to_seq"], gap["reason"]) == (5, 400, "not in ring")
            assert listener.ranges()[0][1] == 400

    asyncio.run(run())


def test_resume_across_epochs(live_house: Any, wait_until: Wait) -> None:
    async def run() -> None:
        async with live_house() as h:
            h.engine.make(10)
            h.engine.begin_epoch()
            h.engine.make(10)
            client, listener = h.enter()
            await h.subscribe(client, id="end", since={"s": (1000, 10)})
            await wait_until(lambda: listener.ranges() == [(1001, 0, 10)])
            assert not listener.of("gap"), "the old epoch is known to end there"
            await h.subscribe(client, id="lost", since={"s": (999, 4)})
            await wait_until(lambda: listener.of("gap"))
            gap = listener.of("gap")[0]
            assert (gap["epoch"], gap["from_seq"], gap["to_seq"]) == (999, 4, None)

    asyncio.run(run())


def test_since_ahead_of_the_stream_is_refused(live_house: Any) -> None:
    async def run() -> None:
        async with live_house() as h:
            h.engine.make(10)
            client, _ = h.enter()
            with pytest.raises(InvalidInput, match="ahead"):
                await h.subscribe(client, since={"s": (1000, 99)})

    asyncio.run(run())


def test_rows_lost_on_the_way_are_fetched_from_the_ring(live_house: Any, wait_until: Wait) -> None:
    async def run() -> None:
        async with live_house() as h:
            client, listener = h.enter()
            await h.subscribe(client)
            h.engine.make(10)
            h.engine.make(10, deliver=False)
            h.engine.make(10)
            h.engine.make(10)
            await wait_until(lambda: listener.ranges() and listener.ranges()[-1][2] == 40)
            ranges = listener.ranges()
            assert all(a[2] == b[1] for a, b in pairwise(ranges))
            assert not listener.of("gap")

    asyncio.run(run())


def test_rows_the_device_never_made_are_a_gap(live_house: Any, wait_until: Wait) -> None:
    async def run() -> None:
        async with live_house() as h:
            client, listener = h.enter()
            await h.subscribe(client)
            h.engine.make(10)
            h.engine.make(10, missing=5)
            h.engine.make(10)
            await wait_until(lambda: listener.ranges() and listener.ranges()[-1][2] == 35)
            gaps = [(g["from_seq"], g["to_seq"], g["reason"]) for g in listener.of("gap")]
            assert gaps == [(10, 15, "missing")]

    asyncio.run(run())


def test_a_slow_client_loses_its_oldest_and_is_told_exactly(live_house: Any, wait_until: Wait) -> None:
    async def run() -> None:
        async with live_house() as h:
            (slow, listener), (fast, other) = h.enter(), h.enter()
            await h.subscribe(slow)
            await h.subscribe(fast)
            listener.taking.clear()
            for _ in range(3 * CLIENT_QUEUE_MESSAGES_MAX):
                h.engine.make(2)
                await asyncio.sleep(0.0005)
            total = h.engine.seq
            await wait_until(
                lambda: other.ranges() and other.ranges()[-1][2] == total, "the fast one is not held up"
            )
            listener.taking.set()
            await wait_until(lambda: listener.ranges() and listener.ranges()[-1][2] == total)
            at = 0
            lost = 0
            for message in listener.heard:
                if message["type"] == "gap":
                    assert message["from_seq"] == at and message["reason"] == "slow client"
                    lost += message["to_seq"] - at
                    at = message["to_seq"]
                elif message["type"] == "data":
                    assert message["seq_from"] == at
                    at = message["seq_to"]
            assert at == total and lost > 0
            assert sum(m["dropped"] for m in listener.of("data")) == lost == slow.outbox.rows_dropped
            assert h.hub.rows_dropped == lost

    asyncio.run(run())


def test_the_last_client_to_leave_ends_the_engines_work(live_house: Any) -> None:
    async def run() -> None:
        async with live_house() as h:
            (one, _), (two, _) = h.enter(), h.enter()
            await h.subscribe(one)
            await h.subscribe(two, mode="minmax")
            assert len(h.engine.sinks) == 1
            await h.hub.unsubscribe(one, "a")
            assert len(h.engine.sinks) == 1
            await h.hub.leave(two)
            assert h.engine.sinks == []

    asyncio.run(run())


def test_status_and_events(live_house: Any, wait_until: Wait) -> None:
    async def run() -> None:
        async with live_house() as h:
            client, listener = h.enter()
            await h.subscribe(client, id="s", streams=[], status=True)
            await wait_until(lambda: listener.of("status"))
            status = listener.of("status")[0]
            assert (
                status["id"] == "s" and status["instruments"][0]["name"] == "i" and status["recorders"] == []
            )
            (command,) = status["control"]["commands"]
            assert (
                command["time"] == "2023-11-14T22:13:20.000000000Z" and status["control"]["stopped"] is False
            )
            h.engine.happen("state")
            await wait_until(lambda: listener.of("event"))
            assert listener.of("event")[0]["kind"] == "state"
            await wait_until(lambda: len(listener.of("status")) > 1)

    asyncio.run(run())


def test_what_is_refused(live_house: Any) -> None:
    async def run() -> None:
        async with live_house() as h:
            client, _ = h.enter()
            with pytest.raises(NotFound):
                await h.subscribe(client, streams=["nope"])
            with pytest.raises(InvalidInput):
                await h.subscribe(client, streams=[])
            await h.subscribe(client)
            with pytest.raises(Conflict):
                await h.subscribe(client)
            with pytest.raises(NotFound):
                await h.hub.unsubscribe(client, "zzz")

    asyncio.run(run())
