"""What doctor says of I²C: no bus, no leave, a bus that hangs, and who answers on one."""

import pytest

from kymograph.cli import i2c_findings
from kymograph.cli.findings import FAIL, OK, WARN
from kymograph.sim import bme280 as device
from kymograph.sim.simulation import Simulation
from kymograph.sim.wire import PtyWire


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model"
    path.write_text("Raspberry Pi 4 Model B Rev 1.4\0")
    return path


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"address": "0x76"}, "answering: 0x76 (BME280)"),
        ({"chip": "bmp280"}, "answering: 0x77 (BMP280)"),
        ({"chip": "0x12"}, "answering: 0x77 (id 0x12)"),
        ({"address": "0x20"}, "answering: 0x20"),
    ],
)
def test_who_answers(tmp_path, parameters, found):
    with Simulation(device.make(parameters), PtyWire(tmp_path / "bus")) as simulation:
        (finding,) = i2c_findings.bus(simulation.url)
    assert (finding.state, finding.found, finding.advice) == (OK, found, "")


def test_nobody_answers(tmp_path):
    with Simulation(device.make({}), PtyWire(tmp_path / "bus")) as simulation:
        simulation.fault("vanish")
        (finding,) = i2c_findings.bus(simulation.url)
    assert finding.state == WARN and "nothing answers" in finding.found and "SDA" in finding.advice


def test_a_bus_that_hangs(tmp_path):
    with Simulation(device.make({}), PtyWire(tmp_path / "bus")) as simulation:
        simulation.fault("hang on")
        (finding,) = i2c_findings.bus(simulation.url)
    assert finding.state == FAIL and "hangs" in finding.found and "pull-ups" in finding.advice


def test_a_bus_of_the_station_that_is_not_there(tmp_path):
    ports = ["i2c:///dev/i2c-77?address=0x76", "i2c:///dev/i2c-77", "sim://bme280", "serial:///dev/ttyUSB0"]
    (finding,) = i2c_findings.look(ports, tmp_path)
    assert finding.state == FAIL and finding.subject == "I²C bus /dev/i2c-77"
    assert "raspi-config" in finding.advice and "dtparam=i2c_arm=on" in finding.advice


def test_a_pi_whose_bus_is_switched_off(tmp_path, model):
    (finding,) = i2c_findings.look([], tmp_path, model)
    assert finding.state == WARN and "raspi-config" in finding.advice


def test_another_computer_is_left_alone(tmp_path):
    assert list(i2c_findings.look([], tmp_path, tmp_path / "none")) == []
    (tmp_path / "i2c-4").touch()
    (finding,) = i2c_findings.look([], tmp_path, tmp_path / "none")
    assert finding.state == OK and "i2c-4" in finding.found
