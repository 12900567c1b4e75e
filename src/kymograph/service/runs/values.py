"""The newest values of the channels that the conditions of a run name, as long as it runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

from kymograph.control.expression import Value, compile_condition
from kymograph.control.freshness import Freshness
from kymograph.control.sequence.catalogue import Catalogue
from kymograph.model.block import Block
from kymograph.model.clock import Clock
from kymograph.service.instruments import Instruments

VALUE_AGE_S: Final = 1.0
"""How old a value may be that a condition uses; of a slow stream, so many times its period:"""
PERIODS: Final = 3.0
_BLOCKS_MAX: Final = 64
"""Blocks between two looks; of more only the newest count."""


class RunValues:
    """A sink of blocks. `put` may be called from any thread and never waits, the rest by one."""

    rows_lost = 0

    def __init__(
        self, conditions: Iterable[str], catalogue: Catalogue, instruments: Instruments, clock: Clock
    ) -> None:
        """Take the conditions with their parameters filled in."""
        self._instruments = instruments
        self._clock = clock
        names = {name for text in conditions for name in compile_condition(text, catalogue.names).names}
        streams = [instruments.stream(name) for name in instruments.stream_names]
        self._freshness = Freshness(streams)
        self._freshness.watch(names)
        of_name = {name: self._freshness.stream_of(name) for name in names}
        self._streams = [stream for stream in streams if stream.name in of_name.values()]
        ages = {s.name: max(VALUE_AGE_S, PERIODS / s.rate_hz if s.rate_hz else 0.0) for s in self._streams}
        self._ages_s = {name: ages.get(stream, VALUE_AGE_S) for name, stream in of_name.items()}
        self._blocks: deque[tuple[Block, int]] = deque(maxlen=_BLOCKS_MAX)

    def open(self) -> None:
        """Begin with what was measured last, and take every block from now on."""
        now_ns, utc_ns = self._clock.monotonic_ns(), self._clock.now_ns()
        for stream in self._streams:
            view = self._instruments.rings[stream.name].view()
            _, last = view.extent
            for block in view.blocks(max(last - 1, 0), last):
                self._freshness.take(block, now_ns, utc_ns - block.last_ns)
            self._instruments.fanout(stream.name).add(self)

    def close(self) -> None:
        """Take no more."""
        for stream in self._streams:
            self._instruments.fanout(stream.name).remove(self)

    def put(self, block: Block) -> bool:
        """Take a block, in the thread of the instrument that made it."""
        self._blocks.append((block, self._clock.monotonic_ns()))
        return True

    @property
    def fresh(self) -> bool:
        """Whether there is something that `at` has not seen."""
        return bool(self._blocks)

    def at(self, now_ns: int) -> Mapping[str, Value]:
        """Return each value, or why there is none."""
        while self._blocks:
            self._freshness.take(*self._blocks.popleft())
        return {name: self._freshness.value(name, now_ns, age_s) for name, age_s in self._ages_s.items()}
