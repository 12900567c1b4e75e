"""`kymograph simulate`: the device's end of a wire, on a pseudo-terminal that any program can open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from kymograph.cli import output
from kymograph.model.errors import InvalidInput

EXAMPLES: Final = """\b
Examples:
  kymograph simulate ydlidar --link /tmp/lidar
  kymograph simulate ydlidar --model G4 --tcp 127.0.0.1:9000
  echo 'silence 3' | kymograph simulate ydlidar --link /tmp/lidar

It prints `ready PATH` when the port can be opened, and ends with Ctrl-C. Lines on its input are faults:
unplug, replug, silence SECONDS, drop BYTES, corrupt BYTES, junk BYTES, noise PROBABILITY, refuse on, ok."""


def simulate(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Which device; without, list them.")] = "",
    model: Annotated[str, typer.Option(help="Which model of it.")] = "",
    link: Annotated[
        Path | None, typer.Option("--link", metavar="PATH", help="Where the port is to be found.")
    ] = None,
    tcp: Annotated[
        str | None, typer.Option("--tcp", metavar="HOST:PORT", help="Listen there instead.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A further parameter of it.")
    ] = None,
    as_json: output.Json = False,
) -> None:
    """Play an instrument, byte for byte, on a port that any program can open.

    A station does this by itself for ports that begin with sim://; this command is for other programs,
    and for trying out what happens when a cable is pulled.
    """
    from kymograph.sim import registry, run

    if not name:
        items = [{"name": known} for known in registry.names()]
        if as_json:
            output.emit({"items": items, "next": None})
        else:
            output.table(("device",), [(item["name"],) for item in items])
        return
    parameters = {"model": model} if model else {}
    for setting in settings or []:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise InvalidInput(f"--set {setting}: not of the form key=value", hint="for example seed=1")
        parameters[key] = value
    raise typer.Exit(run(name, parameters, link=link, tcp=tcp))


def add_to(app: typer.Typer) -> None:
    """Add this command to the tree."""
    app.command(epilog=EXAMPLES, short_help="Play an instrument on a port.")(simulate)
