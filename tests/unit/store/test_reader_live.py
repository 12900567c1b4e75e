"""The reader beside a real recorder, while journals roll, are sealed by the worker, and are merged."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kymograph.model.clock import Clock
from kymograph.model.recording import Recording
from kymograph.store.folder import DataFolder
from kymograph.store.reader import RecordingReader
from kymograph.store.recorder import Recorder, RecorderOptions
from kymograph.store.sealer import Sealer
from tests.unit.store.made import EPOCH, STREAM, check_block, make_block, wait_until

BLOCKS = 400
ROWS = 250


@pytest.mark.parametrize("form", ["hdf5", "parquet"])
def test_reading_beside_recording_gives_every_row_once(tmp_path: Path, clock: Clock, form: str) -> None:
    folder = DataFolder.open(tmp_path / "data", clock)
    sealer = Sealer(clock)
    recording = Recording("r-1", "night", (STREAM,), form, 3600.0, clock.now_ns(), merge=True)
    options = RecorderOptions(flush_interval_s=0.1, segment_bytes_max=20 * ROWS * STREAM.row_nbytes)
    recorder = Recorder(folder, recording, sealer, clock, options)
    recorder.start()
    (path,) = folder.recordings.iterdir()
    lengths: list[int] = []
    over = threading.Event()
    problems: list[BaseException] = []

    def read() -> int:
        at = 0
        for block in RecordingReader(path).blocks(STREAM.name):
            assert (block.epoch, block.seq) == (EPOCH, at)
            check_block(block)
            at = block.next.seq
        return at

    def read_again_and_again() -> None:
        try:
            while not over.is_set():
                lengths.append(read())
        except BaseException as problem:  # noqa: BLE001 - told by the main thread
            problems.append(problem)

    readers = [threading.Thread(target=read_again_and_again) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for number in range(BLOCKS):
            assert recorder.put(make_block(number * ROWS, ROWS))
            wait_until(lambda number=number: problems or len(lengths) * 4 >= number or number < 20)
        recorder.stop()
        wait_until(lambda: problems or len(RecordingReader(path).segments()) == 1, 60.0)
        wait_until(lambda: problems or (lengths and lengths[-1] == BLOCKS * ROWS), 60.0)
    finally:
        over.set()
        for reader in readers:
            reader.join()
        sealer.close()
        folder.close()
    assert not problems
    assert read() == BLOCKS * ROWS
