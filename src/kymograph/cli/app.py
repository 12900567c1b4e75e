"""The tree of commands, and how a command ends: with an answer, or with one clear line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Final, cast

import typer

from kymograph import __version__
from kymograph.cli import (
    audit,
    check,
    control,
    doctor,
    drivers,
    hub,
    keys,
    mirror,
    output,
    plot,
    recordings,
    retention,
    sequence,
    serve,
    service,
    shipping,
    simulate,
    stop_all,
    triggers,
    verify,
    view,
)
from kymograph.cli import run as runs
from kymograph.model.errors import KymographError

_UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])
_INTERRUPTED: Final = 130

app = typer.Typer(
    name="kymograph",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich's help looks better and takes 0.4 s to import
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Try it without any instrument: kymograph demo, then open http://127.0.0.1:8000",
)


def _version(wanted: bool) -> None:
    if wanted:
        output.say(f"kymograph {__version__}")
        raise typer.Exit


@app.callback()
def kymograph(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Acquire from instruments, record without losing a row, see it live, download it in any format."""


for _module in (
    serve,
    check,
    doctor,
    drivers,
    simulate,
    mirror,
    shipping,
    retention,
    view,
    plot,
    verify,
    stop_all,
):
    _module.add_to(app)
app.add_typer(recordings.app, name="recordings")
app.add_typer(triggers.app, name="triggers")
app.add_typer(control.app, name="control")
app.add_typer(audit.app, name="audit")
app.add_typer(sequence.app, name="sequence")
app.add_typer(runs.app, name="run")
app.add_typer(keys.app, name="key")
app.add_typer(hub.app, name="hub")
app.add_typer(service.app, name="service")


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are printed, never raised, but with `--debug`."""
    arguments = list(arguments)
    debug = "--debug" in arguments or bool(os.environ.get("KYMOGRAPH_DEBUG"))
    try:
        result = typer.main.get_command(app).main(arguments, prog_name="kymograph", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except KymographError as error:
        if debug:
            raise
        return output.report(error, "--json" in arguments)
    except _UsageError as error:
        return _misused(error)
    except (typer.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our answer has seen enough; leave the interpreter nothing to flush into the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        if debug:
            raise
        what = f"{error.filename}: " if error.filename else ""
        output.tell(f"error: {what}{error.strerror or error}")
        return output.FAILED


def _misused(error: Exception) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        output.tell(str(error))
        return output.USAGE
    message = str(getattr(error, "format_message", error.__str__)())
    output.tell(f"error: {message[:1].lower()}{message[1:].rstrip('.')}")
    output.tell(f"hint: {context.command_path if context else 'kymograph'} --help")
    return output.USAGE
