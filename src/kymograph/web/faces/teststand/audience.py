"""All clients of `/ws`: one subscription for them all, each view encoded once, the valves looked at for all.

As long as somebody is connected, the station's control is looked at a few times a second: a change of the
valves is told to everybody, and whoever holds control and is still connected keeps it. When the connection
ends, control runs out, and what moves is made safe.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from kymograph.model.block import Block
from kymograph.model.errors import KymographError
from kymograph.model.limits import LIVE_SEND_S_MAX
from kymograph.service.contract import Subscription
from kymograph.service.keys import CONTROL
from kymograph.web.faces.teststand import messages
from kymograph.web.faces.teststand.formulas import Formulas
from kymograph.web.faces.teststand.samples import Bundle, Standing, Writer, bundle
from kymograph.web.faces.teststand.stand import Place, Stand
from kymograph.web.faces.teststand.viewer import View, Viewer
from kymograph.web.front import Front
from kymograph.web.live.intake import Intake

log = logging.getLogger(__name__)

LOOK_S: Final = 0.2
"""Between two looks at the valves."""
LEASE_S: Final = 30.0
RENEW_S: Final = 20.0
"""Control is kept for longer when less than this is left of it."""
_UNKNOWN_LOOKS: Final = 5
"""Valves that are not known for so many looks are told so: while an order is under way they never are."""


class Group:
    """Clients that see the same: what they get is written once, and is the same bytes for them all."""

    def __init__(self, view: View, formulas: Formulas) -> None:
        self.view = view
        self.viewers: set[Viewer] = set()
        self._writer = Writer(view.every, view.binary, formulas)
        self._waiting: list[Block] = []
        self._timer: asyncio.TimerHandle | None = None

    def offer(self, blocks: Sequence[Block], standing: Standing) -> None:
        """Give all of them the rows that are due."""
        if self.view.batch_s:
            self._waiting += blocks
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(self.view.batch_s, self._flush)
            return
        for block in blocks:
            for made in self._writer.write(block, standing):
                self._give(made)

    def _flush(self) -> None:
        blocks, self._waiting, self._timer = self._waiting, [], None
        message, rows = messages.batch(blocks, self.view.every, self.view.binary)
        if rows:
            self._give(bundle([message], rows))

    def _give(self, made: Bundle) -> None:
        for viewer in self.viewers:
            viewer.put(made)

    def close(self) -> None:
        """Give nothing more."""
        if self._timer is not None:
            self._timer.cancel()


class Audience:
    """Everybody who is connected. Methods are called on the event loop."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._groups: dict[View, Group] = {}
        self._changing = asyncio.Lock()
        self._subscription: Subscription | None = None
        self._looking: asyncio.Task[None] | None = None
        self._soon = asyncio.Event()
        self._standing = Standing((), ())
        self._unknown = 0
        self._well = True

    def __len__(self) -> int:
        return len(self._everybody())

    def _everybody(self) -> list[Viewer]:
        return [viewer for group in self._groups.values() for viewer in group.viewers]

    def has(self, by: str) -> bool:
        """Whether somebody of that name is connected who may give orders."""
        return any(one.by == by and CONTROL in one.caller.scopes for one in self._everybody())

    def look_soon(self) -> None:
        """Look at the valves now: something was ordered."""
        self._soon.set()

    # -- coming and going ----------------------------------------------------------------------------------
    async def join(self, viewer: Viewer, front: Front) -> None:
        """Count a client in.

        Raises:
            KymographError: the stand cannot be followed; nobody was counted in.
        """
        async with self._changing:
            if self._subscription is None:
                await self._open(front)
            group = self._groups.get(viewer.view) or Group(viewer.view, self._place.formulas)
            self._groups[viewer.view] = group
            group.viewers.add(viewer)

    async def leave(self, viewer: Viewer) -> None:
        """Forget a client; after the last one nothing is followed any more."""
        async with self._changing:
            group = self._groups.get(viewer.view)
            if group is None:
                return
            group.viewers.discard(viewer)
            if not group.viewers:
                group.close()
                del self._groups[viewer.view]
            if not self._groups:
                await self._shut()

    async def _open(self, front: Front) -> None:
        stand = Stand(front.engine, self._place.names)
        intake = Intake(asyncio.get_running_loop(), self._offer)
        control = await self._place.looks.run(stand.control)
        self._standing = Standing(tuple(control["valves"]), tuple(control["troubles"]))
        self._subscription = await self._place.looks.run(lambda: self._follow(stand, intake))
        self._looking = asyncio.get_running_loop().create_task(self._look_on(front))

    def _follow(self, stand: Stand, intake: Intake) -> Subscription:
        name = stand.stream
        [channels] = [one["channels"] for one in stand.engine.streams() if one["name"] == name]
        if strange := self._place.formulas.channels - {channel["name"] for channel in channels}:
            log.warning("[faces.teststand] wants channels that %s has not: %s", name, ", ".join(strange))
        return stand.engine.subscribe([name], intake)

    async def _shut(self) -> None:
        subscription, self._subscription = self._subscription, None
        if self._looking is not None:
            self._looking.cancel()
        if subscription is not None:
            try:
                await self._place.looks.run(subscription.close)
            except KymographError as error:
                log.info("could not cease to follow the stand: %s", error)

    # -- samples -------------------------------------------------------------------------------------------
    def _offer(self, blocks: Sequence[Block]) -> None:
        for group in self._groups.values():
            group.offer(blocks, self._standing)

    # -- valves and control --------------------------------------------------------------------------------
    async def _look_on(self, front: Front) -> None:
        stand = Stand(front.engine, self._place.names)
        while True:
            self._close_stuck(front)
            try:
                await self._look(stand)
                self._well = True
            except KymographError as error:
                if self._well:
                    log.warning("the valves cannot be looked at: %s", error)
                self._well = False
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._soon.wait()
            except TimeoutError:
                pass  # it is time anyway
            self._soon.clear()

    async def _look(self, stand: Stand) -> None:
        control = await self._place.looks.run(stand.control)
        self._standing = self._standing._replace(errors=tuple(control["troubles"]))
        self._note_valves(control["valves"])
        lease = control["lease"]
        if lease is None or lease["remaining_s"] > RENEW_S:
            return
        holders = {one.by for one in self._everybody() if CONTROL in one.caller.scopes}
        if lease["holder"] in holders:
            await self._place.looks.run(lambda: stand.engine.control.take(lease["holder"], LEASE_S))

    def _note_valves(self, valves: list[int | None]) -> None:
        self._unknown = self._unknown + 1 if None in valves else 0
        standing = self._standing._replace(valves=tuple(valves))
        if standing == self._standing or 0 < self._unknown < _UNKNOWN_LOOKS:
            return
        self._standing = standing
        message = messages.write({"type": "valve_state", "valves": valves}, binary=False)
        for viewer in self._everybody():
            viewer.tell_raw(message)

    def _close_stuck(self, front: Front) -> None:
        now = asyncio.get_running_loop().time()
        for viewer in self._everybody():
            since = viewer.sending_since_s
            stuck = since is not None and now - since > LIVE_SEND_S_MAX
            if stuck or viewer.overrun or not front.guard.still_knows(viewer.caller):
                log.info(
                    "a client of the test stand was closed; it had lost %d samples", viewer.samples_dropped
                )
                viewer.close()
