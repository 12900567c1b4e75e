"""`/ws`: samples as they come, and orders with their answers. What cannot be understood ends nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final, Literal, cast

from fastapi import APIRouter, Query
from starlette.websockets import WebSocket, WebSocketDisconnect

from kymograph.model.errors import InvalidInput, KymographError, Unavailable
from kymograph.model.limits import CONNECTIONS_MAX
from kymograph.service.keys import CONTROL, READ
from kymograph.web.auth import Caller, needs
from kymograph.web.faces.teststand import messages
from kymograph.web.faces.teststand.audience import Audience
from kymograph.web.faces.teststand.orders import check_step
from kymograph.web.faces.teststand.stand import Place, Stand, check_valves, set_mode, who
from kymograph.web.faces.teststand.state import newest
from kymograph.web.faces.teststand.viewer import View, Viewer
from kymograph.web.front import Front, FrontDep
from kymograph.web.live.wire import wire_of
from kymograph.web.problems import problem

log = logging.getLogger(__name__)

ORDERS_MAX: Final = 32
"""Orders of one client that may be under way or wait."""
EVERY: Final = 3
Plain = dict[str, Any]


class Conversation:
    """What one client orders: valves one after the other, motors one after the other, both side by side."""

    def __init__(self, websocket: WebSocket, front: Front, place: Place, viewer: Viewer) -> None:
        self._websocket = websocket
        self._front = front
        self._place = place
        self._viewer = viewer
        self._stand = Stand(front.engine, place.names)
        self._valves = asyncio.Lock()
        self._motors = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._do: dict[str, Callable[[Plain], Coroutine[Any, Any, None]]] = {
            "valve_command": self._set_valves,
            "step_motor_command": self._step,
            "get_sensors": self._get,
            "system_mode": self._mode,
        }

    def hear(self, said: str | bytes) -> None:
        """Begin what a message asks for; never waits."""
        try:
            message = messages.read(said)
            do = self._do.get(message["type"])
            if do is None:
                raise InvalidInput(f"there is no message {message['type'][:40]!r}")
            if len(self._tasks) >= ORDERS_MAX:
                raise Unavailable(f"{ORDERS_MAX} orders of this client are under way already")
        except KymographError as error:
            self._tell_error(error)
            return
        task = asyncio.get_running_loop().create_task(self._answered(do(message)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answered(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except KymographError as error:
            self._tell_error(error)

    def _tell_error(self, error: KymographError) -> None:
        self._viewer.tell({"type": "error", "data": str(error)})

    def _require_control(self) -> None:
        self._viewer.caller.require(CONTROL)
        if self._viewer.caller.by_cookie:
            self._front.guard.check_change(self._websocket, self._viewer.caller)

    async def _set_valves(self, message: Plain) -> None:
        valves, by = message.get("valves"), self._viewer.by
        try:
            self._require_control()
            check_valves(valves)
            async with self._valves:
                done = await self._place.valves.run(
                    lambda: self._stand.set_valves(cast("list[int]", valves), by)
                )
            answer = messages.valve_response(True, done["valves"])
        except KymographError as error:
            actual = (await self._place.looks.run(self._stand.control))["valves"]
            answer = messages.valve_response(False, actual, str(error))
        self._viewer.tell(answer)

    async def _step(self, message: Plain) -> None:
        motor_id, angle = message.get("motor_id"), message.get("angle")
        try:
            self._require_control()
            step = check_step(motor_id, angle)
            async with self._motors:
                done = await self._place.motors.run(
                    lambda: self._stand.step_motor(step.motor_id, step.angle, self._viewer.by)
                )
            answer = messages.step_motor_response(True, step.motor_id, step.angle, done["response"])
        except KymographError as error:
            answer = messages.step_motor_response(False, motor_id, angle, str(error))
        self._viewer.tell(answer)

    async def _get(self, message: Plain) -> None:
        del message
        data = await self._place.looks.run(lambda: newest(self._stand, self._place.formulas))
        self._viewer.tell({"type": "sensor_data", "data": data})

    async def _mode(self, message: Plain) -> None:
        self._require_control()
        self._viewer.tell({"type": "system_mode", **set_mode(self._place, str(message.get("mode")))})


async def _listen(websocket: WebSocket, conversation: Conversation) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        conversation.hear(cast("str | bytes", text if text is not None else message["bytes"]))


async def _talk(websocket: WebSocket, viewer: Viewer, conversation: Conversation) -> None:
    """Send and listen until either ends."""
    tasks = (
        asyncio.ensure_future(viewer.run()),
        asyncio.ensure_future(_listen(websocket, conversation)),
    )

    def cut() -> None:
        wire_of(websocket).cut()
        for task in tasks:
            task.cancel()

    viewer.close = cut
    expected = (asyncio.CancelledError, WebSocketDisconnect, OSError, RuntimeError)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, expected):
                log.error("a connection of the test stand failed", exc_info=outcome)


def router(place: Place, audience: Audience) -> APIRouter:
    """Return the one route."""
    routes = APIRouter(tags=["face: teststand"])

    @routes.websocket("/ws")
    async def ws(
        websocket: WebSocket,
        front: FrontDep,
        caller: Annotated[Caller, needs(READ)],
        encoding: Annotated[Literal["msgpack", "json"], Query()] = "msgpack",
        every: Annotated[int, Query(ge=1, le=1_000_000)] = 0,
        batch_ms: Annotated[int, Query(ge=0, le=1000)] = 0,
    ) -> None:
        """Send samples, take orders."""
        if len(audience) >= CONNECTIONS_MAX:
            await websocket.send_denial_response(problem(Unavailable("there are too many clients")))
            return
        view = View(every or (1 if batch_ms else EVERY), batch_ms / 1000, encoding == "msgpack")
        viewer = Viewer(view, caller, who(websocket, caller), wire_of(websocket))
        await websocket.accept()
        try:
            await audience.join(viewer, front)
        except KymographError as error:
            viewer.tell({"type": "error", "data": str(error)})
        try:
            await _talk(websocket, viewer, Conversation(websocket, front, place, viewer))
        finally:
            await asyncio.shield(audience.leave(viewer))

    return routes
