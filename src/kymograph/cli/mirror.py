"""`kymograph mirror`: have another station's recordings here, while they are made."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kymograph.cli import output
from kymograph.model.errors import InvalidInput, KymographError

if TYPE_CHECKING:
    from kymograph.sync.mirror import Mirror, Progress, Told
    from kymograph.sync.source import Source
    from kymograph.sync.transfer import Transfer

EXAMPLES: Final = """\b
Examples:
  kymograph mirror http://vehicle:9150 ./dives
  kymograph mirror http://pi.local:8000 ./night --recording night-7
  kymograph mirror http://pi.local:8000 /srv/all --watch --limit-rate 500k
  kymograph verify ./dives
  kymograph view ./dives

Without --watch it ends when nothing is recording and everything is here; with --once after one pass. Ctrl-C
ends it at any moment, and the next run goes on where it was. Leaves with 0 if everything that was asked for
is here, with 1 if not. The key of a station that asks for one: --key, or KYMOGRAPH_KEY."""

_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmM]?)B?(?:/s)?")
_FACTORS: Final = {"": 1, "k": 1_000, "m": 1_000_000}


def parse_rate(text: str) -> float:
    """Return bytes a second: `500k`, `2M`, `20000`.

    Raises:
        InvalidInput: it is none of these.
    """
    match = _RATE.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise InvalidInput(f"{text} is no rate", hint="for example 500k or 2M, in bytes a second")
    return float(match[1]) * _FACTORS[match[2].lower()]


app = typer.Typer()


@app.command(epilog=EXAMPLES, short_help="Have another station's recordings here.")
def mirror(  # noqa: PLR0913 - options for a person, not a call to get right
    url: Annotated[str, typer.Argument(metavar="URL", help="The station's address.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to keep its recordings.")],
    recording: Annotated[
        list[str] | None, typer.Option("--recording", help="Only this one, by name or id; may be repeated.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Never end: wait for new recordings.")] = False,
    once: Annotated[bool, typer.Option("--once", help="End after one pass.")] = False,
    interval: Annotated[float, typer.Option(help="Seconds between two passes.", min=0.1, max=3600)] = 1.0,
    limit_rate: Annotated[
        str, typer.Option("--limit-rate", metavar="RATE", help="At most so many bytes a second: 500k, 2M.")
    ] = "",
    tail: Annotated[bool, typer.Option("--tail/--no-tail", help="Also rows that are not sealed yet.")] = True,
    key: Annotated[str, typer.Option("--key", envvar="KYMOGRAPH_KEY", help="The station's key.")] = "",
    as_json: output.Json = False,
) -> None:
    """Pull recordings from a station while they are made, hash-checked, and say whether anything is missing.

    Works with a Kymograph station, and with an original server of the Q_Sensor_API.
    """
    from kymograph.sync.backoff import Backoff
    from kymograph.sync.mirror import Wishes
    from kymograph.sync.transfer import Transfer

    address = url if "://" in url else f"http://{url}"
    rate = parse_rate(limit_rate) if limit_rate else 0.0
    wishes = Wishes(tuple(recording or ()), tail)
    with Transfer(address, key, rate) as transfer, _shown(as_json) as told:
        loop = _Loop(transfer, folder, wishes, told, Backoff(), interval)
        try:
            loop.run(watch, once)
        except KeyboardInterrupt:
            output.tell("ended; the next run goes on from here")
        finally:
            whole = loop.finish(as_json)
    if not whole:
        raise typer.Exit(output.FAILED)


class _Loop:
    """Passes, one after the other, until there is nothing left to do."""

    def __init__(
        self, transfer: Transfer, folder: Path, wishes: Any, told: Told, backoff: Any, interval_s: float
    ) -> None:
        self._transfer = transfer
        self._folder = folder
        self._wishes = wishes
        self._told = told
        self._backoff = backoff
        self._interval_s = interval_s
        self._mirror: Mirror | None = None
        self._away = ""

    def run(self, watch: bool, once: bool) -> None:
        while True:
            wait_s, done = self._pass(patient=watch or self._mirror is not None)
            if once or (done and not watch):
                return
            time.sleep(wait_s)

    def _pass(self, patient: bool) -> tuple[float, bool]:
        """Do one pass; return how long to wait, and whether everything is here and nothing records."""
        from kymograph.sync.mirror import Mirror, passing
        from kymograph.sync.source import find

        began = time.monotonic()
        try:
            if self._mirror is None:
                source: Source = find(self._transfer)
                self._mirror = Mirror(source, self._folder, self._wishes, self._told)
            well = self._mirror.pass_once()
        except KymographError as error:
            if not passing(error) or not (patient or self._mirror is not None):
                raise
            if str(error) != self._away:
                output.tell(f"waiting: {error}")
            self._away = str(error)
            return self._backoff.failed(), False
        if self._away:
            output.tell("it is back")
        self._away = ""
        self._backoff.worked()
        rest_s = max(0.05, self._interval_s - (time.monotonic() - began))
        return rest_s, well and self._mirror.finished

    def finish(self, as_json: bool) -> bool:
        """Say how complete everything is; return whether it is."""
        if self._mirror is None:
            return False
        self._mirror.close()
        from kymograph.service.archive.mirror_folder import ledger

        for progress in self._mirror.seen.values():
            found = ledger(progress.folder, time.time_ns())
            if as_json:
                _line({"done": True, **progress.to_dict(), "completeness": found.to_dict()})
            else:
                output.say(f"{progress.name}: {found.summary}")
        for id, why in self._mirror.refused.items():
            output.tell(f"error: {id}: {why}")
        return self._found() and self._mirror.finished

    def _found(self) -> bool:
        """Return whether there was what was asked for; say what was not."""
        assert self._mirror is not None
        seen = self._mirror.seen
        names = {*seen, *(progress.name for progress in seen.values())}
        unknown = [name for name in self._wishes.recordings if name not in names]
        for name in unknown:
            output.tell(f"error: {self._transfer.url} has no recording {name}")
        if not seen and not unknown:
            output.tell("There was nothing to mirror. Sessions of an original Q_Sensor_API server that have "
                        "ended have to be named: --recording SESSION_ID")  # fmt: skip
        return not unknown


def _line(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + os.linesep)
    sys.stdout.flush()


@contextmanager
def _shown(as_json: bool) -> Generator[Told]:
    """Give what is told of each recording: lines for programs, bars for people."""
    if as_json:
        yield lambda progress: _line(progress.to_dict())
        return
    with output.progress() as display:
        tasks: dict[str, Any] = {}

        def show(progress: Progress) -> None:
            if progress.recording_id not in tasks:
                tasks[progress.recording_id] = display.add_task(progress.name, total=None)
            state = "recording" if progress.running else "ended"
            text = f"{progress.name} ({state}) {progress.held}/{progress.expected} files"
            display.update(
                tasks[progress.recording_id], description=text, total=progress.expected_bytes,
                completed=progress.size_bytes + sum(progress.arriving.values()),
            )  # fmt: skip

        yield show


def add_to(tree: typer.Typer) -> None:
    """Add this command to the tree."""
    tree.add_typer(app)
