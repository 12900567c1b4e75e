from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import Corrupt
from kymograph.store.formats.base import Header
from kymograph.store.formats.csv import Csv

LIDAR = Stream(
    "lidar", (Channel("distance", unit="m"), Channel("angle", unit='"'), Channel("scan", "uint32"))
)
T0 = 1_700_000_000_123_456_789


def text_of(form: Csv) -> str:
    rows = Rows("lidar", np.array([T0, T0 + 10**9]), [[0.1, np.nan], [1e-45, np.inf], [7, 2**32 - 1]])  # type: ignore[list-item]
    file = io.BytesIO()
    form.write(file, Header(LIDAR, 0), [Block.pack(LIDAR, 1, 0, rows)])
    return file.getvalue().decode()


def test_lines_are_as_documented() -> None:
    assert text_of(Csv()) == (
        "timestamp,distance,angle,scan\n"
        "2023-11-14T22:13:20.123456789Z,0.1,1e-45,7\n"
        "2023-11-14T22:13:21.123456789Z,NaN,inf,4294967295\n"
    )


def test_times_in_microseconds() -> None:
    assert text_of(Csv(time_digits=6)).splitlines()[1] == "2023-11-14T22:13:20.123456Z,0.1,1e-45,7"


def test_units_in_the_header_row_are_quoted_where_they_must() -> None:
    assert text_of(Csv(units=True)).splitlines()[0] == 'timestamp,distance [m],"angle [""]",scan'


@pytest.mark.parametrize(
    "content",
    ["timestamp,distance,angle\n2023-11-14T22:13:20.123456789Z,1,2\n",
     "timestamp,distance,angle,scan\n2023-11-14T22:13:20.123456789Z,1,2,x\n",
     "timestamp,distance,angle,scan\n2023-11-14T22:13:20.123456789Z,1,2,-1\n",
     "timestamp,distance,angle,scan\n2023-11-14T22:13:20.123Z,1,2,3\n",
     "timestamp,distance,angle,scan\n2023-11-14T22:13:20.123456789Z,,2,3\n",
     "timestamp,distance,angle,scan\n2023-11-14T22:13:20.123456789Z,1,2,3"],
)  # fmt: skip
def test_what_is_not_the_expected_table_is_corrupt(tmp_path: Path, content: str) -> None:
    path = tmp_path / "f.csv"
    path.write_text(content)
    with pytest.raises(Corrupt):
        list(Csv().read(path, LIDAR))
