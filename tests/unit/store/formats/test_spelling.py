from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import InvalidInput
from kymograph.store import formats
from kymograph.store.formats.base import Header

LIGHT = Stream(
    "sensor",
    (
        Channel("value", "float64"),
        Channel("temperature", "float64", "Cel"),
        Channel("mode", "uint8", labels=("freerun", "polled")),
    ),
)
SPELLING = {
    "time": "timestamp", "constants": {"sensor_id": "Q12345"}, "channels": {"temperature": "TempC"},
    "labels": ["mode"], "order": ["timestamp", "sensor_id", "mode", "value", "TempC"],
}  # fmt: skip
T0 = 1_735_689_600_123_456_000


def written(path: Path, times: list[int], *columns: list[float]) -> list[str]:
    form = formats.find("jsonl", spelling=SPELLING)
    arrays = [np.array(c, d) for c, d in zip(columns, LIGHT.dtypes, strict=True)]
    block = Block.pack(LIGHT, 1, 0, Rows("sensor", np.array(times, "<i8"), arrays))
    with path.open("w+b") as file:
        form.write(file, Header(LIGHT, 0), [block])
    [rows] = form.read(path, LIGHT)
    assert rows.time_ns.tolist() == times
    for got, want in zip(rows.columns, arrays, strict=True):
        assert np.array_equal(got, want, equal_nan=got.dtype.kind == "f")
    return path.read_text().splitlines()


def test_a_line_is_what_its_readers_expect(tmp_path: Path) -> None:
    [line] = written(tmp_path / "c", [T0], [0.010046], [27.68], [0])
    assert line == (
        '{"timestamp":"2025-01-01T00:00:00.123456+00:00","sensor_id":"Q12345","mode":"freerun",'
        '"value":0.010046,"TempC":27.68}'
    )
    assert datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp() == 1735689600.123456


def test_what_is_not_there_is_null_and_words_are_words(tmp_path: Path) -> None:
    lines = written(tmp_path / "c", [T0, T0, T0 + 1], [1.0, 2.0, 3.0], [float("nan"), 1.0, 2.0], [1, 0, 7])
    told = [json.loads(line) for line in lines]
    assert [one["TempC"] for one in told] == [None, 1.0, 2.0]
    assert [one["mode"] for one in told] == ["polled", "freerun", 7]
    assert told[2]["timestamp"] == "2025-01-01T00:00:00.123456001+00:00"


@pytest.mark.parametrize(
    "said",
    [
        {"colour": "red"},
        {"time": 3},
        {"constants": {"a": 1}},
        {"order": [""]},
    ],
)
def test_a_spelling_that_makes_no_sense_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        formats.find("jsonl", spelling=said)


@pytest.mark.parametrize("said", [{"channels": {"value": "timestamp"}}, {"order": ["timestamp"]}])
def test_a_spelling_that_does_not_fit_the_stream_is_refused(said: dict[str, object], tmp_path: Path) -> None:
    form = formats.find("jsonl", spelling=said)
    with (tmp_path / "f").open("w+b") as file, pytest.raises(InvalidInput):
        form.write(file, Header(LIGHT, 0), [])
