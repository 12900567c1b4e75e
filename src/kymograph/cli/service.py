"""`kymograph service`: a station that starts with the computer and is started again when it ends."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from kymograph.cli import output
from kymograph.cli.serve import Data
from kymograph.cli.unit import Installation, rendered
from kymograph.model.errors import ConfigError, KymographError, NotFound, Refused, Unavailable

SYSTEM_UNITS: Final = Path("/etc/systemd/system")
_SHOWN: Final = (
    "LoadState", "ActiveState", "SubState", "UnitFileState", "MainPID", "NRestarts", "ActiveEnterTimestamp",
    "StatusText",
)  # fmt: skip
_TIMEOUT_S: Final = 90
_NOT_RUNNING: Final = 3

INSTALL_EXAMPLES: Final = """\b
Examples:
  sudo kymograph service install /etc/kymograph/weather.toml --as pi
  kymograph service install stations/weather.toml --user
  kymograph service install stations/weather.toml --dry-run

It writes a systemd unit, and starts it. Logs: journalctl -u kymograph -f"""

app = typer.Typer(
    help="Install a station as a service of this computer.", no_args_is_help=True, rich_markup_mode=None
)

Station = Annotated[Path, typer.Argument(metavar="STATION.toml", help="The station file.")]
NameOption = Annotated[str, typer.Option("--name", help="What the service is called.")]
OfUser = Annotated[
    bool, typer.Option("--user", help="A service of your own: without root, and with less protection.")
]
AsUser = Annotated[
    str, typer.Option("--as", help="Run as this user; the one who calls, if left out.", metavar="USER")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and leave.")]


@app.command(epilog=INSTALL_EXAMPLES)
def install(
    station: Station,
    name: NameOption = "kymograph",
    of_user: OfUser = False,
    dry_run: DryRun = False,
    data: Data = None,
    as_user: AsUser = "",
    as_json: output.Json = False,
) -> None:
    """Write the unit for a station, start it, and have it start with the computer."""
    from kymograph.config import load

    config = load(station)
    user = as_user or os.environ.get("SUDO_USER") or getpass.getuser()
    where = (data or config.station.data).absolute()
    installation = Installation(name, _program(), station.absolute(), where, user, of_user)
    text = rendered(installation, config)
    path = _unit_path(name, of_user)
    manager = _Manager(of_user, dry_run)
    if not dry_run:
        _check(installation)
        _write(path, text, installation)
    manager.call("daemon-reload")
    manager.call("enable", "--now", f"{name}.service")
    if as_json:
        output.emit(
            {"unit": str(path), "data": str(where), "text": text, "done": not dry_run, "calls": manager.calls}
        )
        return
    if dry_run:
        output.say(f"# {path}\n{text}")
    output.say(f"{'would write' if dry_run else 'wrote'} {path}")
    manager.say_calls()
    if of_user:
        output.say("So that it runs while nobody is logged in:  loginctl enable-linger")
    output.say(f"Logs:  journalctl {'--user ' if of_user else ''}-u {name} -f      data: {where}")


@app.command()
def uninstall(
    name: NameOption = "kymograph",
    of_user: OfUser = False,
    dry_run: DryRun = False,
    as_json: output.Json = False,
) -> None:
    """Stop the service and remove its unit. The data stays where it is."""
    path = _unit_path(name, of_user)
    if not path.exists():
        raise NotFound(f"there is no service {name}: no {path}", hint="see --name and --user")
    manager = _Manager(of_user, dry_run)
    manager.call("disable", "--now", f"{name}.service")
    if not dry_run:
        try:
            path.unlink()
        except OSError as error:
            raise _no_right(path, error) from None
    manager.call("daemon-reload")
    if as_json:
        output.emit({"unit": str(path), "done": not dry_run, "calls": manager.calls})
        return
    manager.say_calls()
    output.say(f"{'would remove' if dry_run else 'removed'} {path}")


@app.command()
def status(name: NameOption = "kymograph", of_user: OfUser = False, as_json: output.Json = False) -> None:
    """Show whether the service runs, since when, how often it was started again; exit 3 if it does not."""
    told = _Manager(of_user).show(name)
    if as_json:
        output.emit(told)
    elif told["LoadState"] == "not-found":
        output.say(f"There is no service {name}.")
    else:
        state = f"{told['ActiveState']} ({told['SubState']})"
        since = f" since {told['ActiveEnterTimestamp']}" if told["ActiveEnterTimestamp"] else ""
        output.say(
            f"{name}: {state}{since}, process {told['MainPID']}, started again {told['NRestarts']} times"
        )
        output.say(f"with the computer: {told['UnitFileState']}   {told['StatusText']}".rstrip())
    if told["ActiveState"] not in ("active", "reloading"):
        raise typer.Exit(_NOT_RUNNING)


class _Manager:
    """systemd, of the system or of the user."""

    def __init__(self, of_user: bool, dry_run: bool = False) -> None:
        self._dry_run = dry_run
        program = shutil.which("systemctl")
        if program is None and not dry_run:
            raise Unavailable(
                "there is no systemd on this computer",
                hint="let whatever starts services here run: kymograph serve STATION.toml",
            )
        self._command = [program or "systemctl", *(["--user"] if of_user else [])]
        self.calls: list[str] = []
        """What it was asked to do, or would be."""

    def call(self, *arguments: str) -> None:
        """Have it do something."""
        self.calls.append(" ".join(["systemctl", *self._command[1:], *arguments]))
        if not self._dry_run:
            self._run(arguments)

    def say_calls(self) -> None:
        """Say what it was asked to do."""
        for call in self.calls:
            output.say(f"{'would run' if self._dry_run else 'ran'}: {call}")

    def show(self, name: str) -> dict[str, str]:
        """Return what it knows of a service."""
        lines = self._run(["show", f"{name}.service", f"--property={','.join(_SHOWN)}"]).splitlines()
        told: dict[str, str] = {}
        for line in lines:
            key, _, value = line.partition("=")
            told[key] = value
        return {key: told.get(key, "") for key in _SHOWN}

    def _run(self, arguments: Sequence[str]) -> str:
        try:
            done = subprocess.run(
                [*self._command, *arguments], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"systemd does not answer: {error}") from None
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip() or f"exit {done.returncode}").splitlines()[-1]
            raise Unavailable(f"systemctl {' '.join(arguments)}: {said}", hint="see journalctl -xe")
        return done.stdout


def _program() -> tuple[str, ...]:
    beside = Path(sys.executable).with_name("kymograph")
    return (str(beside),) if beside.exists() else (sys.executable, "-m", "kymograph")


def _unit_path(name: str, of_user: bool) -> Path:
    if not of_user:
        return SYSTEM_UNITS / f"{name}.service"
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "systemd/user" / f"{name}.service"


def _check(installation: Installation) -> None:
    if installation.of_user:
        return
    if os.geteuid() != 0:
        raise Refused(
            "a service of the system needs root", hint="sudo kymograph service install …, or --user"
        )
    try:
        pwd.getpwnam(installation.user)
    except KeyError:
        raise ConfigError(
            f"there is no user {installation.user}",
            hint=f"sudo useradd --system --groups dialout {installation.user}, or give another with --as",
        ) from None


def _write(path: Path, text: str, installation: Installation) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        if not installation.data.exists():
            installation.data.mkdir(parents=True)
            if not installation.of_user:
                shutil.chown(installation.data, installation.user)
    except OSError as error:
        raise _no_right(path, error) from None


def _no_right(path: Path, error: OSError) -> KymographError:
    return Refused(f"{path}: {error.strerror}", hint="a service of the system needs root; or give --user")
