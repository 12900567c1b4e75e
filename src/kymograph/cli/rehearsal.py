"""A sequence run for once on the simulators of a station's instruments, in a folder that is gone afterwards.

Time is real: simulators, drivers and their time-outs go by the computer's clock, as they do on the stand.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kymograph.model import status
from kymograph.model.errors import ConfigError, KymographError, Unavailable

if TYPE_CHECKING:
    from kymograph.config import Config, InstrumentTable
    from kymograph.control.sequence.model import Sequence
    from kymograph.service.station import Station

BY: Final = "dry-run"
OPEN_S: Final = 15.0
"""How long simulated instruments may take until they deliver."""
_LOOK_S: Final = 0.05
_TOLD_S: Final = 10.0
"""How long the last event of a run may take: it is written down before it is shown."""
_MEANT: Final[Mapping[str, tuple[str, Callable[[Any], object]]]] = {
    "acknowledges": ("ack", int), "device": ("name", str), "channels": ("channels", len),
}  # fmt: skip
"""Options of drivers that a simulator calls otherwise."""


class Moment(NamedTuple):
    """Something that happened, in seconds from the start of the run."""

    time_s: float
    kind: str
    """`told`, `met` or `event`."""
    text: str
    line: int | None
    always: bool
    outcome: str
    detail: str
    answer_s: float | None

    def __str__(self) -> str:
        answer = f" → {self.outcome}" if self.kind == "told" else ""
        after = f" after {self.answer_s:.3f} s" if self.answer_s is not None else ""
        detail = f": {self.detail}" if self.detail else ""
        always = "always  " if self.always else ""
        return f"{self.time_s:12.3f} s  {always}{self.text}{answer}{after}{detail}"


class Rehearsal(NamedTuple):
    """What came of it."""

    state: str
    reason: str
    failures: list[str]
    moments: list[Moment]


def simulated(config: Config, folder: Path) -> Config:
    """Return a station like this one on simulators alone, whose data is in a folder.

    Raises:
        ConfigError: nothing simulates one of its instruments.
    """
    return config.model_copy(
        update={
            "station": config.station.model_copy(update={"data": folder / "data"}),
            "web": config.web.model_copy(update={"enabled": False}),
            "recording": config.recording.model_copy(update={"autostart": False}),
            "control": config.control.model_copy(update={"sequences": folder / "sequences"}),
            "triggers": {},
            "instruments": {
                name: table.model_copy(update={"port": _port(name, table), "start": True})
                for name, table in config.instruments.items()
            },
        }
    )


def _port(name: str, table: InstrumentTable) -> str:
    from kymograph.sim import registry

    if not table.port or table.port.startswith("sim://"):
        return table.port
    if table.driver not in registry.names():
        raise ConfigError(
            f"nothing simulates {name}, a {table.driver}", hint="leave it out of a station file for dry runs"
        )
    parameters: dict[str, str] = {}
    for option, value in table.options.items():
        key, write = _MEANT.get(option, (option, str))
        more = {**parameters, key: str(write(value))}
        try:
            registry.make(table.driver, more)
        except KymographError:
            continue  # the simulator has no such thing
        parameters = more
    query = "&".join(f"{key}={value}" for key, value in parameters.items())
    return f"sim://{table.driver}?{query}".rstrip("?")


def rehearse(
    config: Config, sequence: Sequence, given: Mapping[str, Any], say: Callable[[object], None]
) -> Rehearsal:
    """Run a sequence on simulators; `say` is given each `Moment` when it is known, and words meanwhile.

    Raises:
        KymographError: it cannot be started, as it could not on the stand.
        Unavailable: an instrument does not come up.
    """
    from kymograph.service.station import Station

    with tempfile.TemporaryDirectory(prefix="kymograph-") as made:
        folder = Path(made)
        (folder / "sequences").mkdir()
        text = Path(sequence.file).read_text("utf-8")
        (folder / "sequences" / f"{sequence.name}.yaml").write_text(text, "utf-8")
        station = Station(simulated(config, folder))
        try:
            station.start()
            _wait_open(station, say)
            return _run(station, sequence.name, given, say)
        finally:
            station.shutdown()


def _wait_open(station: Station, say: Callable[[object], None]) -> None:
    say("starting the simulators")
    until_s = time.monotonic() + OPEN_S
    while late := [one for one in station.instruments() if not _delivers(one)]:
        if time.monotonic() > until_s:
            reason = f": {late[0]['error']}" if late[0]["error"] else ""
            raise Unavailable(f"the simulated {late[0]['name']} is {late[0]['state']}{reason}")
        time.sleep(_LOOK_S)


def _delivers(instrument: Mapping[str, Any]) -> bool:
    return instrument["state"] == status.ACQUIRING and instrument["health"]["rows"] > 0


def _run(station: Station, name: str, given: Mapping[str, Any], say: Callable[[object], None]) -> Rehearsal:
    events: deque[dict[str, Any]] = deque()
    listening = station.on_event(events.append)
    station.control.take(BY, 60.0)
    station.control.arm(f"sequence/{name}", BY, 60.0)
    run = station.runs.start({"sequence": name, "parameters": dict(given), "by": BY, "keep": True})
    told = _Told(say)
    try:
        while run["ended_ns"] is None:
            time.sleep(_LOOK_S)
            run = station.runs.get(run["id"])
            told.tell(run, list(events))
        until_s = time.monotonic() + _TOLD_S
        while not _told_of_its_end(run, list(events)) and time.monotonic() < until_s:
            time.sleep(_LOOK_S)
        told.tell(run, list(events))
    finally:
        listening.close()
    return Rehearsal(run["state"], run["reason"], run["failures"], sorted(told.moments))


def _told_of_its_end(run: Mapping[str, Any], events: list[dict[str, Any]]) -> bool:
    """Return whether the last of a run's events has come; they come in order, some time after the run."""
    return any(one["source"] == f"run/{run['id']}" and one["body"].get("ended_ns") for one in events)


class _Told:
    """What was said of a run already."""

    def __init__(self, say: Callable[[object], None]) -> None:
        self.moments: set[Moment] = set()
        self._say = say
        self._waits = ""

    def tell(self, run: Mapping[str, Any], events: list[dict[str, Any]]) -> None:
        for moment in _moments(run, events):
            if moment not in self.moments:
                self.moments.add(moment)
                self._say(moment)
        if run["waits_for"] != self._waits:
            self._waits = run["waits_for"]
            self._say(_waiting(run)) if self._waits else None


def _waiting(run: Mapping[str, Any]) -> str:
    left = f", {run['left_s']:.1f} s at most" if run["left_s"] is not None else ""
    return f"waits for {run['waits_for']}{left}"


def _moments(run: Mapping[str, Any], events: list[dict[str, Any]]) -> list[Moment]:
    def at(time_ns: int) -> float:
        return (time_ns - run["started_ns"]) / 1e9

    found: list[Moment] = []
    for one in run["asked"]:
        if one["outcome"] == "waiting":
            continue
        arguments = " ".join(f"{key}={json.dumps(value)}" for key, value in one["arguments"].items())
        answer_s = (one["ended_ns"] - one["told_ns"]) / 1e9 if one["ended_ns"] else None
        text = f"{one['what']} {arguments}".rstrip()
        more = (one["line"], one["always"], one["outcome"], one["detail"], answer_s)
        found.append(Moment(at(one["told_ns"]), "told", text, *more))
    for one in run["met"]:
        text = f"{one['condition']} came true, {(one['met_ns'] - one['since_ns']) / 1e9:.3f} s waited"
        found.append(Moment(at(one["met_ns"]), "met", text, one["line"], False, "", "", None))
    for event in events:
        if event["source"] == f"run/{run['id']}" and event["kind"] == "mark":
            text = f"event: {event['body'].get('text')}"
            found.append(Moment(at(event["time_ns"]), "event", text, None, False, "", "", None))
    return sorted(found)
