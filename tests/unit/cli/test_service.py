"""`kymograph service`: the unit fits the station, and systemd is told what it has to be told."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kymograph.cli.app import run
from kymograph.cli.unit import Installation, rendered
from kymograph.config import parse
from kymograph.model.errors import InvalidInput

STATION = """
[station]
name = "weather-01"
data = "weather-data"
[readings]
[instruments.bme280]
driver = "bme280"
port = "i2c:///dev/i2c-1"
[instruments.cpu_temp]
driver = "cpu_temp"
"""

SYSTEMCTL = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
  *show*) printf 'LoadState=loaded\\nActiveState={active}\\nSubState=running\\nMainPID=42\\nNRestarts=1\\n' ;;
  *broken*) echo 'Failed to do it: no bus' >&2; exit 1 ;;
esac
"""


class Computer:
    """A computer with a systemd that only writes down what it is told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.station = folder / "weather.toml"
        self.station.write_text(STATION)
        self.units = folder / "config/systemd/user"
        self._log = folder / "systemctl.log"
        self._bin = folder / "bin"
        self._bin.mkdir()
        self.is_active("active")
        monkeypatch.chdir(folder)
        monkeypatch.setenv("PATH", str(self._bin), prepend=":")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))

    def is_active(self, state: str) -> None:
        program = self._bin / "systemctl"
        program.write_text(SYSTEMCTL.format(log=self._log, active=state))
        program.chmod(0o755)

    def told(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Computer:
    return Computer(tmp_path, monkeypatch)


def test_a_service_of_the_user_is_installed_and_removed(
    computer: Computer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["service", "install", "weather.toml", "--user", "--name", "weather"]) == 0
    unit = computer.units / "weather.service"
    text = unit.read_text()
    assert f"serve {computer.station} --data {computer.station.parent / 'weather-data'}\n" in text
    assert "Type=notify" in text and "Restart=always" in text and "WatchdogSec=30" in text
    assert "User=" not in text and "WantedBy=default.target" in text
    assert computer.told() == ["--user daemon-reload", "--user enable --now weather.service"]
    assert "enable-linger" in capsys.readouterr().out
    assert (computer.station.parent / "weather-data").is_dir()

    assert run(["service", "uninstall", "--user", "--name", "weather"]) == 0
    assert not unit.exists()
    assert computer.told()[2:] == ["--user disable --now weather.service", "--user daemon-reload"]
    assert (computer.station.parent / "weather-data").is_dir(), "the data stays"
    assert run(["service", "uninstall", "--user", "--name", "weather"]) == 1


def test_a_dry_run_says_everything_and_does_nothing(
    computer: Computer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["service", "install", "weather.toml", "--dry-run", "--as", "nobody-here"]) == 0
    said = capsys.readouterr().out
    assert "# /etc/systemd/system/kymograph.service" in said and "User=nobody-here" in said
    assert "would run: systemctl enable --now kymograph.service" in said
    assert computer.told() == []


def test_status_says_how_it_is_and_the_exit_code_too(
    computer: Computer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["service", "status"]) == 0
    assert "kymograph: active (running), process 42, started again 1 times" in capsys.readouterr().out
    computer.is_active("failed")
    assert run(["service", "status", "--json"]) == 3
    assert run(["service", "status", "--name", "broken"]) in (1, 3)


def test_what_systemd_says_is_passed_on(computer: Computer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["service", "install", "weather.toml", "--user", "--name", "broken"]) == 1
    assert "no bus" in capsys.readouterr().err


def test_without_systemd_it_says_what_to_do_instead(
    computer: Computer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(computer.units))
    assert run(["service", "status"]) == 1
    assert "kymograph serve" in capsys.readouterr().err


def test_a_user_that_is_not_there_is_refused(computer: Computer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["service", "install", "weather.toml", "--as", "nobody-here"]) in (1, 2)
    assert computer.told() == []
    assert capsys.readouterr().err


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("data", ["/var/lib/weather", "/srv/weather", "/home/pi/data"])
@pytest.mark.parametrize("of_user", [False, True])
def test_systemd_understands_the_unit(tmp_path: Path, data: str, of_user: bool) -> None:
    config = parse({"instruments": {"b": {"driver": "bme280", "port": "i2c:///dev/i2c-1"}}})
    program = ("/bin/true",)
    text = rendered(Installation("w", program, Path("/etc/w.toml"), Path(data), "root", of_user), config)
    assert ("DeviceAllow=char-i2c rw" in text) is not of_user
    unit = tmp_path / "w.service"
    unit.write_text(text)
    command = ["systemd-analyze", *(["--user"] if of_user else []), "verify", "--man=no", str(unit)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "data"), [("a b", "/d"), ("../x", "/d"), ("", "/d"), ("a", "/with space"), ("a", "/%h")]
)
def test_what_systemd_would_misunderstand_is_refused(name: str, data: str) -> None:
    with pytest.raises(InvalidInput):
        Installation(name, ("/bin/true",), Path("/s.toml"), Path(data), "root", False)
