"""What is to be sent next: of one stream, to one destination. Numbers only: no threads, no clock, no wire.

Two lanes: *live* is what was made since the connection came up and the few rows before it; *backlog* is the
rest, oldest first. A range whose answer was lost is sent again with the same bounds, which the hub knows.
"""

from __future__ import annotations

from typing import Final

from kymograph.model.ranges import Ranges
from kymograph.sync.pusher.outbox import Extent

LIVE_ROWS: Final = 10
"""The newest rows that go first when a connection comes up: with a reading a minute, the last ten minutes."""
DOUBTFUL_MAX: Final = 8
_END: Final = 2**63 - 1

Span = tuple[int, int]


class Lanes:
    """The rows of one stream that a destination lacks."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.epoch = 0
        self.next = 0
        self.newest_ns: int | None = None
        self.missing = Ranges()
        self.aside = Ranges()
        """Told, but not held by the hub, and never will be: refused, or gone before they could be sent."""
        self._first = 0
        self._live_from = 0
        self._doubtful: list[Span] = []
        self._deferred = Ranges()

    def load(self, extent: Extent, unshipped: Ranges) -> bool:
        """Begin with what the outbox says; return whether it is another epoch than before."""
        anew = extent.epoch != self.epoch
        if anew:
            self.aside, self._doubtful, self._deferred = Ranges(), [], Ranges()
            self.epoch, self._live_from = extent.epoch, max(extent.first, extent.next - LIVE_ROWS)
        self._first, self.next, self.newest_ns = extent.first, extent.next, extent.newest_ns
        self.missing = unshipped & Ranges([(extent.first, extent.next - 1)])
        self._doubtful = [span for span in self._doubtful if self._lacks(span)]
        return anew

    def see(self, extent: Extent) -> bool:
        """Take note of new rows; return whether everything must be loaded anew."""
        if extent.epoch != self.epoch or extent.next < self.next:
            return True
        if extent.next > self.next:
            self.missing |= Ranges([(self.next, extent.next - 1)])
        self._first, self.next, self.newest_ns = extent.first, extent.next, extent.newest_ns
        return False

    def connected(self) -> None:
        """Begin a new live lane, with the newest rows."""
        self._live_from = max(self._first, self.next - LIVE_ROWS)

    def live(self, limit: int) -> Span | None:
        """Return what is to be sent at once; never more than `limit` rows, the newest among them."""
        if not self.missing:
            return None
        self._live_from = max(self._live_from, self.next - limit)
        return self._lowest(self._live_from, _END)

    def all(self) -> Span | None:
        """Return the oldest range that is owed, of both lanes."""
        return self._lowest(0, _END)

    def backlog(self) -> Span | None:
        """Return the oldest range that is owed; its rows may be more than a batch."""
        return self._lowest(0, self._live_from - 1)

    def _lowest(self, begin: int, end: int) -> Span | None:
        wanted = (self.missing & Ranges([(begin, end)])) - self._deferred
        for first, last in wanted:
            for span in self._doubtful:
                if span[0] <= first <= span[1]:
                    return span
                if first < span[0] <= last:
                    last = span[0] - 1
            return first, last
        return None

    def doubt(self, first: int, last: int) -> None:
        """The answer to this range was lost: it is asked about again with the same bounds."""
        span = (first, last)
        if span in self._doubtful:
            return
        overlapping = [one for one in self._doubtful if one[0] <= last and one[1] >= first]
        if not overlapping:
            self._doubtful = sorted([*self._doubtful, span])[-DOUBTFUL_MAX:]

    def is_doubtful(self, span: Span) -> bool:
        """Whether a span must be sent whole, with these bounds."""
        return span in self._doubtful

    def forget_doubt(self, first: int, last: int) -> None:
        """Nothing of this range has arrived: it may be cut anew."""
        self._doubtful = [one for one in self._doubtful if one[1] < first or one[0] > last]

    def defer(self, first: int, last: int) -> None:
        """Leave this range alone until something else was taken."""
        self._deferred |= Ranges([(first, last)])

    def resume(self) -> None:
        """Try again what was left alone."""
        self._deferred = Ranges()

    def told(self, first: int, last: int) -> None:
        """The hub has this range."""
        self.missing -= Ranges([(first, last)])
        self._doubtful = [one for one in self._doubtful if self._lacks(one)]

    def put_aside(self, first: int, last: int) -> None:
        """The hub will never hold this range."""
        self.aside |= Ranges([(first, last)])

    def _lacks(self, span: Span) -> bool:
        return (Ranges([span]) - self.missing).count == 0

    def reconcile(self, held: Ranges) -> tuple[Ranges, Ranges]:
        """Compare with what the hub says it holds; return what it has lost, and what it has without our
        knowing."""
        there = Ranges([(self._first, self.next - 1)])
        lost = there - self.missing - held - self.aside
        return lost, held & self.missing

    @property
    def owed(self) -> int:
        """Rows that are owed; those that were thinned among them."""
        return self.missing.count

    @property
    def oldest(self) -> Span | None:
        """The lowest range that is owed."""
        return next(iter(self.missing), None)
