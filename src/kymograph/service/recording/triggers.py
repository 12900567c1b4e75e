"""The triggers of a station: they see every block, and begin and end recordings by themselves.

A crossing is found in the thread of the instrument that made the block, which costs it microseconds. What
follows from it, files and all, is done by a thread of their own; the recording takes up at the crossing's own
time, from the ring, however late that thread is.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from kymograph.control.expression import compile_condition
from kymograph.control.freshness import Freshness, names_of
from kymograph.model import limits
from kymograph.model.block import Block
from kymograph.model.channel import Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import ConfigError, Conflict, InvalidInput, KymographError, NotFound
from kymograph.model.names import safe_name
from kymograph.service.contract import Plain
from kymograph.service.instruments import Instruments, Notice
from kymograph.service.recording.desk import TRIGGER, RecordingDesk
from kymograph.service.recording.recordings import Recordings
from kymograph.service.recording.trigger import Crossing, Trigger, TriggerTable
from kymograph.store import formats

log = logging.getLogger(__name__)

RECORDINGS_KEPT: Final = 20
_TICK_S: Final = 0.05
_PROLONGED_S: Final = 1.0
"""At most one event in so long says that a recording is prolonged: a noisy channel is no flood."""


def read_triggers(
    tables: Mapping[str, Mapping[str, Any]], streams: Iterable[Stream], instruments: Collection[str]
) -> dict[str, Trigger]:
    """Check the tables `[triggers.NAME]` of a station file and return the triggers.

    Raises:
        ConfigError: with the key and what is wrong with it.
    """
    streams = tuple(streams)
    known = names_of(streams)
    if len(tables) > limits.TRIGGERS_MAX:
        raise ConfigError(f"triggers: {len(tables)} of them", hint=f"at most {limits.TRIGGERS_MAX}")
    found: dict[str, Trigger] = {}
    for name, given in tables.items():
        table = _read_table(name, given)
        places = (
            ("streams", table.streams, {stream.name for stream in streams}),
            ("instruments", table.instruments, set(instruments)),
            ("format", (table.format,) if table.format else (), set(formats.names())),
        )
        for key, meant, there in places:
            for one in set(meant) - there:
                hint = f"there are: {', '.join(sorted(there))}"
                raise ConfigError(f"triggers.{name}.{key}: there is no {one}", hint=hint)
        try:
            found[name] = Trigger(name, table, compile_condition(table.when, known))
        except InvalidInput as error:
            raise ConfigError(
                f"triggers.{name}.when: {error.message}", hint=error.hint, **error.facts
            ) from None
    return found


def _read_table(name: str, given: Mapping[str, Any]) -> TriggerTable:
    try:
        table = TriggerTable.model_validate(given)
        safe_name(table.record or name, "recording name")
        return table
    except InvalidInput as error:
        raise ConfigError(f"triggers.{name}.record: {error.message}", hint=error.hint) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["triggers", name, *(str(part) for part in first["loc"])])
        raise ConfigError(f"{where}: {first['msg']}", given=repr(first.get("input"))[:80]) from None


class Triggers:
    """All triggers of one station. Any thread may call; it is a sink of blocks, and never makes one wait."""

    rows_lost = 0

    def __init__(
        self,
        tables: Mapping[str, Any],
        instruments: Instruments,
        desk: RecordingDesk,
        recordings: Recordings,
        clock: Clock,
        notice: Notice,
    ) -> None:
        """Read the triggers.

        Raises:
            ConfigError: one is wrong.
        """
        self._instruments = instruments
        self._desk = desk
        self._recordings = recordings
        self._clock = clock
        self._notice = notice
        streams = [instruments.stream(name) for name in instruments.stream_names]
        self._triggers = read_triggers(tables, streams, {one.name for one in instruments})
        self._freshness = Freshness(streams)
        self._by_stream: dict[str, list[Trigger]] = {}
        for trigger in self._triggers.values():
            self._freshness.watch(trigger.condition.names)
            for name in {self._freshness.stream_of(one) for one in trigger.condition.names}:
                self._by_stream.setdefault(name, []).append(trigger)
        self._guard = threading.Lock()
        self._todo: deque[tuple[Trigger, int]] = deque()
        self._prolonged_ns: dict[str, int] = {}
        self._wake = threading.Event()
        self._quit = False
        self._thread = threading.Thread(target=self._run, name="triggers", daemon=True)

    def start(self) -> None:
        """Begin to look, if there is a trigger."""
        if self._triggers:
            for name in self._by_stream:
                self._instruments.fanout(name).add(self)
            self._thread.start()

    def shutdown(self) -> None:
        """Cease; whoever ends the station ends the recordings."""
        self._quit = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(2)

    # -- blocks --------------------------------------------------------------------------------------------
    def put(self, block: Block) -> bool:
        """Look at a block; called in the thread of the instrument that made it."""
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            self._freshness.take(block, now_ns)
            for trigger in self._by_stream[block.stream.name]:
                crossing = trigger.take(block, self._freshness, now_ns)
                if crossing is not None:
                    self._fire(trigger, block.last_ns - crossing.age_ns, crossing, now_ns)
        return True

    def _fire(self, trigger: Trigger, time_ns: int, crossing: Crossing, now_ns: int, by: str = "") -> None:
        """Note that a trigger fires; the rest is for its own thread."""
        body: Plain = {"trigger": trigger.name, "reason": crossing.reason, "at_ns": time_ns}
        body |= {"by": by} if by else {}
        if trigger.begin(time_ns, now_ns):
            self._tell(trigger, {**body, "state": "fired"})
            self._todo.append((trigger, time_ns))
            self._wake.set()
        elif now_ns - self._prolonged_ns.get(trigger.name, 0) >= _PROLONGED_S * 1e9:
            self._prolonged_ns[trigger.name] = now_ns
            self._tell(trigger, {**body, "state": "prolonged", "recording_id": trigger.recording_id})

    def _tell(self, trigger: Trigger, body: Plain) -> None:
        self._notice(f"{TRIGGER}{trigger.name}", "state", body)

    # -- its own thread ------------------------------------------------------------------------------------
    def _run(self) -> None:
        while not self._quit:
            try:
                self._round()
            except Exception:
                log.exception("triggers failed; they go on")
            self._wake.wait(_TICK_S)
            self._wake.clear()

    def _round(self) -> None:
        while self._todo and not self._quit:
            self._begin(*self._todo.popleft())
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            running = [one for one in self._triggers.values() if one.recording_id is not None]
            over = [(one, str(one.recording_id)) for one in running if self._over(one, now_ns)]
            for one, _ in over:
                one.end(now_ns)
        for trigger, recording_id in over:
            self._apart(self._end, trigger, recording_id)

    def _over(self, trigger: Trigger, now_ns: int) -> bool:
        """Return whether a trigger's recording is to end, or was ended by somebody else."""
        gone = self._recordings.find(str(trigger.recording_id)) is None
        return gone or trigger.over(now_ns)

    def _begin(self, trigger: Trigger, time_ns: int) -> None:
        table = trigger.table
        wish: Plain = {"name": table.record or trigger.name, "pre_s": table.pre_s}
        wish |= {"streams": list(table.streams), "instruments": list(table.instruments)}
        wish |= {"format": table.format or None, "metadata": {"trigger": trigger.name, "when": table.when}}
        try:
            recording = self._desk.start(wish, f"{TRIGGER}{trigger.name}", time_ns)
        except KymographError as error:
            log.error("the trigger %s cannot record: %s", trigger.name, error)
            with self._guard:
                trigger.end(self._clock.monotonic_ns(), str(error))
            text = f"the trigger {trigger.name} cannot record: {error}"
            self._notice(f"{TRIGGER}{trigger.name}", "alarm", {"text": text})
            return
        with self._guard:
            trigger.error, trigger.recording_id = "", recording["id"]
            trigger.recordings = [*trigger.recordings, recording["id"]][-RECORDINGS_KEPT:]
        self._tell(trigger, {"trigger": trigger.name, "state": "recording", "recording_id": recording["id"]})

    def _end(self, trigger: Trigger, recording_id: str) -> None:
        try:
            self._desk.stop(recording_id)
        except KymographError as error:
            log.info("the recording of %s has ended otherwise: %s", trigger.name, error)
        self._tell(trigger, {"trigger": trigger.name, "state": "ended", "recording_id": recording_id})

    def _apart(self, work: Callable[..., None], *arguments: object) -> None:
        """Do what may take seconds without keeping the other triggers."""
        threading.Thread(target=work, args=arguments, name="trigger-end", daemon=True).start()

    # -- asked from outside --------------------------------------------------------------------------------
    def status(self) -> list[Plain]:
        """Return every trigger; see `TriggerService.status`."""
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            return [trigger.to_dict(self._freshness, now_ns) for trigger in self._triggers.values()]

    def arm(self, name: str, by: str = "") -> Plain:
        """Let a trigger fire; see `TriggerService.arm`."""
        return self._set(name, True, by)

    def disarm(self, name: str, by: str = "") -> Plain:
        """Let it not fire; see `TriggerService.disarm`."""
        return self._set(name, False, by)

    def fire(self, name: str, by: str = "") -> Plain:
        """Record as if the condition had become true now; see `TriggerService.fire`."""
        trigger = self._get(name)
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            if not trigger.wanted:
                raise Conflict(f"the trigger {name} is off", hint="arm it first, or start a recording")
            said = Crossing(0, f"fired by {by or 'somebody'}")
            self._fire(trigger, self._clock.now_ns(), said, now_ns, by)
            return trigger.to_dict(self._freshness, now_ns)

    def _set(self, name: str, wanted: bool, by: str) -> Plain:
        trigger = self._get(name)
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            changed, trigger.wanted = trigger.wanted != wanted, wanted
            told = trigger.to_dict(self._freshness, now_ns)
        if changed:
            self._tell(trigger, {"trigger": name, "state": "armed" if wanted else "off", "by": by})
        return told

    def _get(self, name: str) -> Trigger:
        if name not in self._triggers:
            raise NotFound(f"there is no trigger {name}", triggers=sorted(self._triggers))
        return self._triggers[name]
