"""The grammar of expressions: from text to a small tree in which every name is known.

Python's own parser reads the text; of what it finds, only the nodes named here are taken over, so there is
nothing in an expression that could call, import or look up anything.

    stand.P3 > 35 and stand.mode == "hot"        abs(stand.T1 - stand.T2) < 5
    10 <= stand.P1 <= 20                         channel("test-stand.P1") > max(stand.P2, 3)

Names that are no words of Python (`test-stand.P1`) are written `channel("test-stand.P1")`.
"""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from kymograph.model.errors import InvalidInput
from kymograph.model.limits import EXPRESSION_CHARS_MAX, EXPRESSION_DEPTH_MAX


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a name: its unit, and words for its values 0, 1, 2, … if it has them."""

    unit: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    """A number that was written, or that a label stands for."""

    value: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Name:
    """A value that is looked up."""

    name: str


@dataclass(frozen=True, slots=True)
class Operation:
    """`+ - * /` of two numbers, `neg` and `abs` of one, `min` and `max` of several."""

    what: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One pair of a comparison. `text` is how its sides were written."""

    what: str
    left: Node
    right: Node
    text: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Junction:
    """`and`, `or` of several conditions, `not` of one."""

    what: str
    parts: tuple[Node, ...]


Node: TypeAlias = Number | Name | Operation | Comparison | Junction

_ARITHMETIC: Final = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARISONS: Final = {
    ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_FUNCTIONS: Final = {"abs": (1, 1), "min": (2, 16), "max": (2, 16)}
_BLANKS: Final = str.maketrans("\t\r\n", "   ")


def is_condition(node: Node) -> bool:
    """Return whether a node is true or false, and not a number."""
    return isinstance(node, Comparison | Junction)


def read(text: str, known: Mapping[str, Known]) -> Node:
    """Return the checked tree of an expression.

    Raises:
        InvalidInput: with the column, counted from 1, and what may have been meant.
    """
    if len(text) > EXPRESSION_CHARS_MAX:
        raise InvalidInput(
            f"an expression of {len(text)} characters", hint=f"at most {EXPRESSION_CHARS_MAX} are read"
        )
    return _Reader(text, known).read()


class _Reader:
    def __init__(self, text: str, known: Mapping[str, Known]) -> None:
        self._text = text.translate(_BLANKS)
        self._source = self._text.lstrip()
        self._known = known

    def read(self) -> Node:
        if not self._source:
            raise InvalidInput("the expression is empty", hint='for example "stand.P1 > 35"')
        if "#" in self._source:
            # A comment would end with its line, and lines are joined: the rest would be lost in silence.
            raise self._wrong_at(self._text.index("#") + 1, "an expression has no comments")
        try:
            tree = ast.parse(self._source, mode="eval")
        except SyntaxError as error:
            column = (error.offset or len(self._source) + 1) + self._indent
            raise self._wrong_at(column, f"this is no expression: {error.msg}") from None
        except (ValueError, RecursionError, MemoryError):
            raise self._wrong_at(1, "this is no expression") from None
        return self._node(tree.body, 1)

    @property
    def _indent(self) -> int:
        return len(self._text) - len(self._source)

    def _wrong_at(self, column: int, message: str, hint: str = "", **facts: Any) -> InvalidInput:
        return InvalidInput(
            f"{message} (column {column})", hint=hint, column=column, expression=self._text, **facts
        )

    def _wrong(self, node: ast.expr, message: str, hint: str = "", **facts: Any) -> InvalidInput:
        before = self._source.encode()[: node.col_offset].decode("utf-8", "replace")
        return self._wrong_at(self._indent + len(before) + 1, message, hint, **facts)

    def _node(self, node: ast.expr, depth: int) -> Node:
        if depth > EXPRESSION_DEPTH_MAX:
            raise self._wrong(node, "the expression is too deep", f"at most {EXPRESSION_DEPTH_MAX} levels")
        match node:
            case ast.BoolOp():
                what = "and" if isinstance(node.op, ast.And) else "or"
                return Junction(what, tuple(self._condition(part, depth + 1) for part in node.values))
            case ast.UnaryOp(op=ast.Not()):
                return Junction("not", (self._condition(node.operand, depth + 1),))
            case ast.UnaryOp(op=ast.USub()):
                return Operation("neg", (self._number(node.operand, depth + 1),))
            case ast.BinOp():
                return self._arithmetic(node, depth)
            case ast.Compare():
                return self._comparison(node, depth)
            case ast.Call():
                return self._call(node, depth)
            case ast.Constant():
                return Number(self._constant(node))
            case ast.Name() | ast.Attribute():
                return self._name(node)
            case _:
                raise self._wrong(node, "this cannot be part of an expression", "see the guide to control")

    def _condition(self, node: ast.expr, depth: int) -> Node:
        made = self._node(node, depth)
        if not is_condition(made):
            written = ast.unparse(node)
            raise self._wrong(node, f"{written} is a number", f"compare it: {written} > 0")
        return made

    def _number(self, node: ast.expr, depth: int) -> Node:
        made = self._node(node, depth)
        if is_condition(made):
            raise self._wrong(node, "a number is needed here, and this is true or false")
        return made

    def _arithmetic(self, node: ast.BinOp, depth: int) -> Node:
        what = _ARITHMETIC.get(type(node.op))  # pyright: ignore[reportArgumentType] - of any operator
        if what is None:
            raise self._wrong(node, "this operator is not known", "there are + - * /")
        return Operation(what, (self._number(node.left, depth + 1), self._number(node.right, depth + 1)))

    def _comparison(self, node: ast.Compare, depth: int) -> Node:
        sides = [node.left, *node.comparators]
        pairs: list[Node] = []
        for op, left, right in zip(node.ops, sides, sides[1:], strict=False):
            what = _COMPARISONS.get(type(op))  # pyright: ignore[reportArgumentType] - of any operator
            if what is None:
                raise self._wrong(right, "this comparison is not known", "there are < <= > >= == !=")
            pairs.append(
                Comparison(
                    what,
                    self._side(left, right, what, depth + 1),
                    self._side(right, left, what, depth + 1),
                    (self._written(left), self._written(right)),
                )
            )
        return pairs[0] if len(pairs) == 1 else Junction("and", tuple(pairs))

    def _side(self, node: ast.expr, other: ast.expr, what: str, depth: int) -> Node:
        """Return one side of a comparison; a text on it is a label of the name on the other."""
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            return self._number(node, depth)
        named = self._node(other, depth) if not isinstance(other, ast.Constant) else None
        labels = self._known[named.name].labels if isinstance(named, Name) else ()
        if not labels or not isinstance(named, Name):
            raise self._wrong(
                node, f'"{node.value}" is compared with something that has no labels', "give a number"
            )
        if what not in ("==", "!="):
            raise self._wrong(node, f"labels are equal or not; {what} has no meaning", "use == or !=")
        if node.value not in labels:
            raise self._wrong(
                node, f'{named.name} is never "{node.value}"', _meant(node.value, labels), labels=list(labels)
            )
        return Number(float(labels.index(node.value)), node.value)

    def _written(self, node: ast.expr) -> str:
        return self._path(node) or ast.unparse(node)

    def _call(self, node: ast.Call, depth: int) -> Node:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise self._wrong(node, "this cannot be called", "there are abs, min, max and channel")
        what = node.func.id
        if what == "channel":
            return self._name(node)
        if what not in _FUNCTIONS:
            raise self._wrong(node, f"there is no function {what}", "there are abs, min, max and channel")
        low, high = _FUNCTIONS[what]
        if not low <= len(node.args) <= high:
            many = f"{low}" if low == high else f"{low} to {high}"
            raise self._wrong(node, f"{what} of {len(node.args)} values", f"it takes {many}")
        return Operation(what, tuple(self._number(operand, depth + 1) for operand in node.args))

    def _constant(self, node: ast.Constant) -> float:
        value = node.value
        if isinstance(value, str):
            raise self._wrong(node, "a text stands here alone", 'texts are compared: mode == "hot"')
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(node, f"{value!r} is no number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self._wrong(node, "this number is too large")
        return number

    def _path(self, node: ast.expr) -> str:
        """Return the dotted name that a node spells, or ""."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        match node:
            case ast.Name():
                return ".".join([node.id, *reversed(parts)])
            case ast.Call(func=ast.Name(id="channel"), args=[ast.Constant(value=str(name))], keywords=[]):
                return "" if parts else name
            case _:
                return ""

    def _name(self, node: ast.expr) -> Node:
        name = self._path(node)
        if not name:
            raise self._wrong(node, "this is no name", 'names are stream.channel, or channel("stream.name")')
        if name not in self._known:
            raise self._wrong(node, f"there is no {name}", self._meant(name), name=name)
        return Name(name)

    def _meant(self, name: str) -> str:
        hyphened = [known for known in self._known if known.startswith(f"{name}-")]
        if hyphened:
            return f'write channel("{hyphened[0]}")'
        return _meant(name, self._known)


def _meant(word: str, words: Mapping[str, Any] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, list(words), n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    some = sorted(words)[:12]
    return f"there are {', '.join(some)}{', …' if len(words) > len(some) else ''}" if some else ""
