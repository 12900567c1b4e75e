"""`kymograph verify`: is all that was recorded there, unchanged, and if not, exactly what is missing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from kymograph.cli import output
from kymograph.model.errors import InvalidInput

if TYPE_CHECKING:
    from kymograph.store.gaps import Gap
    from kymograph.store.rebuild import Rebuilt
    from kymograph.store.verify import Progress, RecordingCheck

EXAMPLES: Final = """\b
Examples:
  kymograph verify ./demo-data
  kymograph verify ./demo-data/recordings/20260501T030000Z_night
  kymograph verify /srv/kymograph --json > report.json
  kymograph verify /srv/kymograph --rebuild

Leaves with 0 if all is well, and with 1 if anything that was safe is damaged or gone. Rows that were never
safe (the second before a power cut) are listed with the reason, and are no failure."""

_WRONG: Final = {
    "differs": "was changed after it was sealed",
    "missing": "is not there",
    "extra": "is in no manifest",
}


def verify(
    where: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="A data folder, or one recording's.", envvar="KYMOGRAPH_DATA"),
    ],
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild",
            help="First take sealed files that no manifest knows into theirs, and make the catalog anew; "
            "the station must not run.",
        ),
    ] = False,
    as_json: output.Json = False,
) -> None:
    """Check hashes of sealed files, frames of journals, and the numbers of all rows.

    It reads everything and changes nothing (but with --rebuild), and may be run at any time, also while a
    station records.
    """
    from kymograph.store.verify import Report, verify_recording
    from kymograph.store.verify import verify as verify_data

    rebuilt = _rebuild(where) if rebuild else None
    with _watched(as_json) as progress:
        if (where / "recording.json").exists():
            report = Report((verify_recording(where, progress),))
        elif (where / "recordings").is_dir():
            report = verify_data(where, progress)
        else:
            raise InvalidInput(f"{where} is neither a data folder nor a recording", hint="see --help")
    if as_json:
        output.emit({**report.to_dict(), "rebuilt": None if rebuilt is None else asdict(rebuilt)})
    else:
        _print(report.recordings)
        if rebuilt is not None:
            _print_rebuilt(rebuilt)
    if not report.ok:
        raise typer.Exit(output.FAILED)


@contextmanager
def _watched(quiet: bool) -> Generator[Progress]:
    if quiet:
        yield lambda name, done, total: None
        return
    with output.progress() as display:
        task = display.add_task("", total=None)

        def show(name: str, done: int, total: int) -> None:
            display.update(task, description=name, completed=done, total=total)

        yield show


def _print(checks: tuple[RecordingCheck, ...]) -> None:
    for check in checks:
        state = "ok  " if check.ok else "FAIL"
        output.say(f"{state}  {check.name or check.folder}: {check.rows} rows in {len(check.files)} files")
        if check.error:
            output.say(f"      cannot be read: {check.error}")
        for file in check.files:
            if file.state != "ok":
                lost = f", {file.rows} rows" if file.rows else ""
                output.say(f"      {file.filename} {_WRONG[file.state]}{lost}")
        for journal in check.journals:
            note = "damaged: " if journal.damaged else "not sealed yet: "
            tail = f", {journal.tail_bytes} bytes behind the last whole frame" if journal.tail_bytes else ""
            output.say(f"      {journal.filename} {note}{journal.rows} rows in {journal.frames} frames{tail}")
        for gap in check.gaps:
            output.say(f"      {_gap(gap)}")
    bad = sum(not check.ok for check in checks)
    output.say(
        f"{len(checks)} recordings checked, {bad} with damage." if checks else "There are no recordings."
    )


def _gap(gap: Gap) -> str:
    place = f"after seq {gap.from_seq - 1} of epoch {gap.epoch}"
    if gap.reason == "epoch":
        return f"{gap.stream}: acquisition began anew {place}"
    count = "an unknown number of rows" if gap.rows is None else f"{gap.rows} rows"
    return f"{gap.stream}: {count} missing {place}: {gap.reason}"


def _rebuild(data: Path) -> Rebuilt:
    import time

    from kymograph.model.clock import Clock
    from kymograph.store.folder import DataFolder
    from kymograph.store.rebuild import rebuild

    if not (data / "recordings").is_dir():
        raise InvalidInput(f"{data} is no data folder", hint="--rebuild is for the whole folder")
    clock = Clock(time.monotonic_ns, time.time_ns)
    with DataFolder.open(data, clock) as folder:
        return rebuild(folder, clock)


def _print_rebuilt(rebuilt: Rebuilt) -> None:
    for name in rebuilt.adopted:
        output.say(f"{name} was taken into its manifest; its rows are numbered anew.")
    for name, why in rebuilt.failed.items():
        output.say(f"{name} could not be taken in: {why}")
    output.say(f"The catalog was made anew: {rebuilt.recordings} recordings.")


def add_to(app: typer.Typer) -> None:
    """Add this command to the tree."""
    app.command(epilog=EXAMPLES, short_help="Say whether all that was recorded is there.")(verify)
