"""One client of `/ws`: what waits for it, bounded, its own oldest samples the first to go."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from kymograph.model.limits import CLIENT_QUEUE_BYTES_MAX
from kymograph.web.auth import Caller
from kymograph.web.faces.teststand.messages import Message, write
from kymograph.web.faces.teststand.samples import Bundle
from kymograph.web.live.wire import framed

SAMPLES_WAITING_MAX: Final = 4096
"""Messages with samples that wait for one client: a second at 3 300 a second."""
ANSWERS_WAITING_MAX: Final = 256
"""Answers and changes that wait for one client, before it is closed."""
_YIELD_AT: Final = 32
"""After so many writes in one go it is somebody else's turn."""


class View(NamedTuple):
    """How a client wants its samples: every so-manieth, one by one or gathered for a time."""

    every: int = 3
    batch_s: float = 0.0
    binary: bool = True


class Way(Protocol):
    """How frames reach the client: a `Wire`."""

    def write_now(self, frames: bytes) -> bool:
        """Send whole frames if there is room for them; return whether there was."""
        ...

    async def write(self, frames: bytes) -> None:
        """Send whole frames as soon as there is room."""
        ...


class Viewer:
    """A client. Methods are called on the event loop; only `run` waits."""

    def __init__(self, view: View, caller: Caller, by: str, way: Way) -> None:
        self.view = view
        self.caller = caller
        self.by = by
        self.close: Callable[[], None] = lambda: None
        self.samples_dropped = 0
        self.sending_since_s: float | None = None
        self._way = way
        self._samples: deque[Bundle] = deque()
        self._messages = 0
        self._bytes = 0
        self._answers: deque[Message] = deque()
        self._untold = 0
        self._wake = asyncio.Event()

    @property
    def overrun(self) -> bool:
        """Whether so many answers wait that the client must be closed."""
        return len(self._answers) > ANSWERS_WAITING_MAX

    def put(self, bundle: Bundle) -> None:
        """Send samples at once if nothing waits, else queue them; over a bound the oldest go."""
        if self._idle and self._way.write_now(bundle.frames):
            return
        self._samples.append(bundle)
        self._messages += bundle.messages
        self._bytes += len(bundle.frames)
        while self._messages > SAMPLES_WAITING_MAX or self._bytes > CLIENT_QUEUE_BYTES_MAX:
            lost = self._taken().samples
            self._untold += lost
            self.samples_dropped += lost
        self._wake.set()

    @property
    def _idle(self) -> bool:
        """Whether whatever was put has been sent."""
        waiting = self._samples or self._answers or self._untold
        return not waiting and self.sending_since_s is None

    def _taken(self) -> Bundle:
        bundle = self._samples.popleft()
        self._messages -= bundle.messages
        self._bytes -= len(bundle.frames)
        return bundle

    def tell(self, message: dict[str, object]) -> None:
        """Queue an answer, which overtakes samples and is never let go."""
        self.tell_raw(write(message, self.view.binary))

    def tell_raw(self, message: Message) -> None:
        """Queue an answer that was written already."""
        self._answers.append(message)
        self._wake.set()

    def _next(self) -> bytes | None:
        if self._answers:
            return framed(self._answers.popleft())
        if not self._samples:
            return None
        bundle = self._taken()
        lost, self._untold = self._untold, 0
        return bundle.after_loss(lost) if lost else bundle.frames

    async def run(self) -> None:
        """Send what waits, for ever."""
        now_s = asyncio.get_running_loop().time
        sent = 0
        while True:
            frames = self._next()
            if frames is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            self.sending_since_s = now_s()
            await self._way.write(frames)
            self.sending_since_s = None
            sent += 1
            if sent % _YIELD_AT == 0:
                await asyncio.sleep(0)
