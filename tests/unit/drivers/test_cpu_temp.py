"""How warm the processor is: the program, the file, and a program that hangs."""

import time
from pathlib import Path

import pytest

from kymograph.drivers.cpu_temp import CpuTemp, CpuTempOptions
from kymograph.model.clock import Clock
from kymograph.model.errors import DeviceError, DeviceSilent


def made(folder, program=None, milli=None, **options):
    path = ""
    if program is not None:
        script = folder / "vcgencmd"
        script.write_text(f"#!/bin/sh\n{program}\n")
        script.chmod(0o755)
        path = str(script)
    zone = folder / "zone"
    if milli is not None:
        zone.write_text(milli)
    given = CpuTempOptions(vcgencmd=path, thermal=zone, **{"timeout_s": 20, **options})
    return CpuTemp(given, Clock(time.monotonic_ns, time.time_ns))


TELLS = """case $1 in measure_temp) echo "temp=52.3'C";; get_throttled) echo throttled=0x50005;; esac"""


def test_the_program(tmp_path):
    driver = made(tmp_path, TELLS)
    assert driver.open()["source"].endswith("vcgencmd")
    assert driver.poll() == (52.3, 0x50005)
    assert driver.streams()[0].channel_names == ("temperature", "throttled")


def test_the_file_where_there_is_no_program(tmp_path):
    driver = made(tmp_path, milli="48312\n")
    assert driver.open()["source"].endswith("zone")
    assert driver.poll() == (48.312,)
    assert driver.streams()[0].channel_names == ("temperature",)


@pytest.mark.parametrize(
    "program", ["exit 255", "echo VCHI initialization failed", "echo temp=.", "exec /none"]
)
def test_the_file_where_the_program_cannot(tmp_path, program):
    driver = made(tmp_path, program, milli="48312")
    assert driver.open()["source"].endswith("zone")
    assert driver.poll() == (48.312, -1)


@pytest.mark.parametrize("milli", [None, "", "warm"])
def test_neither_is_an_error_with_a_hint(tmp_path, milli):
    with pytest.raises(DeviceError, match="zone") as caught:
        made(tmp_path, milli=milli).open()
    assert caught.value.hint


def test_a_program_that_hangs_is_killed_with_what_it_started(tmp_path):
    pids = tmp_path / "pids"
    driver = made(tmp_path, f'sleep 600 & echo "$$ $!" >> {pids}; wait', timeout_s=1.0)
    until = time.monotonic() + 20
    while not pids.exists() or not pids.read_text().endswith("\n"):
        assert time.monotonic() < until
        with pytest.raises(DeviceSilent, match="killed"):
            driver.poll()
    for pid in map(int, pids.read_text().split()):
        while _runs(pid):
            assert time.monotonic() < until
            time.sleep(0.01)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_rows(tmp_path):
    driver = made(tmp_path, milli="48312", rate_hz=100)
    driver.open()
    driver.start()
    (rows,) = driver.read(5)
    assert rows.columns[0][0] == 48.312 and abs(int(rows.time_ns[0]) - time.time_ns()) < 20 * 10**9
