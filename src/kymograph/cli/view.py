"""`kymograph view`: a data folder in the browser, without any instrument."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

import typer

from kymograph.cli import output
from kymograph.model.errors import InvalidInput

EXAMPLES: Final = """\b
Examples:
  kymograph view ./dives
  kymograph view /media/stick/kymograph --port 8080

The folder of a mirror can be viewed while the mirror writes into it."""


def view(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A data folder, or a mirror's.")],
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535)] = 8000,
) -> None:
    """Show the recordings of a folder on a dashboard: plots, downloads, completeness."""
    from kymograph.app.engine import serve as run
    from kymograph.config import parse

    if not (folder / "recordings").is_dir():
        raise InvalidInput(f"{folder} is no data folder", hint="it has a folder `recordings` in it")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.absolute().name).strip(".-") or "view"
    station = {"name": name, "data": str(folder), "description": "a folder that is viewed"}
    config = parse({"station": station, "web": {"host": host, "port": port}})

    def ready(url: str) -> None:
        output.say(f"Open {url} in a browser. Ctrl-C ends it.")

    raise typer.Exit(run(config, ready))


def add_to(app: typer.Typer) -> None:
    """Add this command to the tree."""
    app.command(epilog=EXAMPLES, short_help="Show a folder of recordings in the browser.")(view)
