"""Conditions and sums over channels, for interlocks, triggers and sequences; safe to take from a file.

The text is read once (`grammar`) and becomes closures. One expression can be asked for one moment
(`evaluate`) or for every row of a block at once (`evaluate_rows`). What is not known - no value, NaN, too
old, divided by zero - makes the whole answer unknown, whatever the rest says: `or` does not hide a sensor
that has died. `Unknown` is neither true nor false, so nobody can take it for "safe" by accident.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, NoReturn, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from kymograph.control.grammar import Comparison, Junction, Known, Name, Node, Number, Operation
from kymograph.control.grammar import is_condition as _is_condition
from kymograph.control.grammar import read as _read
from kymograph.control.operations import DISTANCE, MOMENT, ROWS, SUMS, SURE, Moment
from kymograph.model.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Unknown:
    """What cannot be said, and why."""

    reason: str

    def __bool__(self) -> NoReturn:
        raise TypeError(f"neither true nor false: {self.reason}")


Value: TypeAlias = float | str | Unknown | None
"""What a name may stand for: a number, one of its labels, or not known."""
Floats: TypeAlias = npt.NDArray[np.float64]
_Run: TypeAlias = Callable[[Mapping[str, Any]], Any]


def _build(node: Node, on: Moment, easier: float) -> _Run:
    """Return a node as a closure; comparisons hold earlier by `easier`, in the unit of what they compare."""
    match node:
        case Number(value):
            return lambda values: value
        case Name(name):
            return lambda values: values[name]
        case Operation(what, operands):
            return _operation(what, [_build(part, on, easier) for part in operands], on)
        case Comparison(what, left, right):
            return _comparison(node, _build(left, on, easier), _build(right, on, easier), on, easier)
        case Junction("not", (part,)):
            inner = _build(part, on, -easier)
            return lambda values: on.inverse(inner(values))
        case Junction(what, parts):
            join = on.both if what == "and" else on.either
            runs = [_build(part, on, easier) for part in parts]
            return lambda values: reduce(join, [run(values) for run in runs])


def _operation(what: str, runs: list[_Run], on: Moment) -> _Run:
    first = runs[0]
    match what:
        case "neg":
            return lambda values: -first(values)
        case "abs":
            return lambda values: abs(first(values))
        case "min" | "max":
            choose = on.least if what == "min" else on.greatest
            return lambda values: reduce(choose, [run(values) for run in runs])
        case _:
            second, join = runs[1], on.sums[what]
            return lambda values: join(first(values), second(values))


def _comparison(node: Comparison, left: _Run, right: _Run, on: Moment, easier: float) -> _Run:
    test = on.test(node.what)
    if easier == 0.0 or node.what in ("==", "!="):
        return lambda values: test(left(values), right(values))
    shift = -easier if node.what in (">", ">=") else easier
    return lambda values: test(left(values), right(values) + shift)


def _names(node: Node) -> Iterable[str]:
    match node:
        case Name(name):
            yield name
        case Comparison():
            yield from _names(node.left)
            yield from _names(node.right)
        case Operation(_, parts) | Junction(_, parts):
            for part in parts:
                yield from _names(part)
        case Number():
            pass


def _sums(node: Node) -> bool:
    """Return whether there is a sum in it, of which known values may make something unknown."""
    match node:
        case Comparison():
            return _sums(node.left) or _sums(node.right)
        case Operation(what, parts):
            return what in SUMS or any(_sums(part) for part in parts)
        case Junction(_, parts):
            return any(_sums(part) for part in parts)
        case _:
            return False


def _comparisons(node: Node) -> Iterable[Comparison]:
    match node:
        case Comparison():
            yield node
        case Junction(_, parts):
            for part in parts:
                yield from _comparisons(part)
        case _:
            pass


class Expression:
    """A checked expression. Made by `compile`; it has no state, and any thread may ask it."""

    def __init__(self, text: str, tree: Node, known: Mapping[str, Known], easier: float = 0.0) -> None:
        self.text = text
        self.names: tuple[str, ...] = tuple(dict.fromkeys(_names(tree)))
        """The names it uses, each once, in the order of the text."""
        self.is_condition = _is_condition(tree)
        """Whether it is true or false; otherwise it is a number."""
        self._tree = tree
        self._known = {name: known[name] for name in self.names}
        self._moment = _build(tree, MOMENT, easier)
        self._rows = _build(tree, ROWS, easier)
        self._sure = None if _sums(tree) else _build(tree, SURE, easier)
        self._distance = _build(tree, DISTANCE, 0.0)

    def evaluate(self, values: Mapping[str, Value]) -> float | bool | Unknown:
        """Return what it is with these values: a bool of a condition, else a number.

        Unknown if any of its names has no value, or NaN, or the sum has no result.
        """
        found: dict[str, float] = {}
        for name in self.names:
            value = self._number(name, values.get(name))
            if isinstance(value, Unknown):
                return value
            found[name] = value
        made = self._moment(found)
        if made != made:
            return Unknown(f"{self.text} has no result with {self._told(found)}")
        return bool(made) if self.is_condition else float(made)

    def evaluate_rows(self, columns: Mapping[str, Floats | Value]) -> Floats:
        """Return what it is in each row: 1 or 0 of a condition, else a number, and NaN where not known.

        `columns` has for each name an array of float64, or one value for all rows. Infinities count as not
        known.
        """
        clean = {name: self._column(name, columns.get(name)) for name in self.names}
        with np.errstate(all="ignore"):
            return np.asarray(self._rows(clean), np.float64)

    def truth_rows(self, columns: Mapping[str, Floats | Value], sure: bool) -> npt.NDArray[np.int8]:
        """Return 1 in each row where a condition holds, 0 where not, 2 where that is not known.

        `sure` says that all values are finite numbers, which spares looking.
        """
        if sure and self._sure is not None:
            return np.asarray(self._sure(columns), np.bool_).view(np.int8)
        held = self.evaluate_rows(columns)
        return np.where(np.isnan(held), 2, held).astype(np.int8)

    def eased(self, by: float) -> Expression:
        """Return the same condition whose comparisons hold `by` earlier: `x > 35` eased by 2 is `x > 33`.

        That is a hysteresis: what held stays held until `x` is below 33.

        Raises:
            InvalidInput: it compares several channels, so that `by` has no clear unit.
        """
        if len(self.names) != 1:
            raise InvalidInput(
                f"a hysteresis is of one channel; {self.text} has {len(self.names)}", hint="use clear instead"
            )
        return Expression(self.text, self._tree, self._known, by)

    def distance(self, values: Mapping[str, Value]) -> float | None:
        """Return how far a condition is from changing, positive while it holds, in its channel's unit.

        None where that is no one number: not known, several channels, `==`.
        """
        if not self.is_condition or len(self.names) != 1:
            return None
        value = self._number(self.names[0], values.get(self.names[0]))
        if isinstance(value, Unknown):
            return None
        made = self._distance({self.names[0]: value})
        return None if made != made else float(made)

    def explain(self, values: Mapping[str, Value]) -> str:
        """Say what is compared, as it stands: `stand.P1 is 36.2 bar, 1.2 bar above 35`."""
        told: dict[str, list[str]] = {}
        for comparison in _comparisons(self._tree):
            subject, facts = self._explain(comparison, values)
            told.setdefault(subject, []).append(facts)
        parts = [f"{subject}, {' and '.join(facts)}".rstrip(", ") for subject, facts in told.items()]
        return "; ".join(parts) or f"{self.text} is {_short(self.evaluate(values))}"

    def _explain(self, comparison: Comparison, values: Mapping[str, Value]) -> tuple[str, str]:
        """Return `stand.P1 is 36.2 bar` and `1.2 bar above 35`."""
        sides = (comparison.left, comparison.right)
        written = comparison.text
        if isinstance(comparison.left, Number):
            sides, written = sides[::-1], written[::-1]
        subject, limit = (self._side(side, values) for side in sides)
        unit = self._known[sides[0].name].unit if isinstance(sides[0], Name) else ""
        unit = f" {unit}" if unit else ""
        if isinstance(subject, Unknown):
            return f"{written[0]} is not known: {subject.reason}", ""
        if isinstance(sides[1], Number) and sides[1].label:
            return f"{written[0]} is {self._label(sides[0], subject)}", f"not {sides[1].label}" * (
                subject != sides[1].value
            )
        here = f"{written[0]} is {_short(subject)}{unit}"
        if isinstance(limit, Unknown):
            return here, f"and {written[1]} is not known: {limit.reason}"
        named = _short(limit) if isinstance(sides[1], Number) else f"{written[1]} ({_short(limit)})"
        if subject == limit:
            return here, f"just at {named}"
        where = "above" if subject > limit else "below"
        return here, f"{_short(abs(subject - limit))}{unit} {where} {named}"

    def _side(self, node: Node, values: Mapping[str, Value]) -> float | Unknown:
        part = Expression("", node, self._known).evaluate(values)
        return part if isinstance(part, Unknown) else float(part)

    def _label(self, node: Node, value: float) -> str:
        labels = self._known[node.name].labels if isinstance(node, Name) else ()
        return labels[int(value)] if value in range(len(labels)) else _short(value)

    def _number(self, name: str, value: Value) -> float | Unknown:
        """Return a value as a finite float; a label is the number it stands for."""
        if isinstance(value, Unknown):
            return value
        if value is None:
            return Unknown(f"{name} has no value")
        if isinstance(value, str):
            labels = self._known[name].labels
            return float(labels.index(value)) if value in labels else Unknown(f'{name} is "{value}"')
        number = float(value)
        return number if math.isfinite(number) else Unknown(f"{name} is not a number")

    def _column(self, name: str, given: Floats | Value) -> Floats | float:
        if isinstance(given, np.ndarray):
            return given if np.isfinite(given).all() else np.where(np.isfinite(given), given, math.nan)
        value = self._number(name, given)
        return math.nan if isinstance(value, Unknown) else value

    def _told(self, values: Mapping[str, float]) -> str:
        return ", ".join(f"{name} = {_short(value)}" for name, value in values.items())

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def _short(value: float | bool | Unknown) -> str:
    if isinstance(value, Unknown):
        return f"not known: {value.reason}"
    return str(value).lower() if isinstance(value, bool) else f"{value + 0.0:.6g}"  # never "-0"


def compile(text: str, known_names: Mapping[str, Known] | Iterable[str]) -> Expression:
    """Read an expression whose names are all of `known_names`, with their units and labels if given.

    Raises:
        InvalidInput: with the column and what may have been meant.
    """
    known = {name: Known() for name in known_names}
    if isinstance(known_names, Mapping):
        known.update(cast("Mapping[str, Known]", known_names))
    return Expression(text, _read(text, known), known)


def compile_condition(text: str, known_names: Mapping[str, Known] | Iterable[str]) -> Expression:
    """Read an expression that is true or false, and that looks at something.

    Raises:
        InvalidInput: also if it is a number, or the same whatever happens.
    """
    made = compile(text, known_names)
    if not made.is_condition:
        raise InvalidInput(f"{text} is a number", hint="a condition compares something: stand.P1 > 35")
    if not made.names:
        raise InvalidInput(f"{text} is the same whatever happens", hint="a condition names a channel")
    return made
