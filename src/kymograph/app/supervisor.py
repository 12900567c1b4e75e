"""Keeps a front running beside the engine."""

from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
import threading
from typing import IO, Final

from kymograph.config import Config
from kymograph.model.errors import ConfigError, KymographError, error_from_dict

log = logging.getLogger(__name__)

BACKOFF_S: Final = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Waits before a front that never answered is tried again; the last repeats. One that did starts at once."""
READY_LINE: Final = "ready"
"""What a front writes on its standard output once it answers."""
REFUSED: Final = "refused "
"""Begins the line in which a front says, as JSON, why it cannot be started at all."""
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


class FrontSupervisor:
    """Starts the front, and starts it again with growing waits, until it is closed."""

    def __init__(self, config: Config, sock: socket.socket) -> None:
        self._task = json.dumps({"config": config.model_dump(mode="json"), "fd": sock.fileno()}) + "\n"
        self._sock = sock
        self._process: subprocess.Popen[str] | None = None
        self._quit = threading.Event()
        self.ready = threading.Event()
        """Set while a front answers."""
        self.refusal: KymographError | None = None
        """Why the front cannot be started at all; it is not tried again then."""
        self.restarts = 0
        self._thread = threading.Thread(target=self._run, name="front-supervisor", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The process id of the present front."""
        return None if self._process is None else self._process.pid

    def _run(self) -> None:
        attempts = 0
        while not self._quit.is_set():
            code, answered = self._run_once()
            if self._quit.is_set() or self.refusal is not None:
                return
            attempts = 0 if answered else attempts + 1
            wait_s = BACKOFF_S[min(attempts, len(BACKOFF_S) - 1)]
            log.warning("the front ended with %s; started again in %.1f s", code, wait_s)
            self.restarts += 1
            self._quit.wait(wait_s)

    def _run_once(self) -> tuple[int, bool]:
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "kymograph.app.front"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[self._sock.fileno()],
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
        """End the front and cease to start it again."""
        self._quit.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(_STOP_TIMEOUT_S)
        self._sock.close()
