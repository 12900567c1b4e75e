"""Streams survive being taken apart, and refuse what cannot be one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kymograph.model.channel import DTYPES, Channel, Stream, stream_from_dict
from kymograph.model.errors import InvalidInput
from kymograph.model.limits import CHANNELS_MAX

NAMES = st.from_regex(r"\A[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}\Z").filter(lambda n: n != "time_ns")
NUMBERS = st.none() | st.floats(-1e9, 1e9)
CHANNELS = st.builds(
    Channel, NAMES, st.sampled_from(DTYPES), st.sampled_from(["", "m", "deg", "Cel"]), st.text(max_size=20),
    NUMBERS, NUMBERS,
)  # fmt: skip
STREAMS = st.builds(
    Stream, NAMES, st.lists(CHANNELS, min_size=1, max_size=8, unique_by=lambda c: c.name).map(tuple),
    st.floats(0, 1e6), st.text(max_size=20),
)  # fmt: skip


@given(STREAMS)
def test_a_stream_survives_being_plain_data(stream):
    again = stream_from_dict(stream.to_dict())
    assert again == stream
    assert again.description == stream.description


def test_unknown_keys_are_left_aside():
    plain = Stream("s", (Channel("a"),)).to_dict()
    assert stream_from_dict({**plain, "colour": "red"}) == Stream("s", (Channel("a"),))


def test_every_dtype_is_little_endian_wherever_it_is_written():
    stream = Stream("s", tuple(Channel(dtype, dtype) for dtype in DTYPES))
    assert {d.byteorder for d in stream.dtypes} <= {"<", "=", "|"}
    assert stream.row_nbytes == 8 + 2 * (1 + 2 + 4 + 8) + 4 + 8


def test_a_channel_is_found_by_name_and_another_is_not():
    stream = Stream("s", (Channel("a"), Channel("b")))
    assert stream.index("b") == 1
    with pytest.raises(InvalidInput) as caught:
        stream.index("c")
    assert caught.value.facts["channels"] == ["a", "b"]


@pytest.mark.parametrize("name", ["", "time_ns", "a b", "../a", ".a", "ä", "a" * 129])
def test_a_channel_needs_a_safe_name(name):
    with pytest.raises(InvalidInput):
        Channel(name)


def test_a_dtype_must_be_known():
    with pytest.raises(InvalidInput) as caught:
        Channel("a", "complex64")
    assert caught.value.facts["allowed"] == list(DTYPES)


@pytest.mark.parametrize("count", [0, CHANNELS_MAX + 1])
def test_a_stream_has_at_least_one_channel_and_at_most_the_bound(count):
    with pytest.raises(InvalidInput, match=str(count)):
        Stream("s", tuple(Channel(f"c{i}") for i in range(count)))


def test_two_channels_may_not_share_a_name():
    with pytest.raises(InvalidInput, match="twice"):
        Stream("s", (Channel("a"), Channel("a", "int8")))


def test_a_description_does_not_make_another_stream():
    assert Stream("s", (Channel("a"),), 1.0, "x") == Stream("s", (Channel("a"),), 1.0, "y")
