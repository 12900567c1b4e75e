"""The runs of a station: sequences started, watched and ended; one at a time, and each with its record.

A run lives under the lease it was started with. Where that is lost, everything stopped, an interlock
tripped, or a device that it commands is gone, it fails, and goes through its `always` steps. An emergency
ends it at once: that makes everything safe itself.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from itertools import chain, islice
from typing import Any, Final, NamedTuple

from kymograph import __version__
from kymograph.config import Config
from kymograph.control.authority import Lease
from kymograph.control.sequence.catalogue import catalogue_of
from kymograph.control.sequence.runner import Run
from kymograph.control.sequence.timeline import timeline
from kymograph.control.sequence.validate import commands, conditions, validate
from kymograph.drivers import registry
from kymograph.model import status
from kymograph.model.errors import Conflict, Refused
from kymograph.model.limits import LINK_CALL_TIMEOUT_S, RUNS_LISTED_MAX
from kymograph.service.contract import Plain
from kymograph.service.control.interlocking import SEQUENCE
from kymograph.service.control.leases import LEASE_S
from kymograph.service.runs.driving import LONG, Driving, Means, Ticket
from kymograph.service.runs.emergency import FAILED, Emergency, made_safe
from kymograph.service.runs.files import Found, SequenceFiles
from kymograph.service.runs.values import RunValues

log = logging.getLogger(__name__)

LOCAL: Final = "local"
"""Who gives no name."""
KILLED: Final = "the engine was killed"
_LAST_S: Final = 2.0
"""How long the end of the program waits for the last steps of a run."""
_EMERGENCY_S: Final = LINK_CALL_TIMEOUT_S - 5.0
_WRITTEN_S: Final = 10.0


class Runs:
    """`RunService`. Methods may be called from any thread."""

    def __init__(self, config: Config, means: Means) -> None:
        self._means = means
        self._tables = config.faces
        drivers = {one.name: registry.find(one.driver_name) for one in means.instruments}
        streams = [means.instruments.stream(name) for name in means.instruments.stream_names]
        self._files = SequenceFiles(config.control.sequences, catalogue_of(drivers, streams))
        self._starting = threading.Lock()
        self._emergencies = threading.Lock()
        self._known: tuple[Driving, ...] = ()
        """The last run, and those before it that are not over yet: an emergency does not wait for them."""
        self._emergency: Emergency | None = None
        self._ready: _Prepared | None = None
        """What an emergency runs."""
        self._ending = False
        means.controls.on_upset(self._upset)

    def launch(self) -> None:
        """Close the records that a killed engine left open, and have what an emergency needs at hand."""
        for record in self._means.records.close_open(KILLED):
            log.warning("the run %s of %s was cut off", record["id"], record.get("sequence"))
        self._files.warn()
        if not self._means.controls.movers:
            return
        fitting = self._files.emergency(self._tables)
        if fitting is not None:
            self._ready = _prepared(*fitting)
        else:
            log.info("no emergency sequence fits this station: an emergency stops everything")

    def shutdown(self) -> None:
        """Bring what runs to its end, by its `always` steps if they take no longer than a moment."""
        self._ending = True
        current = self._current
        if current is not None and not current.over.is_set():
            current.upset("the engine is stopped")
            if not current.over.wait(_LAST_S):
                current.drop("the engine was stopped during its last steps")
                current.over.wait(_LAST_S)

    @property
    def _current(self) -> Driving | None:
        return self._known[0] if self._known else None

    def _put_first(self, driving: Driving) -> None:
        self._known = (driving, *(one for one in self._known if not one.over.is_set()))

    # -- sequences -----------------------------------------------------------------------------------------
    def sequences(self) -> list[Plain]:
        """See `RunService.sequences`."""
        return self._files.list()

    def sequence(self, name: str) -> Plain:
        """See `RunService.sequence`."""
        return self._files.describe(name)

    def validate(self, name: str, parameters: Mapping[str, Any]) -> Plain:
        """See `RunService.validate`."""
        return self._files.validate(name, parameters)

    # -- runs ----------------------------------------------------------------------------------------------
    def start(self, request: Mapping[str, Any]) -> Plain:
        """See `RunService.start`."""
        found = self._files.get(str(request.get("sequence") or ""))
        parameters = validate(found.sequence, request.get("parameters") or {}, self._files.catalogue)
        by, fence = str(request.get("by") or ""), request.get("fence")
        with self._starting:
            self._refuse_busy()
            self._refuse_unready(found, parameters)
            lease = self._lease_for(by, fence)
            if self._needs_arming(found, parameters):
                self._means.controls.spend(f"{SEQUENCE}{found.sequence.name}", lease)
            run = Run(found.sequence, parameters, self._files.catalogue.names)
            ticket = self._ticket(_prepared(found, parameters), by, bool(request.get("keep")))
            driving = Driving(run, replace(ticket, by=lease.holder, lease=lease), self._means)
            with self._emergencies:
                self._refuse_emergency()
                self._put_first(driving)
            driving.begin()
        return driving.to_dict()

    def list(self, limit: int = 100) -> list[Plain]:
        """See `RunService.list`."""
        first = [driving.to_dict() for driving in self._known]
        known = {one["id"] for one in first}
        rest = (one for one in self._means.records.newest(_NOT_LISTED) if one["id"] not in known)
        items = islice(chain(first, rest), min(limit, RUNS_LISTED_MAX))
        return [{key: value for key, value in one.items() if key not in _NOT_LISTED} for one in items]

    def get(self, id: str) -> Plain:
        """See `RunService.get`."""
        for driving in self._known:
            if driving.ticket.id == id:
                return driving.to_dict()
        return _as_told(self._means.records.get(id))

    def pause(self, id: str, by: str) -> Plain:
        """See `RunService.pause`."""
        driving = self._going(id)
        driving.pause()
        return self._told(driving, "paused", by)

    def resume(self, id: str, by: str) -> Plain:
        """See `RunService.resume`."""
        driving = self._going(id)
        if by != driving.ticket.by:
            raise Conflict(
                f"{driving.ticket.by} has control of this run", hint="who started it lets it go on",
                holder=driving.ticket.by,
            )  # fmt: skip
        driving.resume()
        return self._told(driving, "resumed", by)

    def abort(self, id: str, by: str, reason: str = "") -> Plain:
        """See `RunService.abort`."""
        driving = self._going(id)
        driving.abort(f"aborted by {by}{f': {reason}' if reason else ''}")
        return self._told(driving, "aborted", by)

    # -- emergency -----------------------------------------------------------------------------------------
    def emergency(self, by: str) -> Plain:
        """See `RunService.emergency`."""
        by = by or "somebody"
        going = self._emergency
        if going is None or going.over.is_set():
            going = self._begun_emergency(by)
        if going is None:
            return _stopped(made_safe(self._means.controls, by, "emergency"))
        going.over.wait(_EMERGENCY_S)
        return going.report()

    def _begun_emergency(self, by: str) -> Emergency | None:
        """Begin one; whatever goes wrong with that, everything is stopped."""
        asked = False
        try:
            going = self._new_emergency(by)
            asked = True
        finally:
            if not asked:
                self._means.controls.stop_all(by, "emergency")
        return going

    def _new_emergency(self, by: str) -> Emergency | None:
        """Begin one, or join the one that another has begun just now; None where none fits."""
        fitting = None if self._ending else self._files.emergency(self._tables)
        if fitting is None:
            return None
        found, parameters = fitting
        if self._ready is None or (self._ready.found, self._ready.parameters) != (found, parameters):
            self._ready = _prepared(found, parameters)
        # Not `_starting`: somebody who starts a run may wait for the disk meanwhile.
        with self._emergencies:
            going = self._emergency
            if going is not None and not going.over.is_set():
                return going
            run = Run(found.sequence, parameters, self._files.catalogue.names)
            made = Emergency(run, self._ticket(self._ready, by, False), self._means, self._files.catalogue)
            before, self._emergency = self._current, made
            self._put_first(made)
            if before is not None:
                before.drop(f"emergency by {by}")
            made.begin()
        return made

    def _upset(self, reason: str) -> None:
        for driving in self._known:
            driving.upset(reason)

    # -- what is asked before ------------------------------------------------------------------------------
    def _refuse_busy(self) -> None:
        current = self._current
        if self._ending:
            raise Refused("the engine is being stopped")
        if current is None:
            return
        if current.to_dict()["ended_ns"] is not None:
            current.over.wait(_WRITTEN_S)
        if not current.over.is_set():
            raise Conflict(
                f"{current.run.sequence.name} is running", hint="abort it, or wait for its end",
                run_id=current.ticket.id, holder=current.ticket.by,
            )  # fmt: skip

    def _refuse_emergency(self) -> None:
        going = self._emergency
        if going is not None and not going.over.is_set():
            raise Refused("an emergency is under way", hint="nothing moves until its stop is reset")

    def _lease_for(self, by: str, fence: int | None) -> Lease:
        """Return the lease that a run is to live under: of that fence, if it is theirs, or by name.

        Raises:
            Conflict: another holds control.
        """
        lease = self._means.controls.lease_for(by or LOCAL, fence, LEASE_S)
        if by not in ("", LOCAL, lease.holder):
            raise Conflict(
                f"{lease.holder} holds control", hint="give your own fence, or none", holder=lease.holder
            )
        return lease

    def _refuse_unready(self, found: Found, parameters: Mapping[str, Any]) -> None:
        stop = self._means.controls.status()["stop"]
        if stop is not None:
            raise Refused(f"everything was stopped by {stop['by']}", hint="reset the stop in its two steps")
        for name in {instrument for instrument, _, _ in commands(found.sequence, parameters)}:
            state = self._means.instruments.get(name).status().state
            if state in (status.CLOSED, status.FAULT):
                raise Refused(f"{name} is {state}", hint="open the instrument first", state=state)

    def _needs_arming(self, found: Found, parameters: Mapping[str, Any]) -> bool:
        """Return whether one of its commands moves what must be armed first."""
        for name, command, arguments in commands(found.sequence, parameters):
            moved = self._means.instruments.get(name).motion.moves(command, arguments)
            if self._means.controls.needs_arming(name, moved):
                return True
        return False

    def _ticket(self, ready: _Prepared, by: str, keep: bool) -> Ticket:
        means, found = self._means, ready.found
        return Ticket(
            id=str(uuid.uuid4()), by=by, lease=None, keep=keep, started_ns=means.clock.now_ns(),
            instruments=ready.instruments, timeline=ready.timeline,
            origin=lambda: {
                "text": found.text, "file": found.sequence.file, "built_in": found.built_in,
                "kymograph": __version__, "instruments": self._origin(),
            },
            values=RunValues(ready.conditions, self._files.catalogue, means.instruments, means.clock),
        )  # fmt: skip

    def _origin(self) -> Plain:
        instruments = self._means.instruments
        return {
            one.name: {
                "driver": one.driver_name, "driver_version": _driver_version(one.driver_name),
                "device": instruments.status(one.name)["device"], "options": instruments.options(one.name),
                "simulated": instruments.is_simulated(one.name),
            }
            for one in instruments
        }  # fmt: skip

    def _going(self, run_id: str) -> Driving:
        for driving in self._known:
            if driving.ticket.id == run_id:
                return driving
        state = self.get(run_id)["state"]
        raise Conflict(f"this run is {state}", state=state)

    def _told(self, driving: Driving, what: str, by: str) -> Plain:
        driving.event("mark", {"text": f"{what} by {by or 'somebody'}", "by": by, "run": driving.ticket.id})
        self._means.controls.note(by, f"run {what}", {"run": driving.ticket.id})
        return driving.to_dict()


class _Prepared(NamedTuple):
    """What a sequence comes to with its parameters."""

    found: Found
    parameters: Mapping[str, Any]
    instruments: frozenset[str]
    conditions: frozenset[str]
    timeline: list[Plain]


def _prepared(found: Found, parameters: Mapping[str, Any]) -> _Prepared:
    sequence = found.sequence
    return _Prepared(
        found, parameters, frozenset(name for name, _, _ in commands(sequence, parameters)),
        frozenset(conditions(sequence, parameters)),
        [moment.to_dict() for moment in timeline(sequence, parameters)],
    )  # fmt: skip


_OF_THE_RECORD: Final = ("text", "kymograph", "instruments", "written_ns")
_NOT_LISTED: Final = frozenset({*LONG, *_OF_THE_RECORD, "feedback"})


def _as_told(record: Plain) -> Plain:
    """Return a record as a run is told of: what it is made of stays in the file."""
    return {key: value for key, value in record.items() if key not in _OF_THE_RECORD}


def _stopped(feedback: list[Plain]) -> Plain:
    failed = any(one["outcome"] == FAILED for one in feedback)
    message = "everything was told to be safe; nothing moves until the stop is reset"
    return {
        "status": "error" if failed else "ok", "message": message, "run_id": None, "feedback": feedback,
    }  # fmt: skip


def _driver_version(name: str) -> str:
    package = registry.find(name).__module__.partition(".")[0]
    if package == __name__.partition(".")[0]:
        return __version__
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
