"""How fast rows can be made safe, beside a bare append, `mcap`, and HDF5 written naively.

All write the same rows: 8 float32 channels and a time, in blocks of 100 rows, made durable every 10 000.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.store.journal import JournalHead, JournalWriter
from tests.bench.table import Line, at_least, rate

ROWS = 1_000_000
BLOCK = 100
SYNC = 10_000
STREAM = Stream("bench", tuple(Channel(f"c{i}") for i in range(8)), 10_000.0)
HEAD = JournalHead(
    stream=STREAM, recording_id="bench", recording="bench", index=0, started_ns=0, created_ns=0
)


def blocks(rows: int = ROWS) -> list[Block]:
    values = np.random.default_rng(1).standard_normal((8, rows)).astype(np.float32)
    times = np.arange(rows, dtype=np.int64) * 100_000
    return [
        Block.pack(STREAM, 1, i, Rows("bench", times[i : i + BLOCK], list(values[:, i : i + BLOCK])))
        for i in range(0, rows, BLOCK)
    ]


def journal(path: Path, made: list[Block]) -> None:
    writer = JournalWriter.create(path, HEAD)
    for i, block in enumerate(made, 1):
        writer.append(block)
        if i * BLOCK % SYNC == 0:
            writer.sync()
    writer.close()


def raw(path: Path, made: list[Block]) -> None:
    with path.open("wb", buffering=0) as file:
        for i, block in enumerate(made, 1):
            file.write(block.payload)
            if i * BLOCK % SYNC == 0:
                os.fdatasync(file.fileno())


def mcap(path: Path, made: list[Block]) -> None:
    from mcap.writer import CompressionType, Writer

    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType.NONE)
        writer.start()
        schema = writer.register_schema("block", "", b"")
        channel = writer.register_channel("bench", "raw", schema)
        for i, block in enumerate(made, 1):
            at = block.first_ns
            writer.add_message(channel, at, bytes(block.payload), at, block.seq)
            if i * BLOCK % SYNC == 0:
                file.flush()
                os.fdatasync(file.fileno())
        writer.finish()


def hdf5(path: Path, made: list[Block]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        names = ("time_ns", *STREAM.channel_names)
        sets = [
            file.create_dataset(
                name, (0,), "i8" if name == "time_ns" else "f4", maxshape=(None,), chunks=(4096,)
            )
            for name in names
        ]
        for i, block in enumerate(made, 1):
            for dataset, column in zip(sets, (block.time_ns, *block.columns()), strict=True):
                dataset.resize((block.seq + block.rows,))
                dataset[block.seq :] = column
            if i * BLOCK % SYNC == 0:
                file.flush()


def run() -> list[Line]:
    made = blocks()
    with tempfile.TemporaryDirectory(dir=".") as folder:

        def fresh(writer: object, count: int = ROWS) -> float:
            path = Path(folder) / "file"

            def work() -> None:
                path.unlink(missing_ok=True)
                writer(path, made[: count // BLOCK])  # type: ignore[operator]

            return rate(count, work)

        ours = fresh(journal)
        return [
            at_least(
                "journal, durable every 10k rows", ours, "rows/s", "raw append + fdatasync", fresh(raw), 0.5
            ),
            at_least(
                "journal, durable every 10k rows", ours, "rows/s", "mcap, uncompressed", fresh(mcap), 1.0
            ),
            at_least(
                "journal, durable every 10k rows",
                ours,
                "rows/s",
                "h5py, resized a block",
                fresh(hdf5, 100_000),
                1.0,
            ),
        ]
