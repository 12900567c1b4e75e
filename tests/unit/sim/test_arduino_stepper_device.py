"""The simulated stepper board, mostly without a wire: its words, its times, and what is wrong with it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kymograph.drivers.ports import open_port
from kymograph.model.errors import InvalidInput
from kymograph.sim.arduino_stepper import ArduinoStepper, make
from kymograph.sim.simulation import Simulation
from kymograph.sim.wire import PtyWire, TcpWire

BOOT = """\
=== STEP MOTOR SISTEMI HAZIR ===
Komut: motor_id:açı (örn: 1:90)
Motor1 başlangıç pozisyonu: -1727.50
Motor2 başlangıç pozisyonu: -1727.50
""".replace("\n", "\r\n").encode()
QUARTER = """\
Alınan komut: 1:90
Motor ID: 1, Delta Açı: 90.00
Motor1 mevcut pozisyon: -1727.50
Motor 1 için 51 adım döndürülecek (90.00°)
Yön sinyali: HIGH (deltaAngle: 90.00)
Adım: 0/51
Adım: 50/51
Motor 1 hareketi tamamlandı
Motor1 yeni pozisyon: -1637.50
""".replace("\n", "\r\n").encode()


def booted() -> ArduinoStepper:
    """A board at its second 3, idle."""
    device = ArduinoStepper()
    device.advance(0.0)
    assert device.advance(3.0) == BOOT
    return device


def tell(device: ArduinoStepper, time_s: float, data: bytes) -> bytes:
    """What it says at once, when it is told something at a time."""
    device.receive(data)
    return device.advance(time_s)


def said(device: ArduinoStepper, until_s: float) -> list[str]:
    return device.advance(until_s).decode().splitlines()


def answer(device: ArduinoStepper, time_s: float, data: bytes, until_s: float) -> list[str]:
    """What it says until a time, when it is told something at an earlier one."""
    return (tell(device, time_s, data) + device.advance(until_s)).decode().splitlines()


def ended_s(device: ArduinoStepper, from_s: float, until_s: float) -> float:
    """When the motor has come to its end, to 10 ms."""
    for hundredth in range(int(from_s * 100), int(until_s * 100) + 1):
        if b"yeni pozisyon" in device.advance(hundredth / 100):
            return hundredth / 100
    raise AssertionError("it never ended")


def test_it_boots_and_is_deaf_until_then():
    device = ArduinoStepper()
    device.advance(0.0)
    tell(device, 0.0, b"1:90\n")
    assert device.advance(0.79) == b""
    assert device.advance(0.81) == BOOT
    assert answer(device, 0.81, b"2:90\n", 1.79) == [] and "Alınan komut: 2:90" in said(device, 1.81)
    assert device.heard == ["2:90"]


def test_a_quarter_turn_word_for_word():
    device = booted()
    assert tell(device, 3.0, b"1:90\n") + device.advance(4.0) == QUARTER
    assert device.positions == [-1637.5, -1727.5] and device.true_steps == [51, 0]


@pytest.mark.parametrize(
    ("angle", "steps", "takes_s"), [(90, 51, 0.56), (360, 203, 2.08), (3455, 1946, 19.53)]
)
def test_how_long_a_move_takes(angle: int, steps: int, takes_s: float):
    device = booted()
    tell(device, 3.0, f"2:{angle}\n".encode())
    assert ended_s(device, 3.0, 25.0) - 3.0 == pytest.approx(takes_s, abs=0.015)
    assert device.true_steps == [0, steps]


def test_backwards():
    device = booted()
    tell(device, 3.0, b"1:180\n")
    device.advance(6.0)
    assert "Yön sinyali: LOW (deltaAngle: -180.00)" in answer(device, 6.0, b"1:-180\n", 9.0)
    assert device.positions[0] == -1727.5 and device.true_steps == [0, 0]


def test_two_lines_at_once_become_one_wild_move():
    device = booted()
    tell(device, 3.0, b"1:90\n2:45\n")
    assert "Motor1 yeni pozisyon: -825.50" in said(device, 12.0)
    assert device.heard == ["1:902:45"] and device.positions == [-825.5, -1727.5]


def test_two_lines_too_soon_after_a_move_become_one():
    device = booted()
    tell(device, 3.0, b"1:90\n")
    end_s = ended_s(device, 3.0, 4.0)
    tell(device, end_s, b"1:90\n")
    assert device.advance(end_s + 0.2) == b""
    tell(device, end_s + 0.2, b"2:45\n")
    device.advance(end_s + 10.0)
    assert device.heard == ["1:90", "1:902:45"]


def test_two_lines_in_the_middle_of_a_move_become_one_afterwards():
    device = booted()
    tell(device, 3.0, b"1:360\n")
    device.advance(4.0)
    tell(device, 4.0, b"1:90\n")
    device.advance(4.5)
    tell(device, 4.5, b"2:45\n")
    device.advance(20.0)
    assert device.heard == ["1:360", "1:902:45"]


def test_lines_that_keep_their_distance_stay_two():
    device = booted()
    tell(device, 3.0, b"1:90\n")
    tell(device, ended_s(device, 3.0, 4.0) + 0.6, b"2:45\n")
    device.advance(10.0)
    assert device.heard == ["1:90", "2:45"] and device.positions == [-1637.5, -1682.5]


def test_what_comes_in_a_move_fills_a_small_buffer():
    device = booted()
    tell(device, 3.0, b"1:360\n")
    device.advance(4.0)
    tell(device, 4.0, b"x" * 100)
    device.advance(6.0)
    tell(device, 6.0, b"\n")
    device.advance(7.0)
    assert device.heard[1] == "x" * 63


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("hello", "ERR: Format motor_id:açı"),
        ("3:90", "ERR: Motor ID 1 veya 2 olmalı"),
        ("a:90", "ERR: Motor ID 1 veya 2 olmalı"),
        ("1:", "Motor hareket etmeyecek (0°)"),
        ("1:nan", "Motor hareket etmeyecek (0°)"),
        ("1:0.05", "Motor hareketi başarısız!"),
        ("1:-500", "Motor hareketi başarısız!"),
    ],
)
def test_what_it_does_not_do(line: str, word: str):
    device = booted()
    assert answer(device, 3.0, line.encode() + b"\n", 3.5)[-1] == word
    assert device.positions == [-1727.5, -1727.5] and device.true_steps == [0, 0]


def test_beyond_the_limit_it_goes_to_the_limit():
    device = booted()
    tell(device, 3.0, b"1:9000\n")
    assert "Motor1 yeni pozisyon: 1727.50" in said(device, 25.0)


def test_half_a_degree_is_counted_and_not_moved():
    device = booted()
    tell(device, 3.0, b"1:0.5\n")
    assert said(device, 4.0)[-1] == "Motor1 yeni pozisyon: -1727.00"
    assert device.true_steps == [0, 0]


def test_heart_beats_but_not_in_a_move():
    device = booted()
    beat = ["Sistem aktif - yeni komut bekleniyor...", "Motor1: -1727.50°, Motor2: -1727.50°"]
    assert said(device, 30.7) == [] and said(device, 30.9) == beat
    device.advance(55.0)
    tell(device, 55.0, b"1:3455\n")
    device.advance(55.1)
    words = said(device, 74.0)
    assert words and not any("Sistem" in word for word in words)
    assert said(device, 76.0)[-1] == "Motor1: 1727.50°, Motor2: -1727.50°"


def test_a_reset_forgets_where_the_motors_are():
    device = booted()
    tell(device, 3.0, b"1:90\n")
    device.advance(3.3)
    device.opened()
    assert said(device, 10.0)[2].endswith("-1727.50")
    assert device.boots == 2 and device.positions == [-1727.5, -1727.5] and 20 < device.true_steps[0] < 40
    kept = make({"resets_on_open": "0"})
    kept.opened()
    assert kept.boots == 1


def test_faults():
    device = booted()
    assert device.fault(["mute", "on"])
    assert answer(device, 3.0, b"1:90\n", 5.0) == [] and device.true_steps == [51, 0]
    assert device.fault(["mute", "off"]) and device.fault(["err"])
    assert answer(device, 5.0, b"1:90\n", 6.0)[-1].startswith("ERR: ") and device.true_steps == [51, 0]
    assert device.fault(["deaf", "on"])
    assert answer(device, 6.0, b"1:90\n", 7.0) == [] and device.fault(["deaf", "off"])
    assert device.fault(["cut", "3"])
    assert answer(device, 7.0, b"1:90\n", 8.0)[-1] == "ERR: Format motor_id:açı"
    tell(device, 8.0, b"2:90\n")
    device.advance(8.7)
    assert device.fault(["reboot"]) and device.boots == 2
    assert not device.fault(["explode"]) and not device.fault(["mute"])


@pytest.mark.parametrize(
    "given", [{"time_scale": "0"}, {"time_scale": "x"}, {"colour": "red"}, {"resets_on_open": "?"}]
)
def test_parameters_that_make_no_sense(given: dict[str, str]):
    with pytest.raises(InvalidInput):
        make(given)


def test_opening_its_port_resets_it(tmp_path: Path):
    device = ArduinoStepper(time_scale=0.01)
    with Simulation(device, PtyWire(tmp_path / "port")) as simulation:
        assert device.boots == 1
        for boots in (2, 3):
            port = open_port(simulation.url, baud=115200)
            assert heard(port) and device.boots == boots
            port.close()


def test_connecting_to_it_resets_it_too():
    device = ArduinoStepper(time_scale=0.01)
    with Simulation(device, TcpWire()) as simulation:
        port = open_port(simulation.url)
        assert heard(port) and device.boots == 2
        port.close()


def heard(port) -> bool:
    """Whether a whole boot text comes."""
    data, until = b"", time.monotonic() + 10
    while BOOT not in data and time.monotonic() < until:
        data += port.read(0.1)
    return BOOT in data
