"""`kymograph key`: the keys that open a station to the network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from kymograph.cli import output
from kymograph.model.errors import NotFound

if TYPE_CHECKING:
    from kymograph.service.keys import KeyStore

EXAMPLES: Final = """\b
Examples:
  kymograph key add anna --scope record --data /srv/kymograph
  kymograph key add wall-display --data /srv/kymograph
  kymograph key rm anna --data /srv/kymograph"""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make, list and remove the keys that a station asks of the network.",
    short_help="Make, list and remove keys.",
    epilog=EXAMPLES,
)

Data = Annotated[
    Path, typer.Option("--data", metavar="FOLDER", help="The station's data folder.", envvar="KYMOGRAPH_DATA")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Who or what the key is for.")]


def _store(data: Path) -> KeyStore:
    from kymograph.service.keys import KeyStore

    return KeyStore(data / "keys.json")


def _give_to_owner(data: Path) -> None:
    # Made by root, the file would be closed to the user whose station has to read it.
    if os.geteuid() == 0:
        owner = data.stat()
        for name in ("keys.json", "keys.lock"):
            if (data / name).exists():
                os.chown(data / name, owner.st_uid, owner.st_gid)


@app.command(epilog=EXAMPLES)
def add(
    name: Name,
    data: Data,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="read, record, control or admin; each carries read. Give it as often as needed."),
    ] = None,
    as_json: output.Json = False,
) -> None:
    """Make a key and print it: this is the only time that it can be seen.

    A running station knows it at once. Clients send it as `Authorization: Bearer KEY`.
    """
    scopes = scope or ["read"]
    data.mkdir(parents=True, exist_ok=True)
    token = _store(data).create(name, scopes)
    _give_to_owner(data)
    if as_json:
        output.emit({"name": name, "scopes": scopes, "key": token})
        return
    output.say(token)
    output.tell(f"This is the key of {name}, for {', '.join(scopes)}. It is not kept: copy it now.")


@app.command("ls")
def list_keys(data: Data, as_json: output.Json = False) -> None:
    """List the keys: names, scopes and age, never the keys themselves."""
    keys = _store(data).list()
    if as_json:
        items = [{"name": k.name, "scopes": list(k.scopes), "created_ns": k.created_ns} for k in keys]
        output.emit({"items": items, "next": None})
        return
    rows = [(key.name, ", ".join(key.scopes), output.moment(key.created_ns)) for key in keys]
    output.table(("name", "scopes", "made"), rows)


@app.command("rm")
def remove(name: Name, data: Data, as_json: output.Json = False) -> None:
    """Remove a key: a running station refuses it at once."""
    if not (data / "keys.json").exists():
        raise NotFound(f"{data} has no keys", hint="give the station's data folder with --data")
    _store(data).remove(name)
    _give_to_owner(data)
    if as_json:
        output.emit({"removed": name})
    else:
        output.say(f"Removed {name}")
