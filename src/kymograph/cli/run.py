"""`kymograph run`: run a sequence on a running station, see how it goes, and end it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kymograph.cli import output
from kymograph.cli.run_place import Place, find, open_place
from kymograph.cli.running import who
from kymograph.model.errors import InvalidInput, KymographError

if TYPE_CHECKING:
    from rich.live import Live

EXAMPLES: Final = """\b
Examples:
  kymograph run start warm-up --data /srv/stand --set hold=10
  kymograph run start o2feed --url http://stand.local:5001 --key $KEY --keep --detach
  kymograph run abort --data /srv/stand --reason "wrong bottle"
  kymograph run ls --data /srv/stand

`start` stays and shows how the run goes. Ctrl-C asks it to end, by its last steps, and waits for that; a
second Ctrl-C leaves. Exit codes: 0 done, 1 aborted or failed."""

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, epilog=EXAMPLES,
    help="Run sequences on a running station, watch them, end them.", short_help="Run a sequence.",
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
By = Annotated[str, typer.Option("--by", metavar="NAME", help="In whose name; your own if left out.")]
Which = Annotated[
    str, typer.Argument(metavar="[RUN]", help="Its id or the beginning of it; the newest one if left out.")
]

LEASE_S: Final = 10.0
"""How long control is kept with each renewal: so soon after this command is gone, the run ends."""
RENEW_S: Final = 3.0
_LOOK_S: Final = 0.2
_GOING: Final = ("running", "paused", "ending")
_INTERRUPTED: Final = 130


@app.command(epilog=EXAMPLES, short_help="Run a sequence, and show how it goes.")
def start(  # noqa: PLR0913 - options for a person, not a call to get right
    sequence: Annotated[str, typer.Argument(metavar="SEQUENCE", help="Its name, as the station has it.")],
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Give a parameter; as often as needed."),
    ] = None,
    data: Data = None,
    url: Url = "",
    key: Key = "",
    by: By = "",
    keep: Annotated[
        bool, typer.Option("--keep", help="Let the run hold control itself, also when nobody is here.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start it and leave; needs --keep.")] = False,
    as_json: output.Json = False,
) -> None:
    """Run a sequence. As long as this stays it keeps control for the run; killed, the run ends safely."""
    if detach and not keep:
        raise InvalidInput("nobody would hold control for this run", hint="give --keep with --detach")
    place = open_place(data, url, key)
    by = by or who()
    try:
        wish: dict[str, Any] = {"sequence": sequence, "parameters": _given(values or []), "keep": keep}
        if keep:
            wish["by"] = by
        else:
            wish["fence"] = place.take(by, LEASE_S)
        run = place.start(wish)
        if not detach:
            run = _follow(place, run, by)
    finally:
        place.close()
    _answer(run, as_json)
    if not detach and run["state"] != "done":
        raise typer.Exit(output.FAILED)


@app.command("ls", short_help="List runs.")
def list_runs(
    data: Data = None,
    url: Url = "",
    key: Key = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 20,
    as_json: output.Json = False,
) -> None:
    """List runs, newest first."""
    place = open_place(data, url, key)
    try:
        items = place.list(limit)
    finally:
        place.close()
    if as_json:
        output.emit({"items": items, "next": None})
        return
    rows = [
        (one["id"][:8], one["sequence"], output.moment(one["started_ns"]), _duration(one), one["state"],
         one["by"], one["reason"])
        for one in items
    ]  # fmt: skip
    output.table(("id", "sequence", "started", "duration>", "state", "by", "reason"), rows)


@app.command(short_help="Show one run.")
def show(
    which: Which = "", data: Data = None, url: Url = "", key: Key = "", as_json: output.Json = False
) -> None:  # fmt: skip
    """Show a run: what it told and what was answered, conditions that came true, and how it ended."""
    place = open_place(data, url, key)
    try:
        run = find(place, which)
    finally:
        place.close()
    _answer(run, as_json)
    if as_json:
        return
    for recording in run["recordings"]:
        output.say(f"recording {recording}")
    for line in happened(run):
        output.say(line)


def _act(action: str, which: str, reach: tuple[Path | None, str, str], by: str, reason: str = "") -> Any:
    place = open_place(*reach)
    try:
        return place.act(find(place, which)["id"], action, by or who(), reason)
    finally:
        place.close()


@app.command(short_help="Let its time stand still.")
def pause(
    which: Which = "", data: Data = None, url: Url = "", key: Key = "", by: By = "",
    as_json: output.Json = False,
) -> None:  # fmt: skip
    """Let the time of a run stand still; what was told already goes on."""
    _answer(_act("pause", which, (data, url, key), by), as_json)


@app.command(short_help="Let it go on.")
def resume(
    which: Which = "", data: Data = None, url: Url = "", key: Key = "", by: By = "",
    as_json: output.Json = False,
) -> None:  # fmt: skip
    """Let a run go on after a pause; for who started it."""
    _answer(_act("resume", which, (data, url, key), by), as_json)


@app.command(short_help="End it, by its last steps.")
def abort(
    which: Which = "",
    data: Data = None,
    url: Url = "",
    key: Key = "",
    by: By = "",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for its record.")] = "",
    as_json: output.Json = False,
) -> None:
    """Bring a run to its last steps, which make things safe. To stop everything: kymograph stop-all."""
    _answer(_act("abort", which, (data, url, key), by, reason), as_json)


@app.command(short_help="Run the emergency sequence, now.")
def emergency(
    data: Data = None, url: Url = "", key: Key = "", by: By = "", as_json: output.Json = False
) -> None:
    """Run the station's emergency sequence, whoever holds control and whatever goes on.

    Waits until it is over: everything is in its safe state then, and stopped. Leaves with 1 if a step failed.
    To stop everything without any sequence: kymograph stop-all. This is software: it replaces no emergency
    stop.
    """
    place = open_place(data, url, key)
    try:
        told = place.emergency(by or who())
    finally:
        place.close()
    if as_json:
        output.emit(told)
    else:
        output.table(("step", "", ""), [(s["step"], s["outcome"], s["detail"]) for s in told["feedback"]])
        output.say(told["message"])
    if told["status"] != "ok":
        raise typer.Exit(output.FAILED)


# -- while it goes -----------------------------------------------------------------------------------------
def _follow(place: Place, run: dict[str, Any], by: str) -> dict[str, Any]:
    """Show a run until it is over; the first Ctrl-C asks it to end, the second leaves."""
    with _Shown() as shown:
        try:
            return _to_its_end(place, run, by, shown)
        except KeyboardInterrupt:
            _ask_to_end(place, run, by)
        try:
            return _to_its_end(place, run, by, shown)
        except KeyboardInterrupt:
            output.tell(f"left while the run {run['id'][:8]} goes through its last steps")
            raise typer.Exit(_INTERRUPTED) from None


def _to_its_end(place: Place, run: dict[str, Any], by: str, shown: _Shown) -> dict[str, Any]:
    while run["state"] in _GOING:
        shown.show(run)
        run = _next(place, run, by)
    shown.show(run)
    return run


def _next(place: Place, run: dict[str, Any], by: str) -> dict[str, Any]:
    """Return the run a little later; keep its lease meanwhile, unless it does that itself."""
    now_s = time.monotonic()
    if not run["keep"] and now_s >= run.get("renew_s", 0.0):
        place.keep(by, run["fence"], LEASE_S)
        run["renew_s"] = now_s + RENEW_S
    time.sleep(_LOOK_S)
    return {**place.get(run["id"]), "renew_s": run.get("renew_s", 0.0)}


def _ask_to_end(place: Place, run: dict[str, Any], by: str) -> None:
    output.tell("it goes to its last steps; Ctrl-C once more leaves")
    try:
        place.act(run["id"], "abort", by, "Ctrl-C")
    except KymographError as error:
        output.tell(f"{error}")


class _Shown:
    """How a run goes: one line that changes on a terminal, else a line for each change."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._said = ""
        self._lines: set[str] = set()

    def __enter__(self) -> _Shown:
        from rich.live import Live

        if self._console.is_terminal:
            self._live = Live(console=self._console, transient=True, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, run: dict[str, Any]) -> None:
        """Show it as it is now."""
        for line in happened(run):
            if line not in self._lines:
                self._console.print(line, markup=False, soft_wrap=True)
                self._lines.add(line)
        now = _present(run)
        if self._live is not None:
            from rich.text import Text

            left = f", {run['left_s']:.1f} s left" if run["left_s"] is not None else ""
            self._live.update(Text(now + left), refresh=True)
        elif now != self._said and run["state"] in _GOING:
            output.tell(now)
        self._said = now


def _present(run: dict[str, Any]) -> str:
    where = "".join(
        f" · {level['name']}" + (f" {level['round']}/{level['times']}" if level["times"] > 1 else "")
        for level in run["path"]
    )
    waits = f" · waits for {run['waits_for']}" if run["waits_for"] else ""
    return f"{run['sequence']}: {run['state']}{where}{waits}"


def happened(run: dict[str, Any]) -> list[str]:
    """Return what a run has told and seen, each with its time from the start, in order."""
    lines: list[tuple[int, str]] = []
    for one in run["asked"]:
        if one["outcome"] != "waiting":
            what = " ".join([one["what"], *(f"{key}={value}" for key, value in one["arguments"].items())])
            after = f" after {(one['ended_ns'] - one['told_ns']) / 1e9:.3f} s" if one["ended_ns"] else ""
            detail = f": {one['detail']}" if one["detail"] else ""
            lines.append((one["told_ns"], f"{what} → {one['outcome']}{after}{detail}"))
    for one in run["met"]:
        waited_s = (one["met_ns"] - one["since_ns"]) / 1e9
        lines.append((one["met_ns"], f"{one['condition']} came true after {waited_s:.3f} s"))
    return [f"{(at - run['started_ns']) / 1e9:9.3f} s  {text}" for at, text in sorted(lines)]


# -- what is said ------------------------------------------------------------------------------------------
def _answer(run: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.emit({key: value for key, value in run.items() if key != "renew_s"})
        return
    reason = f": {run['reason']}" if run["reason"] else ""
    output.say(f"{run['sequence']}  {run['id']}  {run['state']} after {_duration(run)}{reason}")
    for failure in run["failures"]:
        output.say(f"in its last steps: {failure}")


def _duration(run: dict[str, Any]) -> str:
    return output.span(((run["ended_ns"] or time.time_ns()) - run["started_ns"]) / 1e9)


def _given(values: list[str]) -> dict[str, Any]:
    from kymograph.cli.sequence import typed

    given: dict[str, Any] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(f"--set {text} has no value", hint="write name=value")
        given[name] = typed(value)
    return given
