from __future__ import annotations

from pathlib import Path

import pytest

from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import Corrupt
from kymograph.store.formats.jsonl import Jsonl

STREAM = Stream("s", (Channel("a"), Channel("n", "uint8")))
GOOD = '{"timestamp":"1970-01-01T00:00:00.000000005Z","time_ns":5,"a":1.5,"n":7}\n'


def test_the_order_of_keys_and_unknown_keys_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text('{"n":7,"more":[1],"time_ns":5,"a":"-Infinity","timestamp":""}\n')
    (rows,) = Jsonl().read(path, STREAM)
    assert (rows.time_ns.tolist(), rows.columns[0].tolist(), rows.columns[1].tolist()) == (
        [5], [float("-inf")], [7],
    )  # fmt: skip


@pytest.mark.parametrize(
    "old,new",
    [(":5,", ':"5",'), ("1.5", "null"), ("1.5", '"warm"'), (":7", ":256"), (":7", ":7.5"), ('"n"', '"m"'),
     ("}\n", "}")],
)  # fmt: skip
def test_what_is_not_the_expected_row_is_corrupt(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text(GOOD)
    assert len(list(Jsonl().read(path, STREAM))) == 1
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(Corrupt):
        list(Jsonl().read(path, STREAM))
