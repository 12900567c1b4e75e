"""The systemd unit: valid, hardened, and true to what the program does."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kymograph.model.limits import SHUTDOWN_S_MAX

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "deploy/kymograph.service"
EXPOSURE_MAX = 2.5

systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def directives():
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@systemd
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    there = tmp_path / UNIT.name
    there.write_text(UNIT.read_text().replace("/opt/kymograph/.venv/bin/kymograph", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(there)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


@systemd
def test_the_service_is_exposed_no_more_than_it_must_be():
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX * 10:.0f}"]
    done = subprocess.run([*command, str(UNIT)], capture_output=True, text=True, timeout=60)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSURE_MAX
    assert done.returncode == 0


def test_systemd_waits_longer_than_sealing_takes():
    assert float(directives()["TimeoutStopSec"][0]) > SHUTDOWN_S_MAX


def test_only_the_engine_is_told_to_end_and_only_it_speaks_to_systemd():
    found = directives()
    assert found["KillMode"] == ["mixed"]
    assert (found["Type"], found["NotifyAccess"]) == (["notify"], ["main"])
    assert float(found["WatchdogSec"][0]) >= 10


def test_serial_ports_and_nothing_else_are_open_to_it():
    found = directives()
    assert found["DevicePolicy"] == ["closed"]
    assert found["DeviceAllow"] == ["char-ttyUSB rw", "char-ttyACM rw"]
    assert "PrivateDevices" not in found
    assert found["SupplementaryGroups"] == ["dialout"]


def test_the_network_and_the_local_socket_stay_usable():
    families = directives()["RestrictAddressFamilies"][0].split()
    assert {"AF_UNIX", "AF_INET", "AF_INET6"} <= set(families)
    assert "PrivateNetwork" not in directives()


def test_it_may_write_its_own_folder_which_is_the_one_it_is_given():
    found = directives()
    folder = f"/var/lib/{found['StateDirectory'][0]}"
    assert found["ExecStart"][0].endswith(f"--data {folder}")
    assert found["ProtectSystem"] == ["strict"]


def test_the_guide_and_the_unit_name_the_same_places():
    guide = (ROOT / "docs/guides/lidar-on-a-pi.md").read_text()
    program, _, station, *_ = directives()["ExecStart"][0].split()
    for place in (program.removesuffix("/.venv/bin/kymograph"), station, "/var/lib/kymograph"):
        assert place in guide


def _refuse_executable_memory():
    # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN of linux/prctl.h: what MemoryDenyWriteExecute means.
    ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)


def test_every_library_works_where_memory_cannot_become_code():
    environment = dict(pair.split("=", 1) for pair in directives()["Environment"])
    code = (
        "import ctypes\n"
        "if ctypes.CDLL(None).prctl(66, 0, 0, 0, 0) != 1: raise SystemExit(77)\n"
        "import io, numpy, polars, pyarrow.parquet, h5py, uvloop, fastapi, tsdownsample, msgspec\n"
        "polars.DataFrame({'x': numpy.arange(9.0)}).write_csv(io.BytesIO())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100,
        env={**os.environ, **environment}, preexec_fn=_refuse_executable_memory,
    )  # fmt: skip
    if done.returncode == 77:
        pytest.skip("this kernel cannot refuse it to a process (before 6.3)")
    assert done.returncode == 0, done.stderr
