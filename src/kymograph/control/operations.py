"""What the operators of an expression do: to floats, to arrays of rows, and to distances.

Truth is a number inside: 1 is true, 0 is false and NaN is not known. Then `and` is a product, NaN goes
through everything, and the same arithmetic serves one moment and a whole block.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

_NAN: Final = math.nan
_TESTS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


def _divide(a: Any, b: Any) -> Any:
    return a / b


SUMS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": _divide,
}  # fmt: skip


class Moment:
    """Operations on floats."""

    sums: Mapping[str, Callable[[Any, Any], Any]]

    def __init__(self) -> None:
        self.sums = {sign: self._sum(function) for sign, function in SUMS.items()}

    @staticmethod
    def _sum(function: Callable[[float, float], float]) -> Callable[[float, float], float]:
        def run(a: float, b: float) -> float:
            try:
                made = function(a, b)
            except ZeroDivisionError:
                return _NAN
            return made if math.isfinite(made) else _NAN

        return run

    def test(self, what: str) -> Callable[[Any, Any], Any]:
        function = _TESTS[what]
        return lambda a, b: _NAN if a != a or b != b else float(function(a, b))

    def least(self, a: Any, b: Any) -> Any:
        return _NAN if a != a or b != b else min(a, b)

    def greatest(self, a: Any, b: Any) -> Any:
        return _NAN if a != a or b != b else max(a, b)

    def both(self, a: Any, b: Any) -> Any:
        return a * b

    def either(self, a: Any, b: Any) -> Any:
        return a + b - a * b

    def inverse(self, a: Any) -> Any:
        return 1.0 - a


class Rows(Moment):
    """Operations on arrays of float64; a float stands for an array of it."""

    @staticmethod
    def _sum(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def run(a: Any, b: Any) -> Any:
            made = function(np.asarray(a, np.float64), b)
            return np.where(np.isfinite(made), made, _NAN)

        return run

    def test(self, what: str) -> Callable[[Any, Any], Any]:
        function = _TESTS[what]
        return lambda a, b: np.where(np.isnan(a) | np.isnan(b), _NAN, function(a, b))

    def least(self, a: Any, b: Any) -> Any:
        return np.minimum(a, b)

    def greatest(self, a: Any, b: Any) -> Any:
        return np.maximum(a, b)


class Sure(Rows):
    """Operations on arrays of which every value is known: truth is truth, which is much faster."""

    def test(self, what: str) -> Callable[[Any, Any], Any]:
        return _TESTS[what]

    def both(self, a: Any, b: Any) -> Any:
        return np.logical_and(a, b)

    def either(self, a: Any, b: Any) -> Any:
        return np.logical_or(a, b)

    def inverse(self, a: Any) -> Any:
        return np.logical_not(a)


class Distance(Moment):
    """How far a condition is from changing: positive while it holds."""

    def test(self, what: str) -> Callable[[Any, Any], Any]:
        if what in ("==", "!="):
            return lambda a, b: _NAN
        return (lambda a, b: a - b) if what in (">", ">=") else (lambda a, b: b - a)

    def both(self, a: Any, b: Any) -> Any:
        return self.least(a, b)

    def either(self, a: Any, b: Any) -> Any:
        return self.greatest(a, b)

    def inverse(self, a: Any) -> Any:
        return -a


MOMENT: Final = Moment()
ROWS: Final = Rows()
SURE: Final = Sure()
DISTANCE: Final = Distance()
