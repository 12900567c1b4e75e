"""Clients that come, go, and do not read: nobody is held up and nothing is left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kymograph.model.errors import KymographError, NotFound, Unavailable
from kymograph.model.limits import LIVE_SUBSCRIPTIONS_MAX
from kymograph.web.live.encoding import Encoded
from kymograph.web.live.outbox import ANSWERS_MAX, Gap, Outbox
from kymograph.web.live.views import View

Wait = Callable[..., Awaitable[None]]


def test_one_that_leaves_while_it_subscribes_leaves_nothing(
    live_house: Any, memory_station: Any, wait_until: Wait
) -> None:
    go = threading.Event()
    subscribe = memory_station.subscribe

    def slowly(streams: Any, sink: Any) -> Any:
        assert go.wait(5)
        return subscribe(streams, sink)

    memory_station.subscribe = slowly

    async def run() -> None:
        async with live_house() as h:
            client, _ = h.enter()
            asking = asyncio.ensure_future(h.subscribe(client))
            await asyncio.sleep(0.05)
            asking.cancel()
            await h.hub.leave(client)
            go.set()
            await wait_until(lambda: not h.hub.busy, "all work is done")
            assert h.engine.sinks == []

    asyncio.run(run())


def test_an_engine_that_refuses_leaves_nothing_subscribed(live_house: Any, memory_station: Any) -> None:
    def refuse(streams: Any, sink: Any) -> Any:
        raise Unavailable("the engine is gone")

    works, memory_station.subscribe = memory_station.subscribe, refuse

    async def run() -> None:
        async with live_house() as h:
            client, _ = h.enter()
            with pytest.raises(Unavailable):
                await h.subscribe(client)
            assert not client.knows("a")
            memory_station.subscribe = works
            await h.subscribe(client)

    asyncio.run(run())


def test_subscriptions_are_bounded(live_house: Any) -> None:
    async def run() -> None:
        async with live_house() as h:
            client, _ = h.enter()
            for i in range(LIVE_SUBSCRIPTIONS_MAX):
                await h.subscribe(client, id=str(i))
            with pytest.raises(KymographError):
                await h.subscribe(client, id="one more")

    asyncio.run(run())


def test_unread_answers_are_bounded(make_listener: Any) -> None:
    async def run() -> None:
        outbox = Outbox(make_listener(), asyncio.get_running_loop().time)
        for _ in range(ANSWERS_MAX):
            outbox.put("{}")
        assert not outbox.overrun
        outbox.put("{}")
        assert outbox.overrun

    asyncio.run(run())


class Subscribed:
    """Whose rows they are."""

    id = "a"
    closed = False

    def gap_message(self, gap: Gap) -> str:
        raise AssertionError(f"nothing is lost here: {gap}")


def test_what_is_under_way_is_not_overtaken(
    memory_station: Any, make_listener: Any, wait_until: Wait
) -> None:
    async def run() -> None:
        listener, subscribed = make_listener(), Subscribed()
        outbox = Outbox(listener, asyncio.get_running_loop().time)

        def put() -> None:
            block = memory_station.make(1, deliver=False)
            piece = View(block.stream, "raw").piece([block])
            outbox.put_rows(subscribed, piece, Encoded(piece, "json"))

        put()
        assert len(listener.heard) == 1, "nothing waits: it was sent at once"
        sending = asyncio.ensure_future(outbox.run())
        listener.taking.clear()
        put()
        await wait_until(lambda: outbox.sending_since_s is not None, "rows under way")
        listener.taking.set()  # there is room, but the rows under way have not gone yet
        put()
        await wait_until(lambda: len(listener.heard) == 3)
        sending.cancel()
        assert [seq for _, seq, _ in listener.ranges()] == [0, 1, 2]

    asyncio.run(run())


def test_one_that_overruns_or_is_stuck_or_lost_its_key_is_closed(live_house: Any, wait_until: Wait) -> None:
    async def run() -> None:
        async with live_house() as h:
            closed: list[str] = []
            client, listener = h.enter()
            client.close = lambda: closed.append("closed")
            listener.taking.clear()
            for _ in range(ANSWERS_MAX + 2):
                client.tell("event")
            await wait_until(lambda: closed)

    asyncio.run(run())


def test_catching_up_waits_for_a_client_that_does_not_read(live_house: Any, wait_until: Wait) -> None:
    async def run() -> None:
        async with live_house() as h:
            for _ in range(500):
                h.engine.make(10)
            client, listener = h.enter()
            listener.taking.clear()
            await h.subscribe(client, since={"s": (1000, 0)})
            await asyncio.sleep(0.1)
            for _ in range(100):
                h.engine.make(10)
            listener.taking.set()
            await wait_until(lambda: listener.ranges() and listener.ranges()[-1][2] == 6000)
            at = 0
            for _, seq_from, seq_to in listener.ranges():
                assert seq_from == at
                at = seq_to
            assert not listener.of("gap")

    asyncio.run(run())


def test_messages_of_an_ended_subscription_are_not_sent(live_house: Any, wait_until: Wait) -> None:
    async def run() -> None:
        async with live_house() as h:
            client, listener = h.enter()
            await h.subscribe(client)
            listener.taking.clear()
            for _ in range(10):
                h.engine.make(1)
                await asyncio.sleep(0.001)
            await h.hub.unsubscribe(client, "a")
            client.tell("event")
            listener.taking.set()
            await wait_until(lambda: listener.of("event"))
            assert len(listener.of("data")) <= 1, "the one that was under way"
            with pytest.raises(NotFound):
                await h.hub.unsubscribe(client, "a")

    asyncio.run(run())
