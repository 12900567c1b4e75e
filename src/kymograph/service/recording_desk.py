"""Where a recording is asked for: which streams it is of, what has to acquire for it, and its end."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kymograph import __version__
from kymograph.model import status
from kymograph.model.clock import Clock
from kymograph.model.errors import DeviceSilent, InvalidInput, KymographError
from kymograph.model.event import Event
from kymograph.model.recording import Recording
from kymograph.service.chronicle import Chronicle
from kymograph.service.contract import Plain
from kymograph.service.instruments import Instruments, Notice
from kymograph.service.recordings import Recordings

log = logging.getLogger(__name__)

FIRST_ROW_TIMEOUT_S: Final = 4.0
"""How long `begin_acquiring` waits for a row of each stream; the lidar's contract allows 5 s in all."""


class RecordingDesk:
    """Begins, ends and annotates recordings of what the instruments deliver. Any thread may call."""

    def __init__(
        self,
        station: Plain,
        instruments: Instruments,
        recordings: Recordings,
        chronicle: Chronicle,
        clock: Clock,
        notice: Notice,
    ) -> None:
        """`station` is what a recording says of where it was made."""
        self._station = station
        self._instruments = instruments
        self._recordings = recordings
        self._clock = clock
        self._chronicle = chronicle
        self._notice = notice
        self._began: dict[str, list[str]] = {}
        """Instruments that a recording started to acquire, and that its end stops, by recording."""

    def start(self, request: Mapping[str, Any]) -> Plain:
        """Begin a recording; see `StationService.record_start`."""
        names = self._wanted(request)
        streams = [self._instruments.stream(name) for name in names]
        recording = self._recordings.reserve(request, streams, self._origin(names))
        began: list[str] = []
        try:
            if request.get("begin_acquiring"):
                began = self._begin_acquiring(
                    names, float(request.get("first_row_timeout_s") or FIRST_ROW_TIMEOUT_S)
                )
            recording = self._recordings.begin(recording, request.get("attachments")).recording
        except BaseException:
            self._recordings.release(recording)
            self._cease(began)
            raise
        self._began[recording.id] = began
        self.listen(recording)
        self._notice(
            "recorder", "state", {"recording_id": recording.id, "name": recording.name, "state": "recording"}
        )
        return recording.to_dict()

    def listen(self, recording: Recording) -> None:
        """Let the recorder of a recording have what its streams deliver from now on."""
        recorder = self._recordings.find(recording.id)
        known = set(self._instruments.stream_names)
        for stream in recording.streams:
            if recorder is not None and stream.name in known:
                self._instruments.fanout(stream.name).add(recorder)

    def unlisten(self, recording: Recording) -> None:
        """Let it have no more."""
        recorder = self._recordings.find(recording.id)
        for stream in recording.streams:
            if recorder is not None and stream.name in self._instruments.stream_names:
                self._instruments.fanout(stream.name).remove(recorder)

    def stop(self, recording_id: str, stop_acquiring: bool = False) -> Plain:
        """End a recording; see `StationService.record_stop`."""
        recorder = self._recordings.find(recording_id)
        if recorder is not None:
            self.unlisten(recorder.recording)
        ended = self._recordings.end(recording_id)
        began = self._began.pop(recording_id, [])
        if stop_acquiring:
            self._cease(began)
        self._notice(
            "recorder", "state", {"recording_id": ended.id, "name": ended.name, "state": ended.ended}
        )
        return ended.to_dict()

    def mark(self, recording_id: str, body: Mapping[str, Any], by: str = "") -> Plain:
        """Add a mark; see `StationService.mark`."""
        if not body:
            raise InvalidInput("a mark without a body", hint='give for example {"text": "door opened"}')
        said = dict(body)
        time_ns = said.pop("time_ns", None)
        if not isinstance(time_ns, int) or isinstance(time_ns, bool):
            time_ns = self._clock.now_ns()
        event = Event(str(uuid.uuid4()), time_ns, f"user/{by or 'local'}", "mark", said)
        self._recordings.add_event(recording_id, event)
        self._chronicle.show(event)
        return event.to_dict()

    def delete(self, recording_id: str) -> None:
        """Delete a recording; see `StationService.delete`."""
        self._recordings.delete(recording_id)
        self._notice("recorder", "state", {"recording_id": recording_id, "state": "deleted"})

    def _wanted(self, request: Mapping[str, Any]) -> list[str]:
        streams: list[str] = list(request.get("streams") or [])
        instruments: list[str] = list(request.get("instruments") or [])
        for name in instruments:
            streams += [stream.name for stream in self._instruments.get(name).streams]
        for name in streams:
            self._instruments.of_stream(name)
        return list(dict.fromkeys(streams or self._instruments.stream_names))

    def _origin(self, streams: Sequence[str]) -> Plain:
        makers = {self._instruments.of_stream(name).name for name in streams}
        made_by = {
            name: {
                **_picked(self._instruments.status(name), "driver", "device", "port", "simulated"),
                "options": self._instruments.options(name),
            }
            for name in sorted(makers)
        }
        return {
            **self._station,
            "kymograph": __version__,
            "instruments": made_by,
        }

    def _begin_acquiring(self, streams: Sequence[str], timeout_s: float) -> list[str]:
        """Open and start what makes these streams, wait for a row of each; undo all if that fails."""
        deadline = time.monotonic() + timeout_s
        began: list[str] = []
        seen = {name: self._rows(name) for name in streams}
        try:
            for name in dict.fromkeys(self._instruments.of_stream(stream).name for stream in streams):
                instrument = self._instruments.get(name)
                if instrument.status().state != status.ACQUIRING:
                    began.append(name)
                    instrument.act("start", max(deadline - time.monotonic(), 0.1))
            while late := [
                name for name, rows in seen.items() if self._instruments.rings[name].view().extent[1] == rows
            ]:
                if time.monotonic() > deadline:
                    raise DeviceSilent(f"no data from {', '.join(late)} within {timeout_s:g} s")
                time.sleep(0.01)
        except KymographError:
            self._cease(began)
            raise
        return began

    def _rows(self, stream: str) -> int:
        return self._instruments.rings[stream].view().extent[1]

    def _cease(self, instruments: Sequence[str]) -> None:
        for name in instruments:
            try:
                self._instruments.get(name).act("close")
            except KymographError as error:
                log.warning("%s could not be closed: %s", name, error)


def _picked(whole: Plain, *keys: str) -> Plain:
    return {key: whole[key] for key in keys}
