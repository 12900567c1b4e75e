"""Times as text: RFC 3339 in UTC with a fixed number of digits, a whole column at a time.

Formatting one time after the other is what makes text exports slow; here a second is formatted once, and
its fractions are looked up.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kymograph.model.block import Times

SECOND_NS: Final = 1_000_000_000
_WHOLE: Final = len("2024-01-01T00:00:00")
_THREE: Final = np.array([f"{i:03d}" for i in range(1000)], "S3").view(np.uint8).reshape(1000, 3)


def width(digits: int) -> int:
    """Return the characters of a time with that many digits after the second."""
    return _WHOLE + 1 + (digits + 1 if digits else 0)


def to_text(time_ns: Times, digits: int = 9) -> npt.NDArray[np.uint8]:
    """Return times as ASCII, one row of `width(digits)` bytes each: `2024-01-01T00:00:00.000000000Z`.

    `digits` is 0, 3, 6 or 9; what is finer is cut off, not rounded, so that order is kept.
    """
    count = len(time_ns)
    text = np.empty((count, width(digits)), np.uint8)
    if not count:
        return text
    seconds, fraction = np.divmod(time_ns, SECOND_NS)
    starts = np.flatnonzero(np.concatenate(([True], seconds[1:] != seconds[:-1])))
    words: npt.NDArray[Any] = np.datetime_as_string(seconds[starts].astype("M8[s]")).astype(f"S{_WHOLE}")
    whole = words.view(np.uint8).reshape(-1, _WHOLE)
    text[:, :_WHOLE] = np.repeat(whole, np.diff(np.append(starts, count)), axis=0)
    if digits:
        text[:, _WHOLE] = ord(".")
    small = fraction.astype(np.uint32)
    for group in range(digits // 3):
        at = _WHOLE + 1 + 3 * group
        text[:, at : at + 3] = _THREE[small // 10 ** (6 - 3 * group) % 1000]
    text[:, -1] = ord("Z")
    return text


def to_words(time_ns: Times, digits: int = 9) -> list[str]:
    """Return times as a list of strings."""
    text = to_text(time_ns, digits)
    step = text.shape[1]
    whole = text.tobytes().decode("ascii")
    return [whole[at : at + step] for at in range(0, len(whole), step)]


def to_word(time_ns: int, digits: int = 9) -> str:
    """Return one time as a string."""
    return to_words(np.array([time_ns], np.int64), digits)[0]


def from_text(text: npt.NDArray[np.uint8]) -> Times:
    """Return the times that `to_text` with 9 digits wrote.

    Raises:
        ValueError: a row is not such a time.
    """
    if not len(text):
        return np.empty(0, np.int64)
    if text.shape[1] != width(9) or not ((text[:, _WHOLE] == ord(".")) & (text[:, -1] == ord("Z"))).all():
        raise ValueError("not a time with nine digits in UTC")
    whole = np.ascontiguousarray(text[:, :_WHOLE])
    changed = (whole[1:] != whole[:-1]).any(axis=1)
    starts = np.flatnonzero(np.concatenate(([True], changed)))
    words: npt.NDArray[Any] = whole[starts].view(f"S{_WHOLE}").reshape(-1).astype(f"U{_WHOLE}")
    seconds = np.repeat(words.astype("M8[s]").astype(np.int64), np.diff(np.append(starts, len(text))))
    digits = text[:, _WHOLE + 1 : -1] - np.uint8(ord("0"))
    if digits.max() > 9:
        raise ValueError("not a time with nine digits in UTC")
    # In 32 bits the nine digits fit; the sum in 64 bits may pass through a wrap, and ends where it should.
    fraction = digits.astype(np.uint32) @ (10 ** np.arange(8, -1, -1)).astype(np.uint32)
    return seconds * SECOND_NS + fraction.astype(np.int64)
