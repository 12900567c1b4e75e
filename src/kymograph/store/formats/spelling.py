"""How JSON Lines are spelled for a reader that was written for somebody else's lines.

    {"time": "timestamp", "constants": {"sensor_id": "Q12345"},
     "channels": {"value": "value", "temperature": "TempC"}, "labels": ["mode"],
     "order": ["timestamp", "sensor_id", "mode", "value", "TempC"]}

`channels` renames those it names; `labels` are channels that are written as words; `order` is that of the
keys of a line, and may be left out. What JSON has no number for is null if it is NaN, else a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np

from kymograph.model.block import Column, Times
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import InvalidInput
from kymograph.store.formats.base import column_names
from kymograph.store.formats.instants import to_words

_KEYS: Final = frozenset({"time", "constants", "channels", "labels", "order"})
_UTC: Final = "+00:00"
_MICROSECOND_NS: Final = 1000


@dataclass(frozen=True)
class Spelling:
    """The keys of a line, in order, and what each holds."""

    time: str
    constants: Mapping[str, str]
    channels: Mapping[str, str]
    labels: frozenset[str]
    order: tuple[str, ...]

    def channel_keys(self, stream: Stream) -> list[str]:
        """Return the key of each channel; one that is not renamed makes way for those that are."""
        taken = (self.time, *self.constants, *self.channels.values())
        spelled = zip(stream.channel_names, column_names(stream, taken), strict=True)
        return [self.channels.get(name, key) for name, key in spelled]

    def keys(self, stream: Stream) -> list[str]:
        """Return all keys of a line, in order.

        Raises:
            InvalidInput: two are the same, or the order names other ones.
        """
        keys = [self.time, *self.constants, *self.channel_keys(stream)]
        if len(set(keys)) != len(keys):
            raise InvalidInput("a spelling gives two keys the same name", keys=keys)
        if self.order and not set(keys) <= set(self.order):
            raise InvalidInput("the order of a spelling leaves keys out", keys=keys, order=list(self.order))
        return [key for key in self.order if key in keys] or keys

    def labelled(self, channel: Channel) -> bool:
        """Return whether a channel is written in words."""
        return channel.name in self.labels and bool(channel.labels)


def spelling_from_dict(said: Mapping[str, Any]) -> Spelling:
    """Check what was said and return it as a spelling.

    Raises:
        InvalidInput: with what is wrong.
    """
    unknown = sorted(set(said) - _KEYS)
    if unknown:
        raise InvalidInput(
            f"a spelling has no {', '.join(unknown)}", hint=f"it has {', '.join(sorted(_KEYS))}"
        )
    time = said.get("time", "timestamp")
    tables = [cast("dict[Any, Any]", said.get(key) or {}) for key in ("constants", "channels")]
    lists = [cast("list[Any]", said.get(key) or []) for key in ("labels", "order")]
    texts = [
        time,
        *(part for table in tables for item in table.items() for part in item),
        *lists[0],
        *lists[1],
    ]
    if not all(isinstance(text, str) and text for text in texts):
        raise InvalidInput("a spelling is made of texts")
    return Spelling(time, tables[0], tables[1], frozenset(lists[0]), tuple(lists[1]))


def spell_times(time_ns: Times) -> list[str]:
    """Return times as `2025-01-01T00:00:00.123456+00:00`, with nine digits where six do not say it."""
    fine = time_ns % _MICROSECOND_NS != 0
    words = [word[:-1] + _UTC for word in to_words(time_ns, 6)]
    if fine.any():
        at = np.flatnonzero(fine)
        for i, word in zip(at.tolist(), to_words(time_ns[at], 9), strict=True):
            words[i] = word[:-1] + _UTC
    return words


def read_times(words: list[str]) -> Times:
    """Return the times that `spell_times` wrote.

    Raises:
        ValueError: one is not such a time.
    """
    if not all(word.endswith(_UTC) for word in words):
        raise ValueError("a time that is not in UTC")
    return np.array([word[: -len(_UTC)] for word in words], "M8[ns]").astype("<i8")


def spell_column(channel: Channel, labelled: bool, column: Column) -> list[Any]:
    """Return a column's values as a line has them."""
    values: list[Any] = column.tolist()
    if labelled:
        known = dict(enumerate(channel.labels))
        return [known.get(value, value) for value in values]
    if column.dtype.kind == "f":
        for i in np.flatnonzero(~np.isfinite(column)).tolist():
            values[i] = None if np.isnan(column[i]) else "Infinity" if column[i] > 0 else "-Infinity"
    return values


def read_column(channel: Channel, labelled: bool, values: list[Any], dtype: np.dtype[Any]) -> Column:
    """Return the column that `spell_column` took apart.

    Raises:
        ValueError: a word that stands for nothing.
    """
    if labelled:
        known = {label: i for i, label in enumerate(channel.labels)}
        if not all(value in known for value in values if isinstance(value, str)):
            raise ValueError(f"an unknown word in {channel.name}")
        values = [known.get(value, value) for value in values]
    elif dtype.kind == "f":
        return np.array([np.nan if value is None else value for value in values], np.float64).astype(dtype)
    return np.array(values, dtype)
