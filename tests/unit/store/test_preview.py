from __future__ import annotations

import random
import warnings
from pathlib import Path

import numpy as np
import pytest

from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.store.preview import (
    ALL,
    BIN_ROWS,
    NONE,
    SOME,
    PreviewBuilder,
    open_preview,
    preview_path,
    write_preview,
)

STREAM = Stream("s", (Channel("a"), Channel("n", "int64")))


def rows_of(count: int) -> Rows:
    numbers = np.random.default_rng(count)
    a = numbers.normal(size=count).astype("<f4")
    a[numbers.random(count) < 0.01] = np.nan
    a[BIN_ROWS : 2 * BIN_ROWS] = np.nan
    n = numbers.integers(-(2**63), 2**63 - 1, count)
    return Rows("s", np.arange(count) * 10, [a, n])


def blocks_of(rows: Rows, step: int) -> list[Block]:
    found: list[Block] = []
    for at in range(0, len(rows.time_ns), step):
        columns = [column[at : at + step] for column in rows.columns]
        found.append(Block.pack(STREAM, 1, at, Rows("s", rows.time_ns[at : at + step], columns)))
    return found


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1025, 70_000, 200_001])
@pytest.mark.parametrize("step", [7, 100, 1024, 65_536])
def test_bins_hold_the_extremes_of_their_rows(tmp_path: Path, count: int, step: int) -> None:
    rows = rows_of(count)
    write_preview(tmp_path / "s.preview", STREAM, blocks_of(rows, step))
    preview = open_preview(tmp_path / "s.preview", STREAM, count)
    assert preview is not None
    bins = preview.bins(["n", "a"])
    assert bins is not None
    assert bins.rows.sum() == count
    assert bins.time_ns.tolist() == rows.time_ns[::BIN_ROWS].tolist()
    for i, at in enumerate(range(0, count, BIN_ROWS)):
        a, n = (column[at : at + BIN_ROWS] for column in rows.columns)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.testing.assert_equal((bins.lows[1][i], bins.highs[1][i]), (np.nanmin(a), np.nanmax(a)))
        assert (bins.lows[0][i], bins.highs[0][i]) == (n.min(), n.max())


def test_blocks_pass_by_unchanged(tmp_path: Path) -> None:
    blocks = blocks_of(rows_of(3000), 100)
    builder = PreviewBuilder(STREAM)
    assert list(builder.watch(iter(blocks))) == blocks
    builder.write(tmp_path / "s.preview")
    assert open_preview(tmp_path / "s.preview", STREAM, 3000) is not None


def test_one_that_does_not_fit_counts_as_missing(tmp_path: Path) -> None:
    path = tmp_path / "s.preview"
    assert open_preview(path, STREAM, 3000) is None
    write_preview(path, STREAM, blocks_of(rows_of(3000), 100))
    assert open_preview(path, STREAM, 2999) is None
    assert open_preview(path, Stream("other", STREAM.channels), 3000) is None
    path.write_bytes(b"")
    assert open_preview(path, STREAM, 3000) is None


def test_a_flipped_bit_or_a_cut_is_never_a_wrong_extreme(tmp_path: Path) -> None:
    path = tmp_path / "s.preview"
    write_preview(path, STREAM, blocks_of(rows_of(5000), 100))
    whole = path.read_bytes()
    good = open_preview(path, STREAM, 5000)
    wanted = good.bins(["a", "n"]) if good else None
    assert wanted is not None
    dice = random.Random(1)
    damaged = [whole[: dice.randrange(len(whole))] for _ in range(30)]
    for at in dice.sample(range(len(whole) * 8), 200):
        flipped = bytearray(whole)
        flipped[at // 8] ^= 1 << at % 8
        damaged.append(bytes(flipped))
    for content in damaged:
        path.write_bytes(content)
        preview = open_preview(path, STREAM, 5000)
        bins = preview.bins(["a", "n"]) if preview else None
        if bins is not None:
            np.testing.assert_equal(bins, wanted)


def test_states_say_which_bins_are_in_a_time_range(tmp_path: Path) -> None:
    path = tmp_path / "s.preview"
    write_preview(path, STREAM, blocks_of(rows_of(5 * BIN_ROWS), 500))
    preview = open_preview(path, STREAM, 5 * BIN_ROWS)
    assert preview is not None
    step = BIN_ROWS * 10
    assert preview.states(None, None).tolist() == [ALL] * 5
    assert preview.states(step, 3 * step).tolist() == [SOME, ALL, SOME, NONE, NONE]
    assert preview.states(step + 1, None).tolist() == [NONE, SOME, ALL, ALL, ALL]
    assert preview.states(10 * step, None).tolist() == [NONE] * 4 + [SOME]
    # Around the beginning of an epoch nothing is sure: times may have gone back there.
    assert preview.states(10 * step, None, [2 * BIN_ROWS]).tolist() == [NONE, SOME, SOME, NONE, SOME]
    assert preview.row_range(step, 2 * step) == range(0, 2 * BIN_ROWS)


def test_every_wanted_row_is_in_the_row_range_also_if_the_clock_went_back(tmp_path: Path) -> None:
    dice = np.random.default_rng(2)
    for _ in range(20):
        lengths = dice.integers(1, 4000, 4)
        times = [int(dice.integers(0, 50_000)) + np.arange(n) * int(dice.integers(0, 20)) for n in lengths]
        breaks = np.cumsum(lengths)[:-1].tolist()
        every = np.concatenate(times)
        zeros = np.zeros(len(every))
        write_preview(tmp_path / "s.preview", STREAM, blocks_of(Rows("s", every, [zeros, zeros]), 700))
        preview = open_preview(tmp_path / "s.preview", STREAM, len(every))
        assert preview is not None
        start, stop = sorted(dice.integers(0, 100_000, 2).tolist())
        wanted = np.flatnonzero((every >= start) & (every < stop))
        found = preview.row_range(start, stop, breaks)
        assert all(row in found for row in wanted.tolist())
        states = np.repeat(preview.states(start, stop, breaks), BIN_ROWS)[: len(every)]
        inside = (every >= start) & (every < stop)
        assert inside[states == ALL].all() and not inside[states == NONE].any()


def test_the_preview_is_beside_its_segment() -> None:
    assert preview_path(Path("a/night.v2.h5")) == Path("a/night.v2.preview")
