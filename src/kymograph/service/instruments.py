"""A station's instruments, made from its configuration, with the simulators and rings that belong to them."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from kymograph.acquire.fanout import Fanout
from kymograph.acquire.instrument import Instrument
from kymograph.acquire.ring import Ring
from kymograph.config import Config, InstrumentTable
from kymograph.drivers import registry
from kymograph.model import status
from kymograph.model.channel import Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import ConfigError, InvalidInput, NotFound
from kymograph.service import ring_budget
from kymograph.service.contract import Plain
from kymograph.sim.process import SimulatorProcess

log = logging.getLogger(__name__)

_OUTSIDE_DEVICE: Final = re.compile(r"auto|by-id/[\w.:*-]+|/dev/tty\w+|/dev/serial/by-(?:id|path)/[\w.:-]+")
SIMULATED: Final = "sim://"
LINKS: Final = ".sim"
"""Folder, within the data folder, of the links under which simulators offer their ports."""

Notice = Callable[[str, str, dict[str, Any]], None]


def check_outside_port(port: str) -> None:
    """Refuse a port that nobody but the station file may name: any other file than a serial device.

    Raises:
        InvalidInput: with what is allowed.
    """
    device = port.removeprefix("serial://").partition("?")[0]
    serial = port.startswith("serial://") and _OUTSIDE_DEVICE.fullmatch(device)
    if not serial and not port.startswith("tcp://"):
        hint = "give serial:///dev/tty…, serial:///dev/serial/by-id/…, serial://auto or tcp://host:number"
        raise InvalidInput(f"{port[:80]} is not a port that can be given here", hint=hint)


class Instruments:
    """Every instrument of a station by name, and every stream by its name in the station."""

    def __init__(self, config: Config, clock: Clock, notice: Notice) -> None:
        self._config = config
        self._clock = clock
        self._links = config.station.data.absolute() / LINKS
        self._simulators: dict[str, SimulatorProcess] = {}
        self._options = {name: dict(table.options) for name, table in config.instruments.items()}
        self._ports: dict[str, str] = {}
        """By instrument: where its driver opens it."""
        self._by_name: dict[str, Instrument] = {}
        self._owner: dict[str, Instrument] = {}
        self.rings: dict[str, Ring] = {}
        for name, table in config.instruments.items():
            self._ports[name] = self._port(name, table)
            instrument = Instrument(name, table.driver, self._maker(table, name), clock, notice)
            instrument.block_interval_s = table.block_interval_s
            self._by_name[name] = instrument
        feeds = [(feed, one) for one in self for feed in one.feeds.values()]
        ring_budget.check((feed.stream for feed, _ in feeds), config.ring)
        for feed, instrument in feeds:
            self._own(feed.stream, instrument, feed.fanout)

    def _own(self, stream: Stream, instrument: Instrument, fanout: Fanout) -> None:
        if stream.name in self._owner:
            raise ConfigError(f"two streams are called {stream.name}", hint="rename an instrument")
        self._owner[stream.name] = instrument
        self.rings[stream.name] = Ring(stream, ring_budget.ring_rows(stream, self._config.ring))
        fanout.add(self.rings[stream.name])

    def _port(self, name: str, table: InstrumentTable) -> str:
        if not table.port.startswith(SIMULATED):
            return table.port
        self._links.mkdir(parents=True, exist_ok=True)
        simulator = SimulatorProcess(table.port, self._links / name)
        self._simulators[name] = simulator
        return simulator.url

    def _maker(self, table: InstrumentTable, name: str) -> Callable[[], Any]:
        driver = registry.find(table.driver)

        def make() -> Any:
            options = registry.parse_options(table.driver, self._options[name])
            made = driver(options, self._clock, self._ports[name])
            load = made.link_load()
            if load is not None:
                load.check()
            return made

        return make

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_name.values())

    def get(self, name: str) -> Instrument:
        """Return an instrument.

        Raises:
            NotFound: there is none of that name.
        """
        if name not in self._by_name:
            raise NotFound(f"there is no instrument {name}", instruments=sorted(self._by_name))
        return self._by_name[name]

    def of_stream(self, stream: str) -> Instrument:
        """Return the instrument that makes a stream.

        Raises:
            NotFound: there is no such stream.
        """
        if stream not in self._owner:
            raise NotFound(f"there is no stream {stream}", streams=sorted(self._owner))
        return self._owner[stream]

    def fanout(self, stream: str) -> Fanout:
        """Return where the blocks of a stream come out."""
        feeds = self.of_stream(stream).feeds.values()
        return next(feed.fanout for feed in feeds if feed.stream.name == stream)

    def stream(self, name: str) -> Stream:
        """Return a stream by its name in the station."""
        return next(stream for stream in self.of_stream(name).streams if stream.name == name)

    @property
    def stream_names(self) -> list[str]:
        """The names of all streams, in the order of the station file."""
        return list(self._owner)

    @property
    def simulated(self) -> bool:
        """Whether any instrument is a simulator."""
        return bool(self._simulators)

    def is_simulated(self, name: str) -> bool:
        """Whether a simulator stands in for that instrument."""
        return name in self._simulators

    def status(self, name: str) -> Plain:
        """Return what an instrument says of itself, and whether it is simulated."""
        return replace(self.get(name).status(), simulated=self.is_simulated(name)).to_dict()

    def options(self, name: str) -> dict[str, Any]:
        """Return the options an instrument has now, defaults included."""
        table = self._config.instruments[self.get(name).name]
        return registry.parse_options(table.driver, self._options[name]).model_dump(mode="json")

    def configure(self, name: str, changes: Mapping[str, Any], port: str | None = None) -> None:
        """Change some options, or the port; the instrument goes back to what it was doing, or nothing is
        changed. A simulated instrument stays on its simulator.

        Raises:
            InvalidInput: that is no port that may be given from outside.
            ConfigError: the options do not fit the driver, or the link cannot carry them.
            Refused: they would change the channels.
        """
        instrument, before = self.get(name), (self._options[name], self._ports[name])
        if port is not None:
            check_outside_port(port)
        if port is not None and name in self._simulators:
            log.info("%s is simulated and stays so; %s is not opened", name, port)
            port = None
        self._options[name] = {**self._options[name], **changes}
        self._ports[name] = port or self._ports[name]
        try:
            instrument.replace_driver(self._maker(self._config.instruments[name], name))
        except Exception:
            self._options[name], self._ports[name] = before
            raise

    def launch(self, acquiring: set[str]) -> None:
        """Start every instrument's thread; those that are named, or are to start, acquire."""
        for name, instrument in self._by_name.items():
            start = self._config.instruments[name].start or name in acquiring
            instrument.launch(status.ACQUIRING if start else status.CLOSED)

    def simulator(self, name: str) -> SimulatorProcess:
        """Return the simulator that stands in for an instrument.

        Raises:
            NotFound: the instrument is real.
        """
        if name not in self._simulators:
            raise NotFound(f"{name} is not simulated")
        return self._simulators[name]

    def shutdown(self, timeout_s: float) -> None:
        """Close every device; what does not answer in time is left behind."""
        for instrument in self:
            instrument.shutdown(timeout_s)
        for simulator in self._simulators.values():
            simulator.stop()
        if self._simulators:
            shutil.rmtree(self._links, ignore_errors=True)
