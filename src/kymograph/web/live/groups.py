"""Who sees the same: subscriptions of one view of one stream share its bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kymograph.model.block import Block, Cursor
from kymograph.model.limits import LIVE_MERGE_BYTES_MAX
from kymograph.web.live.encoding import Encoded
from kymograph.web.live.messages import Encoding, write
from kymograph.web.live.outbox import Gap, Outbox
from kymograph.web.live.views import Piece, View, rest, runs
from kymograph.web.live.wire import Message


class GroupKey(NamedTuple):
    """What makes two subscriptions see the same. `rate_hz` 0 is every block at once."""

    view: View
    rate_hz: float
    encoding: Encoding


class Tail:
    """One subscription's end of one stream: where it is, and what comes next for it.

    While it *catches up* it is fed from the ring, and lets pass what comes by live.
    """

    def __init__(self, id: str, outbox: Outbox, key: GroupKey, on_gap: Callable[[Tail], None]) -> None:
        self.id = id
        self.outbox = outbox
        self.key = key
        self.cursor: Cursor | None = None
        self.catching_up = False
        self.gap_accepted = False
        """Whether the ring was asked for the rows up to the next ones, and does not have them."""
        self.end_unknown = False
        """Whether the ring did not know the epoch of the cursor any more, so that it may have gone on."""
        self.closed = False
        self._on_gap = on_gap

    def give(self, piece: Piece, encoded: Encoded) -> None:
        """Take what the group shows, unless it was seen already; rows that are missing before it are
        looked for in the ring first."""
        if self.closed or self.catching_up:
            return
        if self.key.view.mode == "latest":
            self.outbox.put_latest(self, encoded)
            return
        at = self.cursor
        if at is not None and at != (piece.epoch, piece.seq_from):
            if at.epoch == piece.epoch and at.seq >= piece.seq_to:
                return
            if _jumps(at, piece) and not self.gap_accepted:
                self._on_gap(self)
                return
            reason = "not in ring" if self.end_unknown else "missing"
            self.tell_gaps(at, piece.epoch, piece.seq_from, reason, not self.end_unknown)
            if at.epoch == piece.epoch and at.seq > piece.seq_from:
                piece = self.key.view.piece(rest(piece.blocks, at))
                encoded = Encoded(piece, self.key.encoding)
        self.gap_accepted = self.end_unknown = False
        self.cursor = piece.next
        self.outbox.put_rows(self, piece, encoded)

    def show_latest(self, piece: Piece) -> None:
        """Show a newest row that is older than the subscription."""
        self.outbox.put_latest(self, Encoded(piece, self.key.encoding))

    def give_again(self, piece: Piece) -> None:
        """Take rows from the ring, for this client alone; they are never let go."""
        self.cursor = piece.next
        self.outbox.put_again(Encoded(piece, self.key.encoding).to(self.id))

    def tell_gaps(self, at: Cursor, epoch: int, seq: int, reason: str, end_known: bool = True) -> None:
        """Tell of the rows between a place and the next row that there is; `end_known` says that the
        epoch of the place is known to end there."""
        if at.epoch == epoch:
            if at.seq < seq:
                self.outbox.put_again(self.gap_message(Gap(epoch, at.seq, seq, reason)))
            return
        if not end_known:
            self.outbox.put_again(self.gap_message(Gap(at.epoch, at.seq, None, reason)))
        if seq > 0:
            self.outbox.put_again(self.gap_message(Gap(epoch, 0, seq, reason)))

    def _message(self, kind: str, **facts: Any) -> Message:
        stream = self.key.view.stream.name
        return write({"type": kind, "id": self.id, "stream": stream, **facts}, self.key.encoding != "json")

    def gap_message(self, gap: Gap) -> Message:
        """Return the message that tells of a gap."""
        return self._message(
            "gap", epoch=gap.epoch, from_seq=gap.from_seq, to_seq=gap.to_seq, reason=gap.reason
        )

    def schema_message(self) -> Message:
        """Return the message that says what the columns mean."""
        view = self.key.view
        channels = [channel.to_dict() for channel in view.shown]
        return self._message("schema", mode=view.mode, rate_hz=view.stream.rate_hz, channels=channels)


def _jumps(at: Cursor, piece: Piece) -> bool:
    return piece.seq_from > (at.seq if at.epoch == piece.epoch else 0)


class Group:
    """One view of one stream, encoded once for all who have it."""

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.tails: set[Tail] = set()
        self.flushed: Cursor | None = None
        """The place after what was last given to the tails."""
        self._pending: list[Block] = []
        self._pending_bytes = 0
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def offer(self, blocks: Sequence[Block]) -> None:
        """Take blocks, and show them now or when the rate allows it."""
        self._pending.extend(blocks)
        if not self.key.rate_hz:
            self._flush()
            return
        loop = asyncio.get_running_loop()
        self._pending_bytes += sum(block.nbytes for block in blocks)
        if loop.time() >= self._due_s or self._pending_bytes > LIVE_MERGE_BYTES_MAX:
            self._flush()
        elif self._timer is None:
            self._timer = loop.call_at(self._due_s, self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._pending:
            return
        blocks, self._pending, self._pending_bytes = self._pending, [], 0
        if self.key.rate_hz:
            self._due_s = max(self._due_s, asyncio.get_running_loop().time() - 1 / self.key.rate_hz)
            self._due_s += 1 / self.key.rate_hz
        found = runs(blocks)
        for run in found[-1:] if self.key.view.mode == "latest" else found:
            piece = self.key.view.piece(run)
            self.flushed = piece.next
            encoded = Encoded(piece, self.key.encoding)
            for tail in self.tails:
                tail.give(piece, encoded)

    def close(self) -> None:
        """Show no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._pending.clear()
