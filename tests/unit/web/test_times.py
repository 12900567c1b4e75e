"""Times as clients write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kymograph.model.errors import InvalidInput
from kymograph.web.times import parse_optional, parse_time, rfc3339

NOON = 1_769_860_800_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31 12:00:00", NOON),
        ("2026-01-31T12:00:00.5Z", NOON + 500_000_000),
        ("2026-01-31T12:00:00.123456789Z", NOON + 123_456_789),
        ("2026-01-31T12:00:00.1234567899Z", NOON + 123_456_789),
        ("2026-01-31T13:00:00+01:00", NOON),
        ("2026-01-31T13:00:00 01:00", NOON),
        (str(NOON), NOON),
        ("0", 0),
        ("-5", -5),
    ],
)
def test_what_is_understood(text: str, ns: int) -> None:
    assert parse_time(text, "start") == ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "12:00",
        "2026-13-01T00:00:00Z",
        "2026-01-31T12:00Z",
        "1.5",
        "9" * 20,
        "٣",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "2026-01-31T12:00:00+99:99",
        "nan",
    ],
)
def test_what_is_not(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_time(text, "start")


@given(st.integers(-(2**62), 2**62))
def test_both_spellings_mean_the_same(ns: int) -> None:
    assert parse_time(rfc3339(ns), "t") == ns
    assert parse_time(str(ns), "t") == ns


def test_nothing_is_none() -> None:
    assert parse_optional(None, "start") is None
    assert parse_optional("", "start") is None
