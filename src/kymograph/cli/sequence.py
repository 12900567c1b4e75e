"""`kymograph sequence`: check a sequence, and see what it would do, before anything moves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kymograph.cli import output
from kymograph.model.errors import InvalidInput, KymographError, NotFound

if TYPE_CHECKING:
    from kymograph.control.sequence.catalogue import Catalogue
    from kymograph.control.sequence.model import Sequence

EXAMPLES: Final = """\b
Examples:
  kymograph sequence ls
  kymograph sequence validate warm-up.yaml --station stand.toml
  kymograph sequence dry-run warm-up.yaml --set hold=10
  kymograph sequence dry-run emergency            # one that comes with the program
  kymograph sequence dry-run warm-up.yaml --station stand.toml --simulate"""

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, epilog=EXAMPLES,
    help="Check sequences, print what they would tell the instruments and when, try them on simulators.",
    short_help="Check a sequence; see what it would do.",
)  # fmt: skip

File = Annotated[str, typer.Argument(metavar="FILE", help="A sequence file, or the name of a scenario.")]
StationFile = Annotated[
    Path | None,
    typer.Option(
        "--station",
        metavar="STATION.toml",
        help="Check instruments, commands and channels of this station.",
    ),
]
Values = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Give a parameter; as often as needed."),
]


@app.command("ls", epilog=EXAMPLES, short_help="List sequences.")
def list_sequences(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A file or a folder; else those of the program.")
    ] = None,
    as_json: output.Json = False,
) -> None:
    """List sequences, their parameters and what they are for."""
    from kymograph.control.sequence import read

    paths = list(read.built_in())
    if folder is not None:
        paths = sorted(folder.glob(f"*{read.SUFFIX}")) if folder.is_dir() else [folder]
    items = [_described(path) for path in paths]
    if as_json:
        output.emit({"items": items, "next": None})
        return
    rows = [
        (one["name"], ", ".join(one["parameters"]), one["description"] or one["error"], one["file"])
        for one in items
    ]
    output.table(("sequence", "parameters", "", "file"), rows)


@app.command(epilog=EXAMPLES, short_help="Say what is wrong with a sequence.")
def validate(
    file: File,
    station: StationFile = None,
    values: Values = None,
    as_json: output.Json = False,
) -> None:
    """Check a sequence; every fault is told with file, line and reason.

    With a station file instruments, commands, their arguments and channels are checked too. Leaves with 0 if
    the sequence can be run, else with 2.
    """
    from kymograph.control.sequence.validate import count
    from kymograph.control.sequence.validate import validate as check

    sequence = _load(file)
    parameters = check(sequence, _given(sequence, values or []), _catalogue(station) if station else None)
    steps = count(sequence, parameters)
    if as_json:
        output.emit({
            "ok": True, "name": sequence.name, "file": sequence.file, "sha256": sequence.sha256,
            "steps": steps, "parameters": parameters, "station": str(station) if station else None,
        })  # fmt: skip
        return
    output.say(f"ok    {sequence.name}: {steps} steps")
    if station is None:
        output.tell("instruments and channels were not checked: give --station STATION.toml")


@app.command(epilog=EXAMPLES, short_help="Print the schema, for editors.")
def schema(as_json: output.Json = False) -> None:
    """Print the JSON schema of a sequence file, for editors that complete and check while one writes.

    With the YAML language server the first line of a file is then:
    # yaml-language-server: $schema=sequence.schema.json
    """
    from kymograph.control.sequence.schema import schema as made

    del as_json  # it always is
    output.emit(made())


@app.command("dry-run", epilog=EXAMPLES, short_help="Print what it would tell, and when.")
def dry_run(
    file: File,
    values: Values = None,
    station: StationFile = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Run it on simulators of that station's instruments.")
    ] = False,
    as_json: output.Json = False,
) -> None:
    """Print what a sequence tells the instruments, second by second; no instrument is opened, none moves.

    Where it waits for a condition, times are ranges: at the earliest, and at the latest. With --simulate it
    is run, in real time, on simulators that stand in for the instruments of --station, and what really
    happens is printed; leaves with 1 if the run fails.
    """
    from kymograph.control.sequence.timeline import timeline
    from kymograph.control.sequence.validate import validate as check

    sequence = _load(file)
    given = _given(sequence, values or [])
    if simulate and station is None:
        raise InvalidInput("which instruments are to be simulated?", hint="give --station STATION.toml")
    if station is not None:
        check(sequence, given, _catalogue(station))
    if simulate and station is not None:
        _simulate(station, sequence, given, as_json)
        return
    moments = timeline(sequence, given)
    if as_json:
        output.emit(
            {"name": sequence.name, "sha256": sequence.sha256, "items": [m.to_dict() for m in moments]}
        )
        return
    for moment in moments:
        output.say(str(moment))


def _simulate(station: Path, sequence: Sequence, given: dict[str, Any], as_json: bool) -> None:
    from kymograph.cli.rehearsal import Moment, rehearse
    from kymograph.cli.serve import load

    def say(what: object) -> None:
        if isinstance(what, Moment) and not as_json:
            output.say(str(what))
        elif isinstance(what, str):
            output.tell(f"… {what}")

    done = rehearse(load(station, "", None, None, ()), sequence, given, say)
    if as_json:
        output.emit({
            "name": sequence.name, "sha256": sequence.sha256, "state": done.state, "reason": done.reason,
            "failures": done.failures, "items": [moment._asdict() for moment in done.moments],
        })  # fmt: skip
    else:
        output.say(f"{done.state}{f': {done.reason}' if done.reason else ''}")
        for failure in done.failures:
            output.say(f"in its last steps: {failure}")
    if done.state != "done":
        raise typer.Exit(output.FAILED)


def _load(file: str) -> Sequence:
    from kymograph.control.sequence import read

    path = Path(file)
    if path.suffix or path.exists():
        return read.load(path)
    return read.scenario(file)


def _given(sequence: Sequence, values: list[str]) -> dict[str, Any]:
    """Return what `--set` says, as the types of the parameters.

    Raises:
        InvalidInput: one is not written `name=value`.
    """
    given: dict[str, Any] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(f"--set {text} has no value", hint="write name=value")
        parameter = sequence.parameters.get(name)
        given[name] = value if parameter is not None and parameter.type == "text" else typed(value)
    return given


def typed(value: str) -> Any:
    """Return what a text on the command line stands for: a number, true or false, else the text."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _described(path: Path) -> dict[str, Any]:
    from kymograph.control.sequence.read import load

    try:
        made = load(path)
    except NotFound:
        raise
    except KymographError as error:
        return {
            "name": path.stem,
            "description": "",
            "parameters": {},
            "file": str(path),
            "error": str(error),
        }
    parameters = {name: one.model_dump(exclude={"line"}) for name, one in made.parameters.items()}
    return {
        "name": made.name, "description": made.description, "parameters": parameters, "file": str(path),
        "sha256": made.sha256, "error": "",
    }  # fmt: skip


def _catalogue(station: Path) -> Catalogue:
    from kymograph.cli import plan
    from kymograph.cli.serve import load

    return plan.make(load(station, "", None, None, ())).catalogue()
