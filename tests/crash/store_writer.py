"""A process that records, to be killed: python store_writer.py DATA MODE SEED

MODE `loop` records one recording after the other until it is killed; `once` records 60 blocks of each stream
and stops. Says on stdout, a line each, what it holds to be safe:

    begin ID EPOCH        a recording has begun
    durable ID STREAM SEQ rows before SEQ are acknowledged
    put ID STREAM SEQ     rows before SEQ were given to the recorder
    ended ID HOW LOST     it has ended so, with so many rows lost
"""

from __future__ import annotations

import random
import sys
import threading
import time
import uuid
from pathlib import Path

import numpy as np

from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.recording import Recording
from kymograph.store.folder import DataFolder
from kymograph.store.recorder import Recorder, RecorderOptions
from kymograph.store.recovery import recover_all
from kymograph.store.sealer import Sealer

FLUSH_INTERVAL_S = 0.2
ROWS = 50
STREAMS = (
    Stream("lidar", (Channel("distance", "float32", "m"), Channel("n", "int64"))),
    Stream("stand.fast", (Channel("a", "float64", "bar"), Channel("b", "uint16"), Channel("c", "float32"))),
)


def make_block(stream: Stream, epoch: int, seq: int, rows: int = ROWS) -> Block:
    """Return rows whose every value follows from its place."""
    n = np.arange(seq, seq + rows, dtype=np.int64)
    columns = [(n * (i + 3) + epoch) % 60_013 for i in range(len(stream.channels))]
    return Block.pack(stream, epoch, seq, Rows(stream.name, epoch * 1_000_000 + n * 20_000, columns))


_speaking = threading.Lock()


def say(*words: object) -> None:
    with _speaking:
        sys.stdout.write(" ".join(map(str, words)) + "\n")
        sys.stdout.flush()


def watch(recorder: Recorder, done: threading.Event) -> None:
    """Tell how far it is durable, as it moves."""
    told: dict[str, int] = {}
    while not done.wait(0.003):
        for stream in recorder.status().streams:
            if stream.durable_seq > told.get(stream.stream, 0):
                told[stream.stream] = stream.durable_seq
                say("durable", recorder.recording.id, stream.stream, stream.durable_seq)


def record(
    data: DataFolder, sealer: Sealer, clock: Clock, rng: random.Random, blocks: int, pace_s: float
) -> None:
    epoch = clock.now_ns() // 1_000_000
    recording = Recording(
        uuid.UUID(int=rng.getrandbits(128)).hex, f"run{rng.randrange(1000)}", STREAMS,
        rng.choice(["jsonl", "csv", "parquet"]), 1.0, clock.now_ns(), merge=rng.random() < 0.5,
    )  # fmt: skip
    recorder = Recorder(data, recording, sealer, clock, RecorderOptions(flush_interval_s=FLUSH_INTERVAL_S))
    recorder.start()
    say("begin", recording.id, epoch)
    done = threading.Event()
    watcher = threading.Thread(target=watch, args=(recorder, done))
    watcher.start()
    for i in range(blocks):
        for stream in STREAMS:
            recorder.put(make_block(stream, epoch, i * ROWS))
            say("put", recording.id, stream.name, (i + 1) * ROWS)
        time.sleep(pace_s)
    ended = recorder.stop()
    done.set()
    watcher.join()
    say("ended", ended.id, ended.ended.replace(" ", "-"), recorder.rows_lost)


def main() -> None:
    path, mode, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    rng = random.Random(seed)
    clock = Clock(time.monotonic_ns, time.time_ns)
    data = DataFolder.open(path, clock)
    sealer = Sealer(clock)
    recover_all(data, sealer, clock)
    if mode == "once":
        record(data, sealer, clock, rng, 60, 0.01)
        sealer.wait_idle(30)
        sealer.close()
        return
    while True:
        record(data, sealer, clock, rng, rng.randrange(20, 200), 0.01)


if __name__ == "__main__":
    main()
