"""A simulated device on its wire, in real time: the loop that carries bytes and makes faults happen."""

from __future__ import annotations

import threading
import time
from typing import Final

from kymograph.sim.device import Device, HoldsBack, SeesOpening
from kymograph.sim.faults import Faults
from kymograph.sim.wire import Wire

_HELD_S: Final = 0.001
"""How soon bytes that did not fit are offered again."""


class Simulation:
    """Runs one device on one wire, in the caller's thread (`run`) or in its own (as a context manager)."""

    def __init__(self, device: Device, wire: Wire, seed: int = 0) -> None:
        self.device = device
        self._sees_opening = device if isinstance(device, SeesOpening) else None
        self._hold_bytes = device.hold_bytes if isinstance(device, HoldsBack) else 0
        self._held = b""
        self.wire = wire
        self._faults = Faults(seed)
        self._lock = threading.Lock()
        self._quit = threading.Event()
        self._next_s = time.monotonic()
        self._thread = threading.Thread(target=self.run, name="simulation", daemon=True)
        wire.plug()

    @property
    def url(self) -> str:
        """The port that a driver opens."""
        return self.wire.url

    def fault(self, line: str) -> None:
        """Make a fault happen; from any thread. `unplug` and `replug` are done when this returns.

        Raises:
            InvalidInput: there is no such fault.
        """
        with self._lock:
            if line.split() and self.device.fault(line.split()):
                return
            self._faults.request(line, time.monotonic())
            self._plug_as_asked(time.monotonic())

    def _plug_as_asked(self, now_s: float) -> None:
        out = self._faults.due(now_s)
        if out and self.wire.plugged:
            self.wire.unplug()
        elif not out and not self.wire.plugged:
            # The device is fed by the same cable.
            self.device.power_on()
            self.wire.plug()

    def step(self) -> None:
        """Carry what is there, both ways, once."""
        with self._lock:
            now_s = time.monotonic()
            self._plug_as_asked(now_s)
            data = self.wire.read()
            if self._sees_opening is not None and self.wire.opened():
                self._sees_opening.opened()
            if data and not self._faults.refusing:
                self.device.receive(self._at_speed(data))
            fresh = self._at_speed(self._faults.apply(self.device.advance(now_s), now_s))
            self._held = self.wire.write(self._held + fresh, self._hold_bytes)

    def _at_speed(self, data: bytes) -> bytes:
        """Return what is left of bytes between two ends of which each has a speed of its own."""
        speed = self.wire.baud if data and self.device.baud else 0
        if not speed or speed == self.device.baud:
            return data
        return bytes(byte * 167 % 128 | 0x80 for byte in data)

    def turn(self, also: int = -1) -> bool:
        """Carry bytes, then wait for more or for the next packet; return whether `also` can be read."""
        self.step()
        now_s = time.monotonic()
        pause_s = min(self.device.interval_s, _HELD_S) if self._held else self.device.interval_s
        # On a grid; but each turn that the host's bytes cause is not to move it further away.
        self._next_s = min(max(self._next_s + pause_s, now_s), now_s + pause_s)
        return self.wire.wait(self._next_s - now_s, also)

    def run(self) -> None:
        """Run until told to quit."""
        while not self.ended:
            self.turn()

    @property
    def ended(self) -> bool:
        """Whether it was told to quit."""
        return self._quit.is_set()

    def quit(self) -> None:
        """Let `run` end."""
        self._quit.set()

    def __enter__(self) -> Simulation:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._quit.set()
        self._thread.join()
        self.wire.unplug()
