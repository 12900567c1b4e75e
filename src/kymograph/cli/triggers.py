"""`kymograph triggers`: what begins a recording by itself; arm, disarm and fire it."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from kymograph.cli import output
from kymograph.cli.recordings import Data, Key, Url
from kymograph.cli.running import reach

EXAMPLES: Final = """\b
Examples:
  kymograph triggers ls --data ./stand-data
  kymograph triggers disarm ignition --url http://stand.local:5001 --key $KEY
  kymograph triggers fire ignition --data ./stand-data"""

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, epilog=EXAMPLES,
    help="Look at the triggers of a running station, arm, disarm and fire them.",
    short_help="List, arm, disarm, fire.",
)  # fmt: skip

Which = Annotated[str, typer.Argument(metavar="TRIGGER", help="Its name in the station file.")]


@app.command("ls")
def list_triggers(
    data: Data = None, url: Url = "", key: Key = "", as_json: output.Json = False
) -> None:  # fmt: skip
    """List the triggers with their state and how things stand."""
    with reach(data, url, key) as station:
        items = station.triggers()
    if as_json:
        output.emit({"items": items, "next": None})
        return
    rows = [
        (one["name"], one["state"], one["when"], one["now"], one["fired"],
         output.moment(one["last_ns"]) if one["last_ns"] else "")
        for one in items
    ]  # fmt: skip
    output.table(("name", "state", "when", "now", "fired>", "last"), rows)


@app.command()
def arm(
    which: Which, data: Data = None, url: Url = "", key: Key = "", as_json: output.Json = False
) -> None:  # fmt: skip
    """Let a trigger fire when its condition next becomes true."""
    _act("arm", which, (data, url, key), as_json)


@app.command()
def disarm(
    which: Which, data: Data = None, url: Url = "", key: Key = "", as_json: output.Json = False
) -> None:  # fmt: skip
    """Let a trigger not fire. What it records goes on to its end."""
    _act("disarm", which, (data, url, key), as_json)


@app.command()
def fire(
    which: Which, data: Data = None, url: Url = "", key: Key = "", as_json: output.Json = False
) -> None:  # fmt: skip
    """Record as if the condition had become true now."""
    _act("fire", which, (data, url, key), as_json)


def _act(action: str, which: str, place: tuple[Any, str, str], as_json: bool) -> None:
    with reach(*place) as station:
        told = station.trigger(which, action)
    if as_json:
        output.emit(told)
    else:
        output.say(f"{told['name']}: {told['state']}")
