"""Decoding scan packets: documented and captured vectors, cuts, junk, flipped bits."""

from __future__ import annotations

import importlib.util
import itertools
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kymograph.drivers.ydlidar_frames import BAD, OPEN, SURVEY_BYTES_MIN, outermost, survey, walk
from kymograph.drivers.ydlidar_packets import PacketDecoder, SampleFormat, Samples, corrections

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "data" / "lidar"
_spec = importlib.util.spec_from_file_location("lidar_packets", HERE / "lidar_packets.py")
assert _spec is not None and _spec.loader is not None
lidar_packets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(lidar_packets)
packet = lidar_packets.packet

TRIANGLE = SampleFormat(0, 0.25, True)
TOF = SampleFormat(0, 1.0, False)
EIGHT_BIT = SampleFormat(8, 0.25, False)
TEN_BIT = SampleFormat(10, 0.25, True)
SIXTEEN_BIT = SampleFormat(16, 1.0, False)
ANGLE = 2e-4
"""Degrees by which a 32-bit angle may differ from the documented one."""


def decoded(data: bytes, sample_format: SampleFormat) -> tuple[PacketDecoder, Samples]:
    decoder = PacketDecoder(sample_format)
    samples = decoder.decode(data)
    assert samples.consumed == len(data)
    assert decoder.packets_bad == 0
    return decoder, samples


def fed(pieces: list[bytes], sample_format: SampleFormat) -> tuple[PacketDecoder, list[np.ndarray]]:
    decoder = PacketDecoder(sample_format)
    parts, rest = [], b""
    for piece in pieces:
        rest += piece
        samples = decoder.decode(rest)
        rest = rest[samples.consumed :]
        assert len(rest) < 10 + 80 * 4
        parts.append(samples)
    return decoder, [np.concatenate([part[i] for part in parts]) for i in range(5)]


# Vectors: bytes, format, then (mm, degrees, intensity, flags) of each sample.
ONE_PACKET = {
    "X4 zero packet of the manual": (
        "AA 55 01 01 53 AE 53 AE AB 54 00 00", TRIANGLE, [(0, 348.640625, 0, 0)]),
    "the same with intensity": (
        "AA 55 01 01 53 AE 53 AE AB 54 00 00 00", EIGHT_BIT, [(0, 348.640625, 0, 0)]),
    "captured zero packet": (
        "aa 55 01 01 99 af 99 af ab 54 00 00", TRIANGLE, [(0, 351.1875, 0, 0)]),
    "T-mini, 9.9 Hz": (
        "AA 55 C7 01 65 3A 65 3A 4F 56 8C AE 02", EIGHT_BIT, [(171, 116.78125, 140, 2)]),
    "T-mini again": (
        "AA 55 C7 01 97 39 97 39 1B 56 14 62 02", EIGHT_BIT, [(152, 115.171875, 20, 2)]),
    "zero packet of 7 Hz": (
        "aa 55 8d 01 01 00 01 00 87 5b a0 0f", TRIANGLE, [(1000, 353.237814, 0, 0)]),
    "three samples": (
        "aa 55 00 03 01 05 81 05 ca 46 a0 0f 40 1f 00 00", TRIANGLE,
        [(1000, 3.237814, 0, 0), (2000, 3.122756, 0, 0), (0, 11.0, 0, 0)]),
    "across 360": (
        "aa 55 00 03 c1 b3 41 00 ea bb a0 0f 40 1f 20 4e", TRIANGLE,
        [(1000, 352.737814, 0, 0), (2000, 352.622756, 0, 0), (5000, 352.754532, 0, 0)]),
    "8 bits of intensity": (
        "aa 55 00 02 01 2d 81 2d 64 47 c8 a0 0f 64 42 1f", EIGHT_BIT,
        [(1000, 90.0, 200, 0), (2000, 91.0, 100, 2)]),
    "time of flight": (
        "aa 55 93 01 01 00 01 00 eb 50 d2 04", TOF, [(1234, 0.0, 0, 2)]),
    "16 bits of intensity": (
        "aa 55 00 02 01 2d 81 2d cd 58 e8 03 d2 04 f4 01 29 09", SIXTEEN_BIT,
        [(1234, 90.0, 1000, 2), (2345, 91.0, 500, 1)]),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_PACKET)
def test_documented_packet(name):
    text, sample_format, expected = ONE_PACKET[name]
    decoder, samples = decoded(bytes.fromhex(text), sample_format)
    assert decoder.packets_good == 1
    assert samples.distance * 1000 == pytest.approx([row[0] for row in expected], abs=0.01)
    assert samples.angle == pytest.approx([row[1] for row in expected], abs=ANGLE)
    assert samples.intensity.tolist() == [row[2] for row in expected]
    assert samples.flags.tolist() == [row[3] for row in expected]


@pytest.mark.parametrize(
    ("text", "tenths"),
    [
        ("AA 55 C7 01 65 3A 65 3A 4F 56 8C AE 02", 99),
        ("aa 55 01 01 99 af 99 af ab 54 00 00 00", 0),
        ("aa 55 8d 01 01 00 01 00 87 5b a0 0f", 70),
        ("aa 55 93 01 01 00 01 00 eb 50 d2 04", 73),
    ],
)
def test_zero_packet_tells_the_rotation(text, tenths):
    data = bytes.fromhex(text)
    sample_format = EIGHT_BIT if len(data) == 13 else TOF
    decoder, samples = decoded(data, sample_format)
    assert decoder.frequency_raw == tenths
    assert samples.scan.tolist() == [1]


def test_captured_triangle_packet():
    data = bytes.fromhex((DATA / "triangle_capture.hex").read_text())
    assert data[8:10] == bytes.fromhex("3491")
    _, samples = decoded(data, TRIANGLE)
    assert len(samples.distance) == 40
    assert samples.angle[0] == pytest.approx(351.6875, abs=ANGLE)
    assert samples.angle[1] - samples.angle[0] == pytest.approx(0.47556, abs=ANGLE)
    valid = np.flatnonzero(samples.distance)
    assert samples.distance[valid[[0, 1, -1]]] * 1000 == pytest.approx([2935.0, 7943.0, 6930.0], abs=0.01)
    assert samples.angle[valid[[0, 1, -1]]] == pytest.approx([349.8214, 350.9846, 2.4206], abs=ANGLE)


def test_captured_tmini_packet():
    _, samples = decoded(bytes.fromhex((DATA / "tmini_capture.hex").read_text()), EIGHT_BIT)
    assert len(samples.distance) == 40
    assert samples.angle[[0, -1]] == pytest.approx([153.90625, 189.03125], abs=ANGLE)
    assert np.diff(samples.angle) == pytest.approx(np.full(39, 0.9006410), abs=ANGLE)
    assert samples.distance[[0, -1]] * 1000 == pytest.approx([504, 1374], abs=0.01)
    assert samples.intensity[[0, -1]].tolist() == [206, 203]
    assert samples.flags[0] == 2


def test_distance_words():
    word = bytes.fromhex("E56F")
    head = (0, 1, 1)
    assert decoded(packet(*head, word, 2), TRIANGLE)[1].distance[0] == pytest.approx(7.16125)
    assert decoded(packet(*head, word, 2), TOF)[1].distance[0] == pytest.approx(28.645)
    _, samples = decoded(packet(*head, b"\x1f" + word, 3), TEN_BIT)
    assert (samples.distance[0], samples.intensity[0]) == (pytest.approx(7.161), 287)


def test_angle_words():
    _, samples = decoded(packet(0, 0x6FE5, 0x79BD, bytes(80), 2), TRIANGLE)
    assert samples.angle[[0, -1]] == pytest.approx([223.78125, 243.46875], abs=ANGLE)


@pytest.mark.parametrize(
    ("mm", "degrees"),
    [(120, 2.3646), (155.25, 0.0), (1000, -6.7622), (8000, -7.8374), (10000, -7.8681)],
)
def test_second_level_correction(mm, degrees):
    table = corrections(0.25)
    assert table[int(mm * 4)] == pytest.approx(degrees, abs=0.003)
    assert corrections(0.5)[int(mm * 2)] == pytest.approx(degrees, abs=0.02)
    assert table[0] == 0


def test_octave_counts_half_millimetres():
    _, samples = decoded(packet(0, 1, 1, (2000).to_bytes(2, "little"), 2), SampleFormat(0, 0.5, True))
    assert samples.distance[0] == pytest.approx(1.0)
    assert samples.angle[0] == pytest.approx(353.237814, abs=ANGLE)


# Streams --------------------------------------------------------------------------------------------------
def stream(size: int, packets: int, seed: int = 1) -> list[bytes]:
    made = random.Random(seed)
    pieces, angle = [], 340.0
    for number in range(packets):
        if number % 5 == 0:
            first = int(angle * 64) << 1 | 1
            pieces.append(packet(1 | 70 << 1, first, first, made.randbytes(size), size))
        count = made.randint(1, 40)
        last = (angle + count / 2) % 360
        pieces.append(
            packet(0, int(angle * 64) << 1 | 1, int(last * 64) << 1 | 1, made.randbytes(size * count), size)
        )
        angle = last
    return pieces


FORMATS = [TRIANGLE, TOF, EIGHT_BIT, TEN_BIT, SIXTEEN_BIT]


def test_same_as_one_by_one():
    data = b"".join(stream(2, 60))
    _, samples = decoded(data, TRIANGLE)
    rows = np.array(lidar_packets.samples_one_by_one(data, 0.25, True))
    assert samples.distance * 1000 == pytest.approx(rows[:, 0], abs=0.01)
    assert np.abs((samples.angle - rows[:, 1] + 180) % 360 - 180).max() < ANGLE
    assert (samples.scan == rows[:, 2]).all()
    assert samples.angle.min() >= 0 and samples.angle.max() < 360


@pytest.mark.parametrize("sample_format", FORMATS, ids=repr)
def test_byte_by_byte_gives_the_same(sample_format):
    data = b"".join(stream(sample_format.nbytes, 12))
    _, whole = fed([data], sample_format)
    _, single = fed([data[i : i + 1] for i in range(len(data))], sample_format)
    assert all((a == b).all() for a, b in zip(whole, single, strict=True))


@st.composite
def damaged_stream(draw):
    """A stream with junk between packets, flipped bits, truncation, stamps, and places to cut it."""
    sample_format = draw(st.sampled_from(FORMATS))
    pieces = stream(sample_format.nbytes, draw(st.integers(1, 8)), draw(st.integers(0, 1000)))
    for _ in range(draw(st.integers(0, 3))):
        junk = draw(
            st.one_of(st.binary(max_size=40), st.sampled_from([b"\xaa", b"\xaa\xaa", b"\xaa\x55", STAMP]))
        )
        pieces.insert(draw(st.integers(0, len(pieces))), junk)
    data = bytearray(b"".join(pieces))
    for bit in draw(st.lists(st.integers(0, len(data) * 8 - 1), max_size=4)):
        data[bit // 8] ^= 1 << bit % 8
    del data[draw(st.integers(1, len(data))) :]
    places = draw(st.lists(st.integers(0, len(data)), max_size=12))
    return sample_format, bytes(data), sorted(places)


STAMP = bytes.fromhex("aa66") + bytes([0x01 ^ 0x02]) + bytes.fromhex("0102000000")


@settings(max_examples=300, deadline=None)
@given(damaged_stream())
def test_damaged_and_cut_anyhow_gives_the_same(case):
    sample_format, data, places = case
    edges = [0, *places, len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    one, whole = fed([data], sample_format)
    other, cut = fed(pieces, sample_format)
    assert all((a == b).all() for a, b in zip(whole, cut, strict=True))
    counted = ("packets_good", "packets_bad", "resyncs", "scan", "frequency_raw")
    assert [getattr(one, name) for name in counted] == [getattr(other, name) for name in counted]


def places(look, data, nbytes):
    found = []
    looked = look(data, nbytes)
    for place in outermost(looked) if look is survey else looked:
        if place[2] == OPEN:
            return [*found, place[0]]
        start, end, kind = place
        found.append((start, kind, None if kind == BAD else end))
    return found


@settings(max_examples=300, deadline=None)
@given(damaged_stream())
def test_a_walk_and_a_survey_find_the_same(case):
    sample_format, data, _ = case
    nbytes = sample_format.nbytes
    assert places(walk, data, nbytes) == places(survey, data, nbytes)


@pytest.mark.parametrize("sample_format", FORMATS, ids=repr)
@pytest.mark.parametrize("junk", [b"", b"junk", b"\xaa"])
def test_much_at_once_gives_the_same_as_little_by_little(sample_format, junk):
    made = stream(sample_format.nbytes, 400)
    made.insert(150, junk)
    data = b"".join(made)
    assert len(data) > 3 * SURVEY_BYTES_MIN
    # In step first, so that the shortcut for a sound line is taken.
    one, whole = fed([data[:1000], data[1000:7000], data[7000:]], sample_format)
    other, little = fed([data[i : i + 500] for i in range(0, len(data), 500)], sample_format)
    assert all((a == b).all() for a, b in zip(whole, little, strict=True))
    counted = ("packets_good", "packets_bad", "resyncs", "scan", "frequency_raw")
    assert [getattr(one, name) for name in counted] == [getattr(other, name) for name in counted]
    assert (one.packets_good, one.resyncs) == (480, junk == b"junk")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from(FORMATS))
def test_any_bytes_at_all(data, sample_format):
    samples = PacketDecoder(sample_format).decode(data)
    assert 0 <= samples.consumed <= len(data)
    assert len(data) - samples.consumed < 10 + 80 * 4
    assert ((samples.angle >= 0) & (samples.angle < 360)).all()


@pytest.mark.parametrize("sample_format", FORMATS, ids=repr)
def test_every_flipped_bit_costs_its_packet_and_no_other(sample_format):
    before, middle, after = (
        packet(
            0, 1 + 2 * i, 1 + 2 * i + 40, bytes(range(i, i + 4 * sample_format.nbytes)), sample_format.nbytes
        )
        for i in (1, 2, 3)
    )
    good = fed([before, after], sample_format)[1]
    for bit in range(len(middle) * 8):
        harmed = bytearray(middle)
        harmed[bit // 8] ^= 1 << bit % 8
        # What follows shows where a damaged length ends.
        decoder, columns = fed([before + bytes(harmed) + after + bytes(330)], sample_format)
        assert columns[0].tolist() == good[0].tolist(), bit
        assert decoder.packets_bad + decoder.resyncs >= 1, bit


@pytest.mark.parametrize("length", range(2, 90))
def test_truncated_packet_is_lost_alone(length):
    made = stream(2, 20)
    cut = [*made[:4], made[4][: min(length, len(made[4]) - 1)], *made[5:]]
    decoder, columns = fed([b"".join(cut) + bytes(330)], TRIANGLE)
    _, without = fed([b"".join(made[:4] + made[5:])], TRIANGLE)
    assert columns[0].tolist() == without[0].tolist()
    assert decoder.packets_bad + decoder.resyncs >= 1


def test_repeated_mark_and_stamps_are_no_damage():
    made = stream(2, 6)
    decoder, columns = fed(
        [STAMP + b"\xaa" + b"\xaa".join(made[:3]) + STAMP + STAMP.join(made[3:])], TRIANGLE
    )
    assert columns[0].tolist() == fed(made, TRIANGLE)[1][0].tolist()
    assert (decoder.packets_bad, decoder.resyncs) == (0, 0)


def test_junk_before_the_first_packet_is_no_resync_but_between_is():
    made = stream(2, 6)
    decoder, _ = fed([b"junk" + b"".join(made[:2]) + b"more junk" + b"".join(made[2:])], TRIANGLE)
    assert decoder.resyncs == 1


def test_lost_samples_leave_room_in_time():
    body = bytes(80)
    one = packet(0, 1, 41, body, 2)
    lost = bytearray(one)
    lost[12] ^= 1
    samples = PacketDecoder(TRIANGLE).decode(one + bytes(lost) + one)
    assert samples.ticks is not None
    assert samples.ticks.tolist() == [*range(1, 41), *range(81, 121)]
    assert PacketDecoder(TRIANGLE).decode(one + one).ticks is None


def test_revolutions_are_counted_by_the_zero_packet_only():
    zero = packet(1, 0xAE53, 0xAE53, b"\0\0", 2)
    across = packet(0, 0xB3C1, 0x0041, bytes(6), 2)
    _, samples = decoded(across + zero + across + across + zero + across, TRIANGLE)
    assert samples.scan.tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2]
