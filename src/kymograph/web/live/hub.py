"""The middle of the live streams: takes blocks from the link, and gives each group what it sees."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from kymograph.model.block import Block, Cursor
from kymograph.model.channel import Stream, stream_from_dict
from kymograph.model.errors import Conflict, InvalidInput, KymographError, NotFound
from kymograph.model.limits import LIVE_SEND_S_MAX, LIVE_SUBSCRIPTIONS_MAX
from kymograph.service.contract import StationService, Subscription
from kymograph.web.auth import Guard
from kymograph.web.live.catch_up import catch_up, check_since
from kymograph.web.live.client import Client
from kymograph.web.live.encoding import warm_arrow
from kymograph.web.live.groups import Group, GroupKey, Tail
from kymograph.web.live.intake import Intake
from kymograph.web.live.messages import Subscribe
from kymograph.web.live.status import StatusPush
from kymograph.web.live.views import View

log = logging.getLogger(__name__)

REDUCED_RATE_HZ: Final = 20.0
"""Messages a second of a reduced view unless a client asks otherwise: as smooth as anybody sees."""
_WATCH_S: Final = 1.0


class Feed:
    """One stream on its way to its groups."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.groups: dict[GroupKey, Group] = {}


class Hub:
    """All live clients of this front. Methods are called on the event loop."""

    def __init__(self, engine: StationService, guard: Guard) -> None:
        self._engine = engine
        self._guard = guard
        self._streams: dict[str, Stream] = {}
        self._feeds: dict[str, Feed] = {}
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._intake: Intake | None = None
        self.clients: set[Client] = set()
        self.status = StatusPush(engine, self.clients)
        self._rows_dropped_before = 0
        self._standing = 0

    # -- life ----------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Begin; call once, on the loop that will run."""
        self._intake = Intake(asyncio.get_running_loop(), self._offer)
        await self.status.start()
        self.spawn(self.status.run())
        self.spawn(self._watch())
        self._standing = len(self._tasks)

    async def stop(self) -> None:
        """End every task and subscription."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.status.stop()
        for name in list(self._feeds):
            await self._close_feed(name)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside everything else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def busy(self) -> bool:
        """Whether anything is being done for a client at this moment."""
        return len(self._tasks) > self._standing

    @property
    def rows_dropped(self) -> int:
        """Rows that clients did not get because they were slow, since the start."""
        return self._rows_dropped_before + sum(client.outbox.rows_dropped for client in self.clients)

    @property
    def rows_lost(self) -> int:
        """Rows that the event loop was too busy to take."""
        return self._intake.rows_lost if self._intake else 0

    async def _watch(self) -> None:
        """Close who does not take what is sent, lets answers pile up, or whose key was removed."""
        while True:
            await asyncio.sleep(_WATCH_S)
            now = asyncio.get_running_loop().time()
            for client in list(self.clients):
                since = client.outbox.sending_since_s
                stuck = since is not None and now - since > LIVE_SEND_S_MAX
                if stuck or client.outbox.overrun or not self._guard.still_knows(client.caller):
                    log.info("a live client was closed: %s", client.outbox.describe())
                    client.close()

    # -- blocks --------------------------------------------------------------------------------------------
    def _offer(self, blocks: Sequence[Block]) -> None:
        by_stream: dict[str, list[Block]] = {}
        for block in blocks:
            by_stream.setdefault(block.stream.name, []).append(block)
        for name, some in by_stream.items():
            feed = self._feeds.get(name)
            for group in feed.groups.values() if feed else ():
                group.offer(some)

    # -- clients -------------------------------------------------------------------------------------------
    def join(self, client: Client) -> None:
        """Count a client in."""
        self.clients.add(client)

    async def leave(self, client: Client) -> None:
        """Forget a client and what it had subscribed to."""
        self.clients.discard(client)
        self._rows_dropped_before += client.outbox.rows_dropped
        client.outbox.close()
        for id in list(client.tails):
            await self.unsubscribe(client, id)

    async def subscribe(self, client: Client, wish: Subscribe, binary: bool) -> None:
        """Give a client what it asks for from now on.

        Raises:
            InvalidInput, NotFound, Conflict: and nothing is subscribed.
        """
        # A client may leave at any moment; what was begun with the engine has to be ended with it.
        work = asyncio.get_running_loop().create_task(self._subscribe(client, wish, binary))
        self._tasks.add(work)
        work.add_done_callback(self._finished)
        await asyncio.shield(work)

    def _finished(self, work: asyncio.Task[None]) -> None:
        self._tasks.discard(work)
        if not work.cancelled():
            work.exception()  # taken note of here, if nobody is left who waits for it

    async def _subscribe(self, client: Client, wish: Subscribe, binary: bool) -> None:
        if client.knows(wish.id):
            raise Conflict(f"there is a subscription {wish.id} already", hint="unsubscribe it first")
        if len(client.tails) + len(client.statuses) >= LIVE_SUBSCRIPTIONS_MAX:
            raise Conflict(f"there are {LIVE_SUBSCRIPTIONS_MAX} subscriptions already")
        if not wish.streams and not wish.status:
            raise InvalidInput("a subscription names streams, or asks for the status")
        keys = [await self._key(name, wish, binary) for name in dict.fromkeys(wish.streams)]
        places = {name: Cursor(*at) for name, at in (wish.since or {}).items() if name in wish.streams}
        for name, at in places.items():
            await asyncio.to_thread(check_since, self._engine, name, at)
        if wish.status:
            client.statuses[wish.id] = binary if wish.encoding is None else wish.encoding != "json"
            self.status.wake()
        client.tails[wish.id] = tails = list[Tail]()
        try:
            for key in keys:
                tails.append(tail := Tail(wish.id, client.outbox, key, self._look_back))
                await self._follow(tail, places.get(key.view.stream.name))
        except KymographError:
            await self.unsubscribe(client, wish.id)
            raise
        if client not in self.clients or client.tails.get(wish.id) is not tails:
            await self._end(tails)  # it left meanwhile

    async def _key(self, name: str, wish: Subscribe, binary: bool) -> GroupKey:
        stream = await self._stream(name)
        channels = None
        if wish.channels is not None:
            channels = tuple(
                channel for channel in dict.fromkeys(wish.channels) if stream.index(channel) >= 0
            )
        view = View(stream, wish.mode, channels)
        if wish.encoding == "arrow":
            # Here and not at the first message: an import on the event loop would hold everybody up.
            await asyncio.to_thread(warm_arrow)
        rate_hz = wish.max_rate_hz or (0.0 if wish.mode == "raw" else REDUCED_RATE_HZ)
        return GroupKey(view, rate_hz, wish.encoding or ("msgpack" if binary else "json"))

    async def _stream(self, name: str) -> Stream:
        if name not in self._streams:
            told = await asyncio.to_thread(self._engine.streams)
            self._streams = {one["name"]: stream_from_dict(one) for one in told}
        if name not in self._streams:
            raise NotFound("there is no stream of that name", streams=sorted(self._streams))
        return self._streams[name]

    async def _follow(self, tail: Tail, since: Cursor | None) -> None:
        key = tail.key
        tail.outbox.put(tail.schema_message())
        if since is not None and key.view.mode != "latest":
            tail.cursor, tail.catching_up = since, True
        name = key.view.stream.name
        async with self._changing:
            if name not in self._feeds:
                assert self._intake is not None
                opened = await asyncio.to_thread(self._engine.subscribe, [name], self._intake)
                self._feeds[name] = Feed(opened)
            group = self._feeds[name].groups.setdefault(key, Group(key))
            group.tails.add(tail)
        if key.view.mode == "latest":
            blocks = await asyncio.to_thread(self._engine.history, name, None, 1)
            for block in blocks[-1:]:
                tail.show_latest(key.view.piece([block]))
        elif since is not None:
            self._look_back(tail)

    def _look_back(self, tail: Tail) -> None:
        feed = self._feeds.get(tail.key.view.stream.name)
        group = feed.groups.get(tail.key) if feed else None
        if group is not None:
            tail.catching_up = True
            self.spawn(catch_up(self._engine, tail, group))

    async def unsubscribe(self, client: Client, id: str) -> None:
        """End a subscription.

        Raises:
            NotFound: there is none of that name.
        """
        if not client.knows(id):
            raise NotFound("there is no subscription of that name")
        client.statuses.pop(id, None)
        await self._end(client.tails.pop(id, []))

    async def _end(self, tails: Sequence[Tail]) -> None:
        for tail in tails:
            tail.closed = True
            async with self._changing:
                await self._let_go(tail, tail.key.view.stream.name)

    async def _let_go(self, tail: Tail, name: str) -> None:
        feed = self._feeds.get(name)
        group = feed.groups.get(tail.key) if feed else None
        if feed is None or group is None:
            return  # the hub was stopped meanwhile
        group.tails.discard(tail)
        if not group.tails:
            group.close()
            del feed.groups[tail.key]
        if not feed.groups:
            await self._close_feed(name)

    async def _close_feed(self, name: str) -> None:
        feed = self._feeds.pop(name)
        try:
            await asyncio.to_thread(feed.subscription.close)
        except KymographError as error:
            log.info("could not unsubscribe %s: %s", name, error)
