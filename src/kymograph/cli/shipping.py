"""`kymograph shipping`: to whom a station ships, what it owes, and since when."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import typer

from kymograph.cli import output
from kymograph.cli.recordings import Data, Key, Url
from kymograph.model.errors import InvalidInput

EXAMPLES: Final = """\b
Examples:
  kymograph shipping --data ./weather-data
  kymograph shipping --url http://pi.local:8000 --key $KEY --json

Leaves with 0 if every destination takes what it is sent, with 1 if one does not."""


def shipping(data: Data = None, url: Url = "", key: Key = "", as_json: output.Json = False) -> None:
    """Show each destination with its state, what it is owed, and the age of the oldest row of that."""
    told = _told(data, url, key)
    if as_json:
        output.emit(told)
    else:
        _show(told)
    if any(one["state"] != "connected" for one in told["items"]):
        raise typer.Exit(output.FAILED)


def _told(data: Path | None, url: str, key: str) -> dict[str, Any]:
    if url:
        from kymograph.cli.sources import Server

        return Server(url, key).shipping()
    if data is None:
        raise InvalidInput(
            "where is the station?", hint="give --data FOLDER, or --url http://… of a running station"
        )
    from kymograph.service.keeping.shipping_state import read_shipping

    said = read_shipping(data)
    return {
        "running": said["running"],
        "told_ns": said["told_ns"],
        "items": said["destinations"],
        "next": None,
    }


def _show(told: dict[str, Any]) -> None:
    if not told["items"]:
        output.say("It ships to nobody.")
        return
    rows = [_row(one) for one in told["items"]]
    heads = ("name", "state", "readings>", "events>", "segments>", "lag>", "last success", "sent>", "url")
    output.table(heads, rows)
    for one in told["items"]:
        if one.get("error") and one["state"] != "connected":
            output.say(f"{one['name']}: {one['error']}" + (f" ({one['hint']})" if one.get("hint") else ""))
        if one.get("aside"):
            output.say(f"{one['name']}: {one['aside']} rows are put aside: {one['aside_reason']}")
    if not told["running"]:
        output.say("Nobody ships: the station does not run, or its keeper does not.")


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    owed = (one["owed"].get(stream, "") for stream in ("readings", "events", "segments"))
    lag = output.span(one["lag_s"]) if one.get("lag_s") else ""
    last, sent = output.moment(one.get("last_success_ns")), output.size(one.get("bytes_sent", 0))
    return (one["name"], one["state"], *owed, lag, last, sent, one["url"])


def add_to(app: typer.Typer) -> None:
    """Add this command to the tree."""
    app.command("shipping", epilog=EXAMPLES, short_help="Who gets what, what is owed, since when.")(shipping)
