"""A reading each interval: the newest row of every instrument, put together and written down at once.

No instrument is waited for. One that is in fault, or whose newest row is too old to say anything, has
`{"error": "…"}` in its place.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from kymograph.acquire.instrument import Instrument
from kymograph.config import ReadingsTable
from kymograph.model import status
from kymograph.model.channel import Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import StorageError
from kymograph.model.limits import READINGS_WAITING_MAX
from kymograph.service.readings.shape import shaped
from kymograph.store.spool import SpoolWriter

log = logging.getLogger(__name__)

SOURCE: Final = "readings"
"""Who says it in an event."""
_LOOK_S: Final = 0.5
"""The clock is looked at so often, so that a correction of it is seen."""
_TIMES_MAX: Final = 10_000
"""Times that are remembered, so that a clock that goes back gives none of them twice: a week of minutes."""

Plain = dict[str, Any]
Latest = Callable[[str], Plain | None]
"""The newest row of a stream: `time_ns`, `values`."""
Notice = Callable[[str, str, Plain], None]


def local_ns(time_ns: int) -> int:
    """Return what the clock on the wall says at a time, as if that were UTC."""
    return time_ns + time.localtime(time_ns // 1_000_000_000).tm_gmtoff * 1_000_000_000


class Composer:
    """Composes readings in a thread of its own, on the grid of the wall clock: at whole minutes, or so."""

    def __init__(
        self, table: ReadingsTable, device_id: str, instruments: Sequence[Instrument], latest: Latest,
        clock: Clock, spool: SpoolWriter,
    ) -> None:  # fmt: skip
        self._table = table
        self._device_id = device_id
        self._instruments = instruments
        self._latest = latest
        self._clock = clock
        self._spool = spool
        self.notice: Notice = lambda source, kind, body: None
        self._interval_ns = int(table.interval_s * 1e9)
        self._times: deque[int] = deque(maxlen=_TIMES_MAX)
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._failing = ""
        self._lost: list[int] = []
        """Times of the first and the last reading that there was no room for, since the last gap was told."""
        self._newest: Plain | None = None
        self.composed = 0
        self.rows_lost = 0
        self._quit = threading.Event()
        self._thread = threading.Thread(target=self._run, name="composer", daemon=True)

    def start(self) -> None:
        """Compose from the next point of the grid on."""
        self._thread.start()

    def close(self) -> None:
        """Compose no more; what waits for the disk is given a last chance."""
        self._quit.set()
        if self._thread.is_alive():
            self._thread.join(5.0)
        if self._waiting:
            self._hand_on()
        if self._waiting:
            log.error("%d readings are lost: %s", len(self._waiting), self._failing)
        self._spool.close()

    def status(self) -> Plain:
        """Return how it is going: the newest reading, and what became of all."""
        return {
            "device_id": self._device_id,
            "interval_s": self._table.interval_s,
            "composed": self.composed,
            "waiting": len(self._waiting),
            "lost": self.rows_lost,
            "error": self._failing,
            "newest": self._newest,
        }

    def _run(self) -> None:
        offset_ns = self._clock.offset_ns
        due_ns = self._after(self._clock.now_ns())
        while not self._quit.wait(min(max(due_ns - self._clock.now_ns(), 0) / 1e9, _LOOK_S)):
            if self._clock.offset_ns != offset_ns:
                offset_ns = self._clock.offset_ns  # first: should it change once more, that is seen too
                due_ns = self._after(self._clock.now_ns())
            now_ns = self._clock.now_ns()
            if now_ns >= due_ns:
                self.compose(now_ns)
                due_ns = self._after(self._clock.now_ns())

    def _after(self, now_ns: int) -> int:
        return (now_ns // self._interval_ns + 1) * self._interval_ns

    def compose(self, now_ns: int) -> Plain:
        """Compose a reading of this moment, write it down and return it."""
        time_ns = now_ns // 1000 * 1000
        while time_ns in self._times:
            time_ns += 1000  # known by device and time: two of one microsecond would be one
        self._times.append(time_ns)
        payload = {instrument.name: self._of(instrument, now_ns) for instrument in self._instruments}
        reading: Plain = {"device_id": self._device_id, "time_ns": time_ns, "local_ns": local_ns(time_ns)}
        reading["payload"] = payload
        line = json.dumps(reading, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        self._waiting.append((time_ns, line))
        self._newest = reading
        self.composed += 1
        self._hand_on()
        return reading

    # -- one instrument ------------------------------------------------------------------------------------
    def _of(self, instrument: Instrument, now_ns: int) -> Plain:
        state = instrument.status()
        if state.state == status.FAULT or state.error:
            return {"error": _plain_text(state.error or "in fault")}
        if state.state != status.ACQUIRING:
            return {"error": f"{instrument.name} is {state.state}"}
        parts = {
            local: self._row(instrument, feed.stream, now_ns) for local, feed in instrument.feeds.items()
        }
        return next(iter(parts.values())) if len(parts) == 1 else parts

    def _row(self, instrument: Instrument, stream: Stream, now_ns: int) -> Plain:
        row = self._latest(stream.name)
        if row is None:
            return {"error": "no row yet"}
        age_s = abs(now_ns - int(row["time_ns"])) / 1e9
        fresh_s = max(self._table.fresh_s, 2 / stream.rate_hz if stream.rate_hz else 0.0)
        if age_s > fresh_s:
            return {"error": f"no row for {age_s:.0f} s"}
        return shaped(instrument.driver_name, stream, row["values"])

    # -- to the disk ---------------------------------------------------------------------------------------
    def _hand_on(self) -> None:
        try:
            self._spool.append([line for _, line in self._waiting])
        except StorageError as error:
            self._refused(error)
            return
        self._waiting.clear()
        if self._failing:
            log.info("readings are written down again")
            self._failing = ""
        if self._lost:
            first_ns, last_ns = self._lost
            body = {"stream": SOURCE, "rows": self.rows_lost, "from_ns": first_ns, "until_ns": last_ns}
            self.notice(SOURCE, "gap", {**body, "reason": "no room on the disk"})
            self._lost = []

    def _refused(self, error: StorageError) -> None:
        if not self._failing:
            log.error("readings wait in memory: %s", error)
            self.notice(SOURCE, "alarm", {"text": f"readings wait in memory: {error.message}"})
        self._failing = error.message
        while len(self._waiting) > READINGS_WAITING_MAX:
            time_ns, _ = self._waiting.popleft()
            self._lost = [self._lost[0] if self._lost else time_ns, time_ns]
            self.rows_lost += 1


def _plain_text(text: str) -> str:
    """Return a text that every database keeps: one line, no control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
