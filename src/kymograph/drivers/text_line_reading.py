"""Where the numbers of a line of text are: in columns, in pairs, or where a pattern finds them.

A line is bounded, and so is the time to read it. A pattern is searched with Python's `re`, which keeps every
other thread waiting, only in lines that an engine without backtracking has found to fit: what takes `re` for
ever is nearly always a line that does not fit. Patterns with a repeat inside a repeat are refused.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, Protocol

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

MISSING: Final = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "--", "---", "*"})
"""What devices write where they have no number; in any case of letters."""
_NUMBER: Final = re.compile(
    r"([+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?)"
    r"(?:\.|[^\W\d_][^.,;\d]*|\s+[^\W\d_][^.,;]*|\s*[%°µ/'\"][^.,;]*)?"
)
"""A number, and a unit behind it, which counts for nothing. A unit with digits stands after a blank: 0x10 is
not 0 of the unit x10."""
_INTEGERS: Final[Mapping[str, int]] = {"int32": 2**31, "int64": 2**63}
_FLOAT32_MAX: Final = 3.4e38
_PAIR: Final = re.compile(r"([^\s,;:=]+)\s*[:=]\s*([^\s,;]*)")
_PAIR_COMMA: Final = re.compile(r"([^\s;:=]+)\s*[:=]\s*([^\s;]*)")
"""With commas inside numbers."""


class LineReading(Protocol):
    """How a line is taken apart."""

    def fields(self, text: str) -> Sequence[str | None]:
        """Return the text of each channel, None where the line has none.

        Raises:
            ValueError: the line is not of this kind.
        """
        ...


class Columns:
    """Values between separators, told by their position, the first being 1."""

    def __init__(self, separator: str, columns: Sequence[int], count: int | None) -> None:
        self._separator = None if separator.isspace() and separator != "\t" else separator
        self._columns = columns
        self._count = count

    def fields(self, text: str) -> Sequence[str | None]:
        """Return the columns that are wanted."""
        found = text.split(self._separator)
        if self._count is not None and len(found) != self._count:
            raise ValueError(f"{len(found)} columns, not {self._count}")
        return [found[column - 1].strip() if column <= len(found) else None for column in self._columns]


class Pairs:
    """`KEY: value` or `KEY=value`, in any order."""

    def __init__(self, keys: Sequence[str], between: str, decimal_comma: bool) -> None:
        self._keys = keys
        self._between = between
        self._pair = _PAIR_COMMA if decimal_comma else _PAIR

    def fields(self, text: str) -> Sequence[str | None]:
        """Return the value of each key."""
        found: dict[str, str] = {}
        for key, value in self._pairs(text):
            if key in found:
                raise ValueError(f"{key} twice")
            found[key] = value
        if not any(key in found for key in self._keys):
            raise ValueError("none of the keys")
        return [found.get(key) for key in self._keys]

    def _pairs(self, text: str) -> Iterator[tuple[str, str]]:
        if not self._between:
            for match in self._pair.finditer(text):
                yield match[1], match[2]
            return
        for part in text.split(self._between):
            key, value = re.split("[:=]", part, maxsplit=1) if re.search("[:=]", part) else ("", "")
            if key.strip():
                yield key.strip(), value.strip()


class Pattern:
    """What the named groups of a regular expression match."""

    def __init__(self, pattern: str, groups: Sequence[str]) -> None:
        self._pattern = check_pattern(pattern)
        self._fits = SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
        self._groups = groups

    def fields(self, text: str) -> Sequence[str | None]:
        """Return what each group has matched."""
        try:
            self._fits.validate_python(text)
        except ValidationError:
            raise ValueError("does not match") from None
        match = self._pattern.search(text)
        if match is None:
            raise ValueError("does not match")
        return [match[group] for group in self._groups]


def check_pattern(pattern: str) -> re.Pattern[str]:
    """Return a pattern that may be used.

    Raises:
        ValueError: it is none, or one whose search might never end.
    """
    try:
        with warnings.catch_warnings():
            # Of `[[`, `--`, `&&` in a class, which the other engine takes for something else.
            warnings.simplefilter("error", FutureWarning)
            compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern is not a regular expression: {error}") from None
    except FutureWarning as error:
        raise ValueError(f"the pattern is ambiguous: {error}; put a backslash before it") from None
    # The parser of `re` has no public name.
    if _nests(import_module("re._parser").parse(pattern), inside=False):
        raise ValueError(
            "the pattern has a repeat or a choice inside a repeat, and some lines would take it for ever: "
            "write each part once"
        )
    try:
        SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError as error:
        reason = str(error).rpartition("error: ")[2]
        raise ValueError(f"the pattern cannot be searched for in bounded time: {reason}") from None
    return compiled


def _nests(node: Any, inside: bool) -> bool:
    """Return whether a choice or a repeat of no fixed number is inside a repeat."""
    for operation, argument in node.data:
        kind = str(operation)
        repeats = kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
        if inside and (kind == "BRANCH" or (repeats and argument[0] != argument[1])):
            return True
        within = inside or (repeats and argument[1] > 1)
        if any(_nests(part, within) for part in _parts(argument)):
            return True
    return False


def _parts(argument: Any) -> Iterator[Any]:
    if hasattr(argument, "data"):
        yield argument
    elif isinstance(argument, list | tuple):
        for item in argument:  # pyright: ignore[reportUnknownVariableType]
            yield from _parts(item)


def to_number(text: str, dtype: str, decimal_comma: bool) -> float | int | None:
    """Return the number that a text begins with, None for a word of `MISSING`.

    Raises:
        ValueError: it is no number, or not one of this dtype.
    """
    text = text.strip()
    if text.lower() in MISSING:
        return None
    match = _NUMBER.fullmatch(text.replace(",", ".") if decimal_comma else text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no number")
    if dtype in _INTEGERS:
        return _integer(match[1], _INTEGERS[dtype])
    value = float(match[1])
    if not math.isfinite(value) or (dtype == "float32" and abs(value) > _FLOAT32_MAX):
        raise ValueError(f"{text[:40]!r} is too large")
    return value


def _integer(text: str, bound: int) -> int:
    try:
        value = int(text)
    except ValueError:
        whole = float(text)
        if not whole.is_integer():
            raise ValueError(f"{text[:40]!r} is not a whole number") from None
        value = int(whole)
    if not -bound <= value < bound:
        raise ValueError(f"{text[:40]!r} is too large")
    return value
