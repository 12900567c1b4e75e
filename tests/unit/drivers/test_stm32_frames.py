"""Frames of the test stand's controller: golden vectors, gaps, and that damage never becomes a row."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kymograph.drivers import stm32_frames as frames
from kymograph.drivers.base import Counters
from kymograph.drivers.stm32_frames import FrameDecoder, Run, crc16, encode

SAMPLE_WIRE = bytes.fromhex(
    "04 01 01 07 04 40 42 0f 02 64 04 13 01 64 02 65 02 66 02 67 02 68 02 69 02 6a 02 6b 02 6c 02 6d 02 6e 02"
    "6f 02 70 02 71 02 72 02 73 02 74 02 75 02 76 03 9e 5a 00"
)
VALVE_WIRE = bytes.fromhex("04 10 01 01 02 d2 02 fa 03 2a 48 00")
DT_US = 100


def samples(seq: int, t0_us: int, rows: np.ndarray, dt_us: int = DT_US) -> bytes:
    body = struct.pack("<IHBB", t0_us & 0xFFFFFFFF, dt_us, rows.shape[1], rows.shape[0])
    return encode(frames.SAMPLES, seq, body + rows.astype("<u2").tobytes())


def numbered(first: int, count: int, channels: int = 4) -> np.ndarray:
    """Rows that say which they are: number, its complement, and a mix of both."""
    number = np.arange(first, first + count)
    columns = [number & 0xFFFF, ~number & 0xFFFF, number * 40503 & 0xFFFF, number % 251]
    return np.stack((columns * -(-channels // 4))[:channels], axis=1).astype(np.uint16)


def course(count: int, batch: int = 5, seq: int = 0, t0_us: int = 0) -> list[bytes]:
    return [samples(seq + i, t0_us + i * batch * DT_US, numbered(i * batch, batch)) for i in range(count)]


def decoder(channels: int = 4) -> FrameDecoder:
    return FrameDecoder(channels, Counters())


def ticks(runs: list[Run]) -> list[int]:
    """The number of each row, by its place in time."""
    found, at = [], 0
    for run in runs:
        at += run.skipped
        found += range(at, at + len(run.values))
        at += len(run.values)
    return found


def assert_true_rows(runs: list[Run], rows_max: int) -> None:
    for run in runs:
        for row in run.values.tolist():
            number = row[0]
            assert number < rows_max and row == numbered(number, 1)[0].tolist()


def test_golden_checksum():
    assert crc16(b"123456789") == 0x29B1


def test_golden_samples():
    one = decoder(19)
    runs = one.take(SAMPLE_WIRE, 0)
    assert len(runs) == 1 and runs[0].values.tolist() == [list(range(100, 119))]
    assert (runs[0].dt_us, runs[0].missing, one.counters.frames_good) == (100, 0, 1)
    assert samples(7, 1_000_000, np.arange(100, 119)[None, :]) == SAMPLE_WIRE


def test_golden_valve_order():
    assert encode(frames.VALVES, 1, struct.pack("<HH", 0x0D2, 250)) == VALVE_WIRE
    one = decoder()
    one.take(VALVE_WIRE, 0)
    assert one.messages == [frames.Message(0x10, 1, bytes.fromhex("d200fa00"))]


@pytest.mark.parametrize(("channels", "batch", "each"), [(19, 1, 54), (19, 10, 39.7), (19, 25, 38.76)])
def test_bytes_of_a_sample(channels, batch, each):
    assert frames.sample_bytes(channels, batch) == pytest.approx(each, abs=0.01)
    wire = samples(1, 0x01010101, np.full((batch, channels), 0x0101), 0x0101)
    assert len(wire) <= frames.sample_bytes(channels, batch) * batch + 1e-9


def test_sound_frames_of_one_read_are_one_run():
    data = b"".join(course(50))
    runs = decoder().take(data, 0)
    assert len(runs) == 1 and (runs[0].values == numbered(0, 250)).all()


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_pieces_of_any_size(size):
    data = b"".join(course(40))
    one, runs = decoder(), []
    for at in range(0, len(data), size):
        runs += one.take(data[at : at + size], at)
    assert (np.concatenate([run.values for run in runs]) == numbered(0, 200)).all()
    assert one.counters == Counters(frames_good=40) and ticks(runs) == list(range(200))


@pytest.mark.parametrize("lost", [1, 3, 17])
def test_lost_frames_are_counted_as_rows(lost):
    sent = course(40)
    runs = decoder().take(b"".join(sent[:10] + sent[10 + lost :]), 0)
    assert [run.missing for run in runs] == [0, lost * 5]
    assert ticks(runs) == [*range(50), *range(50 + lost * 5, 200)]
    assert not any(run.fresh for run in runs)


def test_a_loss_between_two_reads():
    sent, one = course(20), decoder()
    runs = one.take(b"".join(sent[:10]), 0) + one.take(b"".join(sent[12:]), 10_000_000)
    assert [run.missing for run in runs] == [0, 10]


def test_counters_wrap():
    one = decoder()
    runs = one.take(b"".join(course(20, seq=65_530, t0_us=2**32 - 777)), 0)
    assert len(runs) == 1 and not runs[0].fresh and len(runs[0].values) == 100
    lost = course(20, seq=65_530, t0_us=2**32 - 777)
    assert [r.missing for r in decoder().take(b"".join(lost[:4] + lost[9:]), 0)] == [0, 25]


def test_a_device_that_begins_anew_is_no_loss():
    one = decoder()
    runs = one.take(b"".join(course(20, seq=900, t0_us=600_000_000) + course(5)), 0)
    assert [(run.fresh, run.missing) for run in runs] == [(False, 0), (True, 0)]


def test_a_pause_without_a_jump_of_seq_is_no_loss():
    sent = [samples(0, 0, numbered(0, 5)), samples(1, 500_000, numbered(5, 5))]
    runs = decoder().take(b"".join(sent), 0)
    assert [(run.skipped, run.missing) for run in runs] == [(0, 0), (4995, 0)]


def test_another_rate_begins_anew():
    sent = [samples(0, 0, numbered(0, 5)), samples(1, 500, numbered(5, 5), 200)]
    runs = decoder().take(b"".join(sent), 0)
    assert [(run.dt_us, run.fresh) for run in runs] == [(100, False), (200, True)]


def test_frames_of_other_channels_are_left_out():
    one = decoder(3)
    assert one.take(b"".join(course(2)), 0) == []
    assert (one.channels_seen, one.counters.frames_bad, one.counters.frames_good) == (4, 2, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"", bytes(8),
        struct.pack("<IHBB", 0, 0, 4, 1) + bytes(8), struct.pack("<IHBB", 0, 1, 4, 2) + bytes(8),
        struct.pack("<IHBB", 0, 1, 4, 0), struct.pack("<IHBB", 0, 1, 0, 4),
    ],
)  # fmt: skip
def test_samples_that_contradict_themselves_are_bad(body):
    one = decoder()
    assert one.take(encode(frames.SAMPLES, 1, body), 0) == []
    assert one.counters.frames_bad == 1


def test_another_version_is_not_understood():
    raw = b"\x01\x02\x00\x00" + bytes(16)
    one = decoder()
    one.take(course(1)[0] + frames.cobs.encode(raw + struct.pack("<H", crc16(raw))) + b"\0", 0)
    assert one.counters.frames_bad == 1


def test_the_middle_of_a_frame_at_the_beginning_is_no_damage():
    data = b"".join(course(4))
    one = decoder()
    runs = one.take(data[20:], 0)
    assert one.counters.frames_bad == 0 and len(runs[0].values) == 15


def test_noise_without_end_is_bounded():
    one = decoder()
    for _ in range(10):
        one.take(b"\x55" * 10_000, 0)
    assert len(one._rest) <= frames.FRAME_BYTES_MAX
    assert len(one.take(b"\0" + course(1)[0], 0)) == 1


def test_every_flipped_bit_of_a_frame_is_noticed():
    before, victim, after = course(3)
    for bit in range(len(victim) * 8):
        harmed = bytearray(victim)
        harmed[bit // 8] ^= 1 << bit % 8
        one = decoder()
        runs = one.take(before + bytes(harmed) + after + course(4)[3], 0)
        assert_true_rows(runs, 20)
        assert one.counters.frames_bad >= 1 and one.counters.resyncs == 1
        assert sum(run.missing for run in runs) == 20 - sum(len(run.values) for run in runs)


def test_every_cut_is_noticed():
    sent = course(4)
    data = b"".join(sent)
    for start in range(len(sent[0]), len(sent[0]) + len(sent[1])):
        for length in (1, 2, 5, 30, len(sent[1]), len(sent[1]) + 3):
            runs = decoder().take(data[:start] + data[start + length :], 0)
            assert_true_rows(runs, 20)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.0001, 0.05), st.integers(1, 3000))
def test_damage_never_becomes_a_row(seed, share, read_bytes):
    rng = random.Random(seed)
    data = bytearray(b"".join(course(60)))
    for _ in range(max(1, int(len(data) * share))):
        at = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + rng.randrange(1, 90)]
            case 2:
                data[at:at] = rng.randbytes(rng.randrange(1, 60))
            case _:
                data[at] = 0
    one, runs = decoder(), []
    for at in range(0, len(data), read_bytes):
        runs += one.take(bytes(data[at : at + read_bytes]), at * 1000)
    assert_true_rows(runs, 300)
    places = ticks(runs)
    assert places == sorted(set(places))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 6), st.integers(300, 4000), st.booleans())
def test_frames_at_once_are_as_one_after_the_other(seed, damages, read_bytes, jitters):
    rng = random.Random(seed)
    wire = b"".join(
        samples(65_500 + i, 2**32 - 9000 + i * 500 + (jitters and rng.randrange(-20, 21)), numbered(i * 5, 5))
        for i in range(80)
    )
    data = bytearray(wire)
    for _ in range(damages):
        at = rng.randrange(len(data))
        if rng.random() < 0.5:
            data[at] = rng.randrange(256)
        else:
            del data[at : at + rng.randrange(1, 200)]
    found = []
    for each in (read_bytes, 20):
        one, runs = decoder(), []
        for at in range(0, len(data), each):
            runs += one.take(bytes(data[at : at + each]), 0)
        values = [row for run in runs for row in run.values.tolist()]
        found.append((values, ticks(runs), sum(run.missing for run in runs), one.counters))
    assert found[0] == found[1]
    assert damages or found[0][3].frames_good == 80
