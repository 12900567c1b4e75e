"""What a command says: tables for a person, JSON for a program, an error in one line and a hint.

Answers go to standard output and everything else to standard error, so that a pipe carries answers only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kymograph.model.errors import ConfigError, InvalidInput, KymographError

if TYPE_CHECKING:
    from rich.progress import Progress

FAILED: Final = 1
"""Exit code of a command that could not do what it was asked."""
USAGE: Final = 2
"""Exit code where what was given cannot be meant: arguments, or a station file."""

_WIDE: Final = 10_000

Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, for programs.")]


def emit(data: object) -> None:
    """Print an answer as one JSON document."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n")


def say(text: str = "") -> None:
    """Print a line of the answer."""
    sys.stdout.write(text + "\n")


def tell(text: str) -> None:
    """Print a line about the work, beside the answer."""
    sys.stderr.write(text + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their headings; a heading that ends in `>` is set flush right.

    Cells are never folded, so that a line is a row for other programs too.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column.rstrip(">"), justify="right" if column.endswith(">") else "left", no_wrap=True)
    for row in rows:
        made.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    page = StringIO()
    Console(file=page, width=_WIDE, highlight=False, force_terminal=sys.stdout.isatty()).print(made)
    for line in page.getvalue().splitlines():
        say(line.rstrip())


def progress(total_known: bool = True) -> Progress:
    """Return a progress display on standard error; silent where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns: list[Any] = [TextColumn("{task.description}")]
    if total_known:
        columns.append(BarColumn())
    columns += [DownloadColumn(), TransferSpeedColumn()]
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def report(error: KymographError, as_json: bool) -> int:
    """Print an error on standard error and return the exit code that belongs to it."""
    if as_json:
        sys.stderr.write(json.dumps({"error": error.to_dict()}, default=str) + "\n")
    else:
        tell(f"error: {error.message}")
        if error.hint:
            tell(f"hint: {error.hint}")
    return USAGE if isinstance(error, (ConfigError, InvalidInput)) else FAILED


def size(nbytes: float) -> str:
    """Return bytes as a person reads them: `14.2 MB`, with powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(nbytes) < 1000:
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1000
    return f"{nbytes:.1f} TB"


def moment(time_ns: int | None) -> str:
    """Return a time as RFC 3339 in UTC, to the second."""
    if time_ns is None:
        return ""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds: float) -> str:
    """Return a duration as a person reads it: `8 h 02 min`."""
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole / 86400:.1f} days"
