"""`/v1/live`: one WebSocket from its opening to its end."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Final, cast

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from kymograph.model.errors import InvalidInput, KymographError, Unavailable
from kymograph.model.limits import CONNECTIONS_MAX, LIVE_ERRORS_MAX, LIVE_HELLO_S_MAX
from kymograph.service.keys import READ
from kymograph.web.auth import Caller, needs
from kymograph.web.front import Front, FrontDep
from kymograph.web.live.client import Client
from kymograph.web.live.messages import Hello, Subscribe, Unsubscribe, read, write
from kymograph.web.live.wire import wire_of
from kymograph.web.problems import problem

log = logging.getLogger(__name__)

router = APIRouter()

NO_HELLO: Final = 4400
KEY_REFUSED: Final = 4401
SCOPE_REFUSED: Final = 4403
HELLO_LATE: Final = 4408
TOO_MANY_ERRORS: Final = 4429


class _Refused(Exception):
    def __init__(self, code: int, error: KymographError, binary: bool) -> None:
        super().__init__(error.message)
        self.code = code
        self.error = error
        self.binary = binary


@router.websocket("/v1/live")
async def live(
    websocket: WebSocket, front: FrontDep, caller: Annotated[Caller, needs(READ, in_hello=True)]
) -> None:
    """Stream rows, status and events; see `docs/format/live.md`."""
    if len(front.hub.clients) >= CONNECTIONS_MAX:
        await websocket.send_denial_response(problem(Unavailable("there are too many live clients")))
        return
    await websocket.accept()
    try:
        caller, binary = await _hello(websocket, front, caller)
    except _Refused as refused:
        await _say_and_close(websocket, refused)
        return
    except WebSocketDisconnect:
        return
    client = Client(caller, wire_of(websocket), asyncio.get_running_loop().time, lambda: None, binary)
    front.hub.join(client)
    try:
        await _talk(websocket, front, client)
    finally:
        await asyncio.shield(front.hub.leave(client))


async def _receive(websocket: WebSocket) -> str | bytes:
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    return cast("str | bytes", text if text is not None else message["bytes"])


async def _hello(websocket: WebSocket, front: Front, caller: Caller) -> tuple[Caller, bool]:
    """Wait for the first message; return who it is and whether they speak msgpack."""
    binary = False
    try:
        async with asyncio.timeout(LIVE_HELLO_S_MAX):
            said = await _receive(websocket)
        binary = isinstance(said, bytes)
        hello = read(said)
        if not isinstance(hello, Hello):
            raise InvalidInput("the first message is hello")
    except TimeoutError:
        late = InvalidInput(f"no hello within {LIVE_HELLO_S_MAX:g} s")
        raise _Refused(HELLO_LATE, late, binary) from None
    except InvalidInput as error:
        raise _Refused(NO_HELLO, error, binary) from None
    try:
        if hello.token is not None:
            caller = front.guard.caller_with(hello.token, websocket.client.host if websocket.client else "")
        elif caller.by_cookie:
            front.guard.check_change(websocket, caller)
    except KymographError as error:
        raise _Refused(KEY_REFUSED, error, binary) from None
    try:
        caller.require(READ)
    except KymographError as error:
        raise _Refused(SCOPE_REFUSED if caller.name else KEY_REFUSED, error, binary) from None
    return caller, binary


async def _say_and_close(websocket: WebSocket, refused: _Refused) -> None:
    error = refused.error
    said = write(
        {"type": "error", "code": error.code, "message": error.message, "hint": error.hint}, refused.binary
    )
    try:
        await wire_of(websocket).send(said)
        await websocket.close(refused.code, error.message[:100])
    except (WebSocketDisconnect, RuntimeError, OSError):
        pass  # it did not wait for the refusal


async def _talk(websocket: WebSocket, front: Front, client: Client) -> None:
    """Send and listen until either ends."""
    try:
        station = await asyncio.to_thread(front.engine.station)
    except KymographError as error:
        client.tell_error(error)
        station = {}
    told = {key: station.get(key) for key in ("name", "id", "version", "now_ns")}
    client.tell(
        "welcome", station=told["name"], station_id=told["id"], version=told["version"], now_ns=told["now_ns"]
    )
    sending = asyncio.ensure_future(client.outbox.run())
    listening = asyncio.ensure_future(_listen(websocket, front, client))
    tasks = (sending, listening)

    def cut() -> None:
        wire_of(websocket).cut()
        for task in tasks:
            task.cancel()

    client.close = cut
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            _look_at(outcome)


def _look_at(outcome: object) -> None:
    """Log what nobody expects at the end of a connection."""
    expected = (asyncio.CancelledError, WebSocketDisconnect, OSError, RuntimeError)
    if isinstance(outcome, BaseException) and not isinstance(outcome, expected):
        log.error("a live connection failed", exc_info=outcome)


async def _listen(websocket: WebSocket, front: Front, client: Client) -> None:
    """Do what the client says until it goes; raises WebSocketDisconnect when it does."""
    errors = 0
    while errors < LIVE_ERRORS_MAX:
        said = await _receive(websocket)
        request = None
        try:
            request = read(said)
            await _do(front, client, request, isinstance(said, bytes))
        except KymographError as error:
            errors += 1
            id = getattr(request, "id", None)
            client.tell_error(error, **({} if id is None else {"id": id}))
    await websocket.close(TOO_MANY_ERRORS, "too many messages that made no sense")


async def _do(front: Front, client: Client, request: object, binary: bool) -> None:
    if isinstance(request, Subscribe):
        await front.hub.subscribe(client, request, binary)
    elif isinstance(request, Unsubscribe):
        await front.hub.unsubscribe(client, request.id)
    else:
        raise InvalidInput("hello was said already")
