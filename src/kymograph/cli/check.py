"""`kymograph check`: read a station file whole and say what it would start, without starting it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from kymograph.cli import output
from kymograph.cli.serve import Data, Host, Port, Settings, Station, load
from kymograph.model.errors import ConfigError

if TYPE_CHECKING:
    from kymograph.cli.plan import Plan
    from kymograph.config import Config

EXAMPLES: Final = """\b
Examples:
  kymograph check roof.toml
  kymograph check lidar.toml --set instruments.lidar.options.model=G4
  kymograph check roof.toml --json"""


def check(
    station: Station, host: Host = "", port: Port = None, data: Data = None, settings: Settings = None,
    as_json: output.Json = False,
) -> None:  # fmt: skip
    """Check a station file, and the sequences beside it, and print what it would start: streams, link loads,
    memory, disk.

    Nothing is opened. Leaves with 0 if the station can start and all its sequences can be run, with 2 if a
    file has to be changed first; it is told which, where, and why.
    """
    try:
        show(load(station, host, port, data, settings or []), as_json)
    except ConfigError as error:
        if str(station) in error.message:
            raise
        raise ConfigError(f"{station}: {error.message}", hint=error.hint, **error.facts) from None


def show(config: Config, as_json: bool = False) -> None:
    """Print what a station would start.

    Raises:
        ConfigError: it could not start.
        InvalidInput: a sequence of its own could not be run.
    """
    from kymograph.cli import plan

    made = plan.make(config)
    _check_readings(made)
    sequences = _sequences(made)
    if as_json:
        output.emit({**made.to_dict(), "sequences": sequences})
        return
    _station(made)
    _readings(made)
    _instruments(made)
    _control(made)
    if sequences:
        output.say(f"Sequences: {', '.join(one['name'] for one in sequences)}")
    _budget(made)


def _sequences(plan: Plan) -> list[dict[str, str]]:
    """Return the station's own sequences.

    Raises:
        InvalidInput: with file, line and reason of every fault in them.
    """
    from kymograph.control.sequence.read import Fault, refuse
    from kymograph.service.runs.files import SequenceFiles

    found = SequenceFiles(plan.config.control.sequences, plan.catalogue()).list()
    own = [one for one in found if not one["built_in"]]
    told = [{**fault, "file": fault["file"] or one["file"]} for one in own for fault in one["problems"]]
    faults = [Fault(**fault) for fault in told]
    if faults:
        refuse(faults)
    return [{key: one[key] for key in ("name", "description", "file", "sha256")} for one in own]


def _station(plan: Plan) -> None:
    web = plan.config.web
    output.say(f"Station {plan.config.station.name}, data in {plan.config.station.data}")
    if not web.enabled:
        output.say("No front: acquires and records, serves nothing")
    else:
        who = "this computer only" if web.host in ("127.0.0.1", "::1", "localhost") else "the network"
        keys = "no key asked" if who == "this computer only" else "keys asked"
        if web.open and who != "this computer only":
            keys = "open: anyone may read and record"
        output.say(f"Dashboard http://{web.host}:{web.port} for {who}, {keys}")
    for one in plan.config.overrides:
        output.say(f"From the environment: {one.key} = {one.text} ({one.variable})")
    if web.faces:
        output.say(f"Faces: {', '.join(web.faces)}")
    recording = plan.config.recording
    output.say(
        f"Recordings: {recording.format}, sealed every {output.span(recording.segment_interval_s)}, "
        f"on disk every {recording.flush_interval_s:g} s"
    )


def _check_readings(plan: Plan) -> None:
    config = plan.config
    missing = (
        [name for name in config.readings.instruments if name not in config.instruments]
        if config.readings
        else []
    )
    if missing:
        raise ConfigError(
            f"readings.instruments: there is no instrument {missing[0]}",
            hint=f"instruments are: {', '.join(config.instruments) or 'none'}",
        )


def _readings(plan: Plan) -> None:
    """Say what is composed, where it is kept, and where it goes."""
    config = plan.config
    if config.readings is not None:
        names = ", ".join(config.readings.instruments or config.instruments)
        output.say(f"Readings: every {output.span(config.readings.interval_s)}, of {names}")
    if config.keeps:
        kind = "PostgreSQL" if config.database_url.startswith("postgresql") else "SQLite"
        output.say(f"Database: {kind}")
    for name, table in config.destinations.items():
        output.say(f"Ships to {name}: {', '.join(table.streams)} to {table.url}")


def _instruments(plan: Plan) -> None:
    output.say()
    rows = [
        (i.name, i.driver, i.port or "none", s.stream.name, len(s.stream.channels),
         f"{s.stream.rate_hz:g}" if s.stream.rate_hz else "irregular",
         output.size(s.bytes_per_s) + "/s", f"{s.ring_rows} ({output.size(s.ring_bytes)})")
        for i in plan.instruments for s in i.streams
    ]  # fmt: skip
    columns = ("instrument", "driver", "port", "stream", "channels>", "rate/Hz>", "data>", "ring rows>")
    output.table(columns, rows)
    for instrument in plan.instruments:
        if instrument.load is not None and instrument.load_share is not None:
            share = f"{100 * instrument.load_share:.0f} %"
            output.say(f"{instrument.name}: link at {share} of what it carries: {instrument.load.arithmetic}")


def _control(plan: Plan) -> None:
    """Say what stops and what refuses, and what must be armed."""
    from kymograph.control.interlock import InterlockTable

    tables = {name: InterlockTable.model_validate(t) for name, t in plan.config.interlocks.items()}
    for name, table in tables.items():
        kind, what = ("trip", table.trip) if table.trip else ("permit", table.permit)
        output.say(f"Interlock {name}: {kind} {what} (of {', '.join(table.applies_to) or 'everything'})")
    if plan.config.control.armed:
        output.say(f"To be armed first: {', '.join(plan.config.control.armed)}")


def _budget(plan: Plan) -> None:
    from kymograph.cli.plan import free_bytes, installed_bytes

    memory = {part: nbytes for part, nbytes in plan.memory().items() if nbytes}
    total, installed = sum(memory.values()), installed_bytes()
    output.say()
    output.say(f"Memory at most {output.size(total)} of {output.size(installed)}:")
    output.say("  " + " + ".join(f"{part} {output.size(nbytes)}" for part, nbytes in memory.items()))
    if total > installed:
        output.tell("warning: that is more than this computer has")
        output.tell("hint: lower [ring] seconds or bytes_max")
    free = free_bytes(plan.config.station.data)
    text = f"Disk {output.size(free)} free"
    if plan.bytes_per_s:
        text += f": room for {output.span(free / plan.bytes_per_s)} of everything, before compression"
    output.say(text)


def add_to(app: typer.Typer) -> None:
    """Add this command to the tree."""
    app.command(epilog=EXAMPLES, short_help="Say what a station file would start.")(check)
