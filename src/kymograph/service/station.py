"""The engine's service: instruments, recordings, events and clock of one station."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Unpack

from kymograph import __version__
from kymograph.acquire.ring import RingView
from kymograph.config import Config
from kymograph.control.command_life import Order
from kymograph.drivers import registry
from kymograph.model import limits
from kymograph.model.clock import Clock
from kymograph.model.errors import InvalidInput, KymographError
from kymograph.model.event import Event
from kymograph.service.chronicle import Chronicle
from kymograph.service.contract import BlockSink, Plain, Terms
from kymograph.service.control.controls import Controls
from kymograph.service.control.logbook import CONTROL
from kymograph.service.history import RingHistory
from kymograph.service.instruments import Instruments
from kymograph.service.readings.composer import Composer
from kymograph.service.recording.desk import SHUTDOWN_PAST_S, TRIGGER, RecordingDesk
from kymograph.service.recording.recordings import Recordings
from kymograph.service.recording.retaining import Retaining
from kymograph.service.recording.triggers import Triggers
from kymograph.service.runs.driving import RUN, Means
from kymograph.service.runs.runs import Runs
from kymograph.store.folder import DataFolder
from kymograph.store.run_records import RunRecords
from kymograph.store.spool import FOLDER as SPOOL
from kymograph.store.spool import SpoolWriter

log = logging.getLogger(__name__)

STUCK_S: Final = 10
"""Housekeeping takes milliseconds; after so long without it something holds the engine."""


class _Listening:
    """A subscription within the engine."""

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo = undo

    def close(self) -> None:
        self._undo()


class Station(RingHistory):
    """The one implementation of `StationService`. Methods may be called from any thread.

    Life: made (the data folder is locked, nothing moves) → `start` (what a crash left is put in order,
    instruments run) → `shutdown` (recordings sealed, devices closed, folder free).
    """

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.config = config
        self.clock = clock or Clock(time.monotonic_ns, time.time_ns)
        self.folder = DataFolder.open(config.station.data, self.clock, config.station.name)
        self._chronicle = Chronicle(self.folder, self._recorders_of)
        self._instruments = Instruments(config, self.clock, self._notice)
        self.recordings = Recordings(self.folder, config.recording, self.clock, self._chronicle.tell)
        self.control = Controls(config, self._instruments, self.clock, self._chronicle.tell)
        self._desk = RecordingDesk(
            {"station": config.station.name, "station_id": self.folder.station_id},
            self._instruments, self.recordings, self._chronicle, self.clock, self._notice,
        )  # fmt: skip
        self.triggers = Triggers(
            config.triggers, self._instruments, self._desk, self.recordings, self.clock, self._notice
        )
        means = Means(
            self._instruments, self.control, self._desk, self.recordings, self.clock, self._chronicle.tell,
            RunRecords(self.folder.path),
        )  # fmt: skip
        self.runs = Runs(config, means)
        self.retention = Retaining(self.recordings, self.clock, self._notice, self.control.note)
        self.composer = self._made_composer(config)
        self._started_ns = self.clock.now_ns()
        self._quit = threading.Event()
        self._kept_ns = self.clock.monotonic_ns()
        self._keeper = threading.Thread(target=self._keep, name="housekeeping", daemon=True)

    def _made_composer(self, config: Config) -> Composer | None:
        if config.readings is None:
            return None
        names = config.readings.instruments
        chosen = [self._instruments.get(name) for name in names] if names else list(self._instruments)
        device_id = config.readings.device_id or config.station.name
        spool = SpoolWriter(self.folder.path / SPOOL)
        made = Composer(config.readings, device_id, chosen, self.latest, self.clock, spool)
        made.notice = self._notice
        return made

    # -- life ----------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Put in order what a crash left, start the instruments, go on with what is to be continued."""
        continued = self.recordings.recover()
        names = {stream.name for recording in continued for stream in recording.streams}
        known = names & set(self._instruments.stream_names)
        self.control.start()
        self.runs.launch()
        self._instruments.launch({self._instruments.of_stream(name).name for name in known})
        for recording in continued:
            self._desk.resume(recording)
        if autostart := self.config.recording.autostart:
            self._desk.autostart(self.config.station.name if autostart is True else autostart)
        self.triggers.start()
        if self.composer is not None:
            self.composer.start()
        self._keeper.start()

    def shutdown(self, timeout_s: float = limits.SHUTDOWN_S_MAX - 1.0) -> None:
        """Seal what is being recorded, close the devices, free the folder."""
        deadline = time.monotonic() + timeout_s
        self._quit.set()
        if self.composer is not None:
            self.composer.close()
        self.runs.shutdown()
        self.triggers.shutdown()
        for recorder in self.recordings.running():
            self._desk.unlisten(recorder.recording, SHUTDOWN_PAST_S)
        self.recordings.shutdown(max(timeout_s - 2.0, 1.0))
        self.control.shutdown()
        self._instruments.shutdown(max(deadline - time.monotonic(), 0.5))
        self._chronicle.close()
        self.folder.close()

    @property
    def alive(self) -> bool:
        """Whether housekeeping goes round: False is for a watchdog to act on."""
        return self.control.alive and self.clock.monotonic_ns() - self._kept_ns < STUCK_S * 1_000_000_000

    def _keep(self) -> None:
        while not self._quit.wait(1.0):
            self._kept_ns = self.clock.monotonic_ns()
            change = self.clock.observe()
            if change is not None:
                body = {
                    "old_offset_ns": change.old_offset_ns,
                    "new_offset_ns": change.new_offset_ns,
                    "step_ns": change.step_ns,
                    "error_bound_ns": change.error_bound_ns,
                }
                log.warning("the clock was moved by %.3f s", change.step_ns / 1e9)
                self._notice(change.source, "clock", body)

    # -- events --------------------------------------------------------------------------------------------
    def _notice(self, source: str, kind: str, body: dict[str, Any]) -> None:
        self._chronicle.tell(Event(str(uuid.uuid4()), self.clock.now_ns(), source, kind, body))

    def _recorders_of(self, event: Event) -> list[Callable[[Event], None]]:
        """Return where else an event belongs: into the recordings that it says something about."""
        told: list[Callable[[Event], None]] = []
        for recorder in self.recordings.running():
            owners = {self._instruments.of_stream(s.name).name for s in recorder.recording.streams}
            about = event.source.removeprefix("instrument/")
            its_own = event.body.get("recording_id") == recorder.recording.id
            if (
                event.kind == "clock"
                or event.source == CONTROL
                or event.source[:4] == RUN
                or about in owners
                or (event.source[:8] == TRIGGER and its_own)
            ):
                told.append(recorder.add_event)
        return told

    def events(self, limit: int = 100) -> list[Plain]:
        """See `StationService.events`."""
        return self._chronicle.newest(min(limit, limits.PAGE_ITEMS_MAX))

    def on_event(self, callback: Callable[[Plain], None]) -> _Listening:
        """See `StationService.on_event`."""
        self._chronicle.add(callback)
        return _Listening(lambda: self._chronicle.remove(callback))

    # -- what is there -------------------------------------------------------------------------------------
    def station(self) -> Plain:
        """See `StationService.station`."""
        return {
            "name": self.config.station.name,
            "description": self.config.station.description,
            "id": self.folder.station_id,
            "version": __version__,
            "started_ns": self._started_ns,
            "now_ns": self.clock.now_ns(),
            "simulated": self._instruments.simulated,
            "disk": {
                "state": self.folder.state(),
                "free_bytes": self.folder.free_bytes(),
                "total_bytes": self.folder.total_bytes(),
            },
            "clock": {"offset_ns": self.clock.offset_ns, "generation": self.clock.generation},
            "ring_bytes": sum(ring.size_bytes for ring in self._instruments.rings.values()),
            "readings": None if self.composer is None else self.composer.status(),
        }

    def instruments(self) -> list[Plain]:
        """See `StationService.instruments`."""
        return [self._instruments.status(instrument.name) for instrument in self._instruments]

    def instrument(self, name: str) -> Plain:
        """See `StationService.instrument`."""
        described = registry.describe(self._instruments.get(name).driver_name)
        kept = {key: described[key] for key in ("options_schema", "commands")}
        return {**self._instruments.status(name), "options": self._instruments.options(name), **kept}

    def drivers(self) -> list[Plain]:
        """See `StationService.drivers`."""
        return [registry.describe(name) for name in registry.names()]

    def streams(self) -> list[Plain]:
        """See `StationService.streams`."""
        return [self._stream(name) for name in self._instruments.stream_names]

    def _stream(self, name: str) -> Plain:
        instrument = self._instruments.of_stream(name)
        feed = next(feed for feed in instrument.feeds.values() if feed.stream.name == name)
        view = self.ring_view(name)
        first, last = view.extent
        edges = [int(times[0]) for row in (first, last - 1) if len(times := view.read(row, row + 1, ())[1])]
        ring = {"rows": last - first, "capacity": view.capacity, "first_ns": None, "last_ns": None}
        if edges:
            ring |= {"first_ns": edges[0], "last_ns": edges[-1]}
        at = {"instrument": instrument.name, "epoch": feed.epoch, "next_seq": feed.seq}
        return {**feed.stream.to_dict(), **at, "ring": ring}

    def ring_view(self, stream: str) -> RingView:
        """See `RingHistory.ring_view`."""
        self._instruments.of_stream(stream)
        return self._instruments.rings[stream].view()

    def rings(self) -> dict[str, Plain]:
        """Return where another process of this user finds each stream's ring."""
        rings = self._instruments.rings
        return {name: {"stream": ring.stream.to_dict(), "path": ring.path} for name, ring in rings.items()}

    def subscribe(self, streams: Sequence[str], sink: BlockSink) -> _Listening:
        """See `StationService.subscribe`."""
        fanouts = [self._instruments.fanout(name) for name in streams]
        for fanout in fanouts:
            fanout.add(sink)

        def undo() -> None:
            for fanout in fanouts:
                fanout.remove(sink)

        return _Listening(undo)

    # -- what is done --------------------------------------------------------------------------------------
    def act(self, instrument: str, action: str) -> Plain:
        """See `StationService.act`."""
        self._instruments.get(instrument).act(action)
        return self._instruments.status(instrument)

    def configure(
        self, instrument: str, options: Mapping[str, Any], port: str | None = None, by: str = ""
    ) -> Plain:
        """See `StationService.configure`."""
        self._instruments.configure(instrument, options, port)
        told = {"options": dict(options), **({} if port is None else {"port": port})}
        self.control.note(by, "configured", {"instrument": instrument, **told})
        self._notice(f"instrument/{instrument}", "state", told)
        return self.instrument(instrument)

    def command(
        self,
        instrument: str,
        command: str,
        arguments: Mapping[str, Any],
        by: str = "",
        **terms: Unpack[Terms],
    ) -> Plain:
        """See `StationService.command`."""
        told: Plain = {"instrument": instrument, "command": command, "arguments": dict(arguments)}
        late_s = terms.get("late_s")
        if late_s is not None and not limits.COMMAND_LATE_S_MIN <= late_s <= limits.COMMAND_LATE_S_MAX:
            bounds = f"it is {limits.COMMAND_LATE_S_MIN:g} to {limits.COMMAND_LATE_S_MAX:g} s"
            raise InvalidInput(f"late_s cannot be {late_s:g} s", hint=bounds)
        order = Order(instrument, command, arguments, by, **terms)
        if self._instruments.get(instrument).motion.actuators:
            done = self.control.carry_out(order)
            return {**told, "result": done.answer, "id": done.id, "state": done.state}
        source = f"instrument/{instrument}"
        try:
            result = self.control.command(order)
        except KymographError as error:
            self._notice(source, "command", {**told, "outcome": error.code, "error": error.message})
            raise
        self._notice(source, "command", {**told, "outcome": "done", "result": result})
        return {**told, "result": result}

    # -- recordings ----------------------------------------------------------------------------------------
    def record_start(self, request: Mapping[str, Any]) -> Plain:
        """See `StationService.record_start`."""
        return self._desk.start(request)

    def record_stop(self, recording_id: str, stop_acquiring: bool = False) -> Plain:
        """See `StationService.record_stop`."""
        return self._desk.stop(recording_id, stop_acquiring)

    def promote(self, request: Mapping[str, Any]) -> Plain:
        """See `StationService.promote`."""
        return self._desk.promote(request)

    def recorders(self) -> list[Plain]:
        """See `StationService.recorders`."""
        return [recorder.status().to_dict() for recorder in self.recordings.running()]

    def annotate(self, recording_id: str, metadata: Mapping[str, Any]) -> Plain:
        """See `StationService.annotate`."""
        return self.recordings.annotate(recording_id, metadata).to_dict()

    def mark(self, recording_id: str, body: Mapping[str, Any], by: str = "") -> Plain:
        """See `StationService.mark`."""
        return self._desk.mark(recording_id, body, by)

    def delete(self, recording_id: str) -> None:
        """See `StationService.delete`."""
        self._desk.delete(recording_id)
