"""All interlocks of a station over one view of its data: fed with every block, asked before every command."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from kymograph.control.freshness import Freshness, names_of
from kymograph.control.grammar import Known
from kymograph.control.interlock import Action, Change, Interlock, InterlockTable
from kymograph.model.block import Block
from kymograph.model.channel import Stream
from kymograph.model.errors import ConfigError, InvalidInput, NotFound
from kymograph.model.names import safe_name


def read_tables(
    tables: Mapping[str, Mapping[str, Any]], places: Collection[str]
) -> dict[str, InterlockTable]:
    """Check the tables `[interlocks.NAME]` of a station file, but for their expressions.

    `places` are all that can be meant: each `instrument`, `instrument.actuator` and `instrument.command`. A
    place that is misspelt would protect nothing.

    Raises:
        ConfigError: with the key and what is wrong with it.
    """
    found: dict[str, InterlockTable] = {}
    for name, table in tables.items():
        try:
            found[safe_name(name)] = made = InterlockTable.model_validate(table)
        except InvalidInput as error:
            raise ConfigError(f"interlocks.{name}: {error.message}", hint=error.hint) from None
        except ValidationError as error:
            worst = max(error.errors(), key=lambda one: len(one["loc"]))  # of a choice, what came nearest
            keys = [str(part) for part in worst["loc"] if isinstance(part, int) or part.isidentifier()]
            where = ".".join(["interlocks", name, *keys])
            raise ConfigError(f"{where}: {worst['msg']}", given=repr(worst.get("input"))[:80]) from None
        acts = made.actions if isinstance(made.actions, tuple) else ()
        meant = {"applies_to": made.applies_to, "actions": [f"{a.instrument}.{a.command}" for a in acts]}
        for key, place in ((key, place) for key, some in meant.items() for place in some):
            if place not in places:
                close = difflib.get_close_matches(place, places, n=3, cutoff=0.5)
                raise ConfigError(
                    f"interlocks.{name}.{key}: there is no {place}",
                    hint=f"did you mean {' or '.join(close)}?" if close else "",
                )
    return found


class Interlocks:
    """The interlocks of a station. Any thread may call; each call is short and waits for no device."""

    def __init__(
        self,
        tables: Mapping[str, InterlockTable],
        streams: Iterable[Stream],
        words: Mapping[str, Known] | None = None,
    ) -> None:
        """Read all expressions. `words` are names without a channel, told by `put`.

        Raises:
            ConfigError: an expression is wrong, with its place.
        """
        streams = tuple(streams)
        channels = names_of(streams)
        known = {**(words or {}), **channels}
        self._locks = {name: Interlock(name, table, known) for name, table in tables.items()}
        self.words = frozenset(name for lock in self._locks.values() for name in lock.names) - set(channels)
        """The names without a channel that are used: these are to be told."""
        self._freshness = Freshness(streams)
        self._by_stream: dict[str, list[Interlock]] = {stream.name: [] for stream in streams}
        self._guard = threading.Lock()
        for lock in self._locks.values():
            self._freshness.watch(lock.names)
            for stream in {self._freshness.stream_of(name) for name in lock.names} - {""}:
                self._by_stream[stream].append(lock)

    def take(self, block: Block, now_ns: int, age_ns: int = 0) -> list[Change]:
        """Look at a block's rows; the last of them was measured `age_ns` before `now_ns`."""
        watching = self._by_stream.get(block.stream.name)
        if not watching:
            return []
        with self._guard:
            self._freshness.take(block, now_ns, age_ns)
            return [change for lock in watching for change in lock.take(block, self._freshness, now_ns)]

    def put(self, name: str, value: float | str | None, now_ns: int) -> list[Change]:
        """Say what a word is now, and look at the interlocks that use it.

        A word grows old as a channel does: it is to be said again before `max_age_s` is over.
        """
        with self._guard:
            self._freshness.put(name, value, now_ns)
            using = [lock for lock in self._locks.values() if name in lock.names]
            return [change for lock in using for change in lock.tick(self._freshness, now_ns)]

    def tell(self, words: Mapping[str, float | str | None], now_ns: int) -> None:
        """Say what several words are now; what follows from it is seen at the next tick or check."""
        with self._guard:
            for name, value in words.items():
                self._freshness.put(name, value, now_ns)

    def forget(self, stream: str, now_ns: int) -> list[Change]:
        """Take a stream's values for lost at once, as when its link is gone."""
        with self._guard:
            self._freshness.forget(stream)
            watching = self._by_stream.get(stream, ())
            return [change for lock in watching for change in lock.tick(self._freshness, now_ns)]

    def tick(self, now_ns: int) -> list[Change]:
        """Look at the time: what has become stale, what has lasted long enough. Several times a second."""
        with self._guard:
            return [c for lock in self._locks.values() for c in lock.tick(self._freshness, now_ns)]

    def check(self, instrument: str, target: str, now_ns: int) -> None:
        """Let a command pass, or refuse it; `target` is its actuator, or its own name.

        Raises:
            Refused: with the reason and present values.
        """
        with self._guard:
            for lock in self._locks.values():
                refusal = lock.refusal(self._freshness, now_ns) if lock.covers(instrument, target) else None
                if refusal is not None:
                    raise refusal

    def reset(self, name: str, now_ns: int) -> list[Change]:
        """Let a latched interlock go. Nothing moves.

        Raises:
            NotFound: there is no such interlock.
            Refused: the cause is still there.
        """
        lock = self._locks.get(name)
        if lock is None:
            raise NotFound(f"there is no interlock {name}", interlocks=sorted(self._locks))
        with self._guard:
            return lock.reset(self._freshness, now_ns)

    def standing(self) -> list[tuple[str, tuple[Action, ...]]]:
        """Return the interlocks that are tripped and act by commands, with these."""
        with self._guard:
            return [(lock.name, lock.standing) for lock in self._locks.values() if lock.standing]

    def to_dict(self, now_ns: int) -> list[dict[str, Any]]:
        """Return all interlocks as anyone may see them."""
        with self._guard:
            return [lock.to_dict(self._freshness, now_ns) for lock in self._locks.values()]
