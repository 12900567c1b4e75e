"""The simulated controller, without a wire: lines and frames byte for byte, an engine and its valves."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import pytest

from kymograph.model.errors import InvalidInput
from kymograph.sim import stm32_words as words
from kymograph.sim.rocket import STEP_S, Rocket
from kymograph.sim.stm32 import SCENARIOS, Stm32Device, make

GOLDEN_SAMPLES = (
    "040101070440420f0264041301"
    "6402650266026702680269026a026b026c026d026e026f0270027102720273027402750276039e5a00"
)
GOLDEN_VALVES = "0410010102d202fa032a4800"


def run(device: Stm32Device, seconds: float, step_s: float = 0.01) -> bytes:
    """What it sends from its present time on."""
    began, sent = device._time_s, b""
    for i in range(1, round(seconds / step_s) + 1):
        sent += device.advance(began + i * step_s)
    return sent


def frames(data: bytes) -> list[words.Frame]:
    pieces = data.split(b"\0")
    assert pieces[-1] == b""
    found = words.understood(pieces[:-1])
    assert len(found) == len(pieces) - 1
    return found


def samples(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """seq, t0, dt, channels and number of samples of each frame of samples."""
    for frame in frames(data):
        if frame.kind == 0x01:
            yield frame.seq, *struct.unpack_from("<IHBB", frame.body)


# -- words -------------------------------------------------------------------------------------------------
def test_golden_vectors():
    assert words.crc(b"123456789") == 0x29B1
    assert words.stuff(b"\0").hex() == "010100"
    assert words.stuff(bytes.fromhex("11220033")).hex() == "031122023300"
    body = struct.pack("<IHBB", 1_000_000, 100, 19, 1) + struct.pack("<19H", *range(100, 119))
    assert words.frame(1, 7, body) == bytes.fromhex(GOLDEN_SAMPLES)
    assert words.frame(0x10, 1, struct.pack("<HH", 0x0D2, 250)) == bytes.fromhex(GOLDEN_VALVES)
    assert words.understood([bytes.fromhex(GOLDEN_VALVES)[:-1]]) == [
        words.Frame(0x10, 1, bytes.fromhex("d200fa00"))
    ]


@pytest.mark.parametrize("size", [0, 1, 253, 254, 255, 508, 600])
def test_stuffing_comes_back(size):
    for raw in (b"\x01" * size, b"\0" * size, b"\x01" * size + b"\0", b"\x01\0" * 80 + b"\x01" * size):
        stuffed = words.stuff(raw)
        assert stuffed.find(b"\0") == len(stuffed) - 1
        assert words.unstuff(stuffed[:-1]) == raw


def test_noise_is_not_understood():
    assert words.understood([b"", b"\x05", b"\x09abc", b"\x02\x01\x02\x01", b"\0\0"]) == []


# -- text --------------------------------------------------------------------------------------------------
def test_a_line_has_the_keys_in_their_order():
    line = run(make({}), 1.0).split(b"\r\n")[0].decode()
    keys = [field.partition(":")[0] for field in line.split(" | ")]
    assert keys == [
        *(f"P{i}" for i in range(1, 9)), *(f"T{i}" for i in range(1, 7)),
        "Tbogaz1", "THRUST", "ISP", "Tbogaz2", "D1", "D2", "IMPULSE", "VELOCITY",
    ]  # fmt: skip
    assert b'P1: "' in run(make({"quoted": "1"}), 0.1)


def test_as_many_lines_as_are_due():
    assert run(make({"rate_hz": "80"}), 2.0).count(b"\n") in (158, 159, 160)


def test_orders_in_text():
    device = make({})
    device.receive(b"Valves:0100")
    device.receive(b"10110\nburn\nValves:012345678\n")
    assert device.pattern == "010010110"
    assert device.advance(0.0) == (
        b"ACK: Valves:010010110\r\nNACK: not understood\r\nNACK: not understood\r\n"
    )


@pytest.mark.parametrize("parameters", [{"ack": "0"}])
def test_firmware_that_never_answers(parameters):
    device = make(parameters)
    device.receive(b"Valves:010010110\n")
    assert device.advance(0.0) == b"" and device.pattern == "010010110"


def test_scenarios_take_their_time():
    device = make({})
    device.advance(0.0)
    device.receive(b"emergency\n")
    seen: list[str] = []
    for i in range(1000):
        device.advance(i * 0.01)
        if not seen or seen[-1] != device.pattern:
            seen.append(device.pattern)
    assert seen == [pattern for pattern, _ in SCENARIOS["emergency"]]
    device.receive(b"burning\n")
    run(device, 1.0)
    assert device.pattern == "010010111"


def test_an_order_ends_a_scenario():
    device = make({})
    device.advance(0.0)
    device.receive(b"o2cleaning\n")
    run(device, 0.5)
    device.receive(b"Valves:000000000\n")
    run(device, 1.0)
    assert device.pattern == "000000000"


# -- frames ------------------------------------------------------------------------------------------------
def test_frames_count_and_keep_time():
    device = make({"protocol": "frames", "rate_hz": "1000", "seq": "65530", "t0_us": str(2**32 - 20_000)})
    told = list(samples(run(device, 0.5)))
    assert [seq for seq, *_ in told] == [(65530 + i) % 65536 for i in range(len(told))]
    assert [t0 for _, t0, *_ in told] == [(2**32 - 20_000 + i * 10_000) % 2**32 for i in range(len(told))]
    assert {tuple(rest) for _, _, *rest in told} == {(1000, 24, 10)}
    assert len(told) in (49, 50)


def test_orders_in_frames_are_answered_by_their_number():
    device = make({"protocol": "frames"})
    device.advance(0.0)
    device.receive(b"\0junk\0" + bytes.fromhex(GOLDEN_VALVES) + words.frame(0x11, 2, b"nonsense"))
    answers = [f for f in frames(device.advance(0.0)) if f.kind & 0x80]
    assert answers == [words.Frame(0x90, 1, b"\xd2\0"), words.Frame(0xFF, 2, b"\x11not understood")]
    assert device.pattern == "011010010"


def test_who_it_is():
    device = make({"protocol": "frames", "name": "stand-7"})
    run(device, 0.1)
    device.receive(words.frame(0x02, 1))
    [status] = [f for f in frames(device.advance(device._time_s)) if f.kind == 0x02]
    assert status.body[8:] == b"stand-7" and status.body[7] == 24


def test_a_heart_beat_that_stays_away_closes_the_valves():
    device = make({"protocol": "frames"})
    run(device, 0.1)
    device.receive(bytes.fromhex(GOLDEN_VALVES))
    run(device, 3.0)
    assert device.pattern == "011010010"
    for _ in range(5):
        device.receive(words.frame(0x12, 2, struct.pack("<H", 500)))
        run(device, 0.4)
    assert device.pattern == "011010010" and not device.safe_taken
    sent = run(device, 0.2)
    assert device.pattern == "000000000" and device.safe_taken
    assert next(f.body[6] for f in frames(sent) if f.kind == 0x02) == 1


# -- faults ------------------------------------------------------------------------------------------------
def test_faults_of_its_own():
    device = make({"protocol": "frames", "rate_hz": "100"})
    run(device, 0.5)
    assert device.fault(["nack", "on"]) and device.fault(["stuck", "P1"]) and device.fault(["skip", "2"])
    device.receive(bytes.fromhex(GOLDEN_VALVES))
    told = frames(run(device, 1.0))
    assert [f.seq for f in told if f.kind == 0xFF] == [1] and device.pattern == "000000000"
    counts = {
        struct.unpack_from("<24H", f.body, 8 + 48 * i)[0] for f in told if f.kind == 1 for i in range(10)
    }
    assert len(counts) == 1
    numbers = [f.seq for f in told if f.kind == 1]
    assert numbers == list(range(numbers[0], numbers[-1] + 1)) and numbers[0] in (6, 7)
    assert device.fault(["nack", "off"]) and device.fault(["jam", "GOX1"])
    device.receive(bytes.fromhex(GOLDEN_VALVES))
    assert device.pattern == "001010010"
    assert device.fault(["reset"]) and device.pattern == "000000000"


@pytest.mark.parametrize("line", [["jam", "DOOR"], ["stuck", ""], ["nack"], ["skip", "x"], ["silence", "3"]])
def test_faults_that_it_does_not_know(line):
    assert make({}).fault(line) is False


@pytest.mark.parametrize(
    "parameters",
    [
        {"protocol": "modbus"}, {"rate_hz": "0"}, {"rate_hz": "x"}, {"channels": "25"}, {"batch": "0"},
        {"colour": "red"}, {"protocol": "frames", "rate_hz": "10"},
    ],
)  # fmt: skip
def test_parameters_that_make_no_sense(parameters):
    with pytest.raises(InvalidInput):
        make(parameters)


# -- the engine --------------------------------------------------------------------------------------------
def after(rocket: Rocket, pattern: str, seconds: float) -> list[float]:
    rocket.valves = [int(digit) for digit in pattern]
    values: list[float] = []
    for _ in range(round(seconds / STEP_S)):
        values = rocket.step()
    return values


def test_tanks_fill_hold_and_are_relieved():
    rocket = Rocket()
    filled = after(rocket, "010010000", 8.0)
    assert filled[1] > 30 and filled[5] > 30
    held = after(rocket, "000000000", 5.0)
    assert abs(held[1] - filled[1]) < 1
    relieved = after(rocket, "100001000", 5.0)
    assert relieved[1] < 1 and relieved[5] < 1


def test_it_burns_with_ignition_and_both_flows_and_not_else():
    rocket = Rocket()
    after(rocket, "010010000", 8.0)
    cold = after(rocket, "010010110", 1.0)
    assert not rocket.burning and cold[18] < 100
    hot = after(rocket, "010010111", 2.0)
    assert rocket.burning and hot[7] > 10 and 500 < hot[18] < 3000 and 200 < hot[19] < 300
    assert hot[14] > 500 and hot[20] > hot[21] > 0
    still = after(rocket, "010010110", 1.0)
    assert rocket.burning and still[22] > hot[22]
    out = after(rocket, "010010000", 1.0)
    assert not rocket.burning and out[18] < 20 and out[19] == 0


def test_a_ramp_tells_every_sample_by_its_number():
    device = make({"protocol": "frames", "rate_hz": "1000", "channels": "3", "ramp": "1"})
    device.advance(0.0)
    values = counts(device.advance(0.1))
    assert values[:, 0].tolist() == list(range(100))
    assert (values[:, 2] == values[:, 0] + 2 * 977).all()
    assert device.fault(["stuck", "P2"])
    assert set(counts(device.advance(0.2))[:, 1].tolist()) == {12_345}


def counts(data):
    found = [np.frombuffer(f.body[8:], "<u2").reshape(-1, 3) for f in frames(data) if f.kind == 0x01]
    return np.concatenate(found)
