"""Streams of a station: what they measure, and what its memory holds of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from kymograph.client.connection import Connection, Plain
from kymograph.client.frame import Frame
from kymograph.client.moments import Moment
from kymograph.model.block import Column, Cursor
from kymograph.model.channel import Channel, Stream, stream_from_dict


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a stream; a value that is NaN or infinite comes as None."""

    stream: str
    epoch: int
    seq: int
    time_ns: int
    values: Mapping[str, float | int | None]

    @property
    def time(self) -> np.datetime64:
        """Its time as `datetime64[ns]`, which is UTC."""
        return np.datetime64(self.time_ns, "ns")

    @property
    def cursor(self) -> Cursor:
        """The place after it."""
        return Cursor(self.epoch, self.seq + 1)


class LiveStream:
    """One stream of a station, as it was when the station was asked."""

    def __init__(self, connection: Connection, told: Plain) -> None:
        """Use `Client.stream`."""
        self._connection = connection
        self._told = told
        self.description: Stream = stream_from_dict(told)
        """The stream as the model has it."""

    def __repr__(self) -> str:
        units = ", ".join(f"{name} {unit}".strip() for name, unit in self.units.items())
        return f"<LiveStream {self.name}: {units}>"

    @property
    def name(self) -> str:
        """Its name."""
        return self.description.name

    @property
    def instrument(self) -> str:
        """The name of its instrument."""
        return self._told["instrument"]

    @property
    def rate_hz(self) -> float:
        """Rows a second, nominally; 0 is irregular."""
        return self.description.rate_hz

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What it measures."""
        return self.description.channels

    @property
    def units(self) -> dict[str, str]:
        """The unit of each channel, a UCUM code; "" is dimensionless."""
        return {channel.name: channel.unit for channel in self.channels}

    @property
    def cursor(self) -> Cursor:
        """The place of its next row at that moment; `live(since=…)` begins there."""
        return Cursor(self._told["epoch"], self._told["next_seq"])

    @property
    def _path(self) -> str:
        return f"/streams/{self.name}"

    def latest(self) -> Row:
        """Return the newest row.

        Raises:
            NotFound: there is none yet.
        """
        told = self._connection.get(f"{self._path}/latest")
        return Row(told["stream"], told["epoch"], told["seq"], told["time_ns"], told["values"])

    def data(
        self,
        seconds: float | None = None,
        start: Moment | None = None,
        stop: Moment | None = None,
        channels: Sequence[str] | None = None,
        max_points: int = 2000,
    ) -> Frame:
        """Return the newest `seconds`, or the rows from `start` to `stop` (without it), as far as the station
        remembers them; more than `max_points` (2 to 20 000) become peaks, in mode `minmax`."""
        told = self._connection.get(
            f"{self._path}/data", seconds=seconds, start=start, stop=stop, channels=channels,
            max_points=max_points,
        )  # fmt: skip
        return frame_of(told, self.description)


def frame_of(told: Plain, stream: Stream) -> Frame:
    """Return the rows or peaks of an answer, each column with its channel's dtype."""
    columns: dict[str, Column] = {}
    shown: list[Channel] = []
    for name, values in told["columns"].items():
        channel = stream.channels[stream.index(name)]
        shown.append(channel)
        if isinstance(values, dict):
            for which in ("min", "max"):
                columns[f"{name}:{which}"] = _array(cast("Plain", values)[which], channel.dtype)
        else:
            columns[name] = _array(values, channel.dtype)
    time_ns = np.array(told["time_ns"], np.int64)
    return Frame(told["stream"], told["mode"], told["rows"], tuple(shown), time_ns, columns)


def _array(values: Sequence[Any], dtype: str) -> npt.NDArray[Any]:
    # None stands for NaN and infinities, which JSON has no numbers for.
    return np.array(values, np.float64 if None in values else dtype).astype(dtype, copy=False)
