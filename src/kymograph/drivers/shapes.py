"""The three shapes of drivers: asked by us, speaking in lines, speaking in packets.

`PolledDriver`   we ask, at a rate: write `poll`
`LineDriver`     the device sends lines of text: write `parse`
`PacketDriver`   the device sends packets of bytes: write `decode`

Each leaves a driver ten lines of its own; the guide "a new driver" shows a whole one.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np

from kymograph.drivers.base import Driver, OptionsT
from kymograph.drivers.ports import Port, open_port
from kymograph.drivers.sample_clock import SampleClock
from kymograph.model.block import Column, Rows
from kymograph.model.clock import Clock
from kymograph.model.errors import DeviceSilent, PortError
from kymograph.model.limits import LINE_BYTES_MAX

GATHER_S: Final = 0.02
"""How long one read of a fast polled device goes on, so that rows travel in blocks."""


class PolledDriver(Driver[OptionsT]):
    """A device that answers when asked. `poll` is called `rate_hz` times a second, on a grid without drift.

    A poll that comes too late is left out and counted, never made up for by several in a row.
    """

    paced = True

    def __init__(self, options: OptionsT, clock: Clock, port: str = "") -> None:
        super().__init__(options, clock, port)
        self.polls_missed = 0
        self.sleep: Callable[[float], None] = time.sleep
        self._begin_ns = 0
        self._next = 0

    @abstractmethod
    def poll(self) -> Sequence[float] | None:
        """Ask the device once; return one value a channel, or None if it had none this time."""

    def start(self) -> None:
        """Begin the grid of polls now."""
        self._begin_ns, self._next = self.clock.monotonic_ns(), 0

    def read(self, timeout_s: float) -> Sequence[Rows]:
        """Poll at each time of the grid within a block's length."""
        stream = self.streams()[0]
        began_ns = self.clock.monotonic_ns()
        until_ns = began_ns + int(timeout_s * 1e9)
        times: list[int] = []
        values: list[Sequence[float]] = []
        polled = False
        while (not polled or self.clock.monotonic_ns() < until_ns) and self._wait(stream.rate_hz, until_ns):
            polled = True
            at_ns = self.clock.now_ns()
            row = self.poll()
            if row is not None:
                times.append(at_ns)
                values.append(row)
                self.counters.frames_good += 1
            until_ns = began_ns + int(GATHER_S * 1e9)
        if not times:
            return []
        columns = [np.array(column) for column in zip(*values, strict=True)]
        return [Rows(stream.name, np.array(times, np.int64), columns)]

    def _wait(self, rate_hz: float, until_ns: int) -> bool:
        """Wait for the next time of the grid; return False if it is later than `until_ns`."""
        now_ns = self.clock.monotonic_ns()
        due = int((now_ns - self._begin_ns) * rate_hz / 1e9)
        if due > self._next:
            self.polls_missed += due - self._next
            self._next = due
        at_ns = self._begin_ns + round(self._next * 1e9 / rate_hz)
        while now_ns < at_ns:
            if now_ns >= until_ns:
                return False
            self.sleep((min(at_ns, until_ns) - now_ns) / 1e9)
            now_ns = self.clock.monotonic_ns()
        self._next += 1
        return True


class PortDriver(Driver[OptionsT]):
    """What lines and packets share: a port, and the patience with a device that says nothing."""

    baud: ClassVar[int] = 9600
    """Where the port's address names none."""
    silence_s: float = 5.0
    """Without a good row for so long, the device counts as silent."""

    def __init__(self, options: OptionsT, clock: Clock, port: str = "") -> None:
        super().__init__(options, clock, port)
        self._link: Port | None = None
        self._heard_ns = 0

    @property
    def link(self) -> Port:
        """The open port.

        Raises:
            PortError: it is not open.
        """
        if self._link is None:
            raise PortError("the port is not open")
        return self._link

    def open(self) -> Mapping[str, Any]:
        """Open the port."""
        self._link = open_port(self.port, baud=self.baud)
        self._heard_ns = self.clock.monotonic_ns()
        return {}

    def start(self) -> None:
        """Begin to wait for rows."""
        self._heard_ns = self.clock.monotonic_ns()

    def close(self) -> None:
        """Let go of the port."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def receive(self, timeout_s: float) -> bytes:
        """Return what has arrived, counted."""
        data = self.link.read(timeout_s)
        self.counters.bytes_received += len(data)
        return data

    def check_silence(self, heard: bool) -> None:
        """Note that rows came, or that none did.

        Raises:
            DeviceSilent: none for `silence_s`.
        """
        now_ns = self.clock.monotonic_ns()
        if heard:
            self._heard_ns = now_ns
        elif now_ns - self._heard_ns > self.silence_s * 1e9:
            raise DeviceSilent(
                f"nothing that makes sense from {self.link.description} for {self.silence_s:g} s",
                hint="check the device's power, its model and the baud rate",
            )


class LineDriver(PortDriver[OptionsT]):
    """A device that sends lines of text. Lines that do not parse are counted, never raised."""

    terminator: bytes = b"\n"
    line_bytes_max: int = LINE_BYTES_MAX
    skip_first: bool = True
    """Leave out what comes before the first end of line: half a number is a number too."""

    def __init__(self, options: OptionsT, clock: Clock, port: str = "") -> None:
        super().__init__(options, clock, port)
        self._rest = b""
        self._skipping = self.skip_first
        self._times = SampleClock(clock, self.streams()[0].rate_hz)

    @abstractmethod
    def parse(self, line: bytes) -> Sequence[float] | None:
        """Return one value a channel, or None for a line that holds no values (a greeting, an answer).

        The line comes without its end and the white space around it, and is never empty.

        Raises:
            ValueError: the line makes no sense.
        """

    def start(self) -> None:
        """Begin with the next whole line."""
        super().start()
        self._rest, self._skipping = b"", self.skip_first
        self._times.forget()

    def forget_time(self) -> None:
        """Begin the times anew."""
        self._times.forget()

    def read(self, timeout_s: float) -> Sequence[Rows]:
        """Return the rows of the lines that have arrived whole."""
        data = self.receive(timeout_s)
        arrival_ns = self.clock.monotonic_ns()
        rows = [row for row in map(self._row, self._lines(data)) if row is not None]
        self.check_silence(bool(rows))
        if not rows:
            return []
        columns = [np.array(column) for column in zip(*rows, strict=True)]
        return [Rows(self.streams()[0].name, self._times.stamp(len(rows), arrival_ns), columns)]

    def _lines(self, data: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + data).split(self.terminator)
        if lines and self._skipping:
            self._skipping = False
            del lines[0]
        if len(self._rest) > self.line_bytes_max:
            self._rest = b""
            if not self._skipping:
                self.counters.frames_bad += 1
                self.counters.resyncs += 1
            self._skipping = True
        return [line for raw in lines if (line := raw.strip())]

    def _row(self, line: bytes) -> Sequence[float] | None:
        try:
            if len(line) > self.line_bytes_max:
                raise ValueError("too long")
            row = self.parse(line)
            if row is not None and len(row) != len(self.streams()[0].channels):
                raise ValueError("not as many values as channels")
        except ValueError:
            self.counters.frames_bad += 1
            return None
        self.counters.frames_good += row is not None
        return row


class PacketDriver(PortDriver[OptionsT]):
    """A device that sends packets of bytes, of one stream at an even rate."""

    def __init__(self, options: OptionsT, clock: Clock, port: str = "") -> None:
        super().__init__(options, clock, port)
        self.buffer = b""
        """Bytes that have arrived and are not decoded yet."""
        self.times = SampleClock(clock, self.streams()[0].rate_hz)

    @abstractmethod
    def decode(self, buffer: bytes) -> tuple[Sequence[Column], int]:
        """Return what is whole in the buffer, an array a channel, and how many bytes are done with.

        Junk counts as done with (and is counted). What may be the beginning of a packet is not; that must
        be bounded, or the buffer is not. No arrays, or empty ones, mean that nothing was whole.
        """

    def delay_ns(self, pending_bytes: int) -> float:
        """Return how long before the last byte arrived the last row was taken; `pending_bytes` follow it."""
        carried = self.link.carried_bytes_per_s
        return pending_bytes * 1e9 / carried if carried else 0.0

    def start(self) -> None:
        """Begin with the next whole packet."""
        super().start()
        self.buffer = b""
        self.times.forget()

    def forget_time(self) -> None:
        """Begin the times anew."""
        self.times.forget()

    def read(self, timeout_s: float) -> Sequence[Rows]:
        """Return the rows of the packets that have arrived whole."""
        data = self.receive(timeout_s)
        arrival_ns = self.clock.monotonic_ns()
        columns: Sequence[Column] = ()
        if data:
            self.buffer += data
            columns, consumed = self.decode(self.buffer)
            self.buffer = self.buffer[consumed:]
        count = len(columns[0]) if columns else 0
        self.check_silence(count > 0)
        return [self.rows(columns, arrival_ns)] if count else []

    def rows(self, columns: Sequence[Column], arrival_ns: int) -> Rows:
        """Give the columns their times."""
        delay_ns = self.delay_ns(len(self.buffer))
        times = self.times.stamp(len(columns[0]), arrival_ns, delay_ns)
        return Rows(self.streams()[0].name, times, columns)
