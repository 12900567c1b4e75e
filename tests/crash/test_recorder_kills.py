"""The recorder killed at random moments: nothing acknowledged is lost, and no tool is needed."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kymograph.model.clock import Clock
from kymograph.model.recording import ENDINGS
from kymograph.store.folder import DataFolder
from kymograph.store.reader import RecordingReader
from kymograph.store.recording_folder import find_recording
from kymograph.store.recovery import recover_all
from kymograph.store.sealer import Sealer
from kymograph.store.verify import verify_recording
from tests.crash.store_writer import FLUSH_INTERVAL_S, ROWS, STREAMS, make_block

WRITER = [sys.executable, str(Path(__file__).with_name("store_writer.py"))]
GRACE_S = 1.0
"""What the machine may take longer than the flush interval under the load of other tests."""


class Writer:
    """A writer process, and what it said."""

    def __init__(self, data: Path, mode: str, seed: int, prefix: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [*prefix, *WRITER, str(data), mode, str(seed)], stdout=subprocess.PIPE, text=True
        )
        self.lines: list[tuple[float, list[str]]] = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n"):
                self.lines.append((time.monotonic(), line.split()))

    def said(self, word: str) -> list[list[str]]:
        return [words[1:] for _, words in list(self.lines) if words[0] == word]

    def wait_for(self, word: str, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not self.said(word):
            assert self.process.poll() is None, "the writer ended by itself"
            assert time.monotonic() < deadline, f"the writer never said {word}"
            time.sleep(0.002)

    def kill(self) -> None:
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        code = self.process.wait(120)
        self._thread.join()
        return code


def check_rows(data: Path, recording_id: str, epoch: int, stream_name: str) -> int:
    """Check every value, and that rows are a gapless prefix; return how many there are."""
    reader = RecordingReader(find_recording(data / "recordings", recording_id).path)
    stream = next(stream for stream in STREAMS if stream.name == stream_name)
    seq = 0
    for block in reader.blocks(stream_name):
        assert (block.epoch, block.seq) == (epoch, seq)
        wanted = make_block(stream, epoch, seq, block.rows)
        assert bytes(block.payload) == bytes(wanted.payload)
        seq += block.rows
    return seq


def check_promises(data: Path, writer: Writer, killed: float, lossless: bool = True) -> None:
    """Check what the writer said against what is on the disk after recovery."""
    for recording_id, epoch in writer.said("begin"):
        rows = {s.name: check_rows(data, recording_id, int(epoch), s.name) for s in STREAMS}
        for at, words in writer.lines:
            if words[0] not in ("put", "durable") or words[1] != recording_id:
                continue
            if words[0] == "durable" or (lossless and at < killed - FLUSH_INTERVAL_S - GRACE_S):
                assert rows[words[2]] >= int(words[3]), words
        folder = find_recording(data / "recordings", recording_id)
        assert folder.recording().ended in ENDINGS
        assert folder.journals() == {}
        check = verify_recording(folder.path)
        assert check.ok, check
        ended = [words for words in writer.said("ended") if words[0] == recording_id]
        if folder.recording().ended == "crash":
            assert [e.body["reason"] for e in folder.events.read()] == ["crash"]
            assert not ended
        else:
            assert all(value % ROWS == 0 for value in rows.values())


@pytest.fixture(scope="module")
def sealer() -> Iterator[Sealer]:
    sealer = Sealer(Clock(time.monotonic_ns, time.time_ns))
    sealer.retain()
    yield sealer
    sealer.close()


def recover(data: Path, sealer: Sealer) -> None:
    clock = Clock(time.monotonic_ns, time.time_ns)
    with DataFolder.open(data, clock) as folder:
        found = recover_all(folder, sealer, clock)
        assert found.wait(60)
        assert found.failed == {}


def kill_and_check(data: Path, sealer: Sealer, seed: int) -> None:
    rng = random.Random(seed)
    writer = Writer(data, "loop", seed)
    if rng.random() < 0.9:
        writer.wait_for("begin")
        time.sleep(rng.uniform(0.0, 1.3))  # the moment of the kill is what is random here
    else:
        time.sleep(rng.uniform(0.0, 0.8))
    killed = time.monotonic()
    writer.kill()
    recover(data, sealer)
    check_promises(data, writer, killed)


@pytest.mark.timeout(300)
def test_25_kills_lose_nothing_acknowledged(tmp_path: Path, sealer: Sealer) -> None:
    for seed in range(25):
        kill_and_check(tmp_path / "data", sealer, seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_200_kills_lose_nothing_acknowledged(tmp_path: Path, sealer: Sealer) -> None:
    for seed in range(1000, 1200):
        kill_and_check(tmp_path / "data", sealer, seed)


def test_a_kill_during_recovery_does_no_harm(tmp_path: Path, sealer: Sealer) -> None:
    data = tmp_path / "data"
    first = Writer(data, "loop", 7)
    first.wait_for("durable")
    first.kill()
    killed = time.monotonic()
    rng = random.Random(1)
    for seed in range(6):
        again = Writer(data, "loop", 100 + seed)
        time.sleep(rng.uniform(0.2, 0.9))  # from before its recovery to after it
        again.kill()
    recover(data, sealer)
    check_promises(data, first, killed)
