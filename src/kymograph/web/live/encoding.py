"""A piece of a stream as bytes, made once and sent to all who see the same.

Only two things differ between clients: the name they gave to their subscription, and how many rows they
lost by being slow. So these two stand in front, and the rest is the same bytes for everybody.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import msgspec
import numpy as np

from kymograph.model.block import Column
from kymograph.model.channel import Channel, Stream
from kymograph.web.live.messages import Encoding
from kymograph.web.live.views import Peaks, Piece

_PACK: Final = msgspec.msgpack.Encoder().encode
_TYPE: Final = _PACK("type") + _PACK("data")
_ID: Final = _PACK("id")
_DROPPED: Final = _PACK("dropped")
_COMMON_KEYS: Final = 5
_ALL_KEYS: Final = bytes([0x80 | _COMMON_KEYS + 3])


class Encoded:
    """One data message, but for whom it is."""

    __slots__ = ("_common", "_made", "binary")

    def __init__(self, piece: Piece, encoding: Encoding) -> None:
        self.binary = encoding != "json"
        self._common = _common(piece, encoding)
        self._made: dict[tuple[str, int], str | bytes] = {}

    @property
    def size(self) -> int:
        """Bytes of the message, nearly."""
        return len(self._common)

    def to(self, id: str, dropped: int = 0) -> str | bytes:
        """Return the message for a subscription of that name whose client lost `dropped` rows before it."""
        made = self._made.get((id, dropped))
        if made is None:
            made = self._made[id, dropped] = self._address(id, dropped)
        return made

    def _address(self, id: str, dropped: int) -> str | bytes:
        if self.binary:
            front = _ALL_KEYS + _TYPE + _ID + _PACK(id) + _DROPPED + _PACK(dropped)
            return front + self._common[1:]
        front = f'{{"type":"data","id":{msgspec.json.encode(id).decode()},"dropped":{dropped},'
        return front + self._common[1:].decode()


def _common(piece: Piece, encoding: Encoding) -> bytes:
    message: dict[str, Any] = {
        "stream": piece.stream.name,
        "epoch": piece.epoch,
        "seq_from": piece.seq_from,
        "seq_to": piece.seq_to,
    }
    if encoding == "arrow":
        message["arrow"] = _arrow(piece)
    else:
        of = _list if encoding == "json" else _binary
        columns: dict[str, Any] = {"time_ns": of(piece.time_ns)}
        for name, column in zip(piece.names, piece.columns, strict=True):
            columns[name] = (
                {"min": of(column.low), "max": of(column.high)} if isinstance(column, Peaks) else of(column)
            )
        message["columns"] = columns
    return msgspec.json.encode(message) if encoding == "json" else _PACK(message)


def _list(column: Column) -> list[Any]:
    return column.tolist()


def _binary(column: Column) -> dict[str, Any]:
    return {"dtype": column.dtype.str, "data": column.tobytes()}


def _arrow(piece: Piece) -> bytes:
    """Return an Arrow IPC stream of one batch: a reader needs nothing but these bytes."""
    pa: Any = import_module("pyarrow")

    fields: dict[str, Column] = {"time_ns": piece.time_ns}
    for name, column in zip(piece.names, piece.columns, strict=True):
        if isinstance(column, Peaks):
            fields[f"{name}:min"], fields[f"{name}:max"] = column.low, column.high
        else:
            fields[name] = column
    batch = pa.RecordBatch.from_arrays([_arrow_array(pa, values) for values in fields.values()], list(fields))
    buffer = pa.BufferOutputStream()
    with pa.ipc.new_stream(buffer, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(buffer.getvalue())


def _arrow_array(pa: Any, values: Column) -> Any:
    # Not `pa.array`, which looks whether pandas is there and so imports it.
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def warm_arrow() -> None:
    """Import what the encoding needs; seconds on a small computer, so not on the event loop."""
    stream = Stream("warm", (Channel("up"),))
    times, values = np.zeros(1, np.int64), np.zeros(1, np.float32)
    _arrow(Piece(stream, 0, 0, 1, times, ("up",), (values,), ()))
