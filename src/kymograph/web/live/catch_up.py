"""Rows that a client missed, read from the ring and sent at the client's pace until it is live again.

The ring is read from the client's place on, some rows at a time, while what comes by live is let pass. It is
written before the link is, so whatever came by live is in it: once the client's place is that of the live
view, it goes on there without a hole, and what overlaps is cut.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from kymograph.model.block import Block, Cursor
from kymograph.model.errors import InvalidInput, KymographError
from kymograph.model.limits import BLOCK_ROWS_MAX
from kymograph.service.contract import StationService
from kymograph.web.live.groups import Group, Tail
from kymograph.web.live.views import rest, runs

log = logging.getLogger(__name__)

_STEP_BYTES: Final = 1024 * 1024


def check_since(engine: StationService, stream: str, since: Cursor) -> None:
    """Refuse a place that lies ahead of the stream: its client would wait for ever. Blocks.

    Raises:
        InvalidInput: with where the stream is.
    """
    newest = engine.latest(stream)
    if newest is not None and newest["epoch"] == since.epoch and newest["seq"] + 1 < since.seq:
        raise InvalidInput(
            f"since lies ahead of {stream}", next=[newest["epoch"], newest["seq"] + 1], since=list(since)
        )


async def catch_up(engine: StationService, tail: Tail, group: Group) -> None:
    """Give a tail everything between its place and the live view; what the ring has forgotten is told."""
    tail.catching_up = True
    try:
        while not tail.closed and await _step(engine, tail, group):
            pass
    except KymographError as error:
        log.info("cannot look back into %s: %s", group.key.view.stream.name, error)
    finally:
        tail.catching_up = False
        tail.gap_accepted = True


async def _step(engine: StationService, tail: Tail, group: Group) -> bool:
    """Give some more rows; return whether there may be still more."""
    await tail.outbox.room()
    stream, at = group.key.view.stream, tail.cursor
    assert at is not None
    rows_max = max(min(_STEP_BYTES // stream.row_nbytes, BLOCK_ROWS_MAX - 1), 1)
    # The row before is asked for too: if it is still there, a jump after it was made by the device, and an
    # epoch that ends with it has really ended.
    before, passed = Cursor(at.epoch, max(at.seq - 1, 0)), group.flushed
    blocks = await asyncio.to_thread(engine.history, stream.name, before, rows_max + 1)
    known = bool(blocks) and (blocks[0].epoch, blocks[0].seq) == before and at.seq > 0
    fresh = rest(blocks, at)
    for run in runs(fresh):
        tail.tell_gaps(at, run[0].epoch, run[0].seq, "missing" if known else "not in ring", known)
        tail.give_again(group.key.view.piece(run, _stretches(run, group.key.rate_hz)))
        at, known = Cursor(*run[-1].next), True
    if not fresh:
        tail.end_unknown = not known
        return group.flushed != passed  # rows came by while the ring was asked, and it has them by now
    live = group.flushed
    if live is None:
        return sum(block.rows for block in fresh) >= rows_max
    return not (at.epoch == live.epoch and at.seq >= live.seq)


def _stretches(run: Sequence[Block], rate_hz: float) -> int:
    """Return how many messages these rows would have been, had they come live."""
    rows = run[-1].seq + run[-1].rows - run[0].seq
    seconds = (run[-1].last_ns - run[0].first_ns) / 1e9
    return min(max(int(seconds * rate_hz) + 1, 1), rows)
