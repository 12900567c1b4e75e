"""`kymograph serve` and `kymograph demo`: run a station until it is told to stop."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from kymograph.cli import output

if TYPE_CHECKING:
    from kymograph.config import Config

DEMO: Final = Path(__file__).with_name("demo.toml")
"""The demonstration station; it travels with the package."""

Station = Annotated[Path, typer.Argument(metavar="STATION.toml", help="The station file.")]
Host = Annotated[str, typer.Option("--host", help="Listen on this address instead.", metavar="ADDRESS")]
Port = Annotated[int | None, typer.Option("--port", help="Listen on this port instead.", min=0, max=65535)]
Data = Annotated[Path | None, typer.Option("--data", help="Keep the data here instead.", metavar="FOLDER")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change any key of the file; give it as often as needed."
    ),
]

EXAMPLES: Final = """\b
Examples:
  kymograph serve roof.toml
  kymograph serve roof.toml --host 0.0.0.0 --data /srv/kymograph
  kymograph serve lidar.toml --set instruments.lidar.port=serial:///dev/ttyUSB0

Ctrl-C or SIGTERM ends it: running recordings are sealed first, which takes 10 s at most."""

DEMO_EXAMPLES: Final = """\b
Examples:
  kymograph demo
  kymograph demo --port 8080 --data /tmp/demo
  kymograph demo --print > station.toml"""


def load(path: Path, host: str, port: int | None, data: Path | None, settings: Sequence[str]) -> Config:
    """Read a station file, with what the command line says laid over it.

    Raises:
        ConfigError: the file cannot be used as it stands.
    """
    from kymograph.config import load as load_config

    over = list(settings)
    if host:
        over.append(f"web.host={json.dumps(host)}")
    if port is not None:
        over.append(f"web.port={port}")
    if data is not None:
        over.append(f"station.data={json.dumps(str(data))}")
    return load_config(path, over)


def _serve(config: Config) -> None:
    from kymograph.app.engine import serve as run

    def ready(url: str) -> None:
        where = f"Open {url} in a browser" if url else "Running without a front"
        output.say(f"{where}. Data in {config.station.data}. Ctrl-C ends it, sealed.")
        sys.stdout.flush()

    raise typer.Exit(run(config, ready))


def serve(
    station: Station,
    host: Host = "",
    port: Port = None,
    data: Data = None,
    settings: Settings = None,
    only_check: Annotated[
        bool, typer.Option("--check", help="Print what would start, and leave. As `kymograph check`.")
    ] = False,
) -> None:
    """Run a station: acquire, record, and serve its dashboard and interfaces."""
    config = load(station, host, port, data, settings or [])
    if only_check:
        from kymograph.cli import check

        check.show(config)
        return
    _serve(config)


def demo(
    host: Host = "", port: Port = None, data: Data = None, settings: Settings = None,
    show: Annotated[bool, typer.Option("--print", help="Print its station file instead.")] = False,
) -> None:  # fmt: skip
    """Run a station of simulated instruments, to see what this is.

    Nothing needs to be attached. Its data goes to ./demo-data, its dashboard is at http://127.0.0.1:8000.
    """
    if show:
        output.say(DEMO.read_text("utf-8").rstrip())
        return
    _serve(load(DEMO, host, port, data, settings or []))


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command(epilog=EXAMPLES, short_help="Run a station.")(serve)
    app.command(epilog=DEMO_EXAMPLES, short_help="Run a station of simulated instruments.")(demo)
