"""A part of the service across the link: its methods, as its contract names them, each a call."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

Part = TypeVar("Part")


def methods(part: type) -> frozenset[str]:
    """Return the names of what can be called of a part of the contract."""
    return frozenset(name for name, _ in inspect.getmembers(part, inspect.isfunction) if name[0] != "_")


def remote(part: type[Part], prefix: str, call: Callable[..., Any]) -> Part:
    """Return what looks like this part of the contract; `call(method, **arguments)` carries out each method.

    Methods are called `prefix.name` on the link.
    """
    return cast("Part", _Remote(part, prefix, call))


class _Remote:
    def __init__(self, part: type, prefix: str, call: Callable[..., Any]) -> None:
        for name in methods(part):
            signature = inspect.signature(getattr(part, name))
            setattr(self, name, partial(_carry, f"{prefix}.{name}", signature, call))


def _carry(
    method: str, signature: inspect.Signature, call: Callable[..., Any], /, *given: Any, **named: Any
) -> Any:
    arguments = signature.bind(None, *given, **named).arguments
    del arguments["self"]
    return call(method, **arguments)
