"""What is said to the test stand's controller, and what it answers: the same for text and for frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from kymograph.model.block import Rows
from kymograph.model.errors import DeviceError, DeviceSilent

ACK, NACK, STATUS = "ack", "nack", "status"


class Order(NamedTuple):
    """One thing to be sent. `key` is what its answer bears: the text, or the number of a frame."""

    name: str
    data: bytes
    key: str | int


class Answer(NamedTuple):
    """What came back. `key` None fits any order; `pattern` is the valves as the device says they are."""

    kind: str
    key: str | int | None = None
    pattern: str | None = None
    text: str = ""
    safe_taken: bool = False

    def fits(self, order: Order) -> bool:
        """Return whether it answers that order."""
        if self.kind == STATUS:
            return False
        if self.key is None:
            return True
        said = self.key.lower() if isinstance(self.key, str) else self.key
        return said in (order.key.lower() if isinstance(order.key, str) else order.key, order.name.lower())


class Wire(Protocol):
    """One of the two ways to speak with the controller. No I/O: bytes in, rows and answers out."""

    answers: list[Answer]
    """What has come and nobody has looked at yet."""
    talk: list[str]
    """The last few things it said that are neither rows nor answers."""
    stuck: bool
    """Whether every channel has stood still, bit for bit, for longer than one was told to allow."""

    def begin(self) -> None:
        """Forget what came before; what comes next may begin in the middle of something."""
        ...

    def forget_time(self) -> None:
        """Begin the times anew."""
        ...

    def take(self, data: bytes, arrival_ns: int) -> Sequence[Rows]:
        """Return the rows that are whole; put answers aside. Never raises. `arrival_ns` is monotonic."""
        ...

    def valves(self, pattern: str) -> Order:
        """Return the order that sets the valves."""
        ...

    def scenario(self, name: str) -> Order:
        """Return the order that lets the controller run a scenario of its own."""
        ...

    def emergency(self) -> Order:
        """Return the order that lets the controller run its emergency."""
        ...

    def heart_beat(self, timeout_s: float) -> Order | None:
        """Return the sign of life that is to come at least so often, None where there is no such thing."""
        ...

    def ask_status(self) -> Order | None:
        """Return the question who and how the device is, None where there is no such thing."""
        ...

    @property
    def fell_silent(self) -> bool:
        """Whether the device began anew or paused since this was asked last; asking forgets it."""
        ...

    def recognised(self, name: str) -> bool:
        """Return whether what came so far is of the device that is wanted (`name` "" is any)."""
        ...

    def mismatch(self) -> str:
        """Return why what came cannot be used as configured, "" if there is no reason."""
        ...

    def facts(self) -> dict[str, object]:
        """Return what it said of itself."""
        ...


def hint_for(reason: str) -> str:
    """Return what to do about a device that is not the one that is wanted."""
    said = reason.lower()
    if "channels" in said:
        return "set channels in the options to what the device measures, in its order"
    if "calls itself" in said:
        return "give this device's own port, or its name in the option device"
    if "ld1:" in said:
        return "this is the controller's demonstration firmware, which sends no measurements"
    if "motor" in said or "aktif" in said:
        return "this is the stepper controller; give the other port"
    return "give the controller's own port, for example serial://by-id/usb-STMicro*"


def refusal(where: str, heard: bool, other: str, reason: str) -> DeviceError:
    """Return what is wrong with what was heard there: `other` is the protocol it speaks instead."""
    if not heard:
        return DeviceSilent(f"nothing comes from {where}", hint="check the controller's power and its cable")
    if other:
        return DeviceError(
            f"the controller on {where} speaks {other}", hint=f'set protocol = "{other}" in its options'
        )
    if reason:
        return DeviceError(f"{where}: {reason}", hint=hint_for(reason), port=where)
    return DeviceSilent(
        f"nothing that makes sense from {where}",
        hint='check the baud rate, and whether the device speaks "text" or "frames"',
    )
