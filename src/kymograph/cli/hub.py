"""`kymograph hub`: the keys with which stations ship to a hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kymograph.cli import output

if TYPE_CHECKING:
    from kymograph.service.hub.keys import StationKey, StationKeys

EXAMPLES: Final = """\b
Examples:
  kymograph hub keys make roof --hub hub.toml --label "the Pi on the roof"
  kymograph hub keys ls --hub hub.toml
  kymograph hub keys revoke 3f9a1c77d0e2 --hub hub.toml"""

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Look after a hub.", short_help="Look after a hub.",
)  # fmt: skip
keys = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make, list and revoke the keys with which stations ship to a hub, each bound to one station.",
    short_help="Make, list and revoke keys of stations.",
    epilog=EXAMPLES,
)
app.add_typer(keys, name="keys")

Hub = Annotated[
    Path, typer.Option("--hub", metavar="HUB.toml", help="The hub's station file.", envvar="KYMOGRAPH_HUB")
]
Data = Annotated[
    Path | None, typer.Option("--data", metavar="FOLDER", help="Its data folder, if not that of the file.")
]
Station = Annotated[str, typer.Argument(metavar="STATION", help="The station, as it will call itself.")]


def _keys(hub: Path, data: Path | None) -> StationKeys:
    from kymograph.cli.serve import load
    from kymograph.service.hub.depot import Depot, open_database

    config = load(hub, "", None, data, [])
    database = open_database(config)
    return Depot(config, database).keys


def _plain(key: StationKey) -> dict[str, Any]:
    names = ("id", "station", "label", "created_ns", "used_ns", "revoked_ns")
    return {name: getattr(key, name) for name in names}


@keys.command(epilog=EXAMPLES)
def make(
    station: Station,
    hub: Hub,
    data: Data = None,
    label: Annotated[str, typer.Option(help="What it is for, in words.")] = "",
    as_json: output.Json = False,
) -> None:
    """Make a key for a station and print it: this is the only time that it can be seen.

    Every hub on this database knows it at once. It goes into `key` of the station's destination.
    """
    key, token = _keys(hub, data).make(station, label)
    if as_json:
        output.emit({**_plain(key), "key": token})
        return
    output.say(token)
    output.tell(f"This is the key of {station}, number {key.id}. It is not kept: copy it now.")


@keys.command("ls")
def list_keys(
    hub: Hub,
    data: Data = None,
    station: Annotated[str | None, typer.Option(help="Of this station only.")] = None,
    as_json: output.Json = False,
) -> None:
    """List the keys: whose they are, and when each was used last; never the keys themselves."""
    found = _keys(hub, data).list(station)
    if as_json:
        output.emit({"items": [_plain(key) for key in found], "next": None})
        return
    rows = [
        (
            key.id, key.station, key.label, output.moment(key.created_ns),
            "-" if key.used_ns is None else output.moment(key.used_ns),
            "" if key.revoked_ns is None else output.moment(key.revoked_ns),
        )
        for key in found
    ]  # fmt: skip
    output.table(("id", "station", "label", "made", "used", "revoked"), rows)


@keys.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `ls` shows it.")],
    hub: Hub,
    data: Data = None,
    as_json: output.Json = False,
) -> None:
    """Make a key worthless: every hub on this database refuses it at once."""
    key = _keys(hub, data).revoke(id)
    if as_json:
        output.emit(_plain(key))
    else:
        output.say(f"Revoked {key.id}, the key of {key.station}")
