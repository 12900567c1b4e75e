from __future__ import annotations

import numpy as np
import pytest

from kymograph.service.archive.reduce import Extremes, Reducer, reduce_minmax


def noise(count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    dice = np.random.default_rng(count)
    a = dice.normal(size=count).astype("f4")
    n = dice.integers(-(2**63), 2**63 - 1, count)
    return np.arange(count) * 10, {"a": a, "n": n}


@pytest.mark.parametrize("count", [1, 99, 100])
def test_few_rows_stay_as_they_are(count: int) -> None:
    times, columns = noise(count)
    view = reduce_minmax("s", times, columns, 100)
    assert (view.mode, view.rows) == ("raw", count)
    assert np.array_equal(view.time_ns, times)
    assert all(np.array_equal(view.columns[name], columns[name]) for name in columns)


@pytest.mark.parametrize("count", [101, 1000, 99_999])
@pytest.mark.parametrize("step", [1, 37, 5000, 10**6])
def test_peaks_are_kept_exactly_however_the_rows_come(count: int, step: int) -> None:
    step = max(step, count // 5000)  # more additions say nothing more
    times, columns = noise(count)
    reducer = Reducer("s", list(columns), 100)
    for at in range(0, count, step):
        reducer.add_rows(times[at : at + step], [column[at : at + step] for column in columns.values()])
    view = reducer.view()
    assert (view.mode, view.rows) == ("minmax", count)
    assert 50 <= len(view.time_ns) <= 100
    starts = np.searchsorted(times, view.time_ns)
    assert starts[0] == 0 and (np.diff(starts) > 0).all()
    for name, column in columns.items():
        found = view.columns[name]
        assert isinstance(found, Extremes)
        assert np.array_equal(found.min, np.minimum.reduceat(column, starts))
        assert np.array_equal(found.max, np.maximum.reduceat(column, starts))


def test_one_spike_in_a_million_rows_is_seen() -> None:
    values = np.zeros(1_000_000, "f4")
    values[654_321] = 7
    view = reduce_minmax("s", np.arange(1_000_000), {"a": values}, 500)
    found = view.columns["a"]
    assert isinstance(found, Extremes)
    assert found.max.max() == 7 and (found.max == 7).sum() == 1


def test_nan_counts_only_where_there_is_nothing_else() -> None:
    values = np.full(1000, np.nan)
    values[::100] = np.arange(10)
    values[450:750] = np.nan
    view = reduce_minmax("s", np.arange(1000), {"a": values}, 10)
    found = view.columns["a"]
    assert isinstance(found, Extremes)
    stretches = np.split(values, view.time_ns[1:])
    assert any(np.isnan(stretch).all() for stretch in stretches)
    for stretch, low, high in zip(stretches, found.min, found.max, strict=True):
        known = stretch[~np.isnan(stretch)]
        np.testing.assert_equal((low, high), (known.min(), known.max()) if len(known) else (np.nan, np.nan))


def test_plain_data_has_no_number_that_json_has_not() -> None:
    view = reduce_minmax("s", np.arange(3), {"a": np.array([np.nan, np.inf, 1.5]), "n": np.arange(3)}, 10)
    assert view.to_dict() == {
        "stream": "s", "mode": "raw", "rows": 3, "time_ns": [0, 1, 2],
        "columns": {"a": [None, None, 1.5], "n": [0, 1, 2]},
    }  # fmt: skip


def test_no_rows_make_an_empty_view() -> None:
    view = Reducer("s", ["a"], 10).view()
    assert (view.mode, view.rows, view.to_dict()["columns"]) == ("raw", 0, {"a": []})


def test_bins_weigh_as_many_rows_as_they_stand_for() -> None:
    reducer = Reducer("s", ["a"], 10)
    whole = np.arange(9) * 1000
    reducer.add_bins(whole, np.full(9, 1000), [whole - 0.5], [whole + 0.5])
    tail = np.arange(9000, 10_000)
    reducer.add_rows(tail, [tail.astype(float)])
    view = reducer.view()
    assert view.rows == 10_000
    assert view.time_ns.tolist() == list(range(0, 10_000, 1000))
