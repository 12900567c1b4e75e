"""One client of `/ws`: what waits for it, bounded, its own oldest samples the first to go."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from kymograph.model.limits import CLIENT_QUEUE_BYTES_MAX
from kymograph.web.auth import Caller
from kymograph.web.faces.teststand.messages import Message, with_dropped, write

SAMPLES_WAITING_MAX: Final = 4096
"""Messages with samples that wait for one client: a second at 3 300 a second."""
ANSWERS_WAITING_MAX: Final = 256
"""Answers and changes that wait for one client, before it is closed."""
_YIELD_AT: Final = 32
"""After so many messages in one go it is somebody else's turn."""


class View(NamedTuple):
    """How a client wants its samples: every so-manieth, one by one or gathered for a time."""

    every: int = 3
    batch_s: float = 0.0
    binary: bool = True


class Viewer:
    """A client. Methods are called on the event loop; only `run` waits."""

    def __init__(
        self, view: View, caller: Caller, by: str, send: Callable[[Message], Awaitable[None]]
    ) -> None:
        self.view = view
        self.caller = caller
        self.by = by
        self.close: Callable[[], None] = lambda: None
        self.samples_dropped = 0
        self.sending_since_s: float | None = None
        self._send = send
        self._samples: deque[tuple[Message, int]] = deque()
        self._bytes = 0
        self._answers: deque[Message] = deque()
        self._untold = 0
        self._wake = asyncio.Event()

    @property
    def overrun(self) -> bool:
        """Whether so many answers wait that the client must be closed."""
        return len(self._answers) > ANSWERS_WAITING_MAX

    def put(self, message: Message, samples: int) -> None:
        """Queue samples; over a bound the oldest go."""
        self._samples.append((message, samples))
        self._bytes += len(message)
        while len(self._samples) > SAMPLES_WAITING_MAX or self._bytes > CLIENT_QUEUE_BYTES_MAX:
            gone, lost = self._samples.popleft()
            self._bytes -= len(gone)
            self._untold += lost
            self.samples_dropped += lost
        self._wake.set()

    def tell(self, message: dict[str, object]) -> None:
        """Queue an answer, which overtakes samples and is never let go."""
        self.tell_raw(write(message, self.view.binary))

    def tell_raw(self, message: Message) -> None:
        """Queue an answer that was written already."""
        self._answers.append(message)
        self._wake.set()

    def _next(self) -> Message | None:
        if self._answers:
            return self._answers.popleft()
        if not self._samples:
            return None
        message, _ = self._samples.popleft()
        self._bytes -= len(message)
        lost, self._untold = self._untold, 0
        return with_dropped(message, lost) if lost else message

    async def run(self) -> None:
        """Send what waits, for ever."""
        now_s = asyncio.get_running_loop().time
        sent = 0
        while True:
            message = self._next()
            if message is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            self.sending_since_s = now_s()
            await self._send(message)
            self.sending_since_s = None
            sent += 1
            if sent % _YIELD_AT == 0:
                await asyncio.sleep(0)
