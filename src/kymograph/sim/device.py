"""What a simulated device is: bytes in, bytes out, at a time that is given. No wire, no thread, no clock."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class Device(Protocol):
    """The device's side of a wire."""

    interval_s: float
    """How often `advance` wants to be called."""

    @property
    def baud(self) -> int:
        """The speed it talks at; 0 if it does not care."""
        ...

    def receive(self, data: bytes) -> None:
        """Take what the host sent."""
        ...

    def advance(self, time_s: float) -> bytes:
        """Return what the device sends until `time_s`, which never runs backwards."""
        ...

    def fault(self, words: list[str]) -> bool:
        """Have a fault of the device's own; return False for one that it does not know."""
        ...

    def power_on(self) -> None:
        """Begin as after the power came: forget what the host had set."""
        ...


@runtime_checkable
class SeesOpening(Protocol):
    """A device that notices when a host opens its port: its reset hangs on DTR."""

    def opened(self) -> None:
        """Take note that a host has opened the port."""
        ...


@runtime_checkable
class HoldsBack(Protocol):
    """A device on USB, which sends when its host asks: it holds so many bytes until then."""

    hold_bytes: int
