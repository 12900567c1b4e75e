"""Byte stuffing: what goes in comes out, and no zero goes over the wire."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kymograph.drivers import cobs


@pytest.mark.parametrize(
    ("raw", "stuffed"),
    [("00", "0101"), ("11220033", "0311220233"), ("", "01"), ("0000", "010101"), ("11000000", "0211010101")],
)
def test_known_vectors(raw, stuffed):
    assert cobs.encode(bytes.fromhex(raw)).hex() == stuffed
    assert bytes(cobs.decode(bytes.fromhex(stuffed))).hex() == raw


@pytest.mark.parametrize("size", [253, 254, 255, 507, 508, 509, 762])
@pytest.mark.parametrize("tail", [b"", b"\0", b"\0\0", b"\x01"])
def test_long_runs(size, tail):
    raw = b"\x07" * size + tail
    stuffed = cobs.encode(raw)
    assert b"\0" not in stuffed and len(stuffed) <= cobs.encoded_bytes_max(len(raw))
    assert cobs.decode(stuffed) == raw


def test_a_long_run_may_end_without_another_code():
    assert cobs.decode(b"\xff" + b"\x07" * 254) == b"\x07" * 254


@pytest.mark.parametrize("stuffed", [b"", b"\x05\x11", b"\x02", b"\x03\x11\x22\x09\x01"])
def test_what_is_not_whole_is_refused(stuffed):
    assert cobs.decode(stuffed) is None


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), st.just(b"\x55" * 254), st.just(b"\0" * 3)), max_size=6))
def test_round_trip(parts):
    raw = b"".join(parts)
    stuffed = cobs.encode(raw)
    assert b"\0" not in stuffed
    assert cobs.decode(stuffed) == raw


MOSTLY_ZERO = bytes(value if value > 150 else 0 for value in range(256))
ALIKE = st.integers(1, 280).flatmap(
    lambda size: st.lists(
        st.one_of(
            st.binary(min_size=size, max_size=size), st.binary(min_size=size, max_size=size).map(thinned)
        ),
        min_size=1,
        max_size=6,
    )
)


def thinned(raw):
    return raw.translate(MOSTLY_ZERO)


def on_the_wire(frames):
    return b"".join(cobs.encode(raw) + b"\0" for raw in frames)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(ALIKE, st.binary(max_size=20))
def test_frames_of_one_length_are_decoded_at_once(frames, behind):
    each = len(frames[0]) + 2
    found = cobs.decode_even(on_the_wire(frames) + behind, len(frames), each)
    if any(len(cobs.encode(raw)) != each - 1 or 255 in codes(cobs.encode(raw)) for raw in frames):
        assert found is None
    else:
        assert found is not None, "NumPy follows chains otherwise than before: decode_even only costs time"
        assert [row.tobytes() for row in found] == frames


def codes(stuffed):
    at, met = 0, []
    while at < len(stuffed):
        met.append(stuffed[at])
        at += stuffed[at]
    return met


@settings(derandomize=True, max_examples=150, deadline=None)
@given(ALIKE, st.data())
def test_of_damaged_frames_none_is_made_up(frames, draw):
    wire = bytearray(on_the_wire(frames))
    for _ in range(draw.draw(st.integers(1, 3))):
        wire[draw.draw(st.integers(0, len(wire) - 1))] = draw.draw(st.integers(0, 255))
    each = len(frames[0]) + 2
    found = cobs.decode_even(bytes(wire), len(frames), each)
    if found is not None:
        assert [row.tobytes() for row in found] == [
            cobs.decode(bytes(wire[at : at + each - 1])) for at in range(0, len(frames) * each, each)
        ]


@pytest.mark.parametrize("run", [253, 254, 255, 300, 508, 509])
def test_long_runs_are_left_to_one_after_the_other_or_right(run):
    frames = [b"\0" * 3 + bytes([9]) * run + b"\0" * 2, b"\5" * (run + 5)]
    for raw in frames:
        found = cobs.decode_even(on_the_wire([raw] * 4), 4, len(raw) + 2)
        assert found is None if run > 253 or 0 not in raw else [row.tobytes() for row in found] == [raw] * 4


def test_more_than_there_is_or_fits_is_refused():
    wire = on_the_wire([b"\0\1\2"] * 4)
    assert cobs.decode_even(wire, 5, 5) is None
    assert cobs.decode_even(wire, 0, 5) is None
    assert cobs.decode_even(b"\0" * 9, 9, 1) is None
    assert cobs.decode_even(b"\1\0" * cobs.EVEN_BYTES_MAX, cobs.EVEN_BYTES_MAX, 2) is None
