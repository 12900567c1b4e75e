"""What the rings hold, put into a recording before what comes live: pre-trigger, and promoting the past.

    ring ──in pieces──▶ recorder        a thread of its own, no faster than the disk, at rest most of the time
    fanout ──▶ seam (holds)             once the thread has nearly caught up
    fanout ──▶ seam ──▶ recorder        once the ring's rows up to the first block held are in

The instrument's thread never waits. It puts a block into the ring before it offers it to the seam: when a
seam has got its first block, all rows before that are in the ring, and the block's own number says where they
end. So nothing is missing where the two meet, and nothing is there twice.

While the disk is slower than the stream, rows wait in the ring, not in memory of the recorder. A row that is
overwritten there before its turn counts as lost, and is told as a gap, like one that finds the recorder's
queue full.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from kymograph.acquire.fanout import Fanout
from kymograph.acquire.ring import RingView
from kymograph.model.block import Block, Cursor
from kymograph.store.recorder import Recorder

log = logging.getLogger(__name__)

PIECE_BYTES: Final = 256 * 1024
"""Copied at once: a fraction of a millisecond, in which no other thread of the engine gets on."""
WAITING_BYTES_MAX: Final = 8 * 1024 * 1024
"""In the recorder's queue while rows of the ring go in: seven eighths of it stay free for live ones."""
HELD_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of live blocks, while the last rows of the ring go in; beyond, the ring has them too."""
NEAR_PIECES: Final = 8
REST: Final = 3
"""Times as long as a piece took is rested after it: at most a quarter of the time is taken from others."""
_IDLE_S: Final = 0.01
_REST_S: Final = 0.001
_MARGIN: Final = 50
"""One part of so many of a full ring is left aside: it is being overwritten."""


class Span(NamedTuple):
    """What a ring has of the time that is asked for."""

    stream: str
    row: int
    """The first row of it, counted over the stream's life."""
    rows: int
    first_ns: int | None
    given_s: float


def find_span(view: RingView, asked_s: float, now_ns: int) -> Span:
    """Return what a ring holds of the last `asked_s`.

    Rows from before UTC was set back are left out: how long ago they were cannot be told.
    """
    since_ns = now_ns - int(asked_s * 1e9)
    first, last = view.extent
    floor = first + view.capacity // _MARGIN if first else first
    row, reached = min(floor, last), False
    later_ns: int | None = None
    for begin, end in reversed(_epochs(view, min(floor, last), last)):
        last_ns, first_ns = view.time_at(end - 1), view.time_at(begin)
        if last_ns is None or first_ns is None or (later_ns is not None and last_ns > later_ns):
            break
        row, later_ns = view.row_at_time(since_ns, begin, end), first_ns
        reached = row > begin or first_ns <= since_ns
        if reached:
            break
    else:
        row = row if later_ns is not None else last
    at_ns = view.time_at(row)
    known_s = asked_s if reached else max(now_ns - at_ns, 0) / 1e9 if at_ns is not None else 0.0
    return Span(view.stream.name, row, last - row, at_ns, round(min(known_s, asked_s), 6))


def _epochs(view: RingView, first: int, last: int) -> list[tuple[int, int]]:
    """Return the rows of each epoch in the ring, oldest first."""
    runs = view.runs()
    found: list[tuple[int, int]] = []
    epoch: int | None = None
    for i, (row, at) in enumerate(runs):
        end = min(runs[i + 1][0] if i + 1 < len(runs) else last, last)
        begin = max(row, first)
        if end <= begin:
            continue
        if found and at.epoch == epoch:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
        epoch = at.epoch
    return found


class Seam:
    """Where live blocks wait for those before them; then they go straight on. A `BlockQueue`."""

    rows_lost = 0

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._guard = threading.Lock()
        self._held: list[Block] | None = []
        self._bytes = 0

    def put(self, block: Block) -> bool:
        """Take a block; never waits."""
        with self._guard:
            if self._held is None:
                return self._recorder.put(block)
            if self._bytes > HELD_BYTES_MAX:
                self._held.clear()
                self._bytes = 0
            self._held.append(block)
            self._bytes += block.nbytes
            return True

    @property
    def first(self) -> Block | None:
        """The oldest block that is held."""
        with self._guard:
            return self._held[0] if self._held else None

    def join(self, first: Block) -> bool:
        """Let go what is held, and hold no more, if that still begins with this block."""
        with self._guard:
            if not self._held or self._held[0] is not first:
                return False
            for block in self._held:
                self._recorder.put(block)
            self._held = None
            return True


class _Feed:
    """One stream on its way from the ring."""

    def __init__(
        self, view: RingView, span: Span, stop: int | None, fanout: Fanout, recorder: Recorder
    ) -> None:
        self.view = view
        self.row = span.row
        self.stop = stop
        self.done = False
        self.seam = Seam(recorder)
        self._fanout = fanout
        self._recorder = recorder
        self._listening = False
        self._piece = max(PIECE_BYTES // max(view.stream.row_nbytes, 1), 16)

    def step(self) -> bool:
        """Take one piece on; return whether there was anything to do."""
        last, seam = self.view.extent[1], self.seam
        if self.stop is None and not self._listening and last - self.row <= NEAR_PIECES * self._piece:
            self._listening = True
            self._fanout.add(seam)
        before = seam.first if self.stop is None else None
        goal = last if self.stop is None else self.stop
        if before is not None:
            goal = self.view.row_at(Cursor(before.epoch, before.seq))
        if self.row < goal:
            self._copy(min(self.row + self._piece, goal))
            return True
        self.done = self.stop is not None or (before is not None and seam.join(before))
        return self.done

    def end_here(self) -> None:
        """Take what the ring holds by now, and nothing live."""
        if not self.done and self.stop is None:
            self._fanout.remove(self.seam)
            self.stop = self.view.extent[1]

    def abandon(self) -> None:
        """Count what was not taken as lost."""
        if not self.done and self.stop is not None and self.row < self.stop:
            self._lose(self.row, self.stop)
        self.done = True

    def unlisten(self) -> None:
        self._fanout.remove(self.seam)

    def _copy(self, upto: int) -> None:
        for at, block in self.view.placed(self.row, upto):
            if at > self.row:
                self._lose(self.row, at)
            self._recorder.put(block)
            self.row = at + block.rows
        if self.row < upto:
            self._lose(self.row, upto)
            self.row = upto

    def _lose(self, start: int, stop: int) -> None:
        """Count overwritten rows as lost, run by run."""
        runs = self.view.runs()
        for i, (row, at) in enumerate(runs):
            begin, end = max(row, start), min(runs[i + 1][0] if i + 1 < len(runs) else stop, stop)
            if begin < end:
                cursor = Cursor(at.epoch, at.seq + begin - row)
                self._recorder.lose(self.view.stream.name, cursor, end - begin)


class CatchUp:
    """Brings the past of some streams into a recording, and then what comes live. Any thread may call."""

    def __init__(
        self,
        recorder: Recorder,
        parts: Iterable[tuple[RingView, Span, Fanout]],
        only_past: bool = False,
        on_done: Callable[[], None] = lambda: None,
    ) -> None:
        """With `only_past` it ends with what the spans say, and nothing live is taken.

        `on_done` is called in its own thread when the rings have been caught up with.
        """
        self._recorder = recorder
        self._feeds = [
            _Feed(view, span, span.row + span.rows if only_past else None, fanout, recorder)
            for view, span, fanout in parts
        ]
        self._on_done = on_done
        self._ending = threading.Event()
        self._abandoning = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pre-trigger", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def caught_up(self) -> bool:
        """Whether all rows go straight on."""
        return all(feed.done for feed in self._feeds)

    def finish(self, timeout_s: float) -> None:
        """Take what was acquired until now and no more; what is not in by then counts as lost."""
        self._ending.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
            self._abandoning.set()
            self._thread.join(1.0)
        for feed in self._feeds:
            feed.unlisten()

    def _run(self) -> None:
        try:
            while not self.caught_up and not self._recorder.wait_ended(0.0):
                self._round()
        except Exception:
            log.exception("the past of %s could not be taken over", self._recorder.recording.name)
        self._on_done()

    def _round(self) -> None:
        if self._ending.is_set():
            for feed in self._feeds:
                feed.end_here()
        if self._abandoning.is_set():
            for feed in self._feeds:
                feed.abandon()
            return
        began_s = time.monotonic()
        if self._recorder.waiting_bytes > WAITING_BYTES_MAX:
            time.sleep(_REST_S)
            return
        busy = [feed.step() for feed in self._feeds if not feed.done]
        if any(busy):
            time.sleep(max(REST * (time.monotonic() - began_s), _REST_S))
        else:
            self._ending.wait(_IDLE_S)
