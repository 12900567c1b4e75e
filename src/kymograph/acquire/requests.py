"""What others ask of the thread that owns a device: kept in a queue, and done between two reads."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any, Final

from kymograph.model.errors import DeviceError, KymographError, TimedOut

_NEVER: Final = "what was not begun by then never will be"


@dataclass(frozen=True, slots=True)
class Asked:
    """Something to be done. It is to be begun within `late_s`, or never; None: within the time of the answer.

    What is urgent is done before everything that waits.
    """

    work: Callable[[], Any]
    urgent: bool = False
    late_s: float | None = None


@dataclass(slots=True)
class _Request:
    work: Callable[[], Any]
    done: Future[Any]


class Requests:
    """Work for one thread. `serve` is called by that thread, everything else by anyone."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        self._urgent: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        self._wake = threading.Event()

    def __len__(self) -> int:
        return self._waiting.qsize()

    def put(self, work: Callable[[], Any], urgent: bool = False) -> Future[Any]:
        """Have something done; what is urgent before everything that waits."""
        done: Future[Any] = Future()
        (self._urgent if urgent else self._waiting).put(_Request(work, done))
        self._wake.set()
        return done

    def ask(self, asked: Asked, timeout_s: float, whom: str) -> Any:
        """Have something done and return its result. What was not begun in time is never done.

        Raises:
            TimedOut: not begun, or no answer, in time.
        """
        done = self.put(asked.work, asked.urgent)
        late_s = timeout_s if asked.late_s is None else min(asked.late_s, timeout_s)
        try:
            return done.result(late_s)
        except FutureTimeoutError:
            if done.cancel() or late_s >= timeout_s:
                raise TimedOut(f"{whom} did not answer within {late_s:g} s", hint=_NEVER) from None
        try:
            return done.result(timeout_s)
        except FutureTimeoutError:
            raise TimedOut(f"{whom} did not answer within {timeout_s:g} s") from None

    def wake(self) -> None:
        """End a `rest`."""
        self._wake.set()

    def rest(self, timeout_s: float) -> None:
        """Wait until there is something to do, or nothing came for so long."""
        self._wake.wait(timeout_s)
        self._wake.clear()

    def serve(self, fail: Callable[[Exception], None], refusal: KymographError | None = None) -> None:
        """Do what waits, or refuse it; `fail` is told of what means that the device is lost."""
        while (request := self._next()) is not None:
            if not request.done.set_running_or_notify_cancel():
                continue
            try:
                if refusal is not None:
                    raise refusal
                result = request.work()
            except Exception as error:  # noqa: BLE001 - handed on to whoever asked
                if not isinstance(error, KymographError) or isinstance(error, DeviceError):
                    fail(error)
                request.done.set_exception(error)
            else:
                request.done.set_result(result)

    def _next(self) -> _Request | None:
        for waiting in (self._urgent, self._waiting):
            try:
                return waiting.get_nowait()
            except queue.Empty:
                continue
        return None
