"""What a station has that a sequence may name: instruments, their commands, channels."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from kymograph.control.freshness import names_of
from kymograph.control.grammar import Known
from kymograph.drivers.base import Driver
from kymograph.model.channel import Stream
from kymograph.model.errors import InvalidInput

Check: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Raises InvalidInput if a command cannot have these arguments."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The commands of each instrument, and the names that conditions may use."""

    commands: Mapping[str, Mapping[str, Check]]
    names: Mapping[str, Known] = field(default_factory=dict[str, Known])

    def check(self, instrument: str, command: str, arguments: Mapping[str, Any]) -> None:
        """Check one command.

        Raises:
            InvalidInput: there is no such instrument or command, or the arguments do not fit.
        """
        known = self.commands.get(instrument)
        if known is None:
            raise InvalidInput(f"there is no instrument {instrument}", hint=_meant(instrument, self.commands))
        if command not in known:
            raise InvalidInput(f"{instrument} has no command {command}", hint=_meant(command, known))
        known[command](arguments)


def catalogue_of(drivers: Mapping[str, type[Driver[Any]]], streams: Iterable[Stream]) -> Catalogue:
    """Return what instruments of these drivers (by instrument name) and these streams offer."""
    commands = {
        instrument: {name: checker(name, method) for name, method in driver.commands().items()}
        for instrument, driver in drivers.items()
    }
    return Catalogue(commands, names_of(streams))


def checker(name: str, method: Callable[..., Any]) -> Check:
    """Return what checks arguments against a command's annotations, as the driver will."""
    signature = inspect.signature(method)
    hints = inspect.get_annotations(method, eval_str=True)
    adapters = {key: TypeAdapter[Any](hints.get(key, Any)) for key in signature.parameters}

    def check(arguments: Mapping[str, Any]) -> None:
        try:
            bound = signature.bind(None, **arguments)
        except TypeError as error:
            raise InvalidInput(f"{name}: {error}") from None
        for key, value in list(bound.arguments.items())[1:]:
            try:
                adapters[key].validate_python(value)
            except ValidationError as error:
                raise InvalidInput(f"{name}: {key}: {error.errors()[0]['msg']}") from None

    return check


def _meant(wrong: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(wrong, known, 1)
    return f"{close[0]}?" if close else f"there are: {', '.join(sorted(known)) or 'none'}"
