"""The tables of the station file, as they are checked: one class a table, every key with its bounds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr

from kymograph.config.base import Name, Names, Table
from kymograph.config.dashboard import DashboardTable
from kymograph.config.keeping import DatabaseTable, ReadingsTable, RetentionTable
from kymograph.config.shipping import DestinationTable, HubTable
from kymograph.drivers import registry
from kymograph.drivers.base import DriverOptions
from kymograph.model import limits

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


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


class StationTable(Table):
    """`[station]`: who this is and where its data lives."""

    name: Name = "kymograph"
    data: Path = Path("kymograph-data")
    description: str = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lower)
    ] = "info"
    """How much engine, front and keeper say on standard error."""
    log_file: Path | None = None
    """A file that they say it to as well, relative to the data folder; put aside when it has grown."""


class WebTable(Table):
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


class RecordingTable(Table):
    """`[recording]`: how recordings are kept unless the caller says otherwise."""

    format: str = "parquet"
    segment_interval_s: float = Field(default=60.0, ge=limits.SEGMENT_INTERVAL_S_MIN, le=86_400)
    flush_interval_s: float = Field(
        default=1.0, ge=limits.FLUSH_INTERVAL_S_MIN, le=limits.FLUSH_INTERVAL_S_MAX
    )
    after_crash: Literal["close", "continue"] = "close"
    autostart: bool | Name = False
    """Record everything from the start of the station on; the recording's name, or true for the station's."""


class ControlTable(Table):
    """`[control]`: what it takes to move something."""

    armed: Names = ()
    """Actuators, as `instrument.actuator`, that must be armed right before they are moved."""
    sequences: Path = Path("sequences")
    """Folder of the station's own sequences, relative to the station file."""


class RingTable(Table):
    """`[ring]`: how much of each stream is held in memory to look back into."""

    seconds: float = Field(default=600.0, gt=0)
    """Of the nominal rate; an irregular stream holds `rows_min` rows."""
    bytes_max: int = Field(default=64 * 1024 * 1024, ge=4096)
    """Of one stream's ring, whatever `seconds` asks for."""
    rows_min: int = Field(default=4096, ge=16)


class InstrumentTable(Table):
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


class Config(Table):
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
    database: DatabaseTable = DatabaseTable()
    readings: ReadingsTable | None = None
    retention: RetentionTable = RetentionTable()
    destinations: dict[Name, DestinationTable] = Field(default_factory=dict)
    """`[destinations.NAME]`: where what is kept here is shipped to."""
    hub: HubTable | None = None
    dashboard: DashboardTable = DashboardTable()
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

    def overridden_by(self, overrides: tuple[Override, ...]) -> Config:
        """Note what the environment had changed, and return the same."""
        self._overrides = overrides
        return self

    @property
    def database_url(self) -> str:
        """Where readings and what is shipped of them are kept, as SQLAlchemy spells it."""
        return self.database.address(self.station.data)

    @property
    def keeps(self) -> bool:
        """Whether there is anything for a keeper to do beside engine and front."""
        return self.readings is not None or self.hub is not None or bool(self.destinations)

    def driver_options(self, instrument: str) -> DriverOptions:
        """Return the checked options of an instrument's driver."""
        table = self.instruments[instrument]
        return registry.parse_options(table.driver, table.options)
