"""What every format must hold, whichever are registered; and a stock reader opens each."""

from __future__ import annotations

import csv
import json
import math
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kymograph.model.block import Block, Column, Rows, Times
from kymograph.model.channel import DTYPES, Channel, Stream
from kymograph.model.errors import Corrupt, InvalidInput
from kymograph.model.limits import BLOCK_ROWS_MAX
from kymograph.store import formats
from kymograph.store.formats.base import Format, Header, RowRange

EVERY = Stream(
    "every",
    tuple(Channel(f"as.{d}-x", d, "m/s2", 'Beschleunigung "längs", µ, 加速度\nzwei') for d in DTYPES),
    rate_hz=12.5,
    description="naïve ☃",
)
ATTRIBUTES = {
    "station": "Höhle 7", "recording": "Nacht – 夜", "recording_id": "r-1", "count": 3, "ratio": 0.1,
    "big": 2**80, "flag": True, "none": None, "nested": {"a": [1, "ü"]},
    "metadata": json.dumps({"x": "☃" * 9000}),
}  # fmt: skip
LIDAR = Stream("lidar", (Channel("distance", unit="m"), Channel("angle", unit="deg")), rate_hz=4000.0)
ALL = formats.names()
CHECKSUMMED = ["hdf5", "parquet"]


def columns_of(stream: Stream, rows: int) -> tuple[Times, list[Column]]:
    """Return random bits in every column, the values that go wrong most easily first."""
    random_bytes = np.random.default_rng(7).bytes
    columns: list[Column] = []
    for dtype in stream.dtypes:
        column = np.frombuffer(random_bytes(dtype.itemsize * rows), dtype).copy()
        special = _special(dtype)[:rows]
        column[: len(special)] = special
        columns.append(column)
    times = np.sort(np.frombuffer(random_bytes(8 * rows), "<i8").copy())
    if rows >= 8:
        times[0], times[-1] = np.iinfo(np.int64).min, np.iinfo(np.int64).max
        times[3] = times[2]
    return times, columns


def _special(dtype: np.dtype[Any]) -> Column:
    if dtype.kind == "f":
        info = np.finfo(dtype)
        found = [np.nan, np.inf, -np.inf, 0.0, -0.0, info.max, info.min, info.tiny, info.smallest_subnormal]
        return np.array([*found, 0.1, 1 / 3, 1e10, 123456789.0], dtype)
    info = np.iinfo(dtype)
    return np.array([info.min, info.max, 0, 1], dtype)


def blocks_of(stream: Stream, times: Times, columns: Sequence[Column], step: int) -> Iterator[Block]:
    for at in range(0, len(times), step):
        part = Rows(stream.name, times[at : at + step], [column[at : at + step] for column in columns])
        yield Block.pack(stream, 1, at, part)


def write(form: Format, path: Path, stream: Stream, blocks: Iterator[Block]) -> Path:
    with path.open("w+b") as file:
        form.write(file, Header(stream, 1_700_000_000_123_456_789, ATTRIBUTES), blocks)
    return path


def read(
    form: Format, path: Path, stream: Stream, rows: RowRange | None = None
) -> tuple[Times, list[Column]]:
    found = list(form.read(path, stream) if rows is None else form.read(path, stream, rows))
    assert all(0 < len(piece.time_ns) <= BLOCK_ROWS_MAX and piece.stream == stream.name for piece in found)
    times = np.concatenate([np.empty(0, np.int64), *(piece.time_ns for piece in found)])
    columns = [
        np.concatenate([np.empty(0, dtype), *(piece.columns[i] for piece in found)])
        for i, dtype in enumerate(stream.dtypes)
    ]
    return times, columns


def assert_same(found: tuple[Times, Sequence[Column]], wanted: tuple[Times, Sequence[Column]]) -> None:
    """Fail unless all is the same to the bit, the payload of a NaN apart."""
    assert found[0].dtype == np.int64
    assert np.array_equal(found[0], wanted[0])
    for got, want in zip(found[1], wanted[1], strict=True):
        assert got.dtype == want.dtype
        if want.dtype.kind == "f":
            assert np.array_equal(np.isnan(got), np.isnan(want))
            got, want = got[~np.isnan(got)], want[~np.isnan(want)]
        assert got.tobytes() == want.tobytes()


SPELLED = {
    "time": "timestamp", "constants": {"station": "Höhle 7"}, "labels": ["as.uint8-x", "as.int8-x"],
    "channels": {"as.float64-x": "value", "distance": "TempC", "as.uint8-x": "mode"},
}  # fmt: skip


@pytest.fixture(params=[*ALL, "spelled"])
def form(request: pytest.FixtureRequest) -> Format:
    if request.param == "spelled":
        return formats.find("jsonl", spelling=SPELLED)
    return formats.find(request.param)


@pytest.mark.parametrize("rows,step", [(1, 1), (7, 3), (5000, 37), (70_001, 20_000)])
def test_every_value_comes_back_bit_for_bit(form: Format, tmp_path: Path, rows: int, step: int) -> None:
    wanted = columns_of(EVERY, rows)
    path = write(form, tmp_path / f"f{form.suffix}", EVERY, blocks_of(EVERY, *wanted, step))
    assert_same(read(form, path, EVERY), wanted)


def test_an_empty_file_is_valid_and_reads_as_no_rows(form: Format, tmp_path: Path) -> None:
    path = write(form, tmp_path / f"f{form.suffix}", EVERY, iter(()))
    assert list(form.read(path, EVERY)) == []


@pytest.mark.parametrize(
    "start,stop", [(0, 1), (1000, 1003), (19_990, None), (30_000, None), (5, 5), (1, 70_000)]
)
def test_a_range_of_rows_is_read_exactly(form: Format, tmp_path: Path, start: int, stop: int | None) -> None:
    times, columns = columns_of(LIDAR, 20_000)
    path = write(form, tmp_path / f"f{form.suffix}", LIDAR, blocks_of(LIDAR, times, columns, 999))
    wanted = times[start:stop], [column[start:stop] for column in columns]
    assert_same(read(form, path, LIDAR, RowRange(start, stop)), wanted)


def test_channels_can_be_left_out_and_reordered(form: Format, tmp_path: Path) -> None:
    times, columns = columns_of(EVERY, 500)
    path = write(form, tmp_path / f"f{form.suffix}", EVERY, blocks_of(EVERY, times, columns, 100))
    fewer = Stream("every", (EVERY.channels[8], EVERY.channels[0]))
    assert_same(read(form, path, fewer), (times, [columns[8], columns[0]]))


def test_channels_called_like_the_files_own_columns_are_kept_apart(form: Format, tmp_path: Path) -> None:
    names = ("timestamp", "timestamp_", "entry", "value")
    stream = Stream("s", tuple(Channel(name, "float64") for name in names))
    wanted = columns_of(stream, 20)
    path = write(form, tmp_path / f"f{form.suffix}", stream, blocks_of(stream, *wanted, 20))
    assert_same(read(form, path, stream), wanted)


def test_a_file_of_another_kind_is_corrupt(form: Format, tmp_path: Path) -> None:
    path = tmp_path / f"f{form.suffix}"
    for content in (b"this is nothing of the kind\n", b"\x00" * 4096, bytes(range(256)) * 64):
        path.write_bytes(content)
        with pytest.raises(Corrupt):
            list(form.read(path, EVERY))


def test_a_file_cut_short_is_corrupt_or_a_prefix_of_whole_rows(form: Format, tmp_path: Path) -> None:
    times, columns = columns_of(LIDAR, 3000)
    path = write(form, tmp_path / f"f{form.suffix}", LIDAR, blocks_of(LIDAR, times, columns, 500))
    whole = path.read_bytes()
    for cut in random.Random(1).sample(range(1, len(whole)), 40):
        path.write_bytes(whole[:cut])
        try:
            found = read(form, path, LIDAR)
        except Corrupt:
            continue
        count = len(found[0])
        assert_same(found, (times[:count], [column[:count] for column in columns]))


def test_a_missing_file_is_not_called_corrupt(form: Format, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(form.read(tmp_path / "nothing", LIDAR))


@pytest.mark.parametrize("name", CHECKSUMMED)
def test_a_flipped_bit_is_never_a_wrong_value(name: str, tmp_path: Path) -> None:
    form = formats.find(name)
    count = 20_000
    times = 1_700_000_000_000_000_000 + np.arange(count) * 250_000
    random_columns = np.random.default_rng(5).normal(size=(2, count)).astype("<f4")  # hardly compressible
    columns: list[Column] = list(random_columns)
    path = write(form, tmp_path / f"f{form.suffix}", LIDAR, blocks_of(LIDAR, times, columns, 4000))
    whole = path.read_bytes()
    detected = 0
    for at in random.Random(3).sample(range(len(whole) * 8), 150):
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        path.write_bytes(damaged)
        try:
            assert_same(read(form, path, LIDAR), (times, columns))
        except Corrupt:
            detected += 1
    assert detected > 75


def test_rows_go_to_the_disk_while_they_come(form: Format, tmp_path: Path) -> None:
    times, columns = columns_of(LIDAR, 16_000)
    part = Rows("lidar", times, columns)
    path = tmp_path / f"f{form.suffix}"
    sizes: list[int] = []

    def blocks() -> Iterator[Block]:
        for i in range(20):
            yield Block.pack(LIDAR, 1, i * 16_000, part)
            sizes.append(path.stat().st_size)

    write(form, path, LIDAR, blocks())
    assert sizes[11] > 0.3 * path.stat().st_size, "half the rows given, not a third of the file written"


def test_streamable_formats_never_seek(tmp_path: Path) -> None:
    wanted = columns_of(LIDAR, 5000)
    for name in ALL:
        form = formats.find(name)
        if not form.streamable:
            continue
        path = tmp_path / f"f{form.suffix}"
        with path.open("wb") as target:
            receiver = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=target)
            assert receiver.stdin is not None
            form.write(_OnlyAppends(receiver.stdin), Header(LIDAR, 0), blocks_of(LIDAR, *wanted, 700))  # type: ignore[arg-type]
            receiver.stdin.close()
            assert receiver.wait(10) == 0
        assert_same(read(form, path, LIDAR), wanted)


class _OnlyAppends:
    closed = False

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._size = 0

    def write(self, data: Any) -> int:
        self._size += self._pipe.write(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        self._pipe.flush()


def test_the_engine_can_list_formats_without_their_libraries() -> None:
    script = (
        "import sys; from kymograph.store import formats; [formats.find(n) for n in formats.names()];"
        "print(sorted({'h5py', 'pyarrow', 'polars', 'pandas'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_an_unknown_format_or_option_is_refused() -> None:
    with pytest.raises(InvalidInput):
        formats.find("xls")
    with pytest.raises(InvalidInput):
        formats.find("csv", colour="red")
    with pytest.raises(InvalidInput):
        formats.find("csv", time_digits=4)


# -- stock readers -------------------------------------------------------------------------------------------
@pytest.fixture
def night() -> tuple[Times, list[Column]]:
    count = 3000
    times = 1_700_000_000_123_456_789 + np.arange(count) * 250_000
    distance = (np.arange(count) % 50 / 7).astype("<f4")
    distance[:3] = [np.nan, np.inf, -np.inf]
    return times, [distance, (np.arange(count) % 360).astype("<f4")]


def test_h5py_opens_hdf5(tmp_path: Path, night: tuple[Times, list[Column]]) -> None:
    import h5py

    times, (distance, angle) = night
    path = write(formats.find("hdf5"), tmp_path / "n.h5", LIDAR, blocks_of(LIDAR, *night, 100))
    with h5py.File(path, "r") as file:
        assert {"timestamp", "time_ns", "distance", "angle", "entry"} == set(file)
        np.testing.assert_array_equal(file["distance"][:], distance)
        np.testing.assert_array_equal(file["angle"][:], angle)
        np.testing.assert_array_equal(file["time_ns"][:], times)
        assert np.abs(file["timestamp"][:] - times / 1e9).max() < 1e-6
        assert file["distance"].attrs["units"] == "m"
        assert file["timestamp"].attrs["units"] == "s"
        assert file.attrs["start_time"] == "2023-11-14T22:13:20.123456789Z"
        assert file.attrs["recording"] == "Nacht – 夜"
        assert file.attrs["count"] == 3
        assert json.loads(file.attrs["metadata"]) == {"x": "☃" * 9000}
        entry = file[file.attrs["default"]]
        data = entry[entry.attrs["default"]]
        assert (entry.attrs["NX_class"], data.attrs["NX_class"]) == ("NXentry", "NXdata")
        signal, axis = data[data.attrs["signal"]], data[data.attrs["axes"]]
        assert signal == file["distance"] and axis == file["timestamp"]
        assert list(data.attrs["auxiliary_signals"]) == ["angle"]
        for name in ("timestamp", "time_ns", "distance", "angle"):
            assert file[name].fletcher32 and file[name].compression == "gzip" and file[name].shuffle


@pytest.mark.skipif(shutil.which("h5dump") is None, reason="h5dump is not installed (hdf5-tools)")
def test_h5dump_opens_hdf5(tmp_path: Path, night: tuple[Times, list[Column]]) -> None:
    path = write(formats.find("hdf5"), tmp_path / "n.h5", LIDAR, blocks_of(LIDAR, *night, 100))
    command = ["h5dump", "-d", "/angle", "-s", "10", "-c", "3", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "H5T_IEEE_F32LE" in told and "10, 11, 12" in told
    empty = write(formats.find("hdf5"), tmp_path / "e.h5", LIDAR, iter(()))
    assert subprocess.run(["h5dump", str(empty)], capture_output=True, check=False).returncode == 0


def test_pyarrow_opens_parquet(tmp_path: Path, night: tuple[Times, list[Column]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    times, (distance, _) = night
    path = write(formats.find("parquet"), tmp_path / "n.parquet", LIDAR, blocks_of(LIDAR, *night, 100))
    table = pq.read_table(path)
    assert table.schema.field("timestamp").type == pa.timestamp("ns", "UTC")
    assert table.schema.field("distance").metadata[b"unit"] == b"m"
    assert table.schema.metadata[b"recording"].decode() == "Nacht – 夜"
    np.testing.assert_array_equal(table["timestamp"].cast(pa.int64()).to_numpy(), times)
    np.testing.assert_array_equal(table["distance"].to_numpy(), distance)


def test_pandas_opens_parquet_csv_and_jsonl(tmp_path: Path, night: tuple[Times, list[Column]]) -> None:
    import pandas as pd

    times, (distance, angle) = night
    for name in ("parquet", "csv", "jsonl"):
        form = formats.find(name)
        path = write(form, tmp_path / f"n{form.suffix}", LIDAR, blocks_of(LIDAR, *night, 100))
        if name == "parquet":
            frame = pd.read_parquet(path)
        elif name == "csv":
            frame = pd.read_csv(path, parse_dates=["timestamp"])
        else:
            frame = pd.read_json(path, lines=True, dtype=False)
            frame["timestamp"] = pd.to_datetime(frame["timestamp"])
            frame["distance"] = frame["distance"].astype(float)
        stamps = frame["timestamp"].dt.as_unit("ns").astype("int64").to_numpy()
        np.testing.assert_array_equal(stamps, times)
        np.testing.assert_array_equal(frame["angle"].to_numpy().astype("f4"), angle)
        np.testing.assert_array_equal(frame["distance"].to_numpy().astype("f4"), distance)


def test_the_csv_module_opens_csv(tmp_path: Path, night: tuple[Times, list[Column]]) -> None:
    _, (distance, angle) = night
    path = write(formats.find("csv"), tmp_path / "n.csv", LIDAR, blocks_of(LIDAR, *night, 100))
    with path.open(newline="") as file:
        header, *lines = list(csv.reader(file))
    assert header == ["timestamp", "distance", "angle"]
    assert lines[1][0] == "2023-11-14T22:13:20.123706789Z"
    assert [np.float32(line[2]) for line in lines] == angle.tolist()
    assert math.isnan(float(lines[0][1])) and [float(lines[1][1]), float(lines[2][1])] == [
        math.inf,
        -math.inf,
    ]
    assert [np.float32(line[1]) for line in lines[3:]] == distance[3:].tolist()


def test_the_json_module_opens_jsonl(tmp_path: Path, night: tuple[Times, list[Column]]) -> None:
    times, (distance, _) = night
    path = write(formats.find("jsonl"), tmp_path / "n.jsonl", LIDAR, blocks_of(LIDAR, *night, 100))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["distance"] for line in lines[:3]] == ["NaN", "Infinity", "-Infinity"]
    assert lines[0]["timestamp"] == "2023-11-14T22:13:20.123456789Z"
    assert [line["time_ns"] for line in lines] == times.tolist()
    assert [np.float32(line["distance"]) for line in lines[3:]] == distance[3:].tolist()
    assert max(len(repr(line["distance"])) for line in lines[3:]) < 12, "float32 is written as float32 prints"
