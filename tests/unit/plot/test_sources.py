"""Rows of recordings and of files anybody may have made, as sources of plots."""

from __future__ import annotations

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kymograph.model.errors import Corrupt, InvalidInput, NotFound
from kymograph.plot.files import FileStream
from kymograph.plot.recorded import recorded
from kymograph.plot.source import Quantity
from kymograph.store.journal import JournalHead, JournalWriter
from kymograph.store.parts import Span
from tests.unit.plot.made import GAP_AT, PEAK_AT, ROWS, STREAM, T0, blocks, file, recording, rows


def whole(source, names):
    pieces = list(source.pieces(names, [Span()]))
    return np.concatenate([p.time_ns for p in pieces]), [
        np.concatenate([p.columns[i] for p in pieces]) for i in range(len(names))
    ]


@pytest.mark.parametrize("suffix", [".parquet", ".h5", ".csv", ".jsonl"])
def test_our_own_files_are_read_exactly(tmp_path, suffix):
    source = FileStream(file(tmp_path / f"a{suffix}"))
    times, [pressure, valve] = whole(source, ("P1", "valve"))
    expected_times, [expected, _, expected_valve] = rows()
    assert (times == expected_times).all()
    assert (pressure.astype("f4") == expected).all() and (valve == expected_valve).all()
    assert source.extent() == (expected_times[0], expected_times[-1])
    if suffix in (".parquet", ".h5"):
        assert source.quantities == (
            Quantity("P1", "bar"), Quantity("T1", "Cel"), Quantity("valve", "", ("shut", "open")),
        )  # fmt: skip
        assert (source.name, source.rate_hz, source.rows) == ("stand", 1000.0, ROWS)


def test_a_recording_is_read_with_its_open_journal(tmp_path):
    folder = recording(tmp_path)
    more = T0 + 100_000_000_000 + np.arange(5)
    with_journal = blocks(STREAM, more, [np.full(5, 3.0, "f4"), np.full(5, 4.0), np.zeros(5, "u1")])
    path = folder / "stand_00002.journal"
    writer = JournalWriter.create(path, JournalHead("id-firing", "firing", 2, STREAM, T0, T0))
    writer.append(*with_journal)
    writer.close()
    [source] = recorded(folder)
    assert source.rows == ROWS + 5
    times, [temperature] = whole(source, ("T1",))
    assert times[-1] == more[-1] and temperature[-1] == 4.0


def test_a_file_of_somebody_else(tmp_path):
    path = tmp_path / "theirs.parquet"
    columns = {
        "time": pa.array([0, 1_000_000, 2_000_000, None], pa.timestamp("us")),
        "a": pa.array([1, None, 3, 4]), "name": pa.array(["x", "y", "z", ""]),
        "b [mm]": pa.array([1.5, 2.5, None, 4.0]),
    }  # fmt: skip
    pq.write_table(pa.table(columns), path)
    source = FileStream(path)
    assert source.quantities == (Quantity("a"), Quantity("b", "mm"))
    times, [a, b] = whole(source, ("a", "b"))
    assert times.tolist() == [0, 1_000_000_000, 2_000_000_000]
    assert np.array_equal(a, [1, np.nan, 3], equal_nan=True) and np.array_equal(
        b, [1.5, 2.5, np.nan], equal_nan=True
    )


@pytest.mark.parametrize(("texts", "first_ns", "step_ns"), [
    (["0.5", "1.0"], 500_000_000, 500_000_000),
    (["1770000000.25", "1770000000.5"], T0 + 250_000_000, 250_000_000),
    (["1770000000250", "1770000000500"], T0 + 250_000_000, 250_000_000),
    (["1770000000250000000", "1770000000250000001"], T0 + 250_000_000, 1),
    (["2026-02-02T02:40:00Z", "2026-02-02T02:40:01Z"], T0, 1_000_000_000),
    (["2026-02-02 02:40:00", "2026-02-02 02:40:01"], T0, 1_000_000_000),
])  # fmt: skip
def test_times_as_programs_write_them(tmp_path, texts, first_ns, step_ns):
    path = tmp_path / "a.csv"
    path.write_text("timestamp,x,note\n" + "".join(f"{text},{i},hello\n" for i, text in enumerate(texts)))
    source = FileStream(path)
    times, [x] = whole(source, ("x",))
    assert times.tolist() == [first_ns, first_ns + step_ns] and x.tolist() == [0, 1]
    assert source.quantities == (Quantity("x"),)


def test_only_what_is_wanted_in_time(tmp_path):
    source = FileStream(file(tmp_path / "a.parquet"))
    pieces = source.pieces(
        ("P1",), [Span(T0 + 5_000_000, T0 + 7_000_000), Span(T0 + 9_000_000, T0 + 10_000_000)]
    )
    assert (
        np.concatenate([p.columns[0] for p in pieces]).tolist()
        == np.array([5, 6, 9], "f4").__truediv__(1000).tolist()
    )


@pytest.mark.parametrize("source", ["parquet", "recording"])
def test_a_view_keeps_the_peak_and_is_short(tmp_path, source):
    if source == "parquet":
        stream = FileStream(file(tmp_path / "a.parquet"))
    else:
        [stream] = recorded(recording(tmp_path))
    seen = []
    view = stream.view(("P1",), Span(), 500, seen.append)
    assert view.rows == ROWS and len(view.time_ns) <= 500 and sum(seen) == ROWS
    assert view.columns["P1"].max.max() == 999
    assert PEAK_AT > GAP_AT


def test_what_is_no_file_of_ours(tmp_path):
    with pytest.raises(NotFound, match="no file"):
        FileStream(tmp_path / "a.csv")
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(InvalidInput, match="no known format"):
        FileStream(tmp_path / "a.txt")
    for name, text, reason in (
        ("b.csv", "x,y\n1,2\n", "no column of times"),
        ("c.csv", "timestamp,name\n1,two\n", "no columns of numbers"),
        ("d.parquet", "hello", "cannot be read"),
        ("e.h5", "hello", "cannot be read"),
        ("f.jsonl", "{hello", "cannot be read"),
        ("g.jsonl", "", "no rows"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(Corrupt, match=reason):
            FileStream(tmp_path / name)


def test_hdf5_is_not_followed_to_another_file(tmp_path):
    file(tmp_path / "other.h5")
    with h5py.File(tmp_path / "a.h5", "w") as root:
        root["time_ns"] = np.arange(3)
        root["x"] = np.arange(3.0)
        root["secret"] = h5py.ExternalLink("other.h5", "P1")
    assert FileStream(tmp_path / "a.h5").quantities == (Quantity("x"),)
