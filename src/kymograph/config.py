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
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, cast
from urllib.parse import parse_qsl, urlencode

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
)

from kymograph.drivers import registry
from kymograph.drivers.base import DriverOptions
from kymograph.model import limits
from kymograph.model.errors import ConfigError, KymographError
from kymograph.model.names import safe_name


def _name(value: str) -> str:
    try:
        return safe_name(value)
    except KymographError as error:
        raise ValueError(str(error)) from None


Name = Annotated[str, AfterValidator(_name)]

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_KEY: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+(\?[a-z_]+)?", re.ASCII)


def _variable(name: str) -> str:
    if _VARIABLE.fullmatch(name) is None:
        raise ValueError("an environment variable has letters, digits and underscores")
    return name


def _key(key: str) -> str:
    if _KEY.fullmatch(key) is None or key.startswith("environment."):
        raise ValueError("not a key of the station file, such as web.port or instruments.NAME.port?baud")
    return key


def _address(port: str) -> str:
    """Return a port's address; a bare path is that of a serial device."""
    return f"serial://{port}" if port.startswith("/") else port


def _split(value: object) -> object:
    """Take text with commas for a list: an environment variable cannot be one."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StationTable(_Table):
    """`[station]`: who this is and where its data lives."""

    name: Name = "kymograph"
    data: Path = Path("kymograph-data")
    description: str = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lower)
    ] = "info"
    """How much engine and front say on standard error."""


class WebTable(_Table):
    """`[web]`: where the front listens, and to whom."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    open: bool = False
    """Let anyone who reaches a wide bind read and record without a key."""
    open_control: bool = False
    """With `open`, let them control actuators too."""
    origins: Names = ()
    """Further web origins whose pages may talk to this station."""
    hosts: Names = ()
    """Further names under which browsers reach this station."""
    faces: Names = ()
    enabled: bool = True
    """Whether to run a front at all."""


class RecordingTable(_Table):
    """`[recording]`: how recordings are kept unless the caller says otherwise."""

    format: str = "parquet"
    segment_interval_s: float = Field(default=60.0, ge=limits.SEGMENT_INTERVAL_S_MIN, le=86_400)
    flush_interval_s: float = Field(
        default=1.0, ge=limits.FLUSH_INTERVAL_S_MIN, le=limits.FLUSH_INTERVAL_S_MAX
    )
    after_crash: Literal["close", "continue"] = "close"
    autostart: bool | Name = False
    """Record everything from the start of the station on; the recording's name, or true for the station's."""


class ControlTable(_Table):
    """`[control]`: what it takes to move something."""

    armed: Names = ()
    """Actuators, as `instrument.actuator`, that must be armed right before they are moved."""
    sequences: Path = Path("sequences")
    """Folder of the station's own sequences, relative to the station file."""


class RingTable(_Table):
    """`[ring]`: how much of each stream is held in memory to look back into."""

    seconds: float = Field(default=600.0, gt=0)
    """Of the nominal rate; an irregular stream holds `rows_min` rows."""
    bytes_max: int = Field(default=64 * 1024 * 1024, ge=4096)
    """Of one stream's ring, whatever `seconds` asks for."""
    rows_min: int = Field(default=4096, ge=16)


class InstrumentTable(_Table):
    """`[instruments.NAME]`: one device."""

    driver: str
    port: Annotated[str, AfterValidator(_address)] = ""
    """An address of `drivers/ports.py`, or the path of a serial device."""
    start: bool = True
    """Acquire as soon as the station runs; otherwise the instrument waits, closed."""
    block_interval_s: float = Field(default=0.02, ge=0.001, le=1.0)
    """Rows are gathered for so long before they go on: shorter is fresher, longer is cheaper."""
    options: dict[str, Any] = Field(default_factory=dict)


class Override(NamedTuple):
    """One key that the environment sets."""

    variable: str
    key: str
    text: str


class Config(_Table):
    """A whole station file."""

    station: StationTable = StationTable()
    web: WebTable = WebTable()
    recording: RecordingTable = RecordingTable()
    ring: RingTable = RingTable()
    instruments: dict[Name, InstrumentTable] = Field(default_factory=dict)
    control: ControlTable = ControlTable()
    triggers: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    """`[triggers.NAME]`: what begins a recording by itself, checked by the engine's service."""
    interlocks: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    """`[interlocks.NAME]`, see `control/interlock.py`, which checks them."""
    faces: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """`[faces.NAME]`: what each face needs to know, checked by the face."""
    environment: dict[Annotated[str, AfterValidator(_variable)], Annotated[str, AfterValidator(_key)]] = (
        Field(default_factory=dict)
    )
    """`[environment]`: variable → the key it overrides when it is set and not empty."""
    _overrides: tuple[Override, ...] = PrivateAttr(default=())

    @property
    def overrides(self) -> tuple[Override, ...]:
        """What the environment had changed when the file was read; not known in the front."""
        return self._overrides

    def driver_options(self, instrument: str) -> DriverOptions:
        """Return the checked options of an instrument's driver."""
        table = self.instruments[instrument]
        return registry.parse_options(table.driver, table.options)


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
    config._overrides = overrides  # pyright: ignore[reportPrivateUsage] - it belongs to this module
    return config


def _is_about(message: str, key: str) -> bool:
    """Return whether an error of `parse` speaks of a key, or of the table that it is in."""
    where, path = message.partition(":")[0], key.partition("?")[0]
    if path.startswith(f"{where}."):
        return path.rpartition(".")[2] in message
    return path == where or where.startswith(f"{path}.")
