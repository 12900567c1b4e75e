"""Where a recording is asked for: which streams it is of, what of the past it begins with, and its end."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kymograph import __version__
from kymograph.model import limits, status
from kymograph.model.clock import Clock
from kymograph.model.errors import Conflict, DeviceSilent, InvalidInput, KymographError
from kymograph.model.event import Event
from kymograph.model.recording import Recording
from kymograph.service.chronicle import Chronicle
from kymograph.service.contract import Plain
from kymograph.service.instruments import Instruments, Notice
from kymograph.service.recording.pretrigger import CatchUp, Span, find_span
from kymograph.service.recording.recordings import Recordings
from kymograph.store.recorder import Recorder

log = logging.getLogger(__name__)

FIRST_ROW_TIMEOUT_S: Final = 4.0
"""How long `begin_acquiring` waits for a row of each stream; the lidar's contract allows 5 s in all."""
BEGUN_BY: Final = "begun_by"
"""Key of a recording's origin: what began it, where it was not a person."""
AUTOSTART: Final = "autostart"
PROMOTE: Final = "promote"
TRIGGER: Final = "trigger/"
PAST_TIMEOUT_S: Final = 20.0
"""How long the end of a recording waits for rows that are still on their way from the ring."""
PAST_EVENTS_S: Final = 1.0
"""How long a beginning waits for the events of its past to be written down; they come all the same."""
SHUTDOWN_PAST_S: Final = 2.0
"""The same, at the end of the station."""


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
        self._past: dict[str, CatchUp] = {}
        """By recording: what brings it the past and then what comes live."""

    def start(self, request: Mapping[str, Any], begun_by: str = "", at_ns: int | None = None) -> Plain:
        """Begin a recording; see `StationService.record_start`.

        One that a trigger began takes up at `at_ns`, stands beside others, and is in nobody's way.
        """
        names = self._wanted(request)
        pre_s = _seconds(request, "pre_s", 0.0)
        spans = self._spans(names, pre_s, at_ns) if pre_s or at_ns is not None else []
        request = {**request, "metadata": {**(request.get("metadata") or {}), **_told(pre_s, spans)}}
        recording = self._reserve(request, names, spans, begun_by, begun_by.startswith(TRIGGER))
        began: list[str] = []
        try:
            if request.get("begin_acquiring"):
                began = self._begin_acquiring(
                    names, float(request.get("first_row_timeout_s") or FIRST_ROW_TIMEOUT_S)
                )
            recorder = self._recordings.begin(recording, request.get("attachments"))
        except BaseException:
            self._recordings.release(recording)
            self._cease(began)
            raise
        recording = recorder.recording
        self._began[recording.id] = began
        self._past_events(recorder, spans)
        if spans:
            self._catch_up(recorder, spans, only_past=False)
        else:
            self.listen(recording)
        self._begun(recording, spans)
        return recording.to_dict()

    def promote(self, request: Mapping[str, Any]) -> Plain:
        """Record what the rings hold of the last seconds; see `StationService.promote`."""
        names = self._wanted(request)
        seconds = _seconds(request, "seconds", None)
        spans = self._spans(names, seconds, None)
        if not any(span.rows for span in spans):
            raise Conflict("there is nothing yet to be kept", hint="wait until an instrument acquires")
        told = {"promoted_s": seconds, "promoted_s_given": _given(spans)}
        request = {**request, "metadata": {**(request.get("metadata") or {}), **told}}
        recording = self._reserve(request, names, spans, PROMOTE, beside=True)
        try:
            recorder = self._recordings.begin(recording)
        except BaseException:
            self._recordings.release(recording)
            raise
        self._past_events(recorder, spans)
        self._begun(recorder.recording, spans)
        self._catch_up(recorder, spans, only_past=True)
        return recorder.recording.to_dict()

    def resume(self, recording: Recording) -> None:
        """Go on with a recording that a crash cut off; what stood beside it has lost its end, and ends."""
        recorder = self._recordings.begin(recording)
        by = str(recording.origin.get(BEGUN_BY, ""))
        if by == PROMOTE or by.startswith(TRIGGER):
            threading.Thread(target=recorder.stop, args=("crash",), name="recorder-end", daemon=True).start()
        else:
            self.listen(recorder.recording)

    def autostart(self, name: str) -> None:
        """Begin the recording that a station makes by itself, of all that nothing else records."""
        if any(r.recording.origin.get(BEGUN_BY) == AUTOSTART for r in self._recordings.running()):
            return
        taken = self._recordings.recorded()
        streams = [stream for stream in self._instruments.stream_names if stream not in taken]
        if not streams:
            log.info("nothing is left to be recorded from the start")
            return
        try:
            self.start({"name": name, "streams": streams}, AUTOSTART)
        except KymographError as error:
            log.error("%s cannot be recorded from the start: %s", name, error)
            self._notice("recorder", "alarm", {"text": f"nothing is recorded from the start: {error}"})

    def _reserve(
        self, request: Mapping[str, Any], names: Sequence[str], spans: Sequence[Span], by: str, beside: bool
    ) -> Recording:
        streams = [self._instruments.stream(name) for name in names]
        origin = self._origin(names) | ({BEGUN_BY: by} if by else {})
        first = [span.first_ns for span in spans if span.first_ns is not None]
        return self._recordings.reserve(request, streams, origin, min(first, default=None), beside)

    def _spans(self, names: Sequence[str], seconds: float, at_ns: int | None) -> list[Span]:
        now_ns = self._clock.now_ns() if at_ns is None else at_ns
        return [find_span(self._instruments.rings[name].view(), seconds, now_ns) for name in names]

    def _catch_up(self, recorder: Recorder, spans: Sequence[Span], only_past: bool) -> None:
        recording = recorder.recording
        for ended in [id for id in self._past if self._recordings.find(id) is None]:
            gone = self._past.pop(ended, None)  # of recordings that the disk has ended
            if gone is not None:
                gone.finish(0.0)
        parts = [
            (self._instruments.rings[span.stream].view(), span, self._instruments.fanout(span.stream))
            for span in spans
        ]
        done = (lambda: self._promoted(recording.id)) if only_past else lambda: None
        self._past[recording.id] = past = CatchUp(recorder, parts, only_past, done)
        past.start()

    def _promoted(self, recording_id: str) -> None:
        try:
            self.stop(recording_id)
        except KymographError as error:
            log.info("what was promoted has ended otherwise: %s", error)

    def _past_events(self, recorder: Recorder, spans: Sequence[Span]) -> None:
        """Let the recording know what happened in its past: commands, trips, silences."""
        since = [span.first_ns for span in spans if span.first_ns is not None]
        if since:
            told = self._chronicle.replay(recorder.folder.events, recorder.add_event, min(since))
            told.wait(PAST_EVENTS_S)

    def _begun(self, recording: Recording, spans: Sequence[Span]) -> None:
        body: Plain = {"recording_id": recording.id, "name": recording.name, "state": "recording"}
        if spans:
            given = {span.stream: {"rows": span.rows, "given_s": span.given_s} for span in spans}
            past = {"text": f"begins {_given(spans):g} s back", "streams": given}
            event = Event(str(uuid.uuid4()), self._clock.now_ns(), "recorder", "state", {**body, **past})
            self._recordings.add_event(recording.id, event)
            body["past_s"] = _given(spans)
        self._notice("recorder", "state", body)

    def listen(self, recording: Recording) -> None:
        """Let the recorder of a recording have what its streams deliver from now on."""
        recorder = self._recordings.find(recording.id)
        known = set(self._instruments.stream_names)
        for stream in recording.streams:
            if recorder is not None and stream.name in known:
                self._instruments.fanout(stream.name).add(recorder)

    def unlisten(self, recording: Recording, timeout_s: float = PAST_TIMEOUT_S) -> None:
        """Let it have no more than what was acquired until now."""
        past = self._past.pop(recording.id, None)
        if past is not None:
            past.finish(timeout_s)
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


def _seconds(request: Mapping[str, Any], key: str, default: float | None) -> float:
    given = request.get(key, default)
    right = isinstance(given, int | float) and not isinstance(given, bool)
    if not right or not 0 <= given <= limits.PRE_TRIGGER_S_MAX:
        raise InvalidInput(
            f"{key} = {given!r}", allowed=f"0 to {limits.PRE_TRIGGER_S_MAX:g} s", hint="give seconds"
        )
    return float(given)


def _given(spans: Sequence[Span]) -> float:
    """Return how far back all streams go."""
    return min((span.given_s for span in spans), default=0.0)


def _told(pre_s: float, spans: Sequence[Span]) -> Plain:
    """Return what the metadata says of a past that was asked for."""
    return {"pre_s": pre_s, "pre_s_given": _given(spans)} if pre_s else {}


def _picked(whole: Plain, *keys: str) -> Plain:
    return {key: whole[key] for key in keys}
