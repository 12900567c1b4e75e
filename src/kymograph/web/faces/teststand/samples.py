"""Rows of the stand as messages, one a row, made for all rows of a block at once.

In msgpack the messages of a block differ in their numbers only, and each number has nine bytes. So one is
written, all are copied from it, and the numbers are put where they belong, a column at a time: thousands of
messages a second for the price of a few hundred.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from kymograph.model.block import Block, Column
from kymograph.web.faces.teststand import messages
from kymograph.web.faces.teststand.formulas import Formulas
from kymograph.web.faces.teststand.messages import Message
from kymograph.web.live.wire import frame_head, framed

_PACK: Final = msgspec.msgpack.Encoder().encode
_MARK: Final = -1.5e300
"""No stand measures so little: where this stands in a message, a number belongs."""
ROWS_MAX: Final = 1024
"""Messages in one bundle; a client that is slow loses whole ones."""
_TIME: Final = _PACK("timestamp") + b"\xcb"


class Bundle(NamedTuple):
    """Messages that go out together, as the frames of the wire. Of the first the length is known: if rows
    were lost before it, it says so."""

    frames: bytes
    first_head: int
    first_end: int
    binary: bool
    messages: int
    samples: int

    def after_loss(self, samples: int) -> bytes:
        """Return the frames for a client that lost so many samples before them."""
        said = self.frames[self.first_head : self.first_end]
        first = messages.with_dropped(said if self.binary else said.decode(), samples)
        return framed(first) + self.frames[self.first_end :]


def bundle(said: Sequence[Message], samples: int) -> Bundle:
    """Return some messages of one kind as a bundle."""
    frames = [framed(message) for message in said]
    first = said[0] if isinstance(said[0], bytes) else said[0].encode()
    head = len(frames[0]) - len(first)
    binary = isinstance(said[0], bytes)
    return Bundle(b"".join(frames), head, len(frames[0]), binary, len(said), samples)


class Standing(NamedTuple):
    """What all messages of a moment have in common."""

    valves: tuple[int | None, ...]
    errors: tuple[str, ...]


class Template:
    """A message's bytes, and where in it the numbers are."""

    def __init__(self, names: Sequence[str], standing: Standing) -> None:
        marks = {name: _MARK * (1 + i / 1000) for i, name in enumerate(names)}
        data = messages.sensors(marks, 0, standing.valves, standing.errors)
        payload = messages.sample(data, binary=True)
        assert isinstance(payload, bytes)
        head = frame_head(len(payload), binary=True)
        self.head, self.size = len(head), len(head) + len(payload)
        self._message = np.frombuffer(head + payload, np.uint8)
        places = {name: payload.find(_PACK(mark)) for name, mark in marks.items()}
        self.names = [name for name, at in places.items() if at >= 0]
        """Those that stand in the message."""
        offsets = [len(head) + 1 + places[name] for name in self.names]
        offsets.append(len(head) + payload.index(_TIME) + len(_TIME))
        fields: Any = {"names": [*self.names, "timestamp"], "formats": [">f8"] * len(offsets)}
        fields |= {"offsets": offsets, "itemsize": self.size}
        self._fields = np.dtype(fields)

    def bundle(self, times_ns: Column, columns: Mapping[str, Column]) -> Bundle:
        """Return a message a row."""
        rows = len(times_ns)
        made = np.empty((rows, self.size), np.uint8)
        made[:] = self._message
        numbers = made.view(self._fields)[:, 0]
        for name in self.names:
            numbers[name] = columns[name]
        numbers["timestamp"] = times_ns / 1e9
        return Bundle(made.tobytes(), self.head, self.size, True, rows, rows)


class Writer:
    """Writes blocks as bundles: every so-manieth row, for clients that want msgpack or JSON."""

    def __init__(self, every: int, binary: bool, formulas: Formulas) -> None:
        self._every = every
        self._binary = binary
        self._formulas = formulas
        self._template: tuple[tuple[Any, ...], Template] | None = None

    def write(self, block: Block, standing: Standing) -> Iterator[Bundle]:
        """Yield the rows of a block that are sent."""
        rows = ROWS_MAX * self._every
        for start in range(0, block.rows, rows):
            part = block.cut(start, min(start + rows, block.rows)) if block.rows > rows else block
            made = self._write(part, standing)
            if made is not None:
                yield made

    def _write(self, block: Block, standing: Standing) -> Bundle | None:
        times_ns = messages.picked(block, block.time_ns, self._every)
        if not len(times_ns):
            return None
        columns = self._columns(block)
        if self._binary:
            return self._template_of(tuple(columns), standing).bundle(times_ns, columns)
        lists = [column.tolist() for column in columns.values()]
        said: list[Message] = []
        for time_ns, *row in zip(times_ns.tolist(), *lists, strict=True):
            values = dict(zip(columns, row, strict=True))
            data = messages.sensors(values, time_ns, standing.valves, standing.errors)
            said.append(messages.sample(data, binary=False))
        return bundle(said, len(said))

    def _columns(self, block: Block) -> dict[str, Column]:
        names = block.stream.channel_names
        picked = [messages.picked(block, column, self._every) for column in block.columns()]
        columns = dict(zip(names, picked, strict=True))
        return {**columns, **self._formulas.of(columns)}

    def _template_of(self, names: tuple[str, ...], standing: Standing) -> Template:
        key = (names, standing)
        if self._template is None or self._template[0] != key:
            self._template = key, Template(names, standing)
        return self._template[1]
