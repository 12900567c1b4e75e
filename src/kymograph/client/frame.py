"""Rows as they come to a script: times and columns in NumPy, with their units; and what did not come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kymograph.client import tables
from kymograph.client.moments import to_datetime64
from kymograph.model.block import Column, Cursor, Times
from kymograph.model.channel import Channel
from kymograph.model.errors import InvalidInput, KymographError

if TYPE_CHECKING:
    import pandas
    import polars


@dataclass(frozen=True, eq=False)
class Frame:
    """Rows of one stream. `frame["distance"]` is a column, `time_ns` are the times in int64 nanoseconds.

    In mode `raw` there is one item for each row. In mode `minmax` an item stands for a stretch of rows, and
    the channel `distance` has two columns, `distance:min` and `distance:max`; `rows` says how many rows there
    were. In mode `latest` there is one row.
    """

    stream: str
    mode: str
    rows: int
    channels: tuple[Channel, ...]
    time_ns: Times
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.time_ns)

    def __getitem__(self, column: str) -> Column:
        try:
            return self.columns[column]
        except KeyError:
            raise InvalidInput(
                f"{self.stream} has no column {column} here", columns=list(self.columns)
            ) from None

    @property
    def time(self) -> npt.NDArray[np.datetime64]:
        """The times as `datetime64[ns]`, which is UTC; a view."""
        return to_datetime64(self.time_ns)

    @property
    def units(self) -> dict[str, str]:
        """The unit of each column, a UCUM code; "" is dimensionless."""
        return {name: channel.unit for name, channel in self.described().items()}

    def described(self) -> dict[str, Channel]:
        """Return what each column means."""
        if self.mode != "minmax":
            return {channel.name: channel for channel in self.channels}
        return {f"{channel.name}:{which}": channel for channel in self.channels for which in ("min", "max")}

    def facts(self) -> dict[str, Any]:
        """Return what a table says of itself beside its rows."""
        return {"stream": self.stream, "mode": self.mode}

    def to_arrow(self) -> Any:
        """Return a `pyarrow.Table`: `timestamp`, then the columns, units in the metadata of the fields."""
        return tables.arrow(self.time_ns, self.columns, self.described(), self.facts())

    def to_pandas(self) -> pandas.DataFrame:
        """Return a data frame by time (UTC, nanoseconds); `attrs["units"]` has the units."""
        return tables.pandas(self.time_ns, self.columns, self.described(), self.facts())

    def to_polars(self) -> polars.DataFrame:
        """Return a data frame whose first column is `timestamp`; for the units see `units`."""
        return tables.polars(self.time_ns, self.columns)


@dataclass(frozen=True, eq=False)
class Batch(Frame):
    """Rows of a live stream with consecutive `seq`: from `seq` to `seq_to`, which is that of the next row."""

    epoch: int
    seq: int
    seq_to: int

    @property
    def cursor(self) -> Cursor:
        """The place after the last row, where `live(since=…)` would go on."""
        return Cursor(self.epoch, self.seq_to)

    def facts(self) -> dict[str, Any]:
        """Return what a table says of itself beside its rows."""
        return {**super().facts(), "epoch": self.epoch, "seq": self.seq}


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows of a live stream that do not come: from `from_seq` to `to_seq`, without it.

    `to_seq` is None where an older epoch may have gone on and nobody knows how far. `reason` is

    - `missing`: the instrument counted on, but they never arrived; a recording has the same gap;
    - `not in ring`: older than what the station remembers; a recording may have them;
    - `slow client`: this script was too slow; `live(since={gap.stream: gap.cursor})` gives them again while
      the station remembers them;
    - `not told`: they did not come and nobody said why.
    """

    stream: str
    epoch: int
    from_seq: int
    to_seq: int | None
    reason: str

    @property
    def rows(self) -> int | None:
        """How many rows; None where nobody knows."""
        return None if self.to_seq is None else self.to_seq - self.from_seq

    @property
    def cursor(self) -> Cursor:
        """The place of the first row that did not come."""
        return Cursor(self.epoch, self.from_seq)


class RowsMissing(KymographError):
    """Rows of a live stream did not come, and `on_gap="raise"` was asked for; `gap` says which."""

    code = "rows_missing"

    def __init__(self, gap: Gap) -> None:
        count = "rows" if gap.rows is None else f"{gap.rows} rows"
        super().__init__(
            f"{count} of {gap.stream} did not come: {gap.reason}",
            hint="the loop can be begun again; it goes on after them",
            stream=gap.stream, epoch=gap.epoch, from_seq=gap.from_seq, to_seq=gap.to_seq, reason=gap.reason,
        )  # fmt: skip
        self.gap = gap
