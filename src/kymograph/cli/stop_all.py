"""`kymograph stop-all`: everything into its safe state, straight at the engine, whatever the front does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from kymograph.cli import output
from kymograph.cli.running import who

EXAMPLES: Final = """\b
Examples:
  kymograph stop-all --data /srv/stand
  kymograph stop-all --data /srv/stand --reason "leak at the feed line"

It asks for no lease and no key, only for the right to the data folder. Nothing moves any more until the stop
is reset on the dashboard, or by POST /v1/control/stop/reset in its two steps. Leaves with 0 if every
instrument that is open was told, with 1 if one could not be. This is software: it replaces no emergency
stop."""


def stop_all(
    data: Annotated[
        Path,
        typer.Option("--data", metavar="FOLDER", help="The station's data folder.", envvar="KYMOGRAPH_DATA"),
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the audit.")] = "",
    as_json: output.Json = False,
) -> None:
    """Bring everything that moves into its safe state, and keep it there until that is reset."""
    from kymograph.link.client import EngineClient

    engine = EngineClient(data)
    try:
        told = engine.control.stop_all(who(), reason)
    finally:
        engine.close()
    if as_json:
        output.emit(told)
    else:
        output.say("STOPPED. Nothing moves until this is reset.")
        for name, how in told["sent"].items():
            output.say(f"  {name}: {how}")
    if any(how not in ("sent", "not open") for how in told["sent"].values()):
        raise typer.Exit(output.FAILED)


def add_to(app: typer.Typer) -> None:
    """Add this command to the tree."""
    app.command("stop-all", epilog=EXAMPLES, short_help="Everything into its safe state, now.")(stop_all)
