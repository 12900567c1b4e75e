"""The simulator as a process: ready, faults, and gone with whoever started it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kymograph.drivers.ports import open_port
from kymograph.model.errors import ConfigError, PortError, Unavailable
from kymograph.sim import registry
from kymograph.sim.process import SimulatorProcess

INFO = bytes.fromhex("a55a140000000406")


def until(condition, deadline_s: float = 10.0) -> bool:
    end = time.monotonic() + deadline_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def ask_info(url: str) -> bytes:
    port = open_port(url, baud=128000)
    port.write(b"\xa5\x90")
    data, end = b"", time.monotonic() + 5
    while len(data) < 27 and time.monotonic() < end:
        data += port.read(0.1)
    port.close()
    return data


def started(*arguments: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "kymograph.sim", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    return process


def test_answers_and_faults(tmp_path):
    with SimulatorProcess("sim://ydlidar?model=X4&seed=5", tmp_path / "lidar") as simulator:
        assert simulator.url == f"serial://{tmp_path}/lidar"
        assert ask_info(simulator.url).startswith(INFO)
        simulator.fault("unplug")
        assert not simulator.link.is_symlink()
        with pytest.raises(PortError):
            open_port(simulator.url)
        simulator.fault("replug")
        assert ask_info(simulator.url).startswith(INFO)
        with pytest.raises(Unavailable, match="no fault"):
            simulator.fault("explode")
        simulator.fault("refuse on")
        assert simulator.alive
    assert not simulator.alive
    assert not simulator.link.is_symlink()
    with pytest.raises(Unavailable):
        simulator.fault("unplug")
    simulator.stop()


def test_a_link_left_behind_is_replaced(tmp_path):
    (tmp_path / "lidar").symlink_to("/dev/pts/none")
    with SimulatorProcess("sim://ydlidar", tmp_path / "lidar") as simulator:
        assert ask_info(simulator.url).startswith(INFO)


@pytest.mark.parametrize(
    "url", ["sim://toaster", "sim://ydlidar?model=X9", "sim://ydlidar?colour=red", "serial:///x"]
)
def test_addresses_that_name_nothing(url, tmp_path):
    with pytest.raises(ConfigError):
        SimulatorProcess(url, tmp_path / "lidar")


def test_address():
    assert registry.parse_url("sim://ydlidar?model=X4&seed=1") == ("ydlidar", {"model": "X4", "seed": "1"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_on_a_signal_and_removes_its_link(tmp_path, number):
    link = tmp_path / "lidar"
    process = started("ydlidar", "--link", str(link), "--model", "X2")
    assert process.stdout is not None and process.stdout.readline() == f"ready {link}\n".encode()
    assert link.is_symlink()
    process.send_signal(number)
    assert process.wait(10) == 0
    assert not link.is_symlink()
    process.stdout.close()


def test_ends_with_its_input_if_told_to(tmp_path):
    process = started("ydlidar", "--link", str(tmp_path / "lidar"), "--until-eof")
    assert process.stdout is not None and process.stdin is not None
    process.stdout.readline()
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()


def test_does_not_end_with_its_input_otherwise(tmp_path):
    link = tmp_path / "lidar"
    process = started("ydlidar", "--link", str(link))
    assert process.stdout is not None and process.stdin is not None
    process.stdout.readline()
    process.stdin.close()
    assert ask_info(f"serial://{link}").startswith(INFO)
    process.terminate()
    assert process.wait(10) == 0
    process.stdout.close()


def test_ends_when_its_parent_is_killed(tmp_path):
    link = tmp_path / "lidar"
    script = (
        "import sys, time, pathlib\n"
        "from kymograph.sim.process import SimulatorProcess\n"
        f"made = SimulatorProcess('sim://ydlidar', pathlib.Path({str(link)!r}))\n"
        "print(made.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in state(pid))
    assert not link.is_symlink()
    parent.stdout.close()


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def test_tcp(tmp_path):
    process = started("ydlidar", "--tcp", "127.0.0.1:0", "--until-eof")
    assert process.stdout is not None and process.stdin is not None
    url = process.stdout.readline().decode().split()[1]
    assert ask_info(url).startswith(INFO)
    process.stdin.write(b"unplug\nnonsense\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"ok unplug\n"
    assert process.stdout.readline().startswith(b"error ")
    with pytest.raises(PortError):
        open_port(url)
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()


def test_wrong_arguments_say_why():
    process = subprocess.run(
        [sys.executable, "-m", "kymograph.sim", "ydlidar", "--model", "X9"], capture_output=True, check=False
    )
    assert process.returncode == 2 and b"there is no simulated X9" in process.stderr


def test_without_a_link_it_names_one(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "kymograph.sim", "ydlidar"],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    path = Path(process.stdout.readline().decode().split()[1])
    assert path.parent == tmp_path and path.is_symlink()
    process.terminate()
    assert process.wait(10) == 0
    assert not path.is_symlink()
    process.stdout.close()
