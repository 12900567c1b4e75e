"""Ships to one destination: live rows at once, the backlog behind, sealed files last.

One thread does one thing at a time: ask what is new, send one batch or one piece of a file, remember what the
hub has committed. So what is live waits for no more than one batch or piece. Nothing is remembered but in the
outbox: whatever is killed, the next start goes on.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from kymograph.config.shipping import DestinationTable
from kymograph.model.errors import Corrupt, KymographError, NotFound
from kymograph.model.ranges import Ranges
from kymograph.sync.backoff import Backoff
from kymograph.sync.pusher.bucket import TokenBucket
from kymograph.sync.pusher.hub import Aside, Hub, Missing, Suspect, TooLarge
from kymograph.sync.pusher.lanes import Lanes, Span
from kymograph.sync.pusher.outbox import SEGMENTS, STREAMS, Batch, Extent, Outbox
from kymograph.sync.pusher.owing import Owing
from kymograph.sync.pusher.portion import Portion
from kymograph.sync.pusher.standing import BLOCKED, CONNECTED, REFUSED, WAITING, Standing
from kymograph.sync.pusher.uploading import PieceSize, Uploading
from kymograph.sync.pusher.wire import Away, Denied, Misplaced, Wire

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
"""How often it is looked for new rows."""
HELLO_S: Final = 60.0
FIRST_WAIT_S: Final = 1.0
LAST_WAIT_S: Final = 60.0
SLOW_S: Final = 60.0
"""Between two tries where only a person can help."""
LIVE_DEBT_S: Final = 2.0
"""Seconds' worth of the cap that live rows may run ahead of it."""
ROW_BYTES: Final = 100
"""About what a row takes on the line: with a cap, a batch is no larger than what it lets pass in a second."""
_WAITING_LOOK_S: Final = 2.0


class Shelf(Protocol):
    """Where rows are kept that a hub will never take."""

    def put(self, stream: str, epoch: int, first: int, last: int, reason: str, body: bytes) -> None:
        """Keep rows, durably, with the reason."""
        ...

    def ranges(self, stream: str, epoch: int) -> Ranges:
        """Return which rows were put here, by earlier runs too."""
        ...


@dataclass(frozen=True, slots=True)
class Places:
    """Where a pusher takes from, and where it leaves what nobody wants."""

    outbox: Outbox
    shelf: Shelf


class Pusher:
    """One destination. `run` is one thread's; the rest may be called from any."""

    def __init__(self, name: str, table: DestinationTable, hub: Hub, wire: Wire, places: Places) -> None:
        self.name = name
        self._hub = hub
        self._wire = wire
        self._outbox = places.outbox
        self._shelf = places.shelf
        self._bucket = TokenBucket(table.limit_bytes_per_s)
        self._piece = PieceSize(table.limit_bytes_per_s)
        self._lanes = {
            stream: Lanes(stream) for stream in STREAMS if stream in table.streams and stream in hub.streams
        }
        limit = table.batch_rows
        if table.limit_bytes_per_s is not None:
            limit = min(limit, max(1, int(table.limit_bytes_per_s / ROW_BYTES)))
        self._portions = {stream: Portion(limit) for stream in self._lanes}
        self._backoff = Backoff(first_s=FIRST_WAIT_S, last_s=LAST_WAIT_S)
        self._upload: tuple[Span, Batch, Uploading] | None = None
        self._turns = 0
        self.look_s = LOOK_S
        self._looked = 0.0
        self._said_hello = 0.0
        self._owing = Owing(places.outbox, list(self._lanes.values()))
        self._lost = False
        self._counted = 0
        self.standing = Standing(name, table.url, hub.kind)

    def status(self) -> dict[str, Any]:
        """Return how it stands: see `Standing`; `lag_s` is the age of the oldest row that is owed."""
        told = self.standing.to_dict()
        since_ns = told["since_ns"]
        told["lag_s"] = 0.0 if since_ns is None else max(0.0, (time.time_ns() - since_ns) / 1e9)
        return told

    def cut(self) -> None:
        """End a request that is under way, so that `run` can end."""
        self._wire.cut()

    def run(self, stop: threading.Event) -> None:
        """Ship until `stop` is set. Never raises."""
        while not stop.is_set():
            self._wait(stop, self._ship(stop))
        self._wire.close()

    def _ship(self, stop: threading.Event) -> float:
        """Ship until something goes wrong; return how long to wait then."""
        try:
            self.connect()
            while not stop.is_set():
                stop.wait(self.turn())
        except KymographError as error:
            return self.failed(error)
        except Exception as error:  # shipping goes on, whatever it is
            log.exception("%s: shipping failed", self.name)
            return self.failed(KymographError(f"{type(error).__name__}: {error}"))
        return 0.0

    # -- the connection ------------------------------------------------------------------------------------
    def connect(self) -> None:
        """Say hello, and begin a new live lane. See `turn` for what it raises."""
        self._load()
        self._hello()
        for lanes in self._lanes.values():
            lanes.connected()

    def _load(self) -> None:
        for extent in self._outbox.extents():
            if extent.stream in self._lanes:
                self._load_one(self._lanes[extent.stream], extent)
        self._owe()

    def _load_one(self, lanes: Lanes, extent: Extent) -> None:
        if lanes.load(extent, self._outbox.unshipped(self.name, extent.stream)):
            for first, last in self._shelf.ranges(extent.stream, extent.epoch):
                lanes.put_aside(first, last)

    def _hello(self) -> None:
        """Say what there is, and take over what the hub says it holds: it may have been reset."""
        self._said_hello = time.monotonic()
        try:
            held = self._hub.hello([e for e in self._outbox.extents() if e.stream in self._lanes])
        finally:
            self._count_bytes()
        if held is None:
            return
        for stream, lanes in self._lanes.items():
            there = held.get((stream, lanes.epoch), Ranges())
            lost, known = lanes.reconcile(there)
            if lost:
                log.warning(
                    "%s: the hub holds %d %s no more; they are sent again", self.name, lost.count, stream
                )
                self._outbox.forget_acknowledged(self.name, stream, lanes.epoch, there | lanes.aside)
            for first, last in known:
                self._outbox.acknowledge(self.name, stream, lanes.epoch, first, last)
            if lost or known:
                self._load()
        if not any(lanes.owed for lanes in self._lanes.values()):
            self._succeeded()  # otherwise the first batch tells

    def _succeeded(self) -> None:
        now_ns = time.time_ns()
        self._backoff.worked()
        if self.standing.get("state") != CONNECTED:
            word = "ships again" if self._lost else "ships"
            owed = sum(lanes.owed for lanes in self._lanes.values())
            log.info("%s: %s to %s, %d rows are owed", self.name, word, self._wire.url, owed)
            self.standing.set(state=CONNECTED, state_since_ns=now_ns, error="", hint="")
        self._lost = False
        self.standing.set(last_success_ns=now_ns, next_try_ns=None, failures=0)

    def failed(self, error: KymographError) -> float:
        """Take note of it; return how long to wait."""
        wait_s = self._backoff.failed()
        state = REFUSED if isinstance(error, Denied) else BLOCKED if isinstance(error, Misplaced) else WAITING
        if isinstance(error, Away):
            wait_s = max(wait_s, error.retry_s * random.uniform(1.0, 1.3))  # not all stations at once
        elif state != WAITING:
            wait_s = SLOW_S
        if state != self.standing.get("state") or not self._lost:
            if state == WAITING:
                log.warning("%s: shipping waits: %s", self.name, error)
            else:
                log.error("%s: %s", self.name, error)
            self.standing.set(state=state, state_since_ns=time.time_ns())
        self._lost = True
        self.standing.set(error=error.message, hint=error.hint)
        self.standing.set(next_try_ns=time.time_ns() + int(wait_s * 1e9), failures=self._backoff.failures)
        return wait_s

    def _wait(self, stop: threading.Event, wait_s: float) -> None:
        deadline = time.monotonic() + wait_s
        while (left_s := deadline - time.monotonic()) > 0 and not stop.wait(min(left_s, _WAITING_LOOK_S)):
            with suppress(Exception):  # it is said when it is needed
                self._look()

    # -- one thing at a time -------------------------------------------------------------------------------
    def turn(self) -> float:
        """Do one thing; return how long there is nothing to do.

        Raises:
            Away: the hub is.
            Denied: it does not accept the key.
            Misplaced: it is no hub of this kind.
            KymographError: the outbox is not there.
        """
        self._look()
        if time.monotonic() - self._said_hello > HELLO_S:
            self._hello()
        sparse = [lanes for stream, lanes in self._lanes.items() if stream != SEGMENTS]
        for lanes in sparse:
            span = lanes.live(self._portions[lanes.stream].rows)
            if span is None:
                continue
            if (wait_s := self._bucket.wait_s(LIVE_DEBT_S)) > 0:
                return min(wait_s, LOOK_S)
            self._send(lanes, span)
            return 0.0
        if (wait_s := self._bucket.wait_s()) > 0:
            return min(wait_s, LOOK_S)
        self._turns += 1
        for at in range(len(sparse)):
            lanes = sparse[(self._turns + at) % len(sparse)]
            if (span := lanes.backlog()) is not None:
                self._send(lanes, span)
                return 0.0
        if self._carry():
            return 0.0
        for lanes in sparse:
            lanes.resume()
        return LOOK_S

    def _look(self) -> None:
        """See what has been made, not more often than is of use."""
        if time.monotonic() - self._looked < self.look_s:
            return
        self._looked = time.monotonic()
        for extent in self._outbox.extents():
            lanes = self._lanes.get(extent.stream)
            if lanes is not None and lanes.see(extent):
                self._load_one(lanes, extent)
        self._owe()

    def _send(self, lanes: Lanes, span: Span) -> None:
        first, last = span
        limit = last - first + 1 if lanes.is_doubtful(span) else self._portions[lanes.stream].rows
        batch = self._outbox.batch(lanes.stream, first, last, limit)
        if batch is None:
            self._gone(lanes, span, "")
            return
        try:
            self._put(lanes, batch)
        except TooLarge as error:
            lanes.forget_doubt(first, last)
            if batch.rows > 1:
                self._portions[lanes.stream].too_large(batch.rows)
                return
            self._aside(lanes, [Aside(batch.first, batch.last, error.message, batch.body)])
            self._told(lanes, batch.first, batch.last)

    def _put(self, lanes: Lanes, batch: Batch) -> bool:
        """Send a batch; return whether it was told, False if the hub needs an object first."""
        try:
            receipt = self._hub.put(batch)
        except Suspect:
            lanes.defer(batch.first, batch.last)
            lanes.doubt(batch.first, batch.last)
            raise
        except Away as error:
            if error.doubtful and not error.status and self._portions[lanes.stream].broke_off():
                lanes.forget_doubt(batch.first, batch.last)
            elif error.doubtful:
                lanes.doubt(batch.first, batch.last)
            raise
        finally:
            self._count_bytes()
        self._succeeded()
        self._portions[lanes.stream].worked()
        if isinstance(receipt, Missing):
            return False
        self._aside(lanes, receipt.aside)
        self._told(lanes, batch.first, batch.last)
        if receipt.committed:
            lanes.resume()
        self.standing.add(batches=1, rows=receipt.committed, duplicates=receipt.duplicates)
        return True

    def _told(self, lanes: Lanes, first: int, last: int) -> None:
        self._outbox.acknowledge(self.name, lanes.stream, lanes.epoch, first, last)
        lanes.told(first, last)
        self._owe()

    def _aside(self, lanes: Lanes, aside: Sequence[Aside]) -> None:
        """Keep what the hub does not take, before it counts as told."""
        for one in aside:
            if one.body is not None:
                self._shelf.put(lanes.stream, lanes.epoch, one.first, one.last, one.reason, one.body)
                lanes.put_aside(one.first, one.last)
        if aside:
            count = sum(one.last - one.first + 1 for one in aside)
            self.standing.add(aside=count)
            what = f"{count} of {lanes.stream}, {aside[0].first} to {aside[-1].last}"
            log.error("%s: %s are not taken and put aside: %s", self.name, what, aside[0].reason)
            self.standing.set(aside_reason=aside[0].reason)

    def _gone(self, lanes: Lanes, span: Span, reason: str) -> None:
        """Rows that are here no more: there is nothing to tell."""
        if reason:
            log.info("%s: %s %d is skipped: %s", self.name, lanes.stream, span[0], reason)
        lanes.put_aside(*span)
        self._told(lanes, *span)

    def _count_bytes(self) -> None:
        sent = self._wire.nbytes - self._counted
        self._counted += sent
        self._bucket.take(sent)
        self.standing.set(bytes_sent=self._counted)

    # -- sealed files --------------------------------------------------------------------------------------
    def _carry(self) -> bool:
        """Bring the oldest sealed file a piece further; return whether there was one."""
        lanes = self._lanes.get(SEGMENTS)
        span = lanes.all() if lanes is not None else None
        if lanes is None or span is None:
            self._upload = None
            return False
        if self._upload is None or self._upload[0][0] != span[0]:
            batch = self._outbox.batch(SEGMENTS, span[0], span[1], 1)
            if batch is None:
                self._gone(lanes, span, "")
                return True
            facts: Mapping[str, Any] = msgspec.json.decode(batch.body)
            upload = Uploading(str(facts["sha256"]), int(facts["size_bytes"]), self._outbox.file)
            self._upload = (span, batch, upload)
        self._carry_on(lanes, *self._upload)
        return True

    def _carry_on(self, lanes: Lanes, span: Span, batch: Batch, upload: Uploading) -> None:
        try:
            done = upload.step(self._hub, self._piece)
        except (NotFound, Corrupt, TooLarge) as error:
            self._upload = None
            if isinstance(error, NotFound):
                self._gone(lanes, (batch.first, batch.last), error.message)
                return
            self._aside(lanes, [Aside(batch.first, batch.last, error.message, batch.body)])
            self._told(lanes, batch.first, batch.last)
            return
        finally:
            self._count_bytes()
        if (upload.offset or 0) > 0:
            self._succeeded()
        self.standing.set(
            object={"sha256": upload.sha256, "offset": upload.offset or 0, "size_bytes": upload.size_bytes}
        )
        if done and self._put(lanes, batch):
            self._upload = None
            self.standing.add(objects=1)
            self.standing.set(object=None)
        elif done:
            upload.begin_again()

    # -- what is owed --------------------------------------------------------------------------------------
    def _owe(self) -> None:
        owed = {stream: lanes.owed for stream, lanes in self._lanes.items()}
        self.standing.set(owed=owed, since_ns=self._owing.since_ns() if any(owed.values()) else None)
