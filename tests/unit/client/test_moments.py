"""Times in every spelling are the same nanoseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kymograph.client import errors, to_datetime64, to_ns
from kymograph.client.moments import in_query

NS = 1_769_860_800_123_456_789


@pytest.mark.parametrize(
    ("moment", "time_ns"),
    [
        (NS, NS),
        (np.int64(NS), NS),
        (np.datetime64(NS, "ns"), NS),
        (np.datetime64("2026-01-31T12:00:00"), 1_769_860_800_000_000_000),
        ("2026-01-31T12:00:00Z", 1_769_860_800_000_000_000),
        ("2026-01-31T12:00:00", 1_769_860_800_000_000_000),
        ("2026-01-31 13:00:00+01:00", 1_769_860_800_000_000_000),
        ("2026-01-31T12:00:00.123456789Z", NS),
        ("2026-01-31T12:00:00.5+00:00", 1_769_860_800_500_000_000),
        ("1969-12-31T23:59:59.5Z", -500_000_000),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), 1_769_860_800_000_000_000),
        (datetime(2026, 1, 31, 14, tzinfo=timezone(timedelta(hours=2))), 1_769_860_800_000_000_000),
        (pd.Timestamp(NS, tz="UTC"), NS),
        (pd.Timestamp(NS, tz="Europe/Berlin"), NS),
    ],
)
def test_every_spelling(moment: Any, time_ns: int) -> None:
    assert to_ns(moment) == time_ns


@pytest.mark.parametrize("wrong", [datetime(2026, 1, 31), 1.5, "yesterday", "", None, np.datetime64("NaT")])
def test_what_is_no_time_or_could_be_two(wrong: Any) -> None:
    with pytest.raises(errors.InvalidInput):
        to_ns(wrong)


@given(st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_a_datetime_is_exact_whenever_it_is(moment: datetime) -> None:
    assert to_ns(moment) == to_ns(moment.isoformat())
    assert to_ns(moment) == to_ns(np.datetime64(moment.replace(tzinfo=None), "ns"))


def test_an_array_of_times_is_viewed() -> None:
    times = np.array([NS, NS + 1])
    seen = to_datetime64(times)
    assert seen.dtype == np.dtype("datetime64[ns]") and np.shares_memory(seen, times)
    assert seen.astype(np.int64).tolist() == [NS, NS + 1]


def test_a_query_is_spelled_as_the_station_reads_it() -> None:
    said = in_query(
        {"start": "2026-01-31T12:00:00Z", "stop": None, "channels": ["a", "b"], "running": True, "limit": 3}
    )
    assert said == {"start": "1769860800000000000", "channels": "a,b", "running": "true", "limit": "3"}
