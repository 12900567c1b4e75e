"""`kymograph audit`: who did what on a station, and whether anybody changed the record of it."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from kymograph.cli import output

EXAMPLES: Final = """\b
Examples:
  kymograph audit ls ./demo-data --last 20
  kymograph audit ls /srv/kymograph --who anna --json > anna.json
  kymograph audit verify /srv/kymograph
  kymograph audit verify /srv/kymograph --head 5f3c…    # a hash that was written down elsewhere"""

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, epilog=EXAMPLES,
    help="Show and check the audit of a station: commands, leases, stops and changes in a chain of hashes.",
    short_help="Who did what; check that nobody changed it.",
)  # fmt: skip

Where = Annotated[
    Path,
    typer.Argument(metavar="FOLDER", help="The station's data folder, or the file.", envvar="KYMOGRAPH_DATA"),
]


@app.command("ls", epilog=EXAMPLES, short_help="List what was done, newest last.")
def list_entries(
    where: Where,
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="Only so many, the newest.")] = 100,
    who: Annotated[str, typer.Option(help="Only what this one did.")] = "",
    what: Annotated[str, typer.Option(help="Only this: command, lease, stop, interlock, …")] = "",
    as_json: output.Json = False,
) -> None:
    """List what was done, by whom, newest last; also while the station runs.

    Damaged lines are left out; `kymograph audit verify` tells of them.
    """
    from kymograph.control.audit import read

    found = deque(
        (entry for entry in read(_path(where)) if who in ("", entry.who) and what in ("", entry.what)), last
    )
    if as_json:
        output.emit({"items": [entry.to_dict() for entry in found], "next": None})
        return
    rows = [(e.seq, output.moment(e.time_ns), e.who, e.what, _text(dict(e.body))) for e in found]
    output.table(("number>", "time", "who", "what", ""), rows)


@app.command(epilog=EXAMPLES, short_help="Say whether it is as it was written.")
def verify(
    where: Where,
    head: Annotated[
        str, typer.Option(metavar="HASH", help="A hash noted earlier: its line must be there still.")
    ] = "",
    as_json: output.Json = False,
) -> None:
    """Check the chain of hashes, and say exactly where it breaks.

    Leaves with 0 if every byte is as it was written, else with 1. The last line's hash is printed: keep it
    elsewhere, and give it with --head next time, and lines that were cut off at the end are noticed too.
    """
    from kymograph.control import audit

    check = audit.verify(_path(where), head.strip().lower())
    if as_json:
        output.emit(check.to_dict())
    else:
        for place in check.breaks:
            output.say(f"FAIL  line {place.line} (byte {place.offset}): {place.reason}")
        if check.torn_bytes:
            output.say(
                f"      {check.torn_bytes} bytes of half a line at the end, as a crash leaves them: "
                "the next start of the station cuts them and says so"
            )
        state = "ok  " if check.ok else "FAIL"
        output.say(f"{state}  {check.entries} entries, last hash {check.head}")
    if not check.ok:
        raise typer.Exit(output.FAILED)


def _path(where: Path) -> Path:
    from kymograph.control.audit import FILENAME

    return where / FILENAME if where.is_dir() else where


def _text(body: dict[str, Any]) -> str:
    said = {key: value for key, value in body.items() if not (value is None or value is False or value == "")}
    parts = (f"{key} {value if isinstance(value, str) else json.dumps(value)}" for key, value in said.items())
    return ", ".join(parts).replace("\n", " ")
