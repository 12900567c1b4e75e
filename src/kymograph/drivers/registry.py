"""Which drivers there are: ours by name, others' by the entry point group `kymograph.drivers`.

A driver is imported when an instrument uses it, never before.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final

from pydantic import ValidationError

from kymograph.drivers.base import Driver, DriverOptions
from kymograph.model.errors import ConfigError

OURS: Final = {
    "sine": "kymograph.drivers.sine:Sine",
    "ydlidar": "kymograph.drivers.ydlidar:YdLidar",
}
GROUP: Final = "kymograph.drivers"

AnyDriver = Driver[Any]


def names() -> list[str]:
    """Return the names of all drivers that can be configured."""
    return sorted({*OURS, *(point.name for point in entry_points(group=GROUP))})


def find(name: str) -> type[AnyDriver]:
    """Import a driver's class.

    Raises:
        ConfigError: no driver has that name.
    """
    target = OURS.get(name) or next((p.value for p in entry_points(group=GROUP) if p.name == name), None)
    if target is None:
        raise ConfigError(f"there is no driver called {name}", hint=f"drivers are: {', '.join(names())}")
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def parse_options(name: str, options: dict[str, Any]) -> DriverOptions:
    """Check the options of an instrument against its driver's.

    Raises:
        ConfigError: with the key and what is wrong with it.
    """
    try:
        return find(name).Options.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "options"
        raise ConfigError(
            f"driver {name}: {where}: {first['msg']}", given=repr(first.get("input"))[:80]
        ) from None
