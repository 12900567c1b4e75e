"""What every driver is.

A driver owns one device and is called from one thread only, so no driver has a lock; a command is done
between two reads. It makes `Rows`; time, sequence numbers, disk and network are other people's business.

The three shapes of `kymograph.drivers.shapes` (polled, line, packet) do most of the work; a new driver is
normally one of them with ten lines of its own.
"""

from __future__ import annotations

import inspect
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from kymograph.model.actuator import Actuator
from kymograph.model.block import Rows
from kymograph.model.channel import Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import ConfigError, DeviceError, InvalidInput
from kymograph.model.limits import LINK_LOAD_MAX


class DriverOptions(BaseModel):
    """The `options` table of an instrument; each driver has a subclass. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class LinkLoad:
    """What a configuration puts on its link, as the arithmetic that is shown when it does not fit."""

    needed_bytes_per_s: float
    carried_bytes_per_s: float
    arithmetic: str

    def check(self) -> None:
        """Refuse a load above `LINK_LOAD_MAX` of what the link carries.

        Raises:
            ConfigError: with the arithmetic.
        """
        if self.needed_bytes_per_s > self.carried_bytes_per_s * LINK_LOAD_MAX:
            raise ConfigError(
                f"the link cannot carry this configuration: {self.arithmetic}",
                hint="lower the rate, shorten the message or raise the baud rate",
                needed_bytes_per_s=self.needed_bytes_per_s,
                carried_bytes_per_s=self.carried_bytes_per_s,
            )


@dataclass(slots=True)
class Counters:
    """What a driver counts while it reads; written by its thread only."""

    bytes_received: int = 0
    frames_good: int = 0
    frames_bad: int = 0
    resyncs: int = 0


class GivenUp(DeviceError):
    """A dialogue with the device was left because nobody waited for its end."""


_F = TypeVar("_F", bound=Callable[..., Any])
OptionsT = TypeVar("OptionsT", bound=DriverOptions)


def command(method: _F) -> _F:
    """Mark a driver's method as a command that a person may give; its annotations check the arguments."""
    method.__kymograph_command__ = True  # type: ignore[attr-defined]
    return method


class Driver(ABC, Generic[OptionsT]):
    """One device.

    Life: made with options (no I/O) → `open` → `start` → `read` … → `stop` → `close`; `close` may come at
    any time and must not raise. Any method may raise a `DeviceError`; the instrument then closes the driver
    and opens it again later. All methods are called from one thread.

    `port` is the configured port with `sim://` already resolved, "" for a driver without one.
    """

    Options: ClassVar[type[DriverOptions]] = DriverOptions
    paced: ClassVar[bool] = False
    """Whether `read` waits until its rows are due, so that nobody need rest between two reads."""
    asks_leave: ClassVar[bool] = False
    """Whether every command calls `permit` itself, right before its first byte: one that may have to wait
    until the device is ready. Otherwise it is called right before the command."""

    def __init__(self, options: OptionsT, clock: Clock, port: str = "") -> None:
        self.options: OptionsT = options
        self.clock = clock
        self.port = port
        self.counters = Counters()
        self.activity = ""
        """What a long dialogue is doing this second, for people; read by other threads."""
        self.hurry = threading.Event()
        """Set when nobody waits for the dialogue under way any more: it may raise `GivenUp`."""
        self.stop_wanted = threading.Event()
        """Set while a `make_safe` waits its turn: a command that waits leaves, and moves nothing more."""
        self.deliver: Callable[[Sequence[Rows]], None] | None = None
        """Takes the rows of a command that waits for long, so that the stream does not stand still."""
        self.permit: Callable[[], None] = lambda: None
        """Leave for the command under way: it raises what speaks against sending now. See `asks_leave`."""
        self.fell_silent = False
        """Set by `read` when rows stopped for a while before those it returns; the instrument tells it."""

    @abstractmethod
    def streams(self) -> Sequence[Stream]:
        """Return the streams this configuration makes; known before `open`, the same ever after."""

    def link_load(self) -> LinkLoad | None:
        """Return what this configuration puts on its link, or None where that has no meaning."""
        return None

    def open(self) -> Mapping[str, Any]:
        """Open the link, make sure that the right device answers, and return what it says of itself."""
        return {}

    def start(self) -> None:
        """Begin to acquire."""

    @abstractmethod
    def read(self, timeout_s: float) -> Sequence[Rows]:
        """Return what has arrived, waiting at most `timeout_s` for something; empty is an answer too.

        Rows of a stream never run backwards in time. Junk from the device is counted, never raised.
        """

    def forget_time(self) -> None:
        """Forget the time of the last row: UTC was moved backwards, and a new epoch begins."""

    def stop(self) -> None:
        """Cease to acquire; the device stays open."""

    def leftover(self) -> Sequence[Rows]:
        """Return rows that came while `stop` was at work; asked once after it."""
        return ()

    def close(self) -> None:
        """Let go of the device. Never raises."""

    # -- of a driver that moves something ------------------------------------------------------------------
    def actuators(self) -> Sequence[Actuator]:
        """Return what this device can move; the same ever after."""
        return ()

    def moves(self, command: str, arguments: Mapping[str, Any]) -> Sequence[str]:
        """Return which actuators a command would bring to, or leave at, another than their safe value.

        Interlocks refuse these; what only makes things safe is never refused. All of them unless a driver
        knows better. May be called from other threads; arguments are not checked yet.
        """
        del command, arguments
        return [actuator.name for actuator in self.actuators()]

    def expects(self, command: str, arguments: Mapping[str, Any]) -> Mapping[str, float]:
        """Return what `read_back` will show of actuators once a command is done; none if that is not known.

        Asked right before it is sent, of arguments that were checked.
        """
        del command, arguments
        return {}

    def tend(self) -> None:
        """Hear what the device says, and give it a sign of life, while it is open and does not acquire.

        Called several times a second of a driver that moves something.
        """

    def read_back(self) -> Mapping[str, float | None]:
        """Return where each actuator is, as the device itself last said; None if it did not.

        May be called from other threads.
        """
        return {}

    def make_safe(self) -> None:
        """Bring every actuator to its safe value as fast as the wire goes.

        Called after `open`, before `close`, and whenever control is lost. Waits for no answer. Never raises.
        """

    @classmethod
    def commands(cls) -> dict[str, Callable[..., Any]]:
        """Return the methods marked as commands, by name."""
        found = inspect.getmembers(cls, lambda m: getattr(m, "__kymograph_command__", False))
        return dict(found)

    def run_command(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Check the arguments against the method's annotations and call it.

        Raises:
            InvalidInput: no such command, or arguments that do not fit.
        """
        checked = self.check_command(name, arguments)
        return self.commands()[name](self, **checked)

    def check_command(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a command as its method takes them. May be called from other threads.

        Raises:
            InvalidInput: no such command, or arguments that do not fit.
        """
        method = self.commands().get(name)
        if method is None:
            raise InvalidInput(f"there is no command {name}", commands=sorted(self.commands()))
        try:
            bound = inspect.signature(method).bind(self, **arguments)
        except TypeError as error:
            raise InvalidInput(f"{name}: {error}") from None
        hints = inspect.get_annotations(method, eval_str=True)
        checked: dict[str, Any] = {}
        for key, value in list(bound.arguments.items())[1:]:
            try:
                checked[key] = TypeAdapter(hints.get(key, Any)).validate_python(value)
            except ValidationError as error:
                raise InvalidInput(f"{name}: {key}: {error.errors()[0]['msg']}") from None
        return checked
