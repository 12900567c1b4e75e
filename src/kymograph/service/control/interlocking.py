"""The interlocks of a station at work: what they look at, what they refuse, and what they do.

Beside channels they may look at words: `stand.state` is what the instrument `stand` does, and `stand.FUEL1`
where its actuator FUEL1 is, as the device itself says.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from kymograph.acquire.instrument import Instrument
from kymograph.control.freshness import names_of
from kymograph.control.grammar import Known
from kymograph.control.interlock import Action, Change
from kymograph.control.interlocks import Interlocks, read_tables
from kymograph.model import status
from kymograph.model.block import Block
from kymograph.model.clock import Clock
from kymograph.model.errors import ConfigError
from kymograph.service.contract import Plain

SEQUENCE: Final = "sequence/"
"""Before the name of a sequence that is armed."""


def known_names(instruments: Iterable[Instrument]) -> dict[str, Known]:
    """Return all names that an expression of this station may use, with their units and labels."""
    known = list(instruments)
    channels = names_of(stream for one in known for stream in one.streams)
    return {**_words(known), **channels}


def _words(instruments: Iterable[Instrument]) -> dict[str, Known]:
    found: dict[str, Known] = {}
    for one in instruments:
        found[f"{one.name}.state"] = Known(labels=status.STATES)
        for actuator in one.motion.actuators:
            found[f"{one.name}.{actuator.name}"] = Known(actuator.unit, actuator.labels)
    return found


def read_interlocks(tables: Mapping[str, Any], instruments: Iterable[Instrument]) -> Interlocks:
    """Return the interlocks of a station file.

    Raises:
        ConfigError: one is malformed, or names a channel, an actuator or a command that there is not.
    """
    known = list(instruments)
    places = {place for one in known for place in _places(one)}
    streams = (stream for one in known for stream in one.streams)
    return Interlocks(read_tables(tables, places), streams, _words(known))


def read_armed(names: Iterable[str], instruments: Iterable[Instrument]) -> frozenset[str]:
    """Return the actuators that must be armed before they are moved, as `instrument.actuator`.

    Raises:
        ConfigError: there is no such actuator: what is misspelt would protect nothing.
    """
    actuators = [f"{one.name}.{actuator.name}" for one in instruments for actuator in one.motion.actuators]
    for name in names:
        if name not in actuators:
            close = difflib.get_close_matches(name, actuators, n=3, cutoff=0.5)
            hint = (
                f"did you mean {' or '.join(close)}?" if close else "armed are actuators: instrument.actuator"
            )
            raise ConfigError(f"control.armed: there is no {name}", hint=hint)
    return frozenset(names)


def _places(instrument: Instrument) -> Iterable[str]:
    inner = [*(actuator.name for actuator in instrument.motion.actuators), *instrument.motion.commands]
    return [instrument.name, *(f"{instrument.name}.{name}" for name in inner)]


class Interlocking:
    """The interlocks of one station. Any thread may call. It is a sink of blocks, and makes none wait."""

    rows_lost = 0

    def __init__(
        self,
        tables: Mapping[str, Any],
        instruments: Iterable[Instrument],
        clock: Clock,
        act: Callable[[Change], None],
    ) -> None:
        """Read them. `act` is called with each change of one, in the thread that brought it; must not wait.

        Raises:
            ConfigError: one is wrong.
        """
        self._by_name = {instrument.name: instrument for instrument in instruments}
        self._interlocks = read_interlocks(tables, self._by_name.values())
        self._clock = clock
        self._act = act
        self._open: dict[str, bool] = {}
        self.any = bool(tables)
        """Whether there are any."""

    def put(self, block: Block) -> bool:
        """Look at a block; called in the thread of the instrument that made it."""
        self._done(self._interlocks.take(block, self._clock.monotonic_ns()))
        return True

    def tick(self) -> None:
        """Look at the time, and at words. Several times a second."""
        now_ns = self._clock.monotonic_ns()
        for instrument in self._by_name.values():
            self._see_link(instrument, now_ns)
        self._tell_words(now_ns)
        self._done(self._interlocks.tick(now_ns))

    def _see_link(self, instrument: Instrument, now_ns: int) -> None:
        """Take what a device said last for lost with its link."""
        was_open, is_open = self._open.get(instrument.name, False), instrument.motion.is_open
        self._open[instrument.name] = is_open
        if was_open and not is_open:
            for stream in instrument.streams:
                self._done(self._interlocks.forget(stream.name, now_ns))

    def check(self, instrument: str, targets: Iterable[str], surely: bool) -> None:
        """Let what is to move these pass, or refuse it.

        `surely`: nothing is under way on that instrument, so that a read-back that is not known means that
        the last one who moved something did not learn where it went.

        Raises:
            Refused: with the reason and present values.
        """
        now_ns = self._clock.monotonic_ns()
        self._tell_words(now_ns, instrument if surely else "")
        for target in targets:
            self._interlocks.check(instrument, target, now_ns)

    def reset(self, name: str) -> None:
        """Let a latched interlock go; nothing moves.

        Raises:
            NotFound: there is none of that name.
            Refused: its cause is still there.
        """
        self._done(self._interlocks.reset(name, self._clock.monotonic_ns()))

    def standing(self) -> list[tuple[str, tuple[Action, ...]]]:
        """Return the interlocks that are tripped and act by commands, with these."""
        return self._interlocks.standing()

    def to_list(self) -> list[Plain]:
        """Return all interlocks as anyone may see them."""
        return self._interlocks.to_dict(self._clock.monotonic_ns())

    def _done(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._act(change)

    def _tell_words(self, now_ns: int, surely: str = "") -> None:
        """Say what the words are now.

        While a command is under way its actuators are not known; until it has ended they are what they were,
        as long as that is fresh. Of a device that is not open nothing is known.
        """
        told: dict[str, float | str | None] = {}
        for word in self._interlocks.words:
            name = max((n for n in self._by_name if word.startswith(f"{n}.")), key=len)
            instrument, inner = self._by_name[name], word.removeprefix(f"{name}.")
            value = self._value(instrument, inner)
            if value is not None or not instrument.motion.is_open or surely == name:
                told[word] = value
        if told:
            self._interlocks.tell(told, now_ns)

    @staticmethod
    def _value(instrument: Instrument, word: str) -> float | str | None:
        if word == "state":
            return instrument.motion.state
        return instrument.motion.read_back().get(word) if instrument.motion.is_open else None
