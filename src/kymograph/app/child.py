"""What the processes beside the engine have in common: they hear their task, speak, and end when it does."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any, Final

_PR_SET_PDEATHSIG: Final = 1


def task_from_engine() -> dict[str, Any]:
    """Return what the supervisor says on standard input; from here on this process ends with the engine."""
    task: dict[str, Any] = json.loads(sys.stdin.readline())
    _end_with_parent()
    return task


def say(line: str) -> None:
    """Tell the supervisor."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    """Have the kernel end this process when the engine is killed."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent or parent == 1:
        sys.exit(1)
