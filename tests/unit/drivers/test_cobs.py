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
