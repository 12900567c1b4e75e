"""Which drivers there are: ours by name, others' by the entry point group `kymograph.drivers`.

A driver is imported when an instrument uses it, never before.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final, cast

from pydantic import TypeAdapter, ValidationError

from kymograph.drivers.base import Driver, DriverOptions
from kymograph.model.errors import ConfigError

OURS: Final = {
    "arduino_stepper": "kymograph.drivers.arduino_stepper:ArduinoStepper",
    "bme280": "kymograph.drivers.bme280:Bme280",
    "cpu_temp": "kymograph.drivers.cpu_temp:CpuTemp",
    "disk_space": "kymograph.drivers.disk_space:DiskSpace",
    "qseries": "kymograph.drivers.qseries:QSeries",
    "sine": "kymograph.drivers.sine:Sine",
    "stm32": "kymograph.drivers.stm32:Stm32",
    "text_line": "kymograph.drivers.text_line:TextLine",
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


def describe_commands(driver: type[AnyDriver]) -> list[dict[str, Any]]:
    """Return `name description arguments` of each command, the arguments as a JSON schema."""
    described: list[dict[str, Any]] = []
    for name, method in driver.commands().items():
        schema = TypeAdapter[Any](cast("Any", method)).json_schema(mode="validation")
        properties = {key: value for key, value in schema.get("properties", {}).items() if key != "self"}
        required = [key for key in schema.get("required", []) if key != "self"]
        arguments = {"type": "object", "properties": properties, "required": required}
        text = inspect.cleandoc(method.__doc__ or "").split("\n\n")[0]
        described.append({"name": name, "description": text, "arguments": arguments})
    return described


def describe(name: str) -> dict[str, Any]:
    """Return `name description options_schema commands` of a driver."""
    driver = find(name)
    return {
        "name": name,
        "description": inspect.cleandoc(driver.__doc__ or "").split("\n\n")[0],
        "options_schema": driver.Options.model_json_schema(),
        "commands": describe_commands(driver),
    }


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
