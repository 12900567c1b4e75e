"""The systemd unit of one station: `kymograph.service` beside this file, with its own places and devices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kymograph.model.errors import InvalidInput

if TYPE_CHECKING:
    from kymograph.config import Config

TEMPLATE: Final = Path(__file__).with_name("kymograph.service")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_OF_USER: Final = frozenset({
    "Description", "After", "Type", "NotifyAccess", "ExecStart", "WatchdogSec", "Restart", "RestartSec",
    "KillMode", "TimeoutStartSec", "TimeoutStopSec", "UMask", "Environment", "NoNewPrivileges", "WantedBy",
})  # fmt: skip
"""What a service manager of a user can do; the rest of the unit needs root."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where things are, and as whom they run."""

    name: str
    program: tuple[str, ...]
    station: Path
    data: Path
    user: str
    of_user: bool
    """A unit of the user's own service manager, without root."""

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise InvalidInput(f"a service cannot be called {self.name}", hint="letters, digits, _ and -")
        for path in (*self.program, str(self.station), str(self.data)):
            if not path.isprintable() or any(c in path for c in " \t\"'\\%$"):
                raise InvalidInput(f"systemd would not understand the path {path}", hint="move it")


def rendered(installation: Installation, config: Config) -> str:
    """Return the unit's text."""
    lines = _user_lines() if installation.of_user else _system_lines(installation, config)
    given = {
        "ExecStart": " ".join(
            [*installation.program, "serve", str(installation.station), "--data", str(installation.data)]
        ),
        "Description": f"Kymograph station {config.station.name}",
    }
    text = "\n".join(_with(line, given) for line in lines)
    return f"# Written by: kymograph service install {installation.station}\n{text}\n"


def _with(line: str, given: dict[str, str]) -> str:
    key, equals, _ = line.partition("=")
    return f"{key}={given[key]}" if equals and key in given else line


def _template() -> list[str]:
    text = TEMPLATE.read_text("utf-8")
    return text[text.index("[Unit]") :].rstrip("\n").splitlines()


def _user_lines() -> list[str]:
    kept: list[str] = []
    for line in _template():
        key = line.partition("=")[0]
        if line.startswith("["):
            kept += ["", line] if kept else [line]
        elif key in _OF_USER:
            kept.append("WantedBy=default.target" if key == "WantedBy" else line)
    return kept


def _system_lines(installation: Installation, config: Config) -> list[str]:
    drivers = {table.driver for table in config.instruments.values()}
    groups, devices = ["dialout"], list[str]()
    if any(table.port.startswith("i2c://") for table in config.instruments.values()):
        groups.append("i2c")
        devices.append("char-i2c rw")
    if "cpu_temp" in drivers:
        groups.append("video")
        devices.append("/dev/vcio rw")  # what vcgencmd asks
    home = any(Path(p).is_relative_to("/home") for p in (installation.program[0], installation.station))
    inside = installation.data.is_relative_to("/var/lib")
    kept: list[str] = []
    for line in _template():
        key = line.partition("=")[0]
        if key in ("User", "Group"):
            kept.append(f"{key}={installation.user}")
        elif key == "Documentation":
            continue
        elif key == "SupplementaryGroups":
            kept.append(f"SupplementaryGroups={' '.join(groups)}")
        elif key == "StateDirectory":
            at = f"StateDirectory={installation.data.relative_to('/var/lib')}" if inside else ""
            kept.append(at or f"ReadWritePaths={installation.data}")
        elif key == "StateDirectoryMode" and not inside:
            continue
        elif key == "ProtectHome" and (home or installation.data.is_relative_to("/home")):
            kept.append("ProtectHome=read-only")
        else:
            kept.append(line)
        if line == "DeviceAllow=char-ttyACM rw":
            kept += [f"DeviceAllow={device}" for device in devices]
    return kept
