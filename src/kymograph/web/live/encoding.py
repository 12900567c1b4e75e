"""A piece of a stream as bytes, made once and sent to all who see the same.

Only two things differ between clients: the name they gave to their subscription, and how many rows they
lost by being slow. So these two stand in front, and the rest is the same bytes for everybody.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import msgspec
import numpy as np

from kymograph.model.block import Block, Column, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.web.live.messages import Encoding
from kymograph.web.live.views import Heads, Peaks, Piece, View

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
        "stream": piece.view.stream.name,
        "epoch": piece.epoch,
        "seq_from": piece.seq_from,
        "seq_to": piece.seq_to,
    }
    if encoding == "msgpack" and piece.whole is not None:
        return _copied(message, piece.whole, piece.view.heads)
    if encoding == "arrow":
        message["arrow"] = _arrow(piece)
    else:
        of = _list if encoding == "json" else _binary
        columns: dict[str, Any] = {"time_ns": of(piece.shown.time_ns)}
        for name, column in zip(piece.view.names, piece.shown.columns, strict=True):
            columns[name] = (
                {"min": of(column.low), "max": of(column.high)} if isinstance(column, Peaks) else of(column)
            )
        message["columns"] = columns
    return msgspec.json.encode(message) if encoding == "json" else _PACK(message)


def _copied(message: dict[str, Any], block: Block, heads: Heads) -> bytes:
    """Return the message of a block that is shown as it is: its bytes, with the names of columns between."""
    begin = _PACK({**message, "columns": None})[:-1]
    parts: list[bytes | memoryview] = [begin, _map_head(len(heads))]
    payload, at = memoryview(block.payload), 0
    for head, item_bytes in heads:
        size = item_bytes * block.rows
        parts += head, _bin_head(size), payload[at : at + size]
        at += (size + 7) & ~7
    return b"".join(parts)


def _map_head(items: int) -> bytes:
    return bytes([0x80 | items]) if items < 16 else b"\xde" + items.to_bytes(2)


def _bin_head(size: int) -> bytes:
    if size < 1 << 8:
        return b"\xc4" + size.to_bytes(1)
    return b"\xc5" + size.to_bytes(2) if size < 1 << 16 else b"\xc6" + size.to_bytes(4)


def _list(column: Column) -> list[Any]:
    return column.tolist()


def _binary(column: Column) -> dict[str, Any]:
    return {"dtype": column.dtype.str, "data": column.tobytes()}


def _arrow(piece: Piece) -> bytes:
    """Return an Arrow IPC stream of one batch: a reader needs nothing but these bytes."""
    pa: Any = import_module("pyarrow")

    fields: dict[str, Column] = {"time_ns": piece.shown.time_ns}
    for name, column in zip(piece.view.names, piece.shown.columns, strict=True):
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
    rows = Rows("warm", np.zeros(1, np.int64), [np.zeros(1, np.float32)])
    _arrow(View(stream, "raw").piece([Block.pack(stream, 0, 0, rows)]))
