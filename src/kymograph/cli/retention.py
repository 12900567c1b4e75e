"""`kymograph retention`: how full the disk is, what would be deleted next and why, what stays, what went."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from kymograph.cli import output
from kymograph.cli.recordings import Key, Url
from kymograph.model.errors import InvalidInput

EXAMPLES: Final = """\b
Examples:
  kymograph retention stations/weather.toml
  kymograph retention --url http://pi.local:8000 --key $KEY --json
  kymograph retention --url http://pi.local:8000 --key $KEY --run"""

Station = Annotated[Path | None, typer.Argument(metavar="STATION.toml", help="The station file.")]
Run = Annotated[bool, typer.Option("--run", help="Do a pass now; the station must be running.")]


def retention(
    station: Station = None, url: Url = "", key: Key = "", run: Run = False, as_json: output.Json = False
) -> None:
    """Show what the next pass of retention would delete and why, what stays and why, and what went."""
    if run:
        _run(station, url, key, as_json)
        return
    told = _told(station, url, key)
    if as_json:
        output.emit(told)
    else:
        _show(told)


def _told(station: Path | None, url: str, key: str) -> dict[str, Any]:
    if url:
        from kymograph.cli.sources import Server

        return Server(url, key).retention()
    from kymograph.service.retention.view import viewing

    with viewing(_config(station)) as view:
        return view.look()


def _config(station: Path | None) -> Any:
    from kymograph.config import load

    if station is None:
        raise InvalidInput("where is the station?", hint="give its file, or --url http://… where it runs")
    config = load(station)
    if not config.keeps:
        raise InvalidInput(f"{station} keeps nothing that could be thinned", hint="see [readings]")
    return config


def _run(station: Path | None, url: str, key: str, as_json: bool) -> None:
    from kymograph.cli.sources import Server

    if not url:
        raise InvalidInput("a pass is done by the running station", hint="give --url http://…")
    said = Server(url, key).retain()
    if as_json:
        output.emit(said)
    elif not said["done"]:
        output.say("It is under way; look again with: kymograph retention")
    else:
        _show_pass(said["result"])


def _show(told: dict[str, Any]) -> None:
    disk, limits = told["disk"], told["thresholds"]
    output.say(
        f"Disk: {disk['used_percent']:g} % used, {output.size(disk['free_bytes'])} free; "
        f"thinned above {limits['used_percent_max']:g} %."
    )
    output.say(
        f"Readings: {told['database']['readings']} in {output.size(told['database']['size_bytes'])} "
        f"({told['database']['kind']}); recordings: {told['recordings']['segments']} sealed files, "
        f"{output.size(told['recordings']['size_bytes'])}."
    )
    if told["paused"]:
        output.say(f"Nothing is deleted: {told['paused']}.")
    for one in told["next"]:
        what = f"{one['segments']} files" if one["stream"] == "recordings" else f"{one['rows']} rows"
        warn = ", WHICH NO HUB HAS" if one["unsynced"] else ""
        output.say(f"Next: {what} of {one['stream']}, {output.size(one['size_bytes'])}{warn}: {one['why']}")
    if not told["next"] and not told["paused"]:
        output.say("Next: nothing is to go.")
    for stream, reasons in told["held_back"].items():
        for why, held in reasons.items():
            count = f"{held['segments']} files" if isinstance(held, dict) else f"{held} rows"
            output.say(f"Held back of {stream}: {count} {why}")
    for one in told["passes"][:3]:
        _show_pass(one)


def _show_pass(one: dict[str, Any]) -> None:
    after = f"{one['used_percent']:.1f} % → {one['used_percent_after']:.1f} %"
    output.say(f"Pass of {output.moment(one['started_ns'])}: {after}")
    for done in one["done"]:
        went = (
            f"{done['rows']} rows in {done['segments']} files" if done["segments"] else f"{done['rows']} rows"
        )
        error = f" ({done['error']})" if done["error"] else ""
        output.say(f"  {done['stream']}: {went}, {output.size(done['size_bytes'])}: {done['why']}{error}")
    if not one["done"]:
        output.say("  nothing had to go, or nothing may")


def add_to(app: typer.Typer) -> None:
    """Add this command to the tree."""
    app.command("retention", epilog=EXAMPLES, short_help="What is deleted next and why, and what stays.")(
        retention
    )
