"""A worker process of the archive: it reads recordings, so that the front stays responsive and small.

    python -m kymograph.service.archive.worker FD

FD is a Unix socket of type SEQPACKET. A request is one JSON message `{"job": …, "data": FOLDER, …}` that
carries the writing end of a pipe. The answer is bytes into that pipe, and on the socket first
`{"started": true, "size_bytes": n | null}` (which may carry a file descriptor to read from instead of the
pipe), then `{"done": true}` or `{"error": {…}}`. Before the first request it says `{"ready": true}`. It ends
when the socket does.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from kymograph.model.errors import KymographError, StorageError
from kymograph.service.archive.exporting import ZIP, Exporter, pipe_outlet, plan, request_from_dict
from kymograph.service.archive.viewing import view_recording
from kymograph.store.completeness import ledger
from kymograph.store.durable import storage_error
from kymograph.store.parts import Span
from kymograph.store.reader import RecordingReader
from kymograph.store.verify import verify_recording

MESSAGE_BYTES_MAX: Final = 160 * 1024
"""Below what the kernel takes as one message by default (net.core.wmem_default, 208 KiB)."""
_NICE: Final = 10
_WARM: Final = ("numpy", "msgspec", "polars", "pyarrow")
"""Imported before there is anything to do: half a second that nobody waits for."""

Started = Callable[[int | None, int | None], None]


class _Gone(Exception):
    """Nobody reads any more."""


def _check(pipe: int) -> Callable[[], None]:
    poll = select.poll()
    poll.register(pipe, 0)

    def check() -> None:
        if poll.poll(0):
            raise _Gone

    return check


def _export(message: Mapping[str, Any], pipe: int, started: Started) -> None:
    reader = RecordingReader(Path(message["folder"]))
    planned = plan(reader, request_from_dict(message["request"]))
    exporter = Exporter(reader, planned, Path(message["data"]), _check(pipe))
    if planned.form.streamable or planned.media_type == ZIP:
        started(None, None)
        exporter.stream_to(cast("BinaryIO", pipe_outlet(pipe)))
        return
    with exporter.temporary() as made:
        made.seek(0)
        started(os.fstat(made.fileno()).st_size, made.fileno())


def _view(message: Mapping[str, Any], pipe: int, started: Started) -> None:
    import msgspec

    reader = RecordingReader(Path(message["folder"]))
    stream = message["stream"]
    channels = message["channels"] or reader.stream(stream).channel_names
    span = Span(message["start_ns"], message["stop_ns"])
    view = view_recording(reader, stream, channels, span, message["points_max"])
    started(None, None)
    pipe_outlet(pipe).write(msgspec.msgpack.encode(view.to_dict()))


def _verify(message: Mapping[str, Any], pipe: int, started: Started) -> None:
    started(None, None)
    report = verify_recording(Path(message["folder"]))
    pipe_outlet(pipe).write(json.dumps(report.to_dict()).encode())


def _ledger(message: Mapping[str, Any], pipe: int, started: Started) -> None:
    started(None, None)
    import msgspec

    found = ledger(Path(message["folder"]), message["now_ns"], message["verify"])
    pipe_outlet(pipe).write(msgspec.json.encode(found.to_dict(message["files"])))


_JOBS: Final = {"export": _export, "view": _view, "verify": _verify, "ledger": _ledger}


def _answer(control: socket.socket, message: Mapping[str, Any], pipe: int) -> dict[str, Any]:
    def started(size_bytes: int | None, fd: int | None) -> None:
        said = json.dumps({"started": True, "size_bytes": size_bytes}).encode()
        socket.send_fds(control, [said], [fd] if fd is not None else [])

    try:
        _JOBS[message["job"]](message, pipe, started)
    except (_Gone, BrokenPipeError):
        return {"done": True}
    except KymographError as error:
        return {"error": error.to_dict()}
    except FileNotFoundError as error:
        return {"error": StorageError(f"a file vanished while it was read: {error}").to_dict()}
    except OSError as error:
        return {"error": storage_error(error, message["folder"]).to_dict()}
    except (ValueError, TypeError, KeyError, AttributeError, ImportError, RuntimeError, MemoryError) as error:
        return {"error": StorageError(f"reading failed: {type(error).__name__}: {error}").to_dict()}
    return {"done": True}


def serve(control: socket.socket) -> None:
    """Do one request after the other until the other side closes."""
    while True:
        data, fds, _, _ = socket.recv_fds(control, MESSAGE_BYTES_MAX, 1)
        if not data:
            return
        pipe = fds[0]
        answer = _answer(control, json.loads(data), pipe)
        os.close(pipe)
        control.send(json.dumps(answer).encode()[:MESSAGE_BYTES_MAX])


def main() -> None:
    """Work until the archive that started this process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    os.nice(_NICE)
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in _WARM:
        import_module(name)
    try:
        control.send(b'{"ready": true}')
        serve(control)
    except (BrokenPipeError, ConnectionResetError):
        return


if __name__ == "__main__":
    main()
