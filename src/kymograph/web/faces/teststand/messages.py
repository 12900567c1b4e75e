"""What is said over `/ws`: rows of the stand as the contract's messages, in msgpack or in JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from kymograph.model.block import Block, Column
from kymograph.model.errors import InvalidInput

PRESSURES: Final = tuple(f"P{i}" for i in range(1, 9))
TEMPERATURES: Final = (*(f"T{i}" for i in range(1, 7)), "Tbogaz1", "Tbogaz2")
FLOWS: Final = ("Debi1", "Debi2")
SINGLE: Final = (
    "adiabatic_temperature", "thrust", "isp", "p_chamber", "oxygen_consumption", "fuel_consumption",
    "total_impulse", "exhaust_velocity", "deltap2", "kutlesel_debi",
)  # fmt: skip
"""In the contract's order; what the device does not give is not a number (null in JSON)."""
_PACK: Final = msgspec.msgpack.Encoder().encode
_SAY: Final = msgspec.json.Encoder(enc_hook=str).encode
_DROPPED: Final = _PACK("dropped")

Message = str | bytes
Plain = dict[str, Any]


def write(message: Mapping[str, Any], binary: bool) -> Message:
    """Return a message as msgpack, or as JSON text."""
    return _PACK(message) if binary else _SAY(message).decode()


def with_dropped(message: Message, samples: int) -> Message:
    """Return a message of ours with `dropped` as its last key: how many samples its client lost before it."""
    if isinstance(message, str):
        return f'{message[:-1]},"dropped":{samples}}}'
    return bytes([message[0] + 1]) + message[1:] + _DROPPED + _PACK(samples)


def read(said: str | bytes) -> Plain:
    """Return what a client said, JSON or msgpack.

    Raises:
        InvalidInput: it is no message.
    """
    try:
        message: Any = msgspec.json.decode(said) if isinstance(said, str) else msgspec.msgpack.decode(said)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise InvalidInput("this is neither JSON text nor msgpack") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):  # pyright: ignore[reportUnknownMemberType]
        raise InvalidInput("a message is an object with a type")
    return message  # pyright: ignore[reportUnknownVariableType]


def valve_response(success: bool, valves: Sequence[int | None], error: str = "") -> Plain:
    """Return the answer to a valve command."""
    said: Plain = {"type": "valve_response", "success": success, "valves": list(valves)}
    return {**said, "error": error} if error else said


def step_motor_response(success: bool, motor_id: Any, angle: Any, response: str) -> Plain:
    """Return the answer to a motor's command."""
    return {
        "type": "step_motor_response", "success": success, "motor_id": motor_id, "angle": angle,
        "response": response,
    }  # fmt: skip


def sensors(
    values: Mapping[str, float], time_ns: int, valves: Sequence[int | None], errors: Sequence[str]
) -> Plain:
    """Return the contract's sensor object of one row."""
    nan = math.nan
    data: Plain = {
        "pressures": [values.get(name, nan) for name in PRESSURES],
        "temperatures": [values.get(name, nan) for name in TEMPERATURES],
        "debis": [values.get(name, nan) for name in FLOWS],
    }
    data.update({name: values.get(name, nan) for name in SINGLE})
    data["timestamp"] = time_ns / 1e9
    data["errors"] = list(errors)
    data["valves"] = list(valves)
    return data


def sample(data: Plain, binary: bool) -> Message:
    """Return one row as a message."""
    return write({"type": "sensor_data", "data": data}, binary)


def batch(blocks: Sequence[Block], every: int, binary: bool) -> tuple[Message, int]:
    """Return every so-manieth row of some blocks as columns, and how many rows that is.

    msgpack: each column `{"dtype": "<f4", "data": bytes}`; JSON: lists, null for what is no number.
    """
    times = np.concatenate([picked(block, block.time_ns, every) for block in blocks]) / 1e9
    columns: dict[str, Any] = {"timestamp": _column(times, binary)}
    names = blocks[0].stream.channel_names
    for name, *parts in zip(names, *(block.columns() for block in blocks), strict=True):
        pieces = [picked(block, part, every) for block, part in zip(blocks, parts, strict=True)]
        columns[name] = _column(np.concatenate(pieces), binary)
    return write({"type": "sensor_batch", "rows": len(times), "columns": columns}, binary), len(times)


def picked(block: Block, column: Column, every: int) -> Column:
    """Return the values of a block's column that are sent: of the rows whose `seq` is a multiple."""
    return column[-block.seq % every :: every]


def _column(values: Column, binary: bool) -> Any:
    if binary:
        return {"dtype": values.dtype.str, "data": np.ascontiguousarray(values).tobytes()}
    return values.tolist()
