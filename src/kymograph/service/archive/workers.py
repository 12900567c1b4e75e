"""The archive's worker processes as the front sees them: started, kept warm, given jobs, replaced."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kymograph.model.errors import InvalidInput, KymographError, StorageError, Unavailable, error_from_dict
from kymograph.service.archive.worker import MESSAGE_BYTES_MAX

PIECE_BYTES: Final = 256 * 1024
_READY_S_MAX: Final = 60.0
_CANCEL_S_MAX: Final = 2.0
"""How long a worker may take to notice that nobody reads any more, before it is replaced."""


class _Worker:
    """One process. Used by one thread at a time."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        threads = str(max(1, (os.cpu_count() or 1) // 2))
        limits = {"POLARS_MAX_THREADS": threads, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-P", "-m", "kymograph.service.archive.worker", str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
                env={**os.environ, **limits},
            )  # fmt: skip
        self.control = ours
        self._ready = False

    def hear(self, timeout_s: float | None) -> tuple[dict[str, Any], int | None]:
        """Return the next message and the descriptor it carries.

        Raises:
            Unavailable: the process has ended, or says nothing.
        """
        if not select.select([self.control], [], [], timeout_s)[0]:
            raise Unavailable("the worker process does not answer")
        try:
            data, fds, _, _ = socket.recv_fds(self.control, MESSAGE_BYTES_MAX, 1)
        except ConnectionError:
            data, fds = b"", []
        if not data:
            raise Unavailable("the worker process has ended", hint="ask again")
        return json.loads(data), (fds[0] if fds else None)

    def ask(self, message: bytes) -> int:
        """Send a request and return the reading end of its pipe."""
        if not self._ready:
            self.hear(_READY_S_MAX)
            self._ready = True
        ours, theirs = os.pipe()
        try:
            socket.send_fds(self.control, [message], [theirs])
        except OSError as error:
            os.close(ours)
            raise Unavailable(f"the worker process cannot be reached: {error}") from error
        finally:
            os.close(theirs)
        return ours

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """End the process; what it was doing is given up."""
        self.control.close()
        self._process.kill()
        self._process.wait()


class Job:
    """A job under way: an iterator of the bytes it makes.

    It must be closed; at its end it closes itself. One thread at a time may use it.
    """

    def __init__(self, pool: Workers, worker: _Worker, message: bytes) -> None:
        """Use `Workers.start`."""
        self.size_bytes: int | None = None
        self._pool = pool
        self._worker: _Worker | None = worker
        self._fd = -1
        try:
            self._fd = worker.ask(message)
            said, fd = worker.hear(None)
            if "error" in said:
                raise error_from_dict(said["error"])
        except KymographError as error:
            self._close_fd()
            self._release(usable=not isinstance(error, Unavailable))
            raise
        self.size_bytes = said["size_bytes"]
        if fd is not None:
            # All is made: the file is ours now, and the worker free for others however slow our client is.
            os.close(self._fd)
            self._fd = fd
            self._finish()

    def fileno(self) -> int:
        """Return the descriptor the bytes come from: a pipe, or a file if the size is known."""
        return self._fd

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """Return some bytes.

        Raises:
            KymographError: the job failed in the middle; what came so far is not the whole.
        """
        if self._fd < 0:
            raise StopIteration
        piece = os.read(self._fd, PIECE_BYTES)
        if not piece:
            self.finish()
            raise StopIteration
        return piece

    def finish(self) -> None:
        """Having read all bytes, find out whether they are all there were, and close.

        Raises:
            KymographError: they are not.
        """
        try:
            self._finish()
        finally:
            self.close()

    def close(self) -> None:
        """Give up what was not read. May be called twice, and from another thread when none reads."""
        worker = self._worker
        self._close_fd()
        if worker is None:
            return
        try:
            while "started" in worker.hear(_CANCEL_S_MAX)[0]:
                pass
            self._release(usable=True)
        except Unavailable:
            self._release(usable=False)

    def _finish(self) -> None:
        worker = self._worker
        if worker is None:
            return
        try:
            said, _ = worker.hear(_READY_S_MAX)
        except Unavailable:
            self._release(usable=False)
            raise StorageError("the worker process died; what came is not the whole") from None
        self._release(usable=True)
        if "error" in said:
            raise error_from_dict(said["error"])

    def _close_fd(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _release(self, usable: bool) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            self._pool.give_back(worker, usable)


class Workers:
    """At most so many worker processes, one of them kept warm. Any thread may use it."""

    def __init__(self, count_max: int, wait_s: float) -> None:
        """Start nothing yet. A job waits `wait_s` for a process to be free."""
        self._count_max = count_max
        self._wait_s = wait_s
        self._free: list[_Worker] = []
        self._busy = 0
        self._changed = threading.Condition()
        self._closed = False

    def warm(self) -> None:
        """Have one process ready before it is needed; returns at once."""
        with self._changed:
            if not self._free and not self._busy and not self._closed:
                self._free.append(_Worker())

    def start(self, job: str, **arguments: Any) -> Job:
        """Give a job to a process and return it once it has begun.

        Raises:
            Unavailable: all processes are busy, or none can be started.
            KymographError: what the job says.
        """
        message = _message({"job": job, **arguments})
        worker = self._take()
        try:
            return Job(self, worker, message)
        except Unavailable:
            # It may have died while it was idle; a fresh one has no such excuse.
            return Job(self, self._take(), message)

    def call(self, job: str, **arguments: Any) -> bytes:
        """Do a job and return all its bytes. Raises as `start`."""
        return b"".join(self.start(job, **arguments))

    def give_back(self, worker: _Worker, usable: bool) -> None:
        """Take a process back from a job that is over."""
        with self._changed:
            self._busy -= 1
            keep = usable and worker.alive and not self._free and not self._closed
            if keep:
                self._free.append(worker)
            self._changed.notify()
        if not keep:
            worker.end()

    def close(self) -> None:
        """End the processes that are idle; those that work end when their job is closed."""
        with self._changed:
            self._closed = True
            free, self._free = self._free, []
        for worker in free:
            worker.end()

    def _take(self) -> _Worker:
        deadline = time.monotonic() + self._wait_s
        with self._changed:
            while self._busy >= self._count_max and not self._closed:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise Unavailable(
                        f"{self._count_max} exports are being made already", hint="try again when one is done"
                    )
            if self._closed:
                raise Unavailable("the archive is closed")
            self._busy += 1
            while self._free:
                worker = self._free.pop()
                if worker.alive:
                    return worker
                worker.end()
        try:
            return _Worker()
        except OSError as error:
            with self._changed:
                self._busy -= 1
                self._changed.notify()
            raise Unavailable(f"no worker process can be started: {error}") from error


def _message(plain: Mapping[str, Any]) -> bytes:
    data = json.dumps(plain).encode()
    if len(data) > MESSAGE_BYTES_MAX:
        raise InvalidInput("the request is too long", hint="name fewer channels")
    return data
