"""The worker process: it seals and merges, so that no format library ever enters the engine.

    python -m kymograph.store.worker

Speaks over stdin and stdout: a little-endian u32 of length, then that many bytes of JSON. A job
`{"op": "seal" | "merge", "job": {…}}` is answered by any number of `{"alive": true}` and then either
`{"segment": {…} | null}` or `{"error": {…}}`. It dies with the engine, whichever way the engine dies, so that
no orphan writes into a folder that another engine owns by now.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import signal
import struct
import sys
import threading
import time
from typing import IO, Any, Final

from kymograph.model.errors import KymographError, StorageError
from kymograph.store.durable import storage_error
from kymograph.store.merging import merge, merge_job_from_dict
from kymograph.store.sealing import seal, seal_job_from_dict

LENGTH: Final = struct.Struct("<I")
MESSAGE_BYTES_MAX: Final = 256 * 1024 * 1024
"""A merge of very many segments lists them all."""
BEAT_S: Final = 5.0
"""Between two signs of life during a long job."""
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_NICE: Final = 10


def write_message(pipe: IO[bytes], message: dict[str, Any]) -> None:
    """Write one message."""
    data = json.dumps(message).encode()
    pipe.write(LENGTH.pack(len(data)) + data)
    pipe.flush()


def run(op: str, job: dict[str, Any], alive: Any) -> dict[str, Any]:
    """Do one job and return the answer."""
    last = time.monotonic()

    def beat() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= BEAT_S:
            last = now
            alive()

    try:
        if op == "merge":
            return {"segment": merge(merge_job_from_dict(job), beat).to_dict()}
        segment = seal(seal_job_from_dict(job), beat)
        return {"segment": segment.to_dict() if segment is not None else None}
    except KymographError as error:
        return {"error": error.to_dict()}
    except OSError as error:
        return {"error": storage_error(error, str(job.get("folder"))).to_dict()}
    except (ValueError, TypeError, KeyError, AttributeError, ImportError, RuntimeError, MemoryError) as error:
        return {"error": StorageError(f"sealing failed: {type(error).__name__}: {error}").to_dict()}


def _read_jobs(pipe: IO[bytes], jobs: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Read jobs until the engine is gone, and then go at once, whatever is being done."""
    while len(head := pipe.read(LENGTH.size)) == LENGTH.size:
        length = LENGTH.unpack(head)[0]
        if length > MESSAGE_BYTES_MAX:
            break
        data = pipe.read(length)
        if len(data) < length:
            break
        jobs.put(json.loads(data))
    os._exit(0)


def main() -> None:
    """Work until the engine is gone."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # whoever stops the service stops the engine, which stops us
    os.nice(_NICE)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get among the answers
    jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read_jobs, args=(sys.stdin.buffer, jobs), daemon=True).start()
    try:
        while True:
            message = jobs.get()
            answer = run(message["op"], message["job"], lambda: write_message(answers, {"alive": True}))
            write_message(answers, answer)
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
