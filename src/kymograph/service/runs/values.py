"""What is measured of the channels that the conditions of a run name, as long as it runs: every row of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np

from kymograph.control.expression import Expression, Floats, Value, compile_condition
from kymograph.control.freshness import Freshness
from kymograph.control.sequence.catalogue import Catalogue
from kymograph.control.sequence.holding import Truths
from kymograph.model.block import Block, Times
from kymograph.model.clock import Clock
from kymograph.model.limits import RUN_BLOCKS_MAX
from kymograph.service.instruments import Instruments

VALUE_AGE_S: Final = 1.0
"""How old a value may be that a condition uses; of a slow stream, so many times its period:"""
PERIODS: Final = 3.0
_ALL: Final = 2**63 - 1
_NOT_KNOWN: Final = np.array([2], np.int8)


class Looked(NamedTuple):
    """Whether a condition held in the rows of a block, as `Run.saw` takes it."""

    times: Times
    held: Truths
    seen_ns: int
    """Up to when the rows of the condition's other streams are known."""


class RunValues:
    """A sink of blocks. `put` may be called from any thread and never waits, the rest by one."""

    def __init__(
        self, conditions: Iterable[str], catalogue: Catalogue, instruments: Instruments, clock: Clock
    ) -> None:
        """Take the conditions with their parameters filled in."""
        self.rows_lost = 0
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
        self._blocks: deque[tuple[Block, int, int]] = deque()
        self._seen_ns = {stream.name: -_ALL for stream in self._streams}
        self._lost = 0

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
        if len(self._blocks) >= RUN_BLOCKS_MAX:
            self.rows_lost += block.rows
            return False
        self._blocks.append((block, self._clock.monotonic_ns(), self.rows_lost))
        return True

    @property
    def fresh(self) -> bool:
        """Whether there is something that was not taken."""
        return bool(self._blocks)

    def take(self, condition: Expression | None) -> Iterator[Looked]:
        """Take in what has come, and yield how it stands with a condition in each row of it."""
        for _ in range(RUN_BLOCKS_MAX):
            if not self._blocks:
                break
            block, at_ns, lost = self._blocks.popleft()
            whole, self._lost = lost == self._lost, lost
            named = () if condition is None else condition.names
            mine = [name for name in named if self._freshness.stream_of(name) == block.stream.name]
            # What was too old when the first of these rows was measured had ceased to be known.
            first_ns = at_ns - int(block.time_ns[-1] - block.time_ns[0])
            whole &= all(self._freshness.fresh(name, first_ns, self._ages_s[name]) for name in mine)
            self._freshness.take(block, at_ns)
            self._seen_ns[block.stream.name] = at_ns
            if condition is not None and mine:
                yield self._looked(condition, block, at_ns, whole)

    def at(self, now_ns: int) -> Mapping[str, Value]:
        """Return each value, or why there is none."""
        return {name: self._freshness.value(name, now_ns, age_s) for name, age_s in self._ages_s.items()}

    def seen_ns(self, condition: Expression | None, but: str = "") -> int:
        """Return up to when the rows of all streams that a condition names were taken, but for one."""
        named = {self._freshness.stream_of(name) for name in condition.names} if condition else set[str]()
        return min((self._seen_ns[stream] for stream in named if stream != but), default=_ALL)

    def _looked(self, condition: Expression, block: Block, at_ns: int, whole: bool) -> Looked:
        """Return how it stands in a block that was just taken; `whole`: nothing is missing before it."""
        columns: dict[str, Floats | Value] = {}
        sure = True
        for name in condition.names:
            found, known = self._freshness.rows(block, [name], at_ns, self._ages_s[name])
            columns |= found
            sure &= known
        times = self._freshness.row_times(block)
        held = np.broadcast_to(condition.truth_rows(columns, sure), (block.rows,))
        if not whole:
            times, held = np.concatenate((times[:1], times)), np.concatenate((_NOT_KNOWN, held))
        return Looked(times, held, self.seen_ns(condition, block.stream.name))
