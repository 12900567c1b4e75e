"""What a station file would start, worked out before anything does: streams, link loads, memory, disk."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kymograph.model import limits
from kymograph.model.channel import Stream
from kymograph.model.errors import ConfigError

if TYPE_CHECKING:
    from kymograph.acquire.instrument import Instrument
    from kymograph.config import Config
    from kymograph.control.sequence.catalogue import Catalogue
    from kymograph.drivers.base import LinkLoad

ENGINE_BYTES: Final = 60_000_000
"""Resident bytes of the engine without its rings: its budget."""
FRONT_BYTES: Final = 150_000_000
"""Resident bytes of the front without its clients."""
KEEPER_BYTES: Final = 100_000_000
"""Resident bytes of the keeper, where there is one."""
WORKER_BYTES: Final = 200_000_000
"""Resident bytes of the worker that seals and exports, while it runs."""
_NO_DEVICE: Final = "serial:///dev/null"
"""Stands for a simulator's port, which exists only while the station runs; it is not opened."""


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One stream as the station will name it."""

    stream: Stream
    ring_rows: int
    ring_bytes: int

    @property
    def bytes_per_s(self) -> float:
        """Bytes of rows a second at the nominal rate; 0 where the stream has none."""
        return self.stream.row_nbytes * self.stream.rate_hz

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return {
            **self.stream.to_dict(), "bytes_per_s": self.bytes_per_s,
            "ring": {"rows": self.ring_rows, "bytes": self.ring_bytes},
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class InstrumentPlan:
    """One instrument, its streams, and what it puts on its link."""

    name: str
    driver: str
    port: str
    start: bool
    streams: tuple[StreamPlan, ...]
    load: LinkLoad | None

    @property
    def load_share(self) -> float | None:
        """Which part of what the link carries is taken."""
        return self.load and self.load.needed_bytes_per_s / max(self.load.carried_bytes_per_s, 1e-9)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        load = self.load and {
            "needed_bytes_per_s": self.load.needed_bytes_per_s,
            "carried_bytes_per_s": self.load.carried_bytes_per_s,
            "share": self.load_share,
            "arithmetic": self.load.arithmetic,
        }
        return {
            "name": self.name, "driver": self.driver, "port": self.port, "start": self.start,
            "simulated": self.port.startswith("sim://"), "link_load": load,
            "streams": [stream.to_dict() for stream in self.streams],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole station, before it starts."""

    config: Config
    instruments: tuple[InstrumentPlan, ...]

    @property
    def bytes_per_s(self) -> float:
        """Bytes of rows a second while everything acquires."""
        return sum(s.bytes_per_s for i in self.instruments for s in i.streams)

    def memory(self) -> Mapping[str, int]:
        """Return the parts of the memory in bytes, each at its bound, by what it is for."""
        recorder_queues = min(
            limits.RECORDER_QUEUE_BYTES_MAX * bool(self.instruments),
            int(self.bytes_per_s * 60) or limits.RECORDER_QUEUE_BYTES_MAX,
        )
        front = self.config.web.enabled
        return {
            "rings": sum(s.ring_bytes for i in self.instruments for s in i.streams),
            "recorder queue": recorder_queues,
            "link queue": limits.LINK_QUEUE_BYTES_MAX if front else 0,
            "engine": ENGINE_BYTES,
            "front": FRONT_BYTES if front else 0,
            "keeper": KEEPER_BYTES if self.config.keeps else 0,
            "live clients (10)": 10 * limits.CLIENT_QUEUE_BYTES_MAX if front else 0,
            "sealing worker": WORKER_BYTES,
        }

    def catalogue(self) -> Catalogue:
        """Return what sequences of this station may command, and look at."""
        from kymograph.control.sequence.catalogue import catalogue_of
        from kymograph.drivers.registry import find

        drivers = {one.name: find(one.driver) for one in self.instruments}
        return catalogue_of(drivers, [part.stream for one in self.instruments for part in one.streams])

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        memory = self.memory()
        web = self.config.web
        return {
            "name": self.config.station.name,
            "data": str(self.config.station.data.expanduser().absolute()),
            "web": {"enabled": web.enabled, "host": web.host, "port": web.port, "faces": list(web.faces)},
            "recording": self.config.recording.model_dump(),
            "environment": [one._asdict() for one in self.config.overrides],
            "instruments": [instrument.to_dict() for instrument in self.instruments],
            "bytes_per_s": self.bytes_per_s,
            "memory": {**memory, "total": sum(memory.values()), "installed": installed_bytes()},
            "disk": {"free": free_bytes(self.config.station.data)},
        }


def installed_bytes() -> int:
    """Return the memory of this computer."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def free_bytes(folder: Path) -> int:
    """Return the free bytes where a folder is or would be."""
    place = folder.expanduser().absolute()
    while not place.exists():
        place = place.parent
    stat = os.statvfs(place)
    return stat.f_bavail * stat.f_frsize


def make(config: Config) -> Plan:
    """Work out what a station would start; makes each driver, opens none.

    Raises:
        ConfigError: a link cannot carry what is asked of it, or a name is unknown.
    """
    from kymograph.service.control.interlocking import read_armed, read_interlocks
    from kymograph.service.recording.triggers import read_triggers
    from kymograph.store import formats

    if config.recording.format not in formats.names():
        raise ConfigError(
            f"recording.format: there is no format called {config.recording.format}",
            hint=f"formats are: {', '.join(formats.names())}",
        )
    made = [_made(config, name) for name in config.instruments]
    instruments = tuple(_planned(config, one, load) for one, load in made)
    read_interlocks(config.interlocks, [one for one, _ in made])
    read_armed(config.control.armed, [one for one, _ in made])
    read_triggers(config.triggers, [s.stream for i in instruments for s in i.streams], config.instruments)
    return Plan(config, instruments)


def _made(config: Config, name: str) -> tuple[Instrument, LinkLoad | None]:
    """Return an instrument that is never launched, and what it puts on its link."""
    from kymograph.acquire.instrument import Instrument
    from kymograph.drivers import registry
    from kymograph.model.clock import Clock
    from kymograph.sim import registry as simulators

    table = config.instruments[name]
    clock = Clock(time.monotonic_ns, time.time_ns)
    port = _NO_DEVICE if table.port.startswith("sim://") else table.port
    if table.port.startswith("sim://"):
        simulators.make(*simulators.parse_url(table.port))
    driver = registry.find(table.driver)(config.driver_options(name), clock, port)
    load = driver.link_load()
    try:
        if load is not None:
            load.check()
    except ConfigError as error:
        raise ConfigError(f"instruments.{name}: {error.message}", hint=error.hint, **error.facts) from None
    return Instrument(name, table.driver, lambda: driver, clock, _ignore), load


def _planned(config: Config, instrument: Instrument, load: LinkLoad | None) -> InstrumentPlan:
    from kymograph.acquire.ring import ring_nbytes
    from kymograph.service.ring_budget import ring_rows

    table = config.instruments[instrument.name]
    streams = [
        StreamPlan(stream, rows, ring_nbytes(stream, rows))
        for stream in instrument.streams
        for rows in [ring_rows(stream, config.ring)]
    ]
    return InstrumentPlan(instrument.name, table.driver, table.port, table.start, tuple(streams), load)


def _ignore(source: str, kind: str, body: dict[str, Any]) -> None:
    """Take an instrument's notice where none can come: it is never launched."""
