"""`kymograph mirror` as a person runs it, and what it has to have in the end."""

from __future__ import annotations

import filecmp
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kymograph.store.completeness import ledger

DERIVED = (".preview", "manifest.json", "verified.json", "mirror.json", ".part", ".tmp")


class RunningMirror:
    """The real program, started again as often as it is killed."""

    def __init__(self, url: str, folder: Path, *arguments: str, interval_s: float = 0.1) -> None:
        self.folder = folder
        self._command = [
            sys.executable, "-m", "kymograph", "mirror", url, str(folder), "--json", "--interval",
            str(interval_s), *arguments,
        ]  # fmt: skip
        self._log = folder.with_suffix(".log")
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if error is not None:
            sys.stderr.write(self.log()[-4000:])

    def start(self) -> None:
        """Start it, again after a kill."""
        with self._log.open("a") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        self.starts += 1

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Press Ctrl-C; return the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)

    def wait(self, timeout_s: float = 60) -> int:
        """Wait for its end; return the exit code."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def log(self) -> str:
        """Return everything that it has said, over all starts."""
        return self._log.read_text()

    def lines(self) -> list[dict[str, Any]]:
        """Return what it told in JSON."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith('{"recording_id"')]

    def copies(self) -> list[Path]:
        """Return the folders of what is mirrored."""
        return sorted(path.parent for path in (self.folder / "recordings").glob("*/recording.json"))


def differences(source: Path, copy: Path) -> list[str]:
    """Return the files that are not the same in a recording's folder and in its mirror."""
    names = {
        path.name for folder in (source, copy) for path in folder.iterdir() if not path.name.endswith(DERIVED)
    }
    _, differ, errors = filecmp.cmpfiles(source, copy, sorted(names), shallow=False)
    return differ + errors


def check_copy(source: Path, copy: Path) -> None:
    """Fail if a mirror is not its source, byte for byte, or does not know that it is."""
    assert not (found := differences(source, copy)), found
    ours, theirs = ledger(source, time.time_ns()), ledger(copy, time.time_ns())
    assert theirs.fetched and ours.root_hash == theirs.root_hash, theirs.summary
    for mine, its in zip(ours.streams, theirs.streams, strict=True):
        assert (mine.held_rows, mine.epochs, mine.missing) == (its.held_rows, its.epochs, its.missing)
    assert {file.state for file in theirs.files} <= {"verified"}
