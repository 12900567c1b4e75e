"""The front's side: the engine's service, as if it were in this process."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any, Unpack

from kymograph.acquire.ring import RingView
from kymograph.link import frames
from kymograph.link.outbox import Outbox
from kymograph.link.remote import remote
from kymograph.model.channel import Stream, stream_from_dict
from kymograph.model.errors import KymographError, NotFound, TimedOut, Unavailable, error_from_dict
from kymograph.model.limits import LINK_CALL_TIMEOUT_S
from kymograph.service.contract import (
    BlockSink,
    ControlService,
    Plain,
    RetentionService,
    RunService,
    Terms,
    TriggerService,
)
from kymograph.service.history import RingHistory

log = logging.getLogger(__name__)


class _Subscription:
    """What is undone when somebody has seen enough."""

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo: Callable[[], None] | None = undo

    def close(self) -> None:
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()


class EngineClient(RingHistory):
    """A `StationService` across the link. Calls may come from any thread; sinks and callbacks are called
    from the link's own, and must not call back.

    `on_lost` is called once when the engine is gone.
    """

    def __init__(self, folder: Path, on_lost: Callable[[], None] = lambda: None) -> None:
        self._sock = frames.connect(folder)
        self._outbox = Outbox(self._sock)
        self._on_lost = on_lost
        self._ids = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}
        self._sinks: dict[int, tuple[list[Stream], BlockSink]] = {}
        self._callbacks: tuple[Callable[[Plain], None], ...] = ()
        self._views: dict[str, RingView] = {}
        self._closed = False
        self.control = remote(ControlService, "control", self._call)
        self.runs = remote(RunService, "runs", self._call)
        self.triggers = remote(TriggerService, "triggers", self._call)
        self.retention = remote(RetentionService, "retention", self._call)
        self._thread = threading.Thread(target=self._read, name="link-read", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the engine; calls under way fail."""
        self._closed = True
        self._outbox.close()

    # -- frames ------------------------------------------------------------------------------------------
    def _read(self) -> None:
        try:
            while (frame := frames.receive(self._sock)) is not None:
                self._take(frame)
        except (KymographError, OSError) as error:
            if not self._closed:
                log.warning("link lost: %s", error)
        for waiting in list(self._waiting.values()):
            waiting.set_exception(Unavailable("the engine is gone"))
        if not self._closed:
            self._closed = True
            self._on_lost()

    def _take(self, frame: frames.Frame) -> None:
        if frame.kind == frames.BLOCK:
            streams, sink = self._sinks.get(frame.id, (None, None))
            if streams is not None and sink is not None:
                sink.put(frames.unpack_block(frame.body, streams))
        elif frame.kind == frames.EVENT:
            event = frames.unpack(frame.body)
            for callback in self._callbacks:
                callback(event)
        elif (waiting := self._waiting.pop(frame.id, None)) is not None:
            message = frames.unpack(frame.body)
            if frame.kind == frames.ERROR:
                waiting.set_exception(error_from_dict(message))
            else:
                waiting.set_result(message)

    def _call(self, method: str, **arguments: Any) -> Any:
        if self._closed:
            raise Unavailable("the engine is gone", hint="it is started again by its supervisor")
        id, answer = next(self._ids), Future[Any]()
        self._waiting[id] = answer
        self._outbox.put(frames.pack(frames.CALL, id, [method, arguments]))
        try:
            return answer.result(LINK_CALL_TIMEOUT_S)
        except FutureTimeoutError:
            raise TimedOut(f"the engine did not answer {method} in {LINK_CALL_TIMEOUT_S:g} s") from None
        finally:
            self._waiting.pop(id, None)

    # -- the service ---------------------------------------------------------------------------------------
    def station(self) -> Plain:
        """See `StationService.station`."""
        return self._call("station")

    def instruments(self) -> list[Plain]:
        """See `StationService.instruments`."""
        return self._call("instruments")

    def instrument(self, name: str) -> Plain:
        """See `StationService.instrument`."""
        return self._call("instrument", name=name)

    def drivers(self) -> list[Plain]:
        """See `StationService.drivers`."""
        return self._call("drivers")

    def act(self, instrument: str, action: str) -> Plain:
        """See `StationService.act`."""
        return self._call("act", instrument=instrument, action=action)

    def configure(
        self, instrument: str, options: Mapping[str, Any], port: str | None = None, by: str = ""
    ) -> Plain:
        """See `StationService.configure`."""
        return self._call("configure", instrument=instrument, options=options, port=port, by=by)

    def command(
        self,
        instrument: str,
        command: str,
        arguments: Mapping[str, Any],
        by: str = "",
        **terms: Unpack[Terms],
    ) -> Plain:
        """See `StationService.command`."""
        told = {"instrument": instrument, "command": command, "arguments": arguments}
        return self._call("command", **told, by=by, **terms)

    def streams(self) -> list[Plain]:
        """See `StationService.streams`."""
        return self._call("streams")

    def record_start(self, request: Mapping[str, Any]) -> Plain:
        """See `StationService.record_start`."""
        return self._call("record_start", request=request)

    def record_stop(self, recording_id: str, stop_acquiring: bool = False) -> Plain:
        """See `StationService.record_stop`."""
        return self._call("record_stop", recording_id=recording_id, stop_acquiring=stop_acquiring)

    def promote(self, request: Mapping[str, Any]) -> Plain:
        """See `StationService.promote`."""
        return self._call("promote", request=request)

    def recorders(self) -> list[Plain]:
        """See `StationService.recorders`."""
        return self._call("recorders")

    def annotate(self, recording_id: str, metadata: Mapping[str, Any]) -> Plain:
        """See `StationService.annotate`."""
        return self._call("annotate", recording_id=recording_id, metadata=metadata)

    def mark(self, recording_id: str, body: Mapping[str, Any], by: str = "") -> Plain:
        """See `StationService.mark`."""
        return self._call("mark", recording_id=recording_id, body=body, by=by)

    def delete(self, recording_id: str) -> None:
        """See `StationService.delete`."""
        self._call("delete", recording_id=recording_id)

    def events(self, limit: int = 100) -> list[Plain]:
        """See `StationService.events`."""
        return self._call("events", limit=limit)

    def ring_view(self, stream: str) -> RingView:
        """See `RingHistory.ring_view`."""
        if stream not in self._views:
            rings = self._call("link.rings")
            if stream not in rings:
                raise NotFound(f"there is no stream {stream}", streams=sorted(rings))
            described = rings[stream]
            self._views[stream] = RingView.attach(stream_from_dict(described["stream"]), described["path"])
        return self._views[stream]

    def subscribe(self, streams: Sequence[str], sink: BlockSink) -> _Subscription:
        """See `StationService.subscribe`."""
        id = next(self._ids)
        self._sinks[id] = ([self.ring_view(name).stream for name in streams], sink)
        try:
            self._call("link.subscribe", id=id, streams=list(streams))
        except KymographError:
            self._sinks.pop(id, None)
            raise

        def undo() -> None:
            self._sinks.pop(id, None)
            if not self._closed:
                self._call("link.unsubscribe", id=id)

        return _Subscription(undo)

    def on_event(self, callback: Callable[[Plain], None]) -> _Subscription:
        """See `StationService.on_event`."""
        self._callbacks = (*self._callbacks, callback)
        self._call("link.events")

        def undo() -> None:
            self._callbacks = tuple(other for other in self._callbacks if other is not callback)

        return _Subscription(undo)
