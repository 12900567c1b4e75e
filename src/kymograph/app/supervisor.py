"""Keeps the other processes of a station running beside the engine: the front, the keeper."""

from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Any, Final

from kymograph.model.errors import ConfigError, KymographError, error_from_dict

log = logging.getLogger(__name__)

BACKOFF_S: Final = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Waits before one that never did its work is tried again; the last repeats. One that did starts at once."""
READY_LINE: Final = "ready"
"""What a process writes on its standard output once it does its work."""
REFUSED: Final = "refused "
"""Begins the line in which it says, as JSON, why it cannot be started at all."""
_STOP_TIMEOUT_S: Final = 3.0


def bind(host: str, port: int) -> socket.socket:
    """Return the listening socket that all fronts of this engine will use, one after the other.

    Raises:
        ConfigError: the address is not ours, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error.strerror}",
            hint="another program may be using it; choose another with --port",
        ) from None


class Supervisor:
    """Starts a process of ours, and starts it again with growing waits, until it is closed.

    It is told its task as one JSON line on standard input, and says `READY_LINE` on standard output once it
    does its work, or `REFUSED` and why it never will. What else it says there is passed on.
    """

    def __init__(self, name: str, module: str, task: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """Start it: `fds` are open files that it inherits."""
        self.name = name
        self._module = module
        self._task = json.dumps(task) + "\n"
        self._fds = tuple(fds)
        self._process: subprocess.Popen[str] | None = None
        self._quit = threading.Event()
        self.ready = threading.Event()
        """Set while it does its work."""
        self.refusal: KymographError | None = None
        """Why it cannot be started at all; it is not tried again then."""
        self.restarts = 0
        self._thread = threading.Thread(target=self._run, name=f"{name}-supervisor", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The process id of the present one."""
        return None if self._process is None else self._process.pid

    def _run(self) -> None:
        attempts = 0
        while not self._quit.is_set():
            code, answered = self._run_once()
            if self.refusal is not None:
                log.error("there is no %s: %s", self.name, self.refusal)
            if self._quit.is_set() or self.refusal is not None:
                return
            attempts = 0 if answered else attempts + 1
            wait_s = BACKOFF_S[min(attempts, len(BACKOFF_S) - 1)]
            log.warning("the %s ended with %s; started again in %.1f s", self.name, code, wait_s)
            self.restarts += 1
            self._quit.wait(wait_s)

    def _run_once(self) -> tuple[int, bool]:
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=self._fds,
            start_new_session=True,
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(self._task)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it ended at once; its exit code tells
        self._follow(process.stdout)
        answered = self.ready.is_set()
        self.ready.clear()
        return process.wait(), answered

    def _follow(self, output: IO[str]) -> None:
        for line in output:
            if line.strip() == READY_LINE:
                self.ready.set()
            elif line.startswith(REFUSED) and not self.restarts:
                self.refusal = error_from_dict(json.loads(line.removeprefix(REFUSED)))
            else:
                sys.stdout.write(line)
                sys.stdout.flush()

    def close(self) -> None:
        """End the process and cease to start it again."""
        self._quit.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(_STOP_TIMEOUT_S)
