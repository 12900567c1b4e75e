"""The engine's handle of the worker process: one job at a time, tried again when the worker dies."""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import kymograph
from kymograph.model.clock import Clock
from kymograph.model.errors import KymographError, StorageError, Unavailable, error_from_dict
from kymograph.model.event import Event
from kymograph.model.limits import SEAL_SILENCE_S_MAX, SEAL_TRIES_MAX
from kymograph.model.recording import Segment, segment_from_dict
from kymograph.store.gaps import make_event
from kymograph.store.merging import MergeJob
from kymograph.store.sealing import SealJob
from kymograph.store.worker import LENGTH, write_message

log = logging.getLogger(__name__)

IDLE_S: Final = 30.0
"""How long the worker stays when no recording runs and nothing is to be done."""
WORKER: Final = (sys.executable, "-P", "-m", "kymograph.store.worker")

Job = SealJob | MergeJob
Done = Callable[[Segment | None, KymographError | None], None]
"""Told how a job ended: a segment, or None for a journal without rows; or an error."""


class WorkerDied(Exception):
    """The worker went away, or fell silent, in the middle of a job."""


@dataclass(slots=True)
class _Task:
    make: Callable[[], Job | None]
    done: Done
    merge: bool


class Sealer:
    """Gives journals to a worker process. Any thread may ask; answers come on the sealer's own thread."""

    def __init__(
        self,
        clock: Clock,
        on_event: Callable[[Event], None] = lambda event: None,
        command: Sequence[str] = WORKER,
    ) -> None:
        """Start the thread; the worker starts with the first job or `retain`."""
        self._clock = clock
        self._on_event = on_event
        self._command = tuple(command)
        self._tasks: deque[_Task] = deque()
        self._condition = threading.Condition()
        self._closing = False
        self._holders = 0
        self._busy = False
        self._worker: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self.deaths = 0
        """Workers that died of a job since the start."""
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)
        self._thread.start()

    def submit(self, make: Callable[[], Job | None], done: Done, merge: bool = False) -> None:
        """Queue a job; never waits. `make` is called when its turn comes, and may find nothing to do.

        Journals go before merges. `done` is called exactly once.
        """
        with self._condition:
            if not self._closing:
                self._tasks.append(_Task(make, done, merge))
                self._condition.notify_all()
                return
        done(None, Unavailable("sealing has stopped; the next start goes on with it"))

    def retain(self) -> None:
        """Keep a warm worker until as many `release`: a recording runs."""
        with self._condition:
            self._holders += 1
            self._condition.notify_all()

    def release(self) -> None:
        """Take back one `retain`."""
        with self._condition:
            self._holders = max(0, self._holders - 1)
            self._condition.notify_all()

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is queued or running; return whether that came true."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._tasks and not self._busy, timeout_s)

    @property
    def worker_pid(self) -> int | None:
        """The process that works at present, if any."""
        worker = self._worker
        return worker.pid if worker is not None else None

    def close(self, timeout_s: float = 0.0) -> None:
        """Give the job in hand that long, then end the worker; what is left is the next start's work."""
        with self._condition:
            self._closing = True
            left, self._tasks = list(self._tasks), deque()
            self._condition.notify_all()
        for task in left:
            task.done(None, Unavailable("sealing has stopped; the next start goes on with it"))
        self._thread.join(timeout_s)
        worker = self._worker
        if worker is not None:
            worker.kill()
        self._thread.join(10.0)

    def _run(self) -> None:
        while (task := self._next()) is not None:
            try:
                self._do(task)
            except Exception:
                log.exception("sealing goes on with the next journal")
            finally:
                with self._condition:
                    self._busy = False
                    self._condition.notify_all()
        self._end_worker()

    def _next(self) -> _Task | None:
        with self._condition:
            while not self._closing:
                if self._tasks:
                    self._busy = True
                    task = next((t for t in self._tasks if not t.merge), self._tasks[0])
                    self._tasks.remove(task)
                    return task
                if self._holders and self._worker is None:
                    self._try_start()
                arrived = self._condition.wait(None if self._holders or self._worker is None else IDLE_S)
                if not arrived and not self._holders and not self._tasks:
                    self._end_worker()
        return None

    def _do(self, task: _Task) -> None:
        segment: Segment | None = None
        failure: KymographError | None = None
        try:
            job = task.make()
            if job is not None:
                segment = self._work(job)
        except KymographError as error:
            failure = error
        task.done(segment, failure)

    def _work(self, job: Job) -> Segment | None:
        """Have the worker do a job, in a new worker if it dies of it.

        Raises:
            KymographError: what the worker says, or that it died too often.
        """
        op = "merge" if isinstance(job, MergeJob) else "seal"
        for _ in range(SEAL_TRIES_MAX):
            try:
                answer = self._ask({"op": op, "job": job.to_dict()})
                break
            except (OSError, WorkerDied) as error:
                self._end_worker()
                if self._closing:
                    raise Unavailable("sealing was interrupted; the next start goes on with it") from None
                self.deaths += 1
                log.warning("the worker died over %s: %s", job.folder, error)
        else:
            what = f"{job.target}" if isinstance(job, MergeJob) else f"journal {job.stream} {job.index}"
            text = f"the worker died {SEAL_TRIES_MAX} times over {what} in {Path(job.folder).name}"
            self._on_event(make_event(self._clock, "alarm", {"text": text, "folder": job.folder}))
            raise StorageError(text, hint="its files stay as they are; the next start tries again")
        if "error" in answer:
            raise error_from_dict(answer["error"])
        plain = answer["segment"]
        if plain is None:
            return None
        return replace(segment_from_dict(plain), sealed_ns=self._clock.now_ns())

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        worker = self._started()
        assert worker.stdin is not None
        write_message(worker.stdin, message)
        while "alive" in (answer := self._read_message(worker)):
            pass
        return answer

    def _read_message(self, worker: subprocess.Popen[bytes]) -> dict[str, Any]:
        length = LENGTH.unpack(self._read(worker, LENGTH.size))[0]
        return json.loads(self._read(worker, length))

    def _read(self, worker: subprocess.Popen[bytes], nbytes: int) -> bytes:
        assert worker.stdout is not None
        fd = worker.stdout.fileno()
        deadline = time.monotonic() + SEAL_SILENCE_S_MAX
        while len(self._buffer) < nbytes:
            wait_s = deadline - time.monotonic()
            if wait_s <= 0 or not select.select([fd], [], [], wait_s)[0]:
                raise WorkerDied(f"no sign of life for {SEAL_SILENCE_S_MAX:.0f} s")
            piece = os.read(fd, 1 << 20)
            if not piece:
                raise WorkerDied(f"exit status {worker.wait()}")
            self._buffer += piece
        data, self._buffer = self._buffer[:nbytes], self._buffer[nbytes:]
        return data

    def _started(self) -> subprocess.Popen[bytes]:
        if self._worker is not None and self._worker.poll() is not None:
            self._end_worker()
        if self._worker is None:
            source = str(Path(kymograph.__file__).parents[1])
            path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
            environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
            self._worker = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        return self._worker

    def _try_start(self) -> None:
        """Start a worker ahead of its first job; a failure shows when there is one."""
        try:
            self._started()
        except OSError as error:
            log.warning("no worker yet: %s", error)
            self._holders = 0

    def _end_worker(self) -> None:
        worker, self._worker = self._worker, None
        self._buffer = b""
        if worker is None:
            return
        worker.kill()
        worker.wait()
        for pipe in (worker.stdin, worker.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass
