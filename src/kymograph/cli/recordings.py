"""`kymograph recordings`: begin and end them, list, look into, download and delete what was recorded."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer

from kymograph.cli import output
from kymograph.cli.running import reach
from kymograph.cli.sources import Export, Wanted, find, open_source
from kymograph.model.errors import Conflict, InvalidInput

EXAMPLES: Final = """\b
Examples:
  kymograph recordings ls --data ./demo-data
  kymograph recordings export night --data ./demo-data --format csv -o night.csv
  kymograph recordings export night --url http://pi.local:8000 --key $KEY --from 2026-05-01T03:00:00Z
  kymograph recordings start burn --pre 30 --data ./stand-data
  kymograph recordings promote puff --seconds 60 --url http://stand.local:5001
  kymograph recordings rm night --data ./demo-data --yes"""

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, epilog=EXAMPLES,
    help="Begin, end, list, show, export and delete recordings, of a folder or of a running station.",
    short_help="Begin, end, list, show, export, delete.",
)  # fmt: skip

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="FOLDER", help="The station's data folder.", envvar="KYMOGRAPH_DATA"),
]
Url = Annotated[
    str, typer.Option("--url", metavar="URL", help="A running station instead.", envvar="KYMOGRAPH_URL")
]
Key = Annotated[
    str, typer.Option("--key", metavar="KEY", help="The key it asks for.", envvar="KYMOGRAPH_KEY")
]
Which = Annotated[str, typer.Argument(metavar="RECORDING", help="Name, id, or the beginning of an id.")]


Names = Annotated[
    list[str] | None, typer.Option("--stream", metavar="STREAM", help="Only this stream; may be repeated.")
]
Form = Annotated[str, typer.Option("--format", "-f", help="csv, hdf5, parquet or jsonl.")]
Called = Annotated[str, typer.Argument(metavar="NAME", help="What it is called.")]


@app.command(short_help="Begin one, with the last seconds first if asked.")
def start(  # noqa: PLR0913 - options for a person, not a call to get right
    name: Called,
    data: Data = None,
    url: Url = "",
    key: Key = "",
    pre: Annotated[
        float, typer.Option("--pre", metavar="SECONDS", help="Begin with the last seconds.")
    ] = 0.0,
    stream: Names = None,
    form: Form = "",
    as_json: output.Json = False,
) -> None:
    """Begin a recording at a running station; with --pre it begins so many seconds back."""
    wish = {"name": name, "pre_s": pre, "streams": stream, "format": form}
    with reach(data, url, key) as station:
        begun = station.start({what: value for what, value in wish.items() if value})
    given_s = begun["metadata"].get("pre_s_given")
    _begun(begun, as_json, f", from {given_s:g} s back" if given_s is not None else "")


@app.command(short_help="Keep the last seconds as one.")
def promote(  # noqa: PLR0913 - options for a person, not a call to get right
    name: Called,
    seconds: Annotated[float, typer.Option("--seconds", metavar="SECONDS", help="How far back.")],
    data: Data = None,
    url: Url = "",
    key: Key = "",
    stream: Names = None,
    form: Form = "",
    as_json: output.Json = False,
) -> None:
    """Make a recording of the last seconds, beside what is being recorded. It ends by itself."""
    wish = {"name": name, "seconds": seconds, "streams": stream, "format": form}
    with reach(data, url, key) as station:
        begun = station.promote({what: value for what, value in wish.items() if value})
    _begun(begun, as_json, f", the last {begun['metadata']['promoted_s_given']:g} s")


def _begun(recording: dict[str, Any], as_json: bool, more: str) -> None:
    if as_json:
        output.emit(recording)
    else:
        output.say(f"Recording {recording['name']} ({recording['id'][:8]}){more}")


@app.command(short_help="End one.")
def stop(
    which: Which, data: Data = None, url: Url = "", key: Key = "", as_json: output.Json = False
) -> None:  # fmt: skip
    """End a running recording."""
    item = find(open_source(data, url, key), which)
    with reach(data, url, key) as station:
        ended = station.stop(item["id"])
    if as_json:
        output.emit(ended)
    else:
        output.say(f"Ended {ended['name']}")


@app.command("ls")
def list_recordings(
    data: Data = None, url: Url = "", key: Key = "", as_json: output.Json = False
) -> None:  # fmt: skip
    """List the recordings, newest first."""
    items = open_source(data, url, key).list()
    if as_json:
        output.emit({"items": items, "next": None})
        return
    rows = [
        (item["name"], item["id"][:8], output.moment(item["started_ns"]), _duration(item), item["ended"],
         item.get("rows"), output.size(item.get("size_bytes") or 0), item["format"])
        for item in items
    ]  # fmt: skip
    output.table(("name", "id", "started", "duration>", "ended", "rows>", "size>", "format"), rows)


def _duration(item: dict[str, Any]) -> str:
    return output.span((item["ended_ns"] - item["started_ns"]) / 1e9) if item["ended_ns"] else "running"


@app.command()
def show(
    which: Which, data: Data = None, url: Url = "", key: Key = "", as_json: output.Json = False
) -> None:  # fmt: skip
    """Show one recording: how it ended, its streams, files and events."""
    source = open_source(data, url, key)
    item = find(source, which)
    segments, events = source.segments(item["id"]), source.events(item["id"])
    if as_json:
        output.emit({**item, "segments": segments, "events": events})
        return
    output.say(f"{item['name']}  {item['id']}")
    output.say(f"started {output.moment(item['started_ns'])}, {_duration(item)}, ended by {item['ended']}")
    metadata: dict[str, Any] = item.get("metadata") or {}
    for name, value in metadata.items():
        output.say(f"{name}: {value}")
    output.say()
    rows = [
        (s["name"], f"{s['rate_hz']:g}" if s["rate_hz"] else "irregular",
         ", ".join(c["name"] + (f" ({c['unit']})" if c["unit"] else "") for c in s["channels"]))
        for s in item["streams"]
    ]  # fmt: skip
    output.table(("stream", "rate/Hz>", "channels"), rows)
    output.say()
    files = [(s["filename"], s["rows"], output.size(s["size_bytes"]), s["sha256"][:16]) for s in segments]
    output.table(("file", "rows>", "size>", "sha256"), files)
    if events:
        output.say()
        told = [(output.moment(e["time_ns"]), e["kind"], e["source"], _text(e["body"])) for e in events]
        output.table(("time", "event", "source", ""), told)


def _text(body: dict[str, Any]) -> str:
    return str(body["text"]) if "text" in body else ", ".join(f"{k} {v}" for k, v in body.items())


@app.command(epilog=EXAMPLES, short_help="Write one into a file of any format.")
def export(  # noqa: PLR0913 - options for a person, not a call to get right
    which: Which,
    data: Data = None,
    url: Url = "",
    key: Key = "",
    file_format: Annotated[str, typer.Option("--format", "-f", help="csv, hdf5, parquet or jsonl.")] = "csv",
    stream: Annotated[
        str | None, typer.Option(help="Only this stream; several make a zip of one file each.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="First time: RFC 3339, or ns since 1970.")
    ] = None,
    stop: Annotated[str | None, typer.Option("--to", help="Up to this time, exclusive.")] = None,
    channels: Annotated[str, typer.Option(help="Only these channels: a,b,c.")] = "",
    to: Annotated[
        Path | None, typer.Option("-o", "--output", help="File or folder to write to; - is standard output.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that exists.")] = False,
    as_json: output.Json = False,
) -> None:
    """Write a recording, or a part of it, into one file of any format; also while it is being recorded."""
    source = open_source(data, url, key)
    item = find(source, which)
    names = [s["name"] for s in item["streams"]]
    if stream is not None and stream not in names:
        raise InvalidInput(f"{item['name']} has no stream {stream}", hint=f"streams are: {', '.join(names)}")
    wanted = Wanted(file_format, stream, start, stop, tuple(filter(None, channels.split(","))))
    with source.export(item["id"], wanted) as made:
        path = None if to == Path("-") else _destination(made, to, force)
        written = _write(made, path)
    if path is None:
        return
    if as_json:
        output.emit({"recording_id": item["id"], "path": str(path), "size_bytes": written})
    else:
        output.say(f"{path} ({output.size(written)})")


def _destination(made: Export, to: Path | None, force: bool) -> Path:
    path = to or Path(made.filename)
    if path.is_dir():
        path = path / made.filename
    if path.exists() and not force:
        raise Conflict(f"{path} exists already", hint="choose another with -o, or write over it with --force")
    return path


def _write(made: Export, path: Path | None) -> int:
    """Write the pieces to a file that gets its name only when it is whole, or to standard output."""
    written = 0
    unfinished = path and path.with_name(path.name + ".part")
    with ExitStack() as stack:
        file: BinaryIO = stack.enter_context(unfinished.open("wb")) if unfinished else sys.stdout.buffer
        if unfinished:
            stack.callback(unfinished.unlink, missing_ok=True)
        display = stack.enter_context(output.progress(made.size_bytes is not None))
        task = display.add_task(path.name if path else "export", total=made.size_bytes)
        for piece in made.pieces:
            file.write(piece)
            written += len(piece)
            display.update(task, completed=written)
        file.flush()
        if path and unfinished:
            unfinished.replace(path)
    return written


@app.command("rm")
def remove(
    which: Which,
    data: Data = None,
    url: Url = "",
    key: Key = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: output.Json = False,
) -> None:
    """Delete an ended recording with all its files. There is no way back."""
    source = open_source(data, url, key)
    item = find(source, which)
    if item["ended_ns"] is None:
        raise Conflict(f"{item['name']} is still being recorded", hint="stop it first")
    if not yes:
        if not sys.stdin.isatty():
            raise InvalidInput("deleting asks for a yes", hint="give --yes")
        typer.confirm(f"Delete {item['name']}, {item.get('rows', 0)} rows?", abort=True, err=True)
    source.remove(item["id"])
    if as_json:
        output.emit({"removed": item["id"], "name": item["name"]})
    else:
        output.say(f"Deleted {item['name']}")
