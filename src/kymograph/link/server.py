"""The engine's side: answers calls, hands out blocks and events."""

from __future__ import annotations

import inspect
import logging
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from kymograph.link import frames
from kymograph.link.outbox import Outbox
from kymograph.link.remote import methods
from kymograph.model.block import Block
from kymograph.model.errors import InvalidInput, KymographError, NotFound
from kymograph.service.contract import (
    ControlService,
    RetentionService,
    RunService,
    StationService,
    Subscription,
    TriggerService,
)
from kymograph.service.station import Station

log = logging.getLogger(__name__)

LOCAL: Final = frozenset({"latest", "history", "window", "subscribe", "on_event"})
"""Methods of the service that are not calls: the front answers them from shared memory or by frames."""
PARTS: Final = {
    "control": ControlService,
    "runs": RunService,
    "triggers": TriggerService,
    "retention": RetentionService,
}
CALLS: Final = (methods(StationService) - LOCAL) | {
    f"{prefix}.{name}" for prefix, part in PARTS.items() for name in methods(part)
}
URGENT: Final = ("control.stop_all", "runs.emergency")
"""Calls that wait for no worker."""
WORKERS: Final = 16
"""Calls answered side by side: one may wait 30 s for a device, the others must not."""


def _is_stop(frame: frames.Frame) -> bool:
    """Return whether a call must not wait for a worker, whatever all of them are busy with."""
    try:
        return frames.unpack(frame.body)[0] in URGENT
    except (KymographError, LookupError, TypeError):
        return False  # answered as malformed, in its turn


class _BlockSink:
    """A subscription of one connection."""

    def __init__(self, id: int, streams: list[str], outbox: Outbox) -> None:
        self._id = id
        self._index = {name: i for i, name in enumerate(streams)}
        self._outbox = outbox

    @property
    def rows_lost(self) -> int:
        return self._outbox.rows_dropped

    def put(self, block: Block) -> bool:
        self._outbox.put_block(frames.pack_block(self._id, self._index[block.stream.name], block), block)
        return True


class _Connection:
    """One front, or one command line."""

    def __init__(self, sock: socket.socket, station: Station, pool: ThreadPoolExecutor) -> None:
        self._sock = sock
        self._station = station
        self._pool = pool
        self.outbox = Outbox(sock)
        self._subscriptions: dict[int, Subscription] = {}
        self._events: Subscription | None = None

    def run(self) -> None:
        """Read frames until the other side is gone."""
        try:
            while (frame := frames.receive(self._sock)) is not None:
                if frame.kind == frames.CALL and _is_stop(frame):
                    threading.Thread(
                        target=self._answer, args=(frame,), name="link-stop", daemon=True
                    ).start()
                elif frame.kind == frames.CALL:
                    self._pool.submit(self._answer, frame)
        except (KymographError, OSError) as error:
            log.warning("link closed: %s", error)
        finally:
            for subscription in [*self._subscriptions.values(), *filter(None, [self._events])]:
                subscription.close()
            self.outbox.close()

    def _answer(self, frame: frames.Frame) -> None:
        try:
            method, arguments = frames.unpack(frame.body)
            answer = frames.pack(frames.ANSWER, frame.id, self._call(method, arguments))
        except KymographError as error:
            answer = frames.pack(frames.ERROR, frame.id, error.to_dict())
        except Exception as error:
            log.exception("a call over the link failed")
            facts = {"code": "internal", "message": f"internal error: {type(error).__name__}"}
            answer = frames.pack(frames.ERROR, frame.id, facts)
        self.outbox.put(answer)

    def _call(self, method: str, arguments: Mapping[str, Any]) -> Any:
        if method == "link.subscribe":
            return self._subscribe(arguments["id"], arguments["streams"])
        if method == "link.unsubscribe":
            self._subscriptions.pop(arguments["id"]).close()
            return None
        if method == "link.events":
            self._events = self._events or self._station.on_event(self._send_event)
            return None
        if method == "link.rings":
            return self._station.rings()
        if method not in CALLS:
            raise NotFound(f"the engine has no call {method}")
        called = attrgetter(method)(self._station)
        try:
            inspect.signature(called).bind(**arguments)
        except TypeError as error:
            raise InvalidInput(f"{method}: {error}") from None
        return called(**arguments)

    def _subscribe(self, id: int, streams: list[str]) -> None:
        sink = _BlockSink(id, streams, self.outbox)
        self._subscriptions[id] = self._station.subscribe(streams, sink)

    def _send_event(self, event: dict[str, Any]) -> None:
        self.outbox.put(frames.pack(frames.EVENT, 0, event))


class LinkServer:
    """Listens in the data folder until it is closed."""

    def __init__(self, station: Station, folder: Path) -> None:
        self._station = station
        self._sock = frames.listen(folder)
        self._path = folder / frames.SOCKET_NAME
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="link-call")
        self._connections: set[_Connection] = set()
        self._closed = False
        self._thread = threading.Thread(target=self._accept, name="link-accept", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            if not frames.peer_is_ours(sock):
                sock.close()
                continue
            connection = _Connection(sock, self._station, self._pool)
            self._connections.add(connection)
            if self._closed:
                connection.outbox.close()
            threading.Thread(target=self._serve, args=(connection,), name="link-read", daemon=True).start()

    def _serve(self, connection: _Connection) -> None:
        try:
            connection.run()
        finally:
            self._connections.discard(connection)

    def close(self) -> None:
        """Stop listening and drop every connection."""
        self._closed = True
        self._path.unlink(missing_ok=True)
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # a listening socket may refuse; closing it is what matters
        self._sock.close()
        for connection in list(self._connections):
            connection.outbox.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
