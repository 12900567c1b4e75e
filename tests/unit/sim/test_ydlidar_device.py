"""The simulated lidar, without a wire: commands byte for byte, packets at the right time."""

from __future__ import annotations

import pytest

from kymograph.model.errors import InvalidInput
from kymograph.sim.ydlidar import YdLidarDevice, make
from kymograph.sim.ydlidar_models import KINDS

HEADER = bytes.fromhex("a55a0500004081")


def answer(device: YdLidarDevice, command: str, at_s: float = 0.0) -> str:
    device.receive(bytes.fromhex(command))
    return device.advance(at_s).hex()


def packets(data: bytes, width: int) -> list[bytes]:
    """Cut a scan into packets; each must begin where the one before ended, and sum up to nothing."""
    found = []
    while data:
        assert data[:2] == b"\xaa\x55"
        size = 10 + data[3] * width
        assert len(data) >= size
        found.append(data[:size])
        data = data[size:]
    return found


def checksum(packet: bytes, width: int) -> int:
    total = 0
    for i in range(0, 10, 2):
        total ^= packet[i] | packet[i + 1] << 8
    for i in range(10, len(packet), width):
        sample = packet[i : i + width]
        if width == 3:
            total ^= sample[0] ^ (sample[1] | sample[2] << 8)
        else:
            for j in range(0, width, 2):
                total ^= sample[j] | sample[j + 1] << 8
    return total


def test_answers():
    device = YdLidarDevice("G4", seed=7)
    assert answer(device, "a590") == "a55a1400000004" + "050a0101" + "00" * 15 + "07"
    assert answer(device, "a591") == answer(device, "a592") == "a55a0300000006" + "000000"
    assert answer(device, "a50d") == "a55a0400000004" + (700).to_bytes(4, "little").hex()
    assert answer(device, "a50b") == "a55a0400000004" + (800).to_bytes(4, "little").hex()
    assert answer(device, "a50a") == "a55a0400000004" + (790).to_bytes(4, "little").hex()
    assert answer(device, "a5d1") == "a55a0100000004" + "02"
    assert answer(device, "a5d0") == "a55a0100000004" + "03"
    assert answer(device, "ffa5a5") == ""


def test_command_in_two_pieces():
    device = YdLidarDevice("X4")
    assert answer(device, "a5") == ""
    assert answer(device, "90").startswith("a55a1400000004")


def test_x4_knows_no_frequency():
    assert answer(YdLidarDevice("X4"), "a50d") == ""


def test_while_scanning_only_stop_is_heard():
    device = YdLidarDevice("G4")
    assert answer(device, "a560") == HEADER.hex()
    assert answer(device, "a590") == ""
    assert answer(device, "a565") == ""
    assert answer(device, "a590") != ""


@pytest.mark.parametrize("model", sorted(KINDS))
def test_packets_of_every_model(model):
    device = YdLidarDevice(model)
    device.receive(b"\xa5\x60")
    data = b"".join(device.advance(ms / 1000) for ms in range(0, 1001, 8))
    data = data[data.index(HEADER) + 7 :]
    width = {0: 2, 8: 3, 10: 3, 16: 4}[device.kind.intensity_bits]
    found = packets(data, width)
    assert all(checksum(packet, width) == 0 for packet in found)
    assert all(packet[4] & 1 and packet[6] & 1 for packet in found)
    samples = sum(packet[3] for packet in found)
    assert samples == pytest.approx(device.rate_hz, abs=41)
    zero = [packet for packet in found if packet[2] & 1]
    assert len(zero) == pytest.approx(device.rotation_hz, abs=1)
    assert all(packet[3] == 1 for packet in zero)
    told = device.rotation_hz * 10 - device.kind.told_low if device.kind.tenths else 0
    assert {packet[2] >> 1 for packet in zero} == {round(told)}


def test_revolutions_have_the_right_length():
    device = YdLidarDevice("X4", frequency_hz=10)
    device.receive(b"\xa5\x60")
    data = b"".join(device.advance(ms / 1000) for ms in range(0, 2001, 13))[7:]
    lengths, count = [], 0
    for packet in packets(data, 2):
        if packet[2] & 1 and count:
            lengths.append(count)
            count = 0
        count += packet[3]
    assert set(lengths) == {500}


def test_a_packet_is_sent_when_its_last_sample_is_due():
    device = YdLidarDevice("X4")
    device.receive(b"\xa5\x60")
    assert device.advance(100.0) == HEADER
    assert device.advance(100.0001) == b""
    assert device.advance(100.0003)[3] == 1
    assert device.advance(100.008) == b""
    assert device.advance(100.0083)[3] == 40


def test_time_that_was_slept_through_is_left_out():
    device = YdLidarDevice("X4")
    device.receive(b"\xa5\x60")
    device.advance(0.0)
    assert len(device.advance(3600.0)) < 1000
    assert 900 < len(device.advance(3600.1)) < 1400


def test_single_channel_models_speak_unasked():
    device = YdLidarDevice("X2")
    first = device.advance(0.0)
    assert first.startswith(bytes.fromhex("a55a1400000004")) and first.endswith(HEADER)
    device.receive(b"\xa5\x65")
    assert device.advance(0.5)


def test_the_same_seed_makes_the_same_bytes():
    def run(seed: int) -> bytes:
        device = YdLidarDevice("G2", seed=seed)
        device.receive(b"\xa5\x60")
        return b"".join(device.advance(ms / 100) for ms in range(100))

    assert run(3) == run(3) != run(4)


@pytest.mark.parametrize("bad", [{"model": "X9"}, {"seed": "x"}, {"colour": "red"}])
def test_parameters_are_checked(bad):
    with pytest.raises(InvalidInput):
        make(bad)
