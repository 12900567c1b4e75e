"""From a YAML text to values with the line of each.

PyYAML reads the text; only its events are used, so no object is ever made of what a file asks for, and what a
plain word means is decided here, by YAML 1.2. What readers of YAML 1.1 and 1.2 take differently is refused: a
value `yes` or `on`, numbers with leading zeros (octal to some), `1:30`; and so are keys that come twice,
anchors, tags and several documents.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from kymograph.model.errors import InvalidInput

if TYPE_CHECKING:
    from yaml import MarkedYAMLError
    from yaml.events import Event, ScalarEvent

CHARS_MAX: Final = 262_144
"""Characters of one file; a sequence is for people to read."""
DEPTH_MAX: Final = 32
"""Levels of one file."""
DIGITS_MAX: Final = 300
"""Digits of one integer; longer ones are too large for any reader."""

_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NUMBERLIKE: Final = re.compile(r"[-+]?0[0-9_xob].*|[-+]?[0-9][0-9_]*(:[0-9]+)+|[-+]?\.(inf|nan)", re.I)
_WORDLIKE: Final = re.compile(r"y|n|yes|no|on|off|true|false|null", re.I)
_WORDS: Final = {"true": True, "false": False, "null": None, "~": None, "": None}
_REASONS: Final = (
    ("character '\\t'", "there is a tab", "use spaces"),
    ("found character '%'", "a text cannot begin with %", "put it in quotes"),
    ("found character '@'", "a text cannot begin with @", "put it in quotes"),
    ("found character '`'", "a text cannot begin with `", "put it in quotes"),
    ("mapping values", "there is no key here for this colon", "look at the indentation, or use quotes"),
    ("<block end>", "this does not belong to what comes before", "look at the indentation"),
    ("expected ',' or", "a bracket is not closed, or a comma is missing", ""),
    ("the node content", "a value is missing", ""),
    ("unexpected end of stream", "a quote is not closed", ""),
    ("document separator", "a quote is not closed", ""),
    ("unknown escape", "an escape in this text is not known", "use ' quotes, or double the backslash"),
    ("expected '<document start>'", "this follows what is at its end", ""),
)
"""What PyYAML says, and what is said here."""


@dataclass(frozen=True, slots=True)
class Item:
    """A value of the file and the line, from 1, where it begins."""

    value: Value
    line: int

    def plain(self) -> Any:
        """Return the value as plain data."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value


Value: TypeAlias = str | int | float | bool | list[Item] | dict[str, Item] | None


def parse(text: str) -> Item:
    """Return the value that a text is.

    Raises:
        InvalidInput: its `line` fact says where.
    """
    # Here and not above: the engine does without until a sequence is read.
    from yaml import MarkedYAMLError
    from yaml.reader import ReaderError

    if len(text) > CHARS_MAX:
        _wrong(1, f"the file has {len(text)} characters; at most {CHARS_MAX} are read")
    try:
        return _Reader(text).document()
    except MarkedYAMLError as error:
        _explain(error)
    except ReaderError as error:
        _wrong(text.count("\n", 0, error.position) + 1, f"there is a character {error.character:#x}")


def _wrong(line: int, reason: str, hint: str = "") -> NoReturn:
    raise InvalidInput(reason, hint=hint, line=line)


def _explain(error: MarkedYAMLError) -> NoReturn:
    problem, mark = str(error.problem), error.problem_mark or error.context_mark
    if error.context_mark is not None and ("expected ','" in problem or "quoted" in str(error.context)):
        mark = error.context_mark  # where it opens: its end is where it was not found
    line = mark.line + 1 if mark is not None else 1
    for part, reason, hint in _REASONS:
        if part in problem:
            _wrong(line, reason, hint)
    _wrong(line, f"{problem} ({error.context})" if error.context else problem)


class _Reader:
    """Makes values of PyYAML's events, one ahead, so that a depth is refused before all of it is read."""

    def __init__(self, text: str) -> None:
        import yaml

        self._yaml = yaml
        # The parser in Python: PyYAML's other one tells of faults in other words, and is not everywhere.
        self._events: Iterator[Event] = yaml.parse(text, Loader=yaml.SafeLoader)

    def document(self) -> Item:
        next(self._events)
        start = next(self._events)
        if isinstance(start, self._yaml.StreamEndEvent):
            _wrong(1, "the file is empty")
        if isinstance(start, self._yaml.DocumentStartEvent) and (start.version or start.tags):
            _wrong(_line(start), "there are no directives in a sequence")
        made = self._value(next(self._events), 1)
        next(self._events)
        behind = next(self._events)
        if not isinstance(behind, self._yaml.StreamEndEvent):
            _wrong(_line(behind), "one file is one document")
        return made

    def _value(self, event: Event, depth: int) -> Item:
        if isinstance(event, self._yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            _wrong(
                _line(event),
                "there are no anchors in a sequence",
                "put a text that begins with & or * in quotes",
            )
        if getattr(event, "tag", None) is not None:
            _wrong(_line(event), "there are no tags in a sequence", "put a text that begins with ! in quotes")
        if depth > DEPTH_MAX:
            _wrong(_line(event), f"this is more than {DEPTH_MAX} levels deep")
        if isinstance(event, self._yaml.SequenceStartEvent):
            return Item(self._list(depth), _line(event))
        if isinstance(event, self._yaml.MappingStartEvent):
            return Item(self._dict(depth), _line(event))
        assert isinstance(event, self._yaml.ScalarEvent)
        return Item(_scalar(event), _line(event))

    def _list(self, depth: int) -> list[Item]:
        items: list[Item] = []
        while not isinstance(event := next(self._events), self._yaml.SequenceEndEvent):
            items.append(self._value(event, depth + 1))
        return items

    def _dict(self, depth: int) -> dict[str, Item]:
        found: dict[str, Item] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), self._yaml.MappingEndEvent):
            key = self._key(event)
            if key in found:
                _wrong(_line(event), f"{key} is there twice", f"first in line {lines[key]}")
            lines[key] = _line(event)
            found[key] = self._value(next(self._events), depth + 1)
        return found

    def _key(self, event: Event) -> str:
        if not isinstance(event, self._yaml.ScalarEvent) or event.anchor or event.tag:
            _wrong(_line(event), "a key is a text")
        if event.style is None and not isinstance(_plain(event.value), str):
            _wrong(_line(event), f"the key {event.value} is no text", "put it in quotes")
        return str(event.value)


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1


def _scalar(event: ScalarEvent) -> Value:
    text = str(event.value)
    if event.style is not None:
        return text
    value = _plain(text)
    if isinstance(value, float) and not math.isfinite(value):
        _wrong(_line(event), f"{text[:40]} is too large")
    if text not in _WORDS and (_WORDLIKE.fullmatch(text) or _NUMBERLIKE.fullmatch(text)):
        reason = f"{text} means different things to different readers"
        _wrong(_line(event), reason, f'write "{text}", true or false, or a plain number')
    return value


def _plain(text: str) -> Value:
    """Return what a scalar without quotes stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) <= DIGITS_MAX:
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
