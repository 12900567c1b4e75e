"""What waits to be sent to one client: bounded, oldest rows first to go, and every loss told.

Answers, events and what a client asked to be given again are never let go; of a status and of a `latest`
view only the newest waits. A client that lets its answers pile up is closed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from kymograph.model.limits import CLIENT_QUEUE_BYTES_MAX, CLIENT_QUEUE_MESSAGES_MAX
from kymograph.web.live.encoding import Encoded
from kymograph.web.live.views import Piece
from kymograph.web.live.wire import Message

ANSWERS_MAX: Final = 4 * CLIENT_QUEUE_MESSAGES_MAX


class Way(Protocol):
    """How messages reach the client: a `Wire`."""

    def send_now(self, message: Message) -> bool:
        """Send a message if there is room for it; return whether there was."""
        ...

    async def send(self, message: Message) -> None:
        """Send a message as soon as there is room."""
        ...


class Receiver(Protocol):
    """Whose rows wait: one subscription's end of one stream."""

    id: str
    closed: bool

    def gap_message(self, gap: Gap) -> Message:
        """Return the message that tells of a gap."""
        ...


@dataclass(slots=True)
class Gap:
    """Rows that a client does not get: `from_seq` to `to_seq` (exclusive; None is unknown) of an epoch."""

    epoch: int
    from_seq: int
    to_seq: int | None
    reason: str

    def joins(self, piece: Piece) -> bool:
        """Return whether a piece that is lost too makes this gap longer."""
        return self.epoch == piece.epoch and self.to_seq == piece.seq_from


@dataclass(slots=True)
class _Item:
    message: Message = b""
    receiver: Receiver | None = None
    encoded: Encoded | None = None
    piece: Piece | None = None
    key: Hashable = None
    answer: bool = False

    @property
    def size(self) -> int:
        return self.encoded.size if self.encoded is not None else len(self.message)


@dataclass(slots=True)
class _Loss:
    gaps: list[Gap]
    rows: int = 0


class Outbox:
    """A queue and the coroutine that empties it. All methods are called on the event loop and never wait,
    but for `run` and `room`."""

    def __init__(self, way: Way, now_s: Callable[[], float]) -> None:
        self._way = way
        self._now_s = now_s
        self._queue: deque[_Item] = deque()
        self._bytes = 0
        self._newest: dict[Hashable, _Item] = {}
        self._losses: dict[Receiver, _Loss] = {}
        self._answers = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.sending_since_s: float | None = None
        self.overrun = False
        """Whether so many answers wait that the client must be closed."""
        self.rows_dropped = 0

    def put(self, message: Message) -> None:
        """Queue an answer or an event, which must not get lost."""
        self._append(_Item(message, answer=True))
        self._answers += 1
        if self._answers > ANSWERS_MAX:
            self.overrun = True

    def put_again(self, message: Message) -> None:
        """Queue what the client asked to be given again; who does it waits for `room` before."""
        self._append(_Item(message))

    def close(self) -> None:
        """Hold nobody up any more: the client is gone."""
        self._queue.clear()
        self._room.set()

    def put_newest(self, key: Hashable, message: Message) -> None:
        """Queue a message that takes the place of the one waiting under the same key."""
        self._replace(_Item(message, key=key))

    def put_latest(self, receiver: Receiver, encoded: Encoded) -> None:
        """Queue the newest row of a stream in place of the one that waits."""
        self._replace(_Item(receiver=receiver, encoded=encoded, key=receiver))

    def put_rows(self, receiver: Receiver, piece: Piece, encoded: Encoded) -> None:
        """Send rows at once if nothing waits, else queue them; over a bound, the oldest rows go."""
        if self._idle and self._way.send_now(encoded.to(receiver.id)):
            return
        self._append(_Item(receiver=receiver, encoded=encoded, piece=piece))
        while len(self._queue) > CLIENT_QUEUE_MESSAGES_MAX or self._bytes > CLIENT_QUEUE_BYTES_MAX:
            if not self._drop_oldest():
                return

    @property
    def _idle(self) -> bool:
        """Whether whatever was put has been sent, and every loss told."""
        return not self._queue and self.sending_since_s is None and not self._losses

    async def room(self) -> None:
        """Wait until the queue is less than half full."""
        await self._room.wait()

    def _append(self, item: _Item) -> None:
        self._queue.append(item)
        self._bytes += item.size
        self._wake.set()
        if not self._has_room():
            self._room.clear()

    def _has_room(self) -> bool:
        few = len(self._queue) < CLIENT_QUEUE_MESSAGES_MAX // 2
        return few and self._bytes < CLIENT_QUEUE_BYTES_MAX // 2

    def _replace(self, item: _Item) -> None:
        waiting = self._newest.get(item.key)
        if waiting is None:
            self._newest[item.key] = item
            self._append(item)
            return
        self._bytes += item.size - waiting.size
        waiting.message, waiting.encoded = item.message, item.encoded

    def _drop_oldest(self) -> bool:
        for i, item in enumerate(self._queue):
            if item.piece is not None:
                del self._queue[i]
                self._bytes -= item.size
                self._lose(item)
                return True
        return False

    def _lose(self, item: _Item) -> None:
        piece, receiver = item.piece, item.receiver
        if piece is None or receiver is None or receiver.closed:
            return
        loss = self._losses.setdefault(receiver, _Loss([]))
        rows = piece.seq_to - piece.seq_from
        loss.rows += rows
        self.rows_dropped += rows
        if loss.gaps and loss.gaps[-1].joins(piece):
            loss.gaps[-1].to_seq = piece.seq_to
        else:
            loss.gaps.append(Gap(piece.epoch, piece.seq_from, piece.seq_to, "slow client"))

    async def run(self) -> None:
        """Send what waits, for ever; a loss is told before the rows that come after it."""
        while True:
            if not self._queue:
                await self._tell_rest()
                if not self._queue:
                    self._wake.clear()
                    await self._wake.wait()
            item = self._queue.popleft()
            self._bytes -= item.size
            self._answers -= item.answer
            if item.key is not None:
                self._newest.pop(item.key, None)
            if not self._room.is_set() and self._has_room():
                self._room.set()
            if item.receiver is None:
                await self._send_one(item.message)
            elif not item.receiver.closed and item.encoded is not None:
                dropped = await self._tell(item.receiver) if self._losses else 0
                await self._send_one(item.encoded.to(item.receiver.id, dropped))

    async def _tell(self, receiver: Receiver) -> int:
        """Tell of a receiver's gaps and return how many rows it lost since its last rows."""
        loss = self._losses.pop(receiver, None)
        if loss is None:
            return 0
        for gap in loss.gaps:
            await self._send_one(receiver.gap_message(gap))
        return loss.rows

    async def _tell_rest(self) -> None:
        for receiver, loss in list(self._losses.items()):
            gaps, loss.gaps = loss.gaps, []
            for gap in gaps:
                if not receiver.closed:
                    await self._send_one(receiver.gap_message(gap))
            if receiver.closed:
                self._losses.pop(receiver, None)

    async def _send_one(self, message: Message) -> None:
        self.sending_since_s = self._now_s()
        await self._way.send(message)
        self.sending_since_s = None

    def describe(self) -> dict[str, Any]:
        """Return what waits, for whoever looks for the reason of a slow client."""
        return {"messages": len(self._queue), "bytes": self._bytes, "rows_dropped": self.rows_dropped}
