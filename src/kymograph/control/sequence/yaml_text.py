"""A strict part of YAML, with the line of every value.

Read are block mappings and sequences, `[...]` and `{...}` on one line, quoted and plain scalars, comments.
What a person and two YAML readers could understand differently is refused: `yes` and `on`, numbers with
leading zeros (octal to some), tabs, keys that come twice; and so are anchors, tags and several documents.
Every text that is read here means the same to any reader of YAML 1.2.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

from kymograph.model.errors import InvalidInput

CHARS_MAX: Final = 262_144
"""Characters of one file; a sequence is for people to read."""
DEPTH_MAX: Final = 32
"""Levels of one file."""

_KEY: Final = re.compile(r"""([A-Za-z_][\w.-]*|"[^"\\]*"|'[^']*')[ ]*:(?=[ ]|$)""")
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_DOUBTFUL: Final = re.compile(
    r"(?i:y|n|yes|no|on|off)|[-+]?0[0-9_xob].*|[-+]?[0-9][0-9_]*(:[0-9]+)+|[-+]?\.(inf|nan)"
)
_QUOTED: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\"""")
_OPENS: Final = ("", ":", "-", "[", "{", ",")
_WORDS: Final = {"true": True, "false": False, "null": None, "~": None}


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


class _Line(NamedTuple):
    indent: int
    text: str
    number: int


def parse(text: str) -> Item:
    """Return the value that a text is.

    Raises:
        InvalidInput: its `line` fact says where.
    """
    if len(text) > CHARS_MAX:
        _wrong(1, f"the file has {len(text)} characters; at most {CHARS_MAX} are read")
    lines = [line for line in map(_line, range(1, CHARS_MAX), text.splitlines()) if line.text]
    if not lines:
        _wrong(1, "the file is empty")
    reader = _Blocks(lines)
    made = reader.block(lines[0].indent, 1)
    reader.end()
    return made


def _wrong(line: int, reason: str, hint: str = "") -> NoReturn:
    raise InvalidInput(reason, hint=hint, line=line)


def _line(number: int, raw: str) -> _Line:
    text = _without_comment(raw.rstrip())
    body = text.lstrip(" ")
    if body.startswith("\t") or "\t" in text:
        _wrong(number, "there is a tab", "use spaces")
    if body.startswith(("---", "...", "%")):
        _wrong(number, "one file is one document; there are no directives")
    return _Line(len(text) - len(body), body, number)


def _without_comment(text: str) -> str:
    at, before = 0, ""
    while at < len(text):
        if text[at] in "\"'" and before in _OPENS:
            quoted = _QUOTED.match(text, at)
            if quoted is None:
                return text  # what is not closed is told of where it is read
            at = quoted.end()
            before = '"'
            continue
        if text[at] == "#" and text[at - 1 : at] in ("", " "):
            return text[:at].rstrip()
        before = text[at] if text[at] != " " else before
        at += 1
    return text


class _Blocks:
    def __init__(self, lines: list[_Line]) -> None:
        self._lines = lines
        self._at = 0

    def _now(self) -> _Line | None:
        return self._lines[self._at] if self._at < len(self._lines) else None

    def end(self) -> None:
        line = self._now()
        if line is not None:
            _wrong(line.number, "this does not belong to what comes before: look at the indentation")

    def block(self, indent: int, depth: int) -> Item:
        line = self._lines[self._at]
        if depth > DEPTH_MAX:
            _wrong(line.number, f"this is more than {DEPTH_MAX} levels deep")
        if _is_entry(line.text):
            return self._sequence(indent, depth)
        if _KEY.match(line.text):
            return self._mapping(indent, depth)
        self._at += 1
        self._no_more(indent)
        return _scalar_or_flow(line.text, line.number)

    def _sequence(self, indent: int, depth: int) -> Item:
        first, items = self._lines[self._at].number, list[Item]()
        while (line := self._now()) is not None and line.indent == indent and _is_entry(line.text):
            rest = line.text[1:].lstrip(" ")
            if not rest:
                self._at += 1
                items.append(self._nested(line, indent, depth))
            elif _is_entry(rest) or _KEY.match(rest):
                inner = indent + len(line.text) - len(rest)
                self._lines[self._at] = _Line(inner, rest, line.number)
                items.append(self.block(inner, depth + 1))
            else:
                self._at += 1
                items.append(_scalar_or_flow(rest, line.number))
                self._no_more(indent)
        self._no_more(indent)
        return Item(items, first)

    def _mapping(self, indent: int, depth: int) -> Item:
        first, found = self._lines[self._at].number, dict[str, Item]()
        while (line := self._now()) is not None and line.indent == indent and not _is_entry(line.text):
            match = _KEY.match(line.text)
            if match is None:
                _wrong(line.number, f"{line.text!r} is no key with a value", "write key: value")
            key, rest = match[1].strip("\"'"), line.text[match.end() :].strip()
            if key in found:
                _wrong(line.number, f"{key} is there twice", f"first in line {found[key].line}")
            self._at += 1
            if rest:
                found[key] = _scalar_or_flow(rest, line.number)
                self._no_more(indent)
            else:
                found[key] = self._nested(line, indent, depth, entries=True)
        self._no_more(indent)
        return Item(found, first)

    def _nested(self, above: _Line, indent: int, depth: int, entries: bool = False) -> Item:
        """Return what stands below a line that ends where its value would begin."""
        line = self._now()
        if line is not None and (
            line.indent > indent or (entries and line.indent == indent and _is_entry(line.text))
        ):
            return self.block(line.indent, depth + 1)
        return Item(None, above.number)

    def _no_more(self, indent: int) -> None:
        line = self._now()
        if line is not None and line.indent > indent:
            _wrong(line.number, "this is indented further than what it follows", "a text stands on one line")


def _is_entry(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _scalar_or_flow(text: str, line: int) -> Item:
    flow = _Flow(text, line)
    if text[0] not in "[{\"'":
        return Item(_plain(text, line), line)
    made = flow.value(1)
    flow.end()
    return made


def _plain(text: str, line: int) -> Value:
    """Return what a scalar without quotes stands for."""
    if text[0] in "&*!|>%@`]},?" or text == "-":
        _wrong(line, f"a text cannot begin with {text[0]}", "put it in quotes")
    if ": " in text or " #" in text or text.endswith(":"):
        _wrong(line, f"{text!r} can be read in two ways", "put it in quotes")
    if text in _WORDS:
        return _WORDS[text]
    if _DOUBTFUL.fullmatch(text) or text.lower() in _WORDS:
        _wrong(
            line,
            f"{text} means different things to different readers",
            f'write "{text}", true or false, or a plain number',
        )
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and any(char.isdigit() for char in text):
        number = float(text)
        if not math.isfinite(number):
            _wrong(line, f"{text} is too large")
        return number
    return text


class _Flow:
    """`[1, 2]`, `{a: 1}` and quoted texts, all on one line."""

    def __init__(self, text: str, line: int) -> None:
        self._text, self._line, self._at = text, line, 0

    def _peek(self) -> str:
        while self._text[self._at : self._at + 1] == " ":
            self._at += 1
        return self._text[self._at : self._at + 1]

    def end(self) -> None:
        if self._peek():
            _wrong(self._line, f"{self._text[self._at :]!r} follows a value that is at its end")

    def value(self, depth: int) -> Item:
        if depth > DEPTH_MAX:
            _wrong(self._line, f"this is more than {DEPTH_MAX} levels deep")
        match self._peek():
            case "[":
                return Item(self._list(depth), self._line)
            case "{":
                return Item(self._dict(depth), self._line)
            case "'" | '"':
                return Item(self._quoted(), self._line)
            case _:
                return Item(_plain(self._bare(), self._line), self._line)

    def _bare(self) -> str:
        start = self._at
        while self._at < len(self._text) and self._text[self._at] not in ",[]{}":
            if self._text[self._at] == ":" and self._text[self._at + 1 : self._at + 2] in ("", " "):
                break
            self._at += 1
        text = self._text[start : self._at].strip()
        if not text:
            _wrong(self._line, "a value is missing, or a bracket is not closed on its line")
        return text

    def _list(self, depth: int) -> list[Item]:
        items: list[Item] = []
        self._at += 1
        while self._peek() != "]":
            items.append(self.value(depth + 1))
            self._comma("]")
        self._at += 1
        return items

    def _dict(self, depth: int) -> dict[str, Item]:
        found: dict[str, Item] = {}
        self._at += 1
        while self._peek() != "}":
            key = self._quoted() if self._peek() in "\"'" else self._bare()
            if self._peek() != ":":
                _wrong(self._line, f"{key} has no value", "write {key: value}")
            self._at += 1
            if key in found:
                _wrong(self._line, f"{key} is there twice")
            found[key] = self.value(depth + 1)
            self._comma("}")
        self._at += 1
        return found

    def _comma(self, close: str) -> None:
        found = self._peek()
        if found == ",":
            self._at += 1
        elif found != close:
            _wrong(self._line, f"{close} is missing", "a list or a mapping in brackets stands on one line")

    def _quoted(self) -> str:
        single = re.compile(r"'((?:[^']|'')*)'").match(self._text, self._at)
        double = re.compile(r'"(?:[^"\\]|\\.)*"').match(self._text, self._at)
        if single:
            self._at = single.end()
            return single[1].replace("''", "'")
        if not double:
            _wrong(self._line, "a quote is not closed on its line")
        self._at = double.end()
        try:
            return str(json.loads(double[0]))
        except ValueError:
            _wrong(
                self._line,
                f"{double[0]} has an escape that is not known",
                "use ' quotes, or double the backslash",
            )
