"""`kymograph doctor`: is this computer fit to record, and if not, what is to be done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from kymograph.cli import output
from kymograph.model.errors import KymographError

if TYPE_CHECKING:
    from kymograph.cli.findings import Finding
    from kymograph.config import Config

EXAMPLES: Final = """\b
Examples:
  kymograph doctor
  kymograph doctor lidar.toml
  kymograph doctor --json | jq '.findings[] | select(.state != "ok")'

Leaves with 0 if nothing failed, warnings or not, and with 1 otherwise."""

_COLOURS: Final = {"ok": typer.colors.GREEN, "warn": typer.colors.YELLOW, "fail": typer.colors.RED}


def doctor(
    station: Annotated[
        Path | None, typer.Argument(metavar="[STATION.toml]", help="Look at what this station needs, too.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="The data folder, if not the station's.", metavar="FOLDER")
    ] = None,
    as_json: output.Json = False,
) -> None:
    """Look at ports, buses, permissions, disk, clock and Python, and say what to do about each.

    With a station file, also whether it can start: its options, its links, its address, its data folder.
    """
    from kymograph.cli import findings

    found: list[Finding] = []
    for finding in _look(station, data):
        found.append(finding)
        if not as_json:
            _print(finding)
    state = findings.summary(found)
    if as_json:
        output.emit({"state": state, "findings": [finding.to_dict() for finding in found]})
    else:
        counts = {s: sum(f.state == s for f in found) for s in (findings.WARN, findings.FAIL)}
        output.say()
        output.say(
            "All is well."
            if state == findings.OK
            else f"{counts['fail']} failed, {counts['warn']} to look at."
        )
    if state == findings.FAIL:
        raise typer.Exit(output.FAILED)


def _look(station: Path | None, data: Path | None) -> Iterator[Finding]:
    from kymograph.cli import findings, i2c_findings
    from kymograph.cli.serve import load

    yield findings.python()
    config: Config | None = None
    if station is not None:
        try:
            config = load(station, "", None, data, [])
        except KymographError as error:
            yield findings.Finding("station file", findings.FAIL, error.message, error.hint)
    if config is not None:
        yield from _station(config)
    folder = config.station.data if config is not None else data or Path()
    yield from findings.ports()
    instruments = config.instruments.values() if config is not None else ()
    yield from i2c_findings.look(table.port for table in instruments)
    yield from findings.disk(folder)
    if config is not None or data is not None:
        yield findings.lock(folder)
    yield from findings.clock()
    yield from findings.power()


def _station(config: Config) -> Iterator[Finding]:
    from kymograph.cli import findings, plan

    try:
        made = plan.make(config)
    except KymographError as error:
        yield findings.Finding("station file", findings.FAIL, error.message, error.hint)
        return
    count = sum(len(instrument.streams) for instrument in made.instruments)
    yield findings.Finding(
        "station file", findings.OK, f"{len(made.instruments)} instruments, {count} streams"
    )
    needed, installed = sum(made.memory().values()), plan.installed_bytes()
    enough = needed <= installed
    yield findings.Finding(
        "memory", findings.OK if enough else findings.WARN,
        f"at most {output.size(needed)} of {output.size(installed)}",
        "" if enough else "lower [ring] seconds or bytes_max in the station file",
    )  # fmt: skip
    for name, table in config.instruments.items():
        if table.port.startswith("serial://") and table.port != "serial://auto":
            device = Path(table.port.removeprefix("serial://").partition("?")[0])
            if not device.exists():
                yield findings.Finding(
                    f"instrument {name}", findings.FAIL, f"{device} is not there",
                    "plug it in, or use serial://auto or a name of /dev/serial/by-id",
                )  # fmt: skip
    if config.web.enabled and config.web.port:
        yield findings.listening(config.web.host, config.web.port)


def _print(finding: Finding) -> None:
    mark = typer.style(f"{finding.state:>4}", fg=_COLOURS[finding.state], bold=True)
    typer.echo(f"{mark}  {finding.subject}: {finding.found}")
    if finding.advice:
        typer.echo(f"      → {finding.advice}")


def add_to(app: typer.Typer) -> None:
    """Add this command to the tree."""
    app.command(epilog=EXAMPLES, short_help="Say what is wrong, and what to do.")(doctor)
