"""`kymograph control`: who may move what, arming, resets, and single commands, straight at the engine."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kymograph.cli import output
from kymograph.cli.running import who
from kymograph.model.errors import InvalidInput, NotFound
from kymograph.model.limits import COMMAND_LATE_S_MAX, COMMAND_LATE_S_MIN

if TYPE_CHECKING:
    from kymograph.link.client import EngineClient

EXAMPLES: Final = """\b
Examples:
  kymograph control status --data /srv/stand
  kymograph control take --hold --data /srv/stand
  kymograph control command stand set_valves valves=000000000 --data /srv/stand
  kymograph control arm stand.IGNITION --for 10 --data /srv/stand
  kymograph control reset-stop --data /srv/stand

It speaks to the engine directly, whatever the front does, and asks for no key, only for the right to the data
folder. KYMOGRAPH_DATA spares --data. `kymograph stop-all` stops everything."""

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, epilog=EXAMPLES,
    help="See who holds control and what moves; take control, give it on, arm, reset, give commands.",
    short_help="Who may move what; give a command.",
)  # fmt: skip

Data = Annotated[
    Path,
    typer.Option("--data", metavar="FOLDER", help="The station's data folder.", envvar="KYMOGRAPH_DATA"),
]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="In whose name; your own if left out.")]
Seconds = Annotated[float, typer.Option("--for", metavar="SECONDS", help="For how long.")]
Target = Annotated[
    str, typer.Argument(metavar="TARGET", help="An actuator, as stand.IGNITION, or sequence/NAME.")
]

PROOF_S: Final = 3.0
"""How long `command` waits for the device to show what it did."""
_LOOK_S: Final = 0.1
_BAD: Final = ("refused", "failed", "timed_out", "unknown")


@contextmanager
def _engine(data: Path) -> Generator[EngineClient]:
    from kymograph.link.client import EngineClient

    engine = EngineClient(data)
    try:
        yield engine
    finally:
        engine.close()


def _name(by: str) -> str:
    return by or who()


# -- who has it --------------------------------------------------------------------------------------------
@app.command(epilog=EXAMPLES, short_help="Show who holds control, and what moves.")
def status(data: Data, as_json: output.Json = False) -> None:
    """Show who holds control, what is stopped and armed, interlocks, actuators, and the last commands."""
    with _engine(data) as engine:
        told = engine.control.status()
    _show(told, as_json)


@app.command(epilog=EXAMPLES, short_help="Take control, or keep it for longer.")
def take(
    data: Data, by: By = "", seconds: Seconds = 30.0,
    hold: Annotated[bool, typer.Option("--hold", help="Keep it until Ctrl-C, then give it back.")] = False,
    as_json: output.Json = False,
) -> None:  # fmt: skip
    """Take control, or keep it for longer. With --hold it is renewed until Ctrl-C, and then given back: what
    moves is made safe."""
    with _engine(data) as engine:
        lease = engine.control.take(_name(by), seconds)
        if as_json:
            output.emit(lease)
        else:
            output.say(f"{lease['holder']} holds control for {lease['remaining_s']:.0f} s")
        if hold:
            _hold(engine, _name(by), seconds)


def _hold(engine: EngineClient, by: str, seconds: float) -> None:
    output.tell("Ctrl-C gives it back")
    try:
        while True:
            time.sleep(min(seconds / 3, 10.0))
            engine.control.take(by, seconds)
    except KeyboardInterrupt:
        engine.control.give_up(by)
        output.tell("given back; what moves was made safe")


@app.command(epilog=EXAMPLES, short_help="Give control back.")
def release(data: Data, by: By = "", as_json: output.Json = False) -> None:
    """Give control back; what moves is made safe."""
    with _engine(data) as engine:
        told = engine.control.give_up(_name(by))
    _show(told, as_json)


@app.command("break", epilog=EXAMPLES, short_help="Take control from whoever has it.")
def break_(data: Data, by: By = "", as_json: output.Json = False) -> None:
    """Take control from whoever has it; what moves is made safe, and nobody has it then."""
    with _engine(data) as engine:
        told = engine.control.give_up(_name(by), break_=True)
    _show(told, as_json)


@app.command("hand-over", epilog=EXAMPLES, short_help="Give control to another.")
def hand_over(
    data: Data, to: Annotated[str, typer.Argument(metavar="NAME", help="To whom.")], by: By = "",
    seconds: Seconds = 30.0, as_json: output.Json = False,
) -> None:  # fmt: skip
    """Give control to another, without a moment in which nobody has it. What was armed is not any more."""
    with _engine(data) as engine:
        lease = engine.control.hand_over(_name(by), to, seconds)
    if as_json:
        output.emit(lease)
    else:
        output.say(f"{lease['holder']} holds control for {lease['remaining_s']:.0f} s")


# -- arming ------------------------------------------------------------------------------------------------
@app.command(epilog=EXAMPLES, short_help="Arm what needs it, for one execution.")
def arm(
    data: Data, target: Target, by: By = "", seconds: Seconds = 10.0, as_json: output.Json = False
) -> None:
    """Arm what cannot be taken back, for one execution within a time, by who holds control."""
    with _engine(data) as engine:
        told = engine.control.arm(target, _name(by), seconds)
    if as_json:
        output.emit(told)
    else:
        output.say(f"{target} is armed by {told['by']} for {told['remaining_s']:.0f} s")


@app.command(epilog=EXAMPLES, short_help="Take an arming away.")
def disarm(data: Data, target: Target, by: By = "", as_json: output.Json = False) -> None:
    """Take an arming away, whoever armed it."""
    with _engine(data) as engine:
        told = engine.control.disarm(target, _name(by))
    _show(told, as_json)


# -- resets ------------------------------------------------------------------------------------------------
@app.command("reset-stop", epilog=EXAMPLES, short_help="Reset the stop, in its two steps.")
def reset_stop(
    data: Data,
    confirm: Annotated[
        int | None, typer.Option("--confirm", metavar="NUMBER", help="The second step: what the first said.")
    ] = None,
    by: By = "",
    as_json: output.Json = False,
) -> None:
    """Reset the stop in two steps: the first answers a number, the second gives it back. Nothing moves."""
    with _engine(data) as engine:
        told = engine.control.reset_stop(_name(by), confirm)
    if as_json:
        output.emit(told)
    elif told["stopped"]:
        stop = told["stop"]
        output.say(f"Stopped by {stop['by']}{': ' + stop['reason'] if stop['reason'] else ''}")
        output.say(f"To reset it: kymograph control reset-stop --confirm {told['confirm']}")
    else:
        output.say("The stop is reset. Nothing has moved.")


@app.command("reset-interlock", epilog=EXAMPLES, short_help="Let a latched interlock go.")
def reset_interlock(
    data: Data,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    by: By = "",
    as_json: output.Json = False,
) -> None:
    """Let a latched interlock go, if its cause is gone. Nothing moves."""
    with _engine(data) as engine:
        told = engine.control.reset_interlock(name, _name(by))
    _show(told, as_json)


# -- commands ----------------------------------------------------------------------------------------------
@app.command(epilog=EXAMPLES, short_help="Give an instrument a command.")
def command(
    data: Data,
    instrument: Annotated[str, typer.Argument(metavar="INSTRUMENT")],
    name: Annotated[str, typer.Argument(metavar="COMMAND", help="See `kymograph drivers show DRIVER`.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="As JSON, or as it is.")
    ] = None,
    by: By = "",
    late_s: Annotated[
        float | None,
        typer.Option(
            "--late", metavar="SECONDS", min=COMMAND_LATE_S_MIN, max=COMMAND_LATE_S_MAX,
            help="How long it may wait to be sent; later it never goes. 2 s for what moves.",
        ),
    ] = None,
    as_json: output.Json = False,
) -> None:  # fmt: skip
    """Give an instrument a command, and wait until it is answered and, for 3 s, until the device shows it.

    A value is JSON, or else a text; digits where a list is wanted are one number each: valves=100000000.
    Leaves with 0 if it was carried out, with 1 if it was refused, failed, or nobody knows.
    """
    with _engine(data) as engine:
        wanted = _schema(engine.instrument(instrument), name)
        values = dict(_value(text, wanted) for text in arguments or ())
        done = engine.command(instrument, name, values, _name(by), late_s=late_s)
        done |= _proved(engine, done)
    if as_json:
        output.emit(done)
    else:
        why = f": {done['reason']}" if done.get("reason") else ""
        output.say(f"{instrument} {name}: {done.get('state', 'done')}{why}")
        output.say(f"  {json.dumps(done['result'], ensure_ascii=False)}")
    if done.get("state") in _BAD:
        raise typer.Exit(output.FAILED)


def _schema(told: Mapping[str, Any], command: str) -> Mapping[str, Any]:
    """Return what each argument of a command is, by name.

    Raises:
        NotFound: the instrument has no such command.
    """
    for one in told["commands"]:
        if one["name"] == command:
            return one["arguments"]["properties"]
    names = ", ".join(one["name"] for one in told["commands"])
    raise NotFound(f"{told['name']} has no command {command}", hint=f"it has {names or 'none'}")


def _value(text: str, wanted: Mapping[str, Any]) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidInput(f"{text} is not of the form NAME=VALUE", hint="for example valves=000000000")
    if value.isdigit() and wanted.get(name, {}).get("type") == "array":
        return name, [int(digit) for digit in value]
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _proved(engine: EngineClient, done: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a command once it has ended, or after a while."""
    until_s = time.monotonic() + PROOF_S
    while "id" in done:
        known = {one["id"]: one for one in engine.control.status()["commands"]}
        now = known.get(done["id"])
        if now is None or now["ended"] or time.monotonic() > until_s:
            return {} if now is None else {"state": now["state"], "reason": now["reason"]}
        time.sleep(_LOOK_S)
    return {}


# -- what is shown -----------------------------------------------------------------------------------------
def _show(told: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        output.emit(told)
        return
    stop, lease = told["stop"], told["lease"]
    if stop:
        output.say(f"STOPPED by {stop['by']}{': ' + stop['reason'] if stop['reason'] else ''}")
    who = f"{lease['holder']} for another {lease['remaining_s']:.0f} s" if lease else "nobody"
    output.say(f"Control: {who}")
    for one in told["armed"]:
        output.say(f"Armed: {one['target']} by {one['by']} for another {one['remaining_s']:.0f} s")
    if told["interlocks"]:
        output.say()
        rows = [(one["name"], one["state"], one["reason"]) for one in told["interlocks"]]
        output.table(("interlock", "state", "reason"), rows)
    if told["actuators"]:
        output.say()
        places = [(f"{one['instrument']}.{one['name']}", _place(one)) for one in told["actuators"]]
        output.table(("actuator", "is>"), places)
    if told["commands"]:
        output.say()
        output.table(("command", "state", "by", "reason"), [_given(one) for one in told["commands"]])


def _place(actuator: Mapping[str, Any]) -> str:
    value, labels = actuator["value"], actuator["labels"]
    if value is None:
        return "not known"
    return labels[int(value)] if value in range(len(labels)) else f"{value:g} {actuator['unit']}".rstrip()


def _given(one: Mapping[str, Any]) -> Sequence[str]:
    arguments = json.dumps(one["arguments"], separators=(",", ":"))
    return f"{one['instrument']} {one['command']} {arguments}", one["state"], one["by"], one["reason"]
