from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from kymograph.model.block import Cursor
from kymograph.model.clock import Clock
from kymograph.model.errors import KymographError, StorageError, Unavailable
from kymograph.model.event import Event
from kymograph.model.recording import Segment
from kymograph.store.journal import write_journal
from kymograph.store.sealer import Sealer
from kymograph.store.sealing import SealJob, seal, seal_job_from_dict
from tests.unit.store.made import EPOCH, make_block, make_head, wait_until

DYING = """
import os, sys
from kymograph.store import worker
def die(*args):
    os._exit(7)
if not os.path.exists(sys.argv[1]) or os.path.getsize(sys.argv[1]) < int(sys.argv[2]):
    with open(sys.argv[1], "ab") as file:
        file.write(b"x")
    worker.run = die
worker.main()
"""


class Answers:
    """Collects how jobs ended."""

    def __init__(self) -> None:
        self.all: list[tuple[Segment | None, KymographError | None]] = []

    def __call__(self, segment: Segment | None, error: KymographError | None) -> None:
        self.all.append((segment, error))

    def wait(self, count: int = 1) -> tuple[Segment | None, KymographError | None]:
        wait_until(lambda: len(self.all) >= count, 30)
        return self.all[-1]


def job(folder: Path, rows: int = 10) -> SealJob:
    write_journal(folder / "lidar_00000.journal", make_head(), [make_block(0, rows)])
    return SealJob(str(folder), "lidar", 0, "jsonl", 0)


def test_a_journal_becomes_a_segment(tmp_path: Path, clock: Clock) -> None:
    sealer, answers = Sealer(clock), Answers()
    one = job(tmp_path)
    sealer.submit(lambda: one, answers)
    segment, error = answers.wait()
    assert error is None
    assert segment is not None
    assert (segment.rows, segment.filename) == (10, "lidar_00000.jsonl")
    assert abs(segment.sealed_ns - clock.now_ns()) < 60 * 10**9
    assert sealer.wait_idle(5)
    sealer.close()


def test_a_worker_that_dies_is_replaced_and_the_job_done(tmp_path: Path, clock: Clock) -> None:
    command = (sys.executable, "-c", DYING, str(tmp_path / "deaths"), "2")
    sealer, answers = Sealer(clock, command=command), Answers()
    one = job(tmp_path)
    sealer.submit(lambda: one, answers)
    segment, error = answers.wait()
    assert (error, segment is not None, sealer.deaths) == (None, True, 2)
    sealer.close()


def test_a_job_that_kills_every_worker_is_given_up_and_told(tmp_path: Path, clock: Clock) -> None:
    events: list[Event] = []
    command = (sys.executable, "-c", DYING, str(tmp_path / "deaths"), "99")
    sealer, answers = Sealer(clock, events.append, command), Answers()
    one = job(tmp_path)
    sealer.submit(lambda: one, answers)
    segment, error = answers.wait()
    assert segment is None
    assert isinstance(error, StorageError)
    assert sealer.deaths == 3
    assert [event.kind for event in events] == ["alarm"]
    assert (tmp_path / "lidar_00000.journal").exists()
    sealer.close()


def test_a_worker_killed_while_idle_costs_nothing(tmp_path: Path, clock: Clock) -> None:
    sealer, answers = Sealer(clock), Answers()
    sealer.retain()
    wait_until(lambda: sealer.worker_pid, 30)
    assert sealer.worker_pid is not None
    os.kill(sealer.worker_pid, signal.SIGKILL)
    one = job(tmp_path)
    sealer.submit(lambda: one, answers)
    assert answers.wait()[1] is None
    sealer.close()


def test_the_worker_shrugs_at_ctrl_c_and_sigterm(tmp_path: Path, clock: Clock) -> None:
    sealer, answers = Sealer(clock), Answers()
    one = job(tmp_path)
    sealer.submit(lambda: one, answers)
    answers.wait()
    pid = sealer.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    sealer.submit(lambda: one, answers)
    answers.wait(2)
    assert (sealer.worker_pid, sealer.deaths) == (pid, 0)
    sealer.close()


def test_what_the_worker_says_is_wrong_is_passed_on(tmp_path: Path, clock: Clock) -> None:
    sealer, answers = Sealer(clock), Answers()
    sealer.submit(lambda: SealJob(str(tmp_path), "lidar", 5, "jsonl", 0), answers)
    assert isinstance(answers.wait()[1], KymographError)
    job(tmp_path)
    sealer.submit(lambda: SealJob(str(tmp_path), "lidar", 0, "papyrus", 0), answers)
    assert "papyrus" in str(answers.wait(2)[1])
    assert sealer.deaths == 0
    sealer.close()


def test_journals_go_before_merges_and_nothing_is_taken_after_close(tmp_path: Path, clock: Clock) -> None:
    sealer, answers = Sealer(clock), Answers()
    order: list[str] = []
    gate = threading.Event()
    sealer.submit(lambda: gate.wait(30) and None, answers)  # type: ignore[func-returns-value]
    sealer.submit(lambda: order.append("merge"), answers, merge=True)  # type: ignore[func-returns-value]
    sealer.submit(lambda: order.append("seal"), answers)  # type: ignore[func-returns-value]
    gate.set()
    answers.wait(3)
    assert order == ["seal", "merge"]
    sealer.close()
    sealer.submit(lambda: None, answers)
    assert isinstance(answers.all[-1][1], Unavailable)


ENGINE = """
import sys, time
from kymograph.model.clock import Clock
from kymograph.store.sealer import Sealer
sealer = Sealer(Clock(time.monotonic_ns, time.time_ns))
sealer.retain()
while sealer.worker_pid is None:
    time.sleep(0.01)
print(sealer.worker_pid, flush=True)
time.sleep(60)
"""


def test_the_worker_dies_with_the_engine() -> None:
    engine = subprocess.Popen([sys.executable, "-c", ENGINE], stdout=subprocess.PIPE)
    assert engine.stdout is not None
    pid = int(engine.stdout.readline())
    assert psutil.pid_exists(pid)
    engine.kill()
    engine.wait()
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")


def test_the_engine_side_imports_no_format_library() -> None:
    code = (
        "import sys, kymograph.store.recorder, kymograph.store.recovery, kymograph.store.catalog;"
        "print([m for m in ('h5py', 'pyarrow', 'polars', 'pandas') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code]).strip() == b"[]"


@pytest.mark.parametrize(
    ("after", "until", "seqs"),
    [
        (None, None, range(20)),
        (Cursor(EPOCH, 7), None, range(7, 20)),
        (Cursor(EPOCH, 20), None, range(0)),
        (Cursor(EPOCH - 1, 7), None, range(20)),
        (None, Cursor(EPOCH, 13), range(13)),
        (None, Cursor(EPOCH, 10), range(10)),
        (None, Cursor(0, 0), range(0)),
        (Cursor(EPOCH, 3), Cursor(EPOCH, 5), range(3, 5)),
    ],
)
def test_a_segment_has_just_its_own_rows(
    tmp_path: Path, after: Cursor | None, until: Cursor | None, seqs: range
) -> None:
    path = tmp_path / "lidar_00000.journal"
    write_journal(path, make_head(), [make_block(0, 10), make_block(10, 10)])
    one = SealJob(str(tmp_path), "lidar", 0, "csv", 0, {}, after, until)
    assert seal_job_from_dict(one.to_dict()) == one
    segment = seal(one, lambda: None)
    if not seqs:
        assert segment is None
        assert not (tmp_path / "lidar_00000.csv").exists()
        return
    assert segment is not None
    assert (segment.rows, segment.first, segment.next) == (
        len(seqs), Cursor(EPOCH, seqs[0]), Cursor(EPOCH, seqs[-1] + 1),
    )  # fmt: skip


def test_idle_workers_go_away(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kymograph.store.sealer.IDLE_S", 0.05)
    sealer, answers = Sealer(clock), Answers()
    one = job(tmp_path)
    sealer.submit(lambda: one, answers)
    answers.wait()
    wait_until(lambda: sealer.worker_pid is None)
    time.sleep(0)
    sealer.close()
