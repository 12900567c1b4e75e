"""Quantities of the contract that the controller does not measure, made of channels that it does.

    [faces.teststand]
    p_chamber = "P5"
    deltap2 = "P3 - P4"
    kutlesel_debi = "oxygen_consumption + fuel_consumption"

A channel, or a sum and difference of channels: what more there is to compute is not physics of every stand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from kymograph.model.errors import ConfigError

QUANTITIES: Final = ("adiabatic_temperature", "p_chamber", "deltap2", "kutlesel_debi")
_NAME: Final = r"[A-Za-z_][A-Za-z0-9_.]*"
_FORMULA: Final = re.compile(rf"\s*{_NAME}(\s*[+-]\s*{_NAME})*\s*")
_TERM: Final = re.compile(rf"([+-]?)\s*({_NAME})")


class Term(NamedTuple):
    """A channel that is added, or taken away."""

    channel: str
    sign: int


def parse(text: str) -> tuple[Term, ...]:
    """Return the terms of a formula.

    Raises:
        ConfigError: it is none.
    """
    if not _FORMULA.fullmatch(text):
        raise ConfigError(
            f"{text!r} is no channel and no sum of channels", hint='such as "P5", "P3 - P4" or "D1 + D2"'
        )
    return tuple(Term(name, -1 if sign == "-" else 1) for sign, name in _TERM.findall(text))


@dataclass(frozen=True)
class Formulas:
    """What is made of what, by the quantity's name."""

    terms: Mapping[str, tuple[Term, ...]]

    @property
    def channels(self) -> set[str]:
        """All channels that are needed."""
        return {term.channel for terms in self.terms.values() for term in terms}

    def of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the quantities of one row, or of many as columns; none whose channels are not there."""
        made: dict[str, Any] = {}
        for name, terms in self.terms.items():
            if all(term.channel in values for term in terms):
                made[name] = sum(term.sign * np.asarray(values[term.channel], np.float64) for term in terms)
        return made


NO_FORMULAS: Final = Formulas({})
