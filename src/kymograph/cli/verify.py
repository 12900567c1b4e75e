"""`kymograph verify`: is all that was recorded there, unchanged, and if not, exactly what is missing."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from kymograph.cli import output
from kymograph.model.errors import InvalidInput

if TYPE_CHECKING:
    from kymograph.store.completeness import Ledger, MissingRows
    from kymograph.store.rebuild import Rebuilt
    from kymograph.store.verify import Progress, RecordingCheck

EXAMPLES: Final = """\b
Examples:
  kymograph verify ./demo-data
  kymograph verify ./demo-data/recordings/20260501T030000Z_night
  kymograph verify /srv/kymograph --json > report.json
  kymograph verify /srv/kymograph --rebuild

Leaves with 0 if all is well, and with 1 if anything that was safe is damaged or gone, or a mirror has not
all of its source. Rows that were never safe (the second before a power cut) are listed with the reason, and
are no failure."""

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
    ledgers = _ledgers(where, report.recordings)
    if as_json:
        told = {name: ledger.to_dict() for name, ledger in ledgers.items()}
        rebuilt_told = None if rebuilt is None else asdict(rebuilt)
        output.emit({**report.to_dict(), "completeness": told, "rebuilt": rebuilt_told})
    else:
        _print(report.recordings, ledgers)
        if rebuilt is not None:
            _print_rebuilt(rebuilt)
    fetched = all(ledger.source is None or ledger.fetched for ledger in ledgers.values())
    if not (report.ok and fetched):
        raise typer.Exit(output.FAILED)


def _ledgers(where: Path, checks: tuple[RecordingCheck, ...]) -> dict[str, Ledger]:
    """Return the completeness of each recording that could be read, by its folder's name."""
    import time

    from kymograph.store.completeness import ledger, remember
    from kymograph.store.recording_folder import RecordingFolder

    found: dict[str, Ledger] = {}
    for check in checks:
        folder = where if (where / "recording.json").exists() else where / "recordings" / check.folder
        if not check.error:
            well = {file.filename for file in check.files if file.state == "ok"}
            listed, _ = RecordingFolder(folder).manifest()
            remember(folder, [s for s in listed if s.filename in well], time.time_ns())
            found[check.folder] = ledger(folder, time.time_ns())
    return found


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


def _print(checks: tuple[RecordingCheck, ...], ledgers: Mapping[str, Ledger]) -> None:
    for check in checks:
        state = "ok  " if check.ok else "FAIL"
        ledger = ledgers.get(check.folder)
        told = f"{check.rows} rows in {len(check.files)} files" if ledger is None else ledger.summary
        output.say(f"{state}  {check.name or check.folder}: {told}")
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
        for stream in ledger.streams if ledger is not None else ():
            for missing in stream.missing:
                output.say(f"      {stream.stream}: {_missing(missing)}")
        if ledger is not None and ledger.source is not None:
            output.say(f"      mirror of {ledger.source.get('url')}")
        if ledger is not None and ledger.files:
            output.say(f"      root hash {ledger.root_hash}")
    bad = sum(not check.ok for check in checks)
    output.say(
        f"{len(checks)} recordings checked, {bad} with damage." if checks else "There are no recordings."
    )


def _missing(missing: MissingRows) -> str:
    place = f"after seq {missing.from_seq - 1} of epoch {missing.epoch}"
    begins = "" if missing.from_ns is None else f", from {_clock(missing.from_ns)}"
    ends = "" if missing.until_ns is None else f" to {_clock(missing.until_ns)}"
    if missing.quiet:
        return f"no rows were made {place}{begins}{ends}: {missing.reason}"
    count = "an unknown number of rows" if missing.rows is None else f"{missing.rows} rows"
    files = f" ({', '.join(missing.files)})" if missing.files else ""
    return f"{count} missing {place}{begins}{ends}: {missing.reason}{files}"


def _clock(time_ns: int) -> str:
    moment = datetime.fromtimestamp(time_ns / 1e9, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{time_ns // 1_000_000 % 1000:03d}Z"


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
