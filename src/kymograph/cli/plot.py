"""`kymograph plot`: a picture of a recording or of any file of ours, or a page to zoom in."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from kymograph.cli import output
from kymograph.model.errors import Conflict, InvalidInput, NotFound

if TYPE_CHECKING:
    from kymograph.plot.drawing import Drawing
    from kymograph.plot.making import Wish
    from kymograph.plot.moments import Moment
    from kymograph.plot.picture import Size
    from kymograph.plot.source import Source
    from kymograph.service.archive.reduce import Watch
    from kymograph.store.parts import Span

EXAMPLES: Final = """\b
Examples:
  kymograph plot night --data ./demo-data
  kymograph plot night --data ./demo-data -o night.html --last 10min
  kymograph plot teststand-data/exports/sensor_log_20260501_120000.parquet --channels 'P*,thrust'
  kymograph plot monday.csv tuesday.csv -o week.svg --title 'Two days'

PNG and SVG are for a report. HTML is one file that needs no network: drag to zoom, double-click for all.
Each point shows the lowest and the highest of the rows it stands for, so that no peak is lost."""

app = typer.Typer(rich_markup_mode=None)

_SUFFIXES: Final = (".png", ".svg", ".html")
_PAGE_POINTS: Final = 200_000
"""Points of all channels of a page together: about 2 MB."""
_PAGE_POINTS_MAX: Final = 10_000
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|h|d)?")
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "": 1}


class _Found(NamedTuple):
    """What an argument stands for."""

    name: str
    sources: Sequence[Source]
    folder: Path | None
    """Of the recording, where there are events."""
    beside: Path
    """The folder where the picture goes unless it is said."""


@app.command(epilog=EXAMPLES, short_help="Draw a recording or a file: PNG, SVG or HTML.")
def plot(  # noqa: PLR0913 - options for a person, not a call to get right
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|RECORDING...",
            help="A file (parquet, hdf5, csv, jsonl), a recording's folder, or its name or id in --data.",
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FOLDER", help="The station's data folder.", envvar="KYMOGRAPH_DATA"),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="File to write: .png, .svg or .html. Beside the input if not given."
        ),
    ] = None,
    channels: Annotated[str, typer.Option(help="Only these: a,b,c. Patterns fit several: 'P*'.")] = "",
    start: Annotated[str | None, typer.Option(help="First time: RFC 3339, or ns since 1970.")] = None,
    stop: Annotated[str | None, typer.Option(help="Up to this time, exclusive.")] = None,
    last: Annotated[str, typer.Option(metavar="DURATION", help="Only the last 30s, 10min, 2h.")] = "",
    group: Annotated[
        str, typer.Option(help="Panels: auto, unit, name, channel (one each), stream.")
    ] = "auto",
    events: Annotated[
        bool, typer.Option("--events/--no-events", help="Marks, commands and alarms of the recording.")
    ] = True,
    title: Annotated[str, typer.Option(help="In place of the recording's or the file's name.")] = "",
    width: Annotated[int, typer.Option(min=300, max=10_000, help="Pixels.")] = 1600,
    height: Annotated[int, typer.Option(min=0, max=10_000, help="Pixels; 0 is as the panels want.")] = 0,
    dpi: Annotated[int, typer.Option(min=50, max=600, help="Pixels an inch: how large text is.")] = 150,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that exists.")] = False,
    as_json: output.Json = False,
) -> None:
    """Draw pressures, temperatures, thrust and whatever else was recorded over time."""
    from kymograph.plot.picture import Size

    found = [_find(one, data) for one in what]
    path = _destination(to, found, force)
    wish = _wish(path, found, _span(start, stop, last, found), (channels, group, title, str(width)))
    drawing = _read(found, wish, events, as_json)
    _write(drawing, path, Size(width, height, dpi))
    if as_json:
        output.emit(_told(path, drawing))
    else:
        output.say(f"{path} ({output.size(path.stat().st_size)}): {drawing.rows} rows")


def _find(what: str, data: Path | None) -> _Found:
    """Return what an argument stands for: a file, a recording's folder, or a recording's name or id."""
    from kymograph.plot.files import SUFFIXES, FileStream
    from kymograph.plot.recorded import recorded, recording_name

    path = Path(what)
    if path.is_file() or (path.suffix.lower() in SUFFIXES and data is None):
        folder = path.parent if (path.parent / "recording.json").is_file() else None
        return _Found(path.stem, [FileStream(path)], folder, path.parent)
    if path.is_dir():
        return _Found(recording_name(path), recorded(path), path, Path())
    if data is None:
        raise NotFound(f"there is no {what}", hint="a recording's name or id needs --data FOLDER")
    return _named(what, data)


def _named(what: str, data: Path) -> _Found:
    from contextlib import closing

    from kymograph.cli.sources import find, open_source
    from kymograph.plot.recorded import recorded
    from kymograph.service.archive.archive import Archive

    item = find(open_source(data, "", ""), what)
    with closing(Archive(data)) as archive:
        folder = archive.path(item["id"])
    return _Found(str(item["name"]), recorded(folder), folder, Path())


def _destination(to: Path | None, found: Sequence[_Found], force: bool) -> Path:
    path = to or found[0].beside / f"{found[0].name}.png"
    if path.is_dir():
        path = path / f"{found[0].name}.png"
    if path.suffix.lower() not in _SUFFIXES:
        raise InvalidInput(f"{path} is no picture", hint=f"its name ends in {', '.join(_SUFFIXES)}")
    if path.exists() and not force:
        raise Conflict(f"{path} exists already", hint="choose another with -o, or write over it with --force")
    return path


def _span(start: str | None, stop: str | None, last: str, found: Sequence[_Found]) -> Span:
    from kymograph.store.parts import Span
    from kymograph.web.times import parse_optional

    start_ns, stop_ns = parse_optional(start, "--start"), parse_optional(stop, "--stop")
    if not last:
        return Span(start_ns, stop_ns)
    wanted = _DURATION.fullmatch(last.strip())
    if wanted is None:
        raise InvalidInput(f"{last} is no duration", hint="as 30s, 10min, 2h, 1d")
    if start_ns is not None:
        raise InvalidInput("--start and --last are both given", hint="one says where it begins")
    ends = [extent[1] for one in found for source in one.sources if (extent := source.extent())]
    end = max(ends, default=0) + 1 if stop_ns is None else stop_ns
    return Span(end - round(float(wanted[1]) * _SECONDS[wanted[2] or ""] * 1e9), stop_ns)


def _wish(path: Path, found: Sequence[_Found], span: Span, options: tuple[str, str, str, str]) -> Wish:
    from kymograph.plot.making import Wish

    channels, group, title, width = options
    patterns = tuple(filter(None, (one.strip() for one in channels.split(","))))
    points = 2 * int(width)
    if path.suffix.lower() == ".html":
        count = max(len(source.quantities) for one in found for source in one.sources)
        points = max(1000, min(_PAGE_POINTS // count, _PAGE_POINTS_MAX))
    names = ", ".join(dict.fromkeys(one.name for one in found[:3])) + (" …" if len(found) > 3 else "")
    return Wish(title or names, patterns, span, group, points)


def _read(found: Sequence[_Found], wish: Wish, events: bool, quiet: bool) -> Drawing:
    from kymograph.plot.making import make

    sources = [source for one in found for source in one.sources]
    told: list[Moment] = []
    if events:
        from kymograph.plot.moments import moments

        for folder in {one.folder for one in found if one.folder is not None}:
            told += moments(folder, wish.span)
    with _watched(sum(source.rows for source in sources), quiet) as watch:
        return make(sources, wish, sorted(told), watch)


@contextmanager
def _watched(total: int, quiet: bool) -> Generator[Watch]:
    if quiet:
        yield lambda rows: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as display:
        task = display.add_task("rows", total=total or None)
        yield lambda rows: display.advance(task, rows)


def _write(drawing: Drawing, path: Path, size: Size) -> None:
    """Write the file under its name only when it is whole."""
    from kymograph.plot import page, picture

    suffix = path.suffix.lower()
    unfinished = path.with_name(path.name + ".part")
    try:
        with unfinished.open("wb") as file:
            if suffix == ".html":
                page.write(drawing, file)
            else:
                picture.draw(drawing, file, suffix, size)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _told(path: Path, drawing: Drawing) -> dict[str, object]:
    first, last = drawing.extent
    return {
        "path": str(path), "size_bytes": path.stat().st_size, "rows": drawing.rows,
        "first_ns": first, "last_ns": last, "events": len(drawing.moments),
        "panels": [
            {"title": one.title, "unit": one.unit, "channels": [line.quantity.name for line in one.lines]}
            for one in drawing.panels
        ],
        "without_values": list(drawing.empty),
    }  # fmt: skip


def add_to(tree: typer.Typer) -> None:
    """Add this command to the tree."""
    tree.add_typer(app)
