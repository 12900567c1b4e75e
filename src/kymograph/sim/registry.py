"""Which devices can be simulated, and how a `sim://` address names one.

sim://ydlidar?model=X4&seed=1
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from kymograph.model.errors import ConfigError, InvalidInput
from kymograph.sim.device import Device

OURS: Final = {
    "arduino_stepper": "kymograph.sim.arduino_stepper:make",
    "bme280": "kymograph.sim.bme280:make",
    "qseries": "kymograph.sim.qseries:make",
    "stm32": "kymograph.sim.stm32:make",
    "text_line": "kymograph.sim.text_line:make",
    "ydlidar": "kymograph.sim.ydlidar:make",
}
"""By the name of the driver whose device it is."""


def names() -> list[str]:
    """Return the names of all simulators."""
    return sorted(OURS)


def parse_url(url: str) -> tuple[str, dict[str, str]]:
    """Take a `sim://` address apart into the simulator's name and its parameters.

    Raises:
        ConfigError: it is not such an address, or nothing of that name is simulated.
    """
    parts = urlsplit(url)
    if parts.scheme != "sim" or not parts.netloc:
        raise ConfigError(f"{url} is not a simulator", hint="write sim://ydlidar?model=X4")
    if parts.netloc not in OURS:
        raise ConfigError(f"there is no simulator {parts.netloc}", hint=f"there are: {', '.join(names())}")
    return parts.netloc, dict(parse_qsl(parts.query, keep_blank_values=True))


def make(name: str, parameters: Mapping[str, str]) -> Device:
    """Make a simulated device.

    Raises:
        ConfigError: no such simulator, or parameters that it does not understand.
    """
    if name not in OURS:
        raise ConfigError(f"there is no simulator {name}", hint=f"there are: {', '.join(names())}")
    module, _, attribute = OURS[name].partition(":")
    maker: Callable[[Mapping[str, str]], Device] = getattr(import_module(module), attribute)
    try:
        return maker(parameters)
    except InvalidInput as error:
        raise ConfigError(error.message, hint=error.hint) from None
