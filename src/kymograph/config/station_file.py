"""The station file: TOML, checked whole before anything starts.

[station]
name = "roof"
data = "roof-data"            # folder, relative to where kymograph is started

[web]
host = "127.0.0.1"            # a wider bind needs keys, or open = true
port = 8000
faces = ["lidar"]

[recording]
format = "parquet"            # what a recording is sealed in unless a face or a caller asks otherwise
segment_interval_s = 60
flush_interval_s = 1.0        # at most this much is lost to a power cut
after_crash = "close"         # or "continue"

[instruments.lidar]
driver = "ydlidar"
port = "serial:///dev/ttyUSB0"    # serial://auto, tcp://host:port, sim://ydlidar?model=X4
start = true                      # acquire from the start

[instruments.lidar.options]       # the driver's own
model = "X4"

[environment]                     # variables that, when set, count more than this file; `--set` counts most
API_PORT = "web.port"
SERIAL_PORT = "instruments.lidar.port"
SERIAL_BAUD = "instruments.lidar.port?baud"     # one parameter of that address
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

from pydantic import ValidationError

from kymograph.config.tables import Config, ControlTable, Override
from kymograph.model.errors import ConfigError


def _set(data: dict[str, Any], path: str, text: str, by: str) -> None:
    """Set `a.b.c` in nested tables to a TOML value; text that is no TOML value is taken as a string."""
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        value = text
    table, last = _table_of(data, path, by)
    table[last] = value


def _set_parameter(data: dict[str, Any], path: str, parameter: str, text: str, by: str) -> None:
    """Set one parameter of the address at `a.b.c`: `serial:///dev/ttyS0?baud=9600`."""
    table, last = _table_of(data, path, by)
    address = table.get(last)
    if not isinstance(address, str) or not address:
        raise ConfigError(f"{by}: {path} has no address to set {parameter} in")
    place, _, query = address.partition("?")
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    table[last] = f"{place}?{urlencode({**parameters, parameter: text}, safe='/:')}"


def _table_of(data: dict[str, Any], path: str, by: str) -> tuple[dict[str, Any], str]:
    *parents, last = path.split(".")
    table = data
    for parent in parents:
        inner: Any = table.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{by}: {parent} is not a table")
        table = cast("dict[str, Any]", inner)
    return table, last


def _override(data: dict[str, Any], environ: Mapping[str, str]) -> tuple[Override, ...]:
    """Lay what the environment says over a file's tables; addresses first, then their parameters."""
    try:
        asked = Config.model_validate({"environment": data.get("environment", {})}).environment
    except ValidationError:
        return ()  # `parse` says what is wrong with it
    found = [
        Override(variable, key, environ[variable]) for variable, key in asked.items() if environ.get(variable)
    ]
    for one in sorted(found, key=lambda one: "?" in one.key):
        path, _, parameter = one.key.partition("?")
        by = f"the environment variable {one.variable}"
        if parameter:
            _set_parameter(data, path, parameter, one.text, by)
        else:
            _set(data, path, one.text, by)
    return tuple(found)


def parse(data: Mapping[str, Any]) -> Config:
    """Check a station file's tables, down to each driver's options.

    Raises:
        ConfigError: with the key and what is wrong with it.
    """
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where}: {first['msg']}", given=repr(first.get("input"))[:80]) from None
    for name in config.instruments:
        try:
            config.driver_options(name)
        except ConfigError as error:
            raise ConfigError(f"instruments.{name}: {error.message}", hint=error.hint) from None
    return config


def load(path: Path, settings: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> Config:
    """Read a station file, lay over it what the environment says, and then `key=value` settings.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or is not a station.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}", hint="give the path of a station file"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    control = data.setdefault("control", {})
    if isinstance(control, dict):
        folder = cast("dict[str, Any]", control).get("sequences", ControlTable().sequences)
        cast("dict[str, Any]", control)["sequences"] = str(path.parent / str(folder))
    overrides = _override(data, environ)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {setting}: not of the form key=value", hint="for example web.port=8080")
        _set(data, key, value, f"--set {key}")
        overrides = tuple(one for one in overrides if one.key.partition("?")[0] != key)
    try:
        config = parse(data)
    except ConfigError as error:
        blamed = [one for one in overrides if _is_about(error.message, one.key)]
        if not blamed:
            raise
        names = ", ".join(one.variable for one in blamed)
        hint = f"it was set by {names} in the environment"
        raise ConfigError(
            error.message, hint=f"{hint}; {error.hint}" if error.hint else hint, **error.facts
        ) from None
    return config.overridden_by(overrides)


def _is_about(message: str, key: str) -> bool:
    """Return whether an error of `parse` speaks of a key, or of the table that it is in."""
    where, path = message.partition(":")[0], key.partition("?")[0]
    if path.startswith(f"{where}."):
        return path.rpartition(".")[2] in message
    return path == where or where.startswith(f"{path}.")
