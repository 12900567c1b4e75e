"""Live rows as an iterator, for `for` and for `async for`.

Memory is bounded: a script that does not keep up stops reading from its socket, and what the station then has
to leave out is told as a `Gap`. A script that rests longer is cut off by the station, comes back, and gets
from the station's memory what it slept through.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, Final, Generic, Literal, Self, TypedDict, TypeVar, cast

import msgspec

from kymograph.client.connection import CONNECT_S, Connection, problem, unreachable
from kymograph.client.conversation import Conversation, Mode, Wish
from kymograph.client.course import Course
from kymograph.client.frame import Batch, Gap, RowsMissing
from kymograph.model.block import Cursor
from kymograph.model.errors import Corrupt, InvalidInput, KymographError, Unavailable

OnGap = Literal["yield", "raise", "ignore"]
T = TypeVar("T", bound=Batch | Gap, covariant=True)

FRAMES_MAX: Final = 8
"""Messages held for a script that does not keep up; one is at most a few MiB."""
_MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
_CLOSE_S: Final = 1.0
"""How long the station may take to say good-bye."""
_PING_S: Final = 5.0
"""A line that was cut says nothing: this often the station is asked whether it is there, …"""
_PONG_S: Final = 10.0
"""… and so long it may take to answer."""

_wire_log = logging.getLogger("kymograph.client.wire")
_wire_log.addHandler(logging.NullHandler())
_wire_log.propagate = False


class LiveOptions(TypedDict, total=False):
    """What can be said about live rows.

    - `channels`: those that are wanted, in that order; left out: all. Each stream must have each of them.
    - `mode`: `raw` is every row; `minmax` the peaks of all rows since the last batch; `latest` the newest.
    - `since`: for each stream the place `(epoch, seq)` to begin at, as `batch.cursor` or `live.cursors`.
    - `max_rate_hz`: batches a second at most; `raw` gathers rows then and leaves none out.
    - `seconds`: end the loop after so long.
    - `timeout_s`: raise `TimedOut` when nothing has come for so long. Left out: wait for ever, also for a
      station that is away.
    """

    channels: list[str] | tuple[str, ...]
    mode: Mode
    since: Mapping[str, tuple[int, int]]
    max_rate_hz: float
    seconds: float
    timeout_s: float


class _Turn:
    """One loop over live rows. Ended from anywhere, it ends before its next message."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.socket: Any = None
        self._ended = threading.Event()

    @property
    def ended(self) -> bool:
        """Whether somebody has ended it."""
        return self._ended.is_set()

    @property
    def over(self) -> bool:
        """Whether it is to end, for whatever reason."""
        return self.ended or self.course.over

    def end(self) -> None:
        """Have it end; who waits for a message waits no more."""
        self._ended.set()
        close = getattr(self.socket, "close", None)
        if close is not None and not iscoroutinefunction(close):
            close()

    def rest(self, pause_s: float) -> None:
        """Wait for so long, or until it is ended."""
        self._ended.wait(pause_s)


class Live(Generic[T]):
    """Live rows: `for batch in live`, or `async for batch in live`.

    A connection that breaks is made again, and goes on after the last rows: none twice, and those that are
    not there any more as a `Gap`. Leaving the loop closes the connection; a new loop over the same object
    goes on where the last one was left, and ends that if it still runs.
    """

    def __init__(
        self, connection: Connection, streams: tuple[str, ...], on_gap: OnGap, options: LiveOptions
    ) -> None:
        """Use `Client.live`."""
        if on_gap not in ("yield", "raise", "ignore"):
            raise InvalidInput(f"on_gap is yield, raise or ignore, not {on_gap}")
        channels = options.get("channels")
        wish = Wish(
            streams, None if channels is None else tuple(channels), options.get("mode", "raw"),
            options.get("max_rate_hz"),
        )  # fmt: skip
        self._connection = connection
        self._talk = Conversation(wish, options.get("since", {}), connection.key)
        self._on_gap = on_gap
        self._seconds = options.get("seconds")
        self._timeout_s = options.get("timeout_s")
        self._turn: _Turn | None = None
        self.connections = 0
        """How often a connection was made."""

    @property
    def cursors(self) -> dict[str, Cursor]:
        """The place of the next row of each stream; `since=live.cursors` goes on there."""
        return self._talk.cursors

    def close(self) -> None:
        """End the loop, from any thread. A new loop may be begun."""
        if self._turn is not None:
            self._turn.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def aclose(self) -> None:
        """End the `async for` loop, from the event loop it runs on."""
        self.close()
        socket = None if self._turn is None else self._turn.socket
        if socket is not None:
            await socket.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # -- for -----------------------------------------------------------------------------------------------
    def __iter__(self) -> Generator[T]:
        from websockets.exceptions import WebSocketException

        turn = self._begin()
        while not turn.over:
            try:
                yield from self._listen(turn)
            except (KymographError, WebSocketException, OSError, EOFError) as error:
                turn.rest(self._pause_s(turn, error))

    def _listen(self, turn: _Turn) -> Generator[T]:
        """Make a connection and yield what comes until it breaks or the loop is over."""
        from websockets.sync.client import connect

        url, options = self._where()
        with connect(url, **options) as turn.socket:
            self.connections += 1
            for said in self._talk.opening():
                turn.socket.send(msgspec.msgpack.encode(said))
            while not turn.over:
                frame = _received(turn.socket, turn.course.wait_s())
                yield from self._given(turn, frame)

    # -- async for -----------------------------------------------------------------------------------------
    async def __aiter__(self) -> AsyncGenerator[T]:
        import asyncio

        from websockets.exceptions import WebSocketException

        turn = self._begin()
        while not turn.over:
            try:
                async for item in self._listen_async(turn):
                    yield item
            except (KymographError, WebSocketException, OSError, EOFError) as error:
                await asyncio.to_thread(turn.rest, self._pause_s(turn, error))

    async def _listen_async(self, turn: _Turn) -> AsyncGenerator[T]:
        from websockets.asyncio.client import connect

        url, options = self._where()
        async with connect(url, **options) as turn.socket:
            self.connections += 1
            for said in self._talk.opening():
                await turn.socket.send(msgspec.msgpack.encode(said))
            while not turn.over:
                frame = await _received_async(turn.socket, turn.course.wait_s())
                for item in self._given(turn, frame):
                    yield item

    # -- both ----------------------------------------------------------------------------------------------
    def _begin(self) -> _Turn:
        self.close()
        self._turn = _Turn(Course(self._seconds, self._timeout_s, time.monotonic))
        return self._turn

    def _where(self) -> tuple[str, dict[str, Any]]:
        options: dict[str, Any] = {
            "compression": None, "max_size": _MESSAGE_BYTES_MAX, "max_queue": FRAMES_MAX, "logger": _wire_log,
            "open_timeout": CONNECT_S, "close_timeout": _CLOSE_S, "ping_interval": _PING_S,
            "ping_timeout": _PONG_S, "proxy": None if self._connection.local else True,
        }  # fmt: skip
        return "ws" + self._connection.url.removeprefix("http") + "/v1/live", options

    def _pause_s(self, turn: _Turn, error: Exception) -> float:
        """Return how long to rest after a break.

        Raises:
            KymographError: what it means to a person, if trying again is of no use.
        """
        if turn.ended:
            return 0.0
        known = error if isinstance(error, KymographError) else _told(error, self._connection.url)
        return turn.course.pause_s(known)

    def _given(self, turn: _Turn, frame: str | bytes | None) -> Generator[T]:
        """Yield what a message brings, as the caller wants to see it."""
        if frame is None:
            return
        message = _read(frame)
        if message["type"] == "schema":
            turn.course.welcomed()
        for item in self._talk.take(message):
            if isinstance(item, Batch) or self._on_gap == "yield":
                yield cast("T", item)
            elif self._on_gap == "raise":
                raise RowsMissing(item)
            turn.course.heard()


def _received(socket: Any, timeout_s: float | None) -> str | bytes | None:
    """Return the next message, None if none came in time."""
    try:
        return socket.recv(timeout_s)
    except TimeoutError:
        return None


async def _received_async(socket: Any, timeout_s: float | None) -> str | bytes | None:
    import asyncio

    try:
        async with asyncio.timeout(timeout_s):
            return await socket.recv()
    except TimeoutError:
        return None


def _read(frame: str | bytes) -> dict[str, Any]:
    try:
        if isinstance(frame, str):
            return msgspec.json.decode(frame, type=dict[str, Any])
        return msgspec.msgpack.decode(frame, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise Corrupt(f"a live message makes no sense: {error}") from None


def _told(error: Exception, url: str) -> KymographError:
    """Return what a broken connection means to a person."""
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

    if isinstance(error, InvalidStatus):
        response = error.response
        return problem(response.body, f"{response.status_code} {response.reason_phrase}", url)
    if isinstance(error, ConnectionClosed):
        return Unavailable(f"the live connection to {url} was closed: {error}", url=url)
    if isinstance(error, InvalidHandshake):
        return Unavailable(f"{url} does not speak WebSocket: {error}", hint="is a proxy in between?", url=url)
    return unreachable(url, str(error) or type(error).__name__)
