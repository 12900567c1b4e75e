"""What is measured: a channel, and the stream of channels that share a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np

from kymograph.model.errors import InvalidInput
from kymograph.model.limits import CHANNELS_MAX
from kymograph.model.names import safe_name

DTYPES: Final = (
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "float64",
)
"""The dtypes a channel may have, little-endian wherever they are written."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One measured quantity.

    `unit` is a UCUM code (`Cel`, `hPa`, `mm`, `deg`); "" is dimensionless. `low` and `high` bound what the
    sensor can mean; they scale plots and never clip data. `labels` are words for the values 0, 1, 2, …
    """

    name: str
    dtype: str = "float32"
    unit: str = ""
    description: str = ""
    low: float | None = None
    high: float | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        safe_name(self.name, "channel name")
        if self.name == "time_ns":
            raise InvalidInput(
                "a channel may not be called time_ns", hint="that column is every stream's clock"
            )
        if self.dtype not in DTYPES:
            raise InvalidInput(f"channel {self.name} has an unknown dtype {self.dtype}", allowed=list(DTYPES))
        if self.labels and "int" not in self.dtype:
            raise InvalidInput(f"channel {self.name} has labels and is not of whole numbers")

    def to_dict(self) -> dict[str, Any]:
        """Return the channel as plain data."""
        return {
            "name": self.name, "dtype": self.dtype, "unit": self.unit,
            "description": self.description, "low": self.low, "high": self.high, "labels": list(self.labels),
        }  # fmt: skip


@dataclass(frozen=True)
class Stream:
    """Channels that share a clock. `rate_hz` is nominal; 0 means irregular."""

    name: str
    channels: tuple[Channel, ...]
    rate_hz: float = 0.0
    description: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        safe_name(self.name, "stream name")
        names = [channel.name for channel in self.channels]
        if not names or len(names) > CHANNELS_MAX:
            raise InvalidInput(
                f"stream {self.name} has {len(names)} channels", allowed=f"1 to {CHANNELS_MAX}"
            )
        if len(set(names)) != len(names):
            raise InvalidInput(f"stream {self.name} names a channel twice", channels=names)

    @cached_property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """The little-endian NumPy dtype of each channel, in order."""
        return tuple(np.dtype(channel.dtype).newbyteorder("<") for channel in self.channels)

    @cached_property
    def dtype(self) -> np.dtype[Any] | None:
        """The dtype of all channels where they have but one, else None."""
        return self.dtypes[0] if len(set(self.dtypes)) == 1 else None

    @cached_property
    def channel_names(self) -> tuple[str, ...]:
        """The names of the channels, in order."""
        return tuple(channel.name for channel in self.channels)

    @cached_property
    def row_nbytes(self) -> int:
        """Bytes of one row: 8 for the time and the items of each channel."""
        return 8 + sum(dtype.itemsize for dtype in self.dtypes)

    def index(self, channel: str) -> int:
        """Return the position of a channel.

        Raises:
            InvalidInput: no channel has that name.
        """
        try:
            return self.channel_names.index(channel)
        except ValueError:
            raise InvalidInput(
                f"stream {self.name} has no channel {channel}", channels=list(self.channel_names)
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """Return the stream as plain data, the inverse of `stream_from_dict`."""
        return {
            "name": self.name, "rate_hz": self.rate_hz, "description": self.description,
            "channels": [channel.to_dict() for channel in self.channels],
        }  # fmt: skip


def stream_from_dict(data: Mapping[str, Any]) -> Stream:
    """Make the stream again that `Stream.to_dict` took apart; unknown keys are left aside."""
    channels: Sequence[Mapping[str, Any]] = data["channels"]
    return Stream(
        name=data["name"],
        channels=tuple(
            Channel(
                name=c["name"],
                dtype=c["dtype"],
                unit=c.get("unit", ""),
                description=c.get("description", ""),
                low=c.get("low"),
                high=c.get("high"),
                labels=tuple(c.get("labels") or ()),
            )
            for c in channels
        ),
        rate_hz=float(data.get("rate_hz", 0.0)),
        description=data.get("description", ""),
    )
