"""The udev rules: every line can be parsed, every jump arrives."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

RULES = Path(__file__).parents[3] / "deploy/99-kymograph.rules"
TOKEN = re.compile(r'([A-Z_]+)(\{[A-Za-z_]+\})?(==|!=|\+=|=)"([^"]*)"')


def lines():
    text = RULES.read_text().replace("\\\n", "")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def tokens(line):
    return [match.groups() for match in TOKEN.finditer(line)]


def test_every_line_is_keys_operators_and_values():
    for line in lines():
        assert TOKEN.sub("", line).replace(",", "").strip() == "", line


def test_every_jump_goes_forward_to_a_label_that_is_there():
    labels = {v: i for i, line in enumerate(lines()) for k, _, _, v in tokens(line) if k == "LABEL"}
    jumps = [(i, v) for i, line in enumerate(lines()) for k, _, _, v in tokens(line) if k == "GOTO"]
    assert jumps
    for at, label in jumps:
        assert labels[label] > at


def test_known_adapters_only_are_taken_from_modem_manager():
    marked = [i for i, line in enumerate(lines()) if "ID_MM_DEVICE_IGNORE" in line]
    label = next(i for i, line in enumerate(lines()) if 'LABEL="kymograph_port"' in line)
    assert marked
    assert all(at > label for at in marked)
    assert lines()[label - 1] == 'GOTO="kymograph_end"'


def test_ports_go_to_dialout_and_not_to_everybody():
    given = {
        (k, v) for line in lines() for k, _, op, v in tokens(line) if op == "=" and k in ("GROUP", "MODE")
    }
    assert given == {("GROUP", "dialout"), ("MODE", "0660")}


def test_the_lidars_adapter_is_among_them():
    assert any('ATTRS{idVendor}=="10c4"' in line and 'ATTRS{idProduct}=="ea60"' in line for line in lines())


@pytest.mark.skipif(not shutil.which("udevadm"), reason="udevadm is not installed")
def test_udev_itself_finds_nothing_wrong():
    done = subprocess.run(["udevadm", "verify", str(RULES)], capture_output=True, text=True, timeout=60)
    if "Unknown command verb" in done.stderr:
        pytest.skip("this udevadm cannot verify (before version 254)")
    assert done.returncode == 0, done.stderr
