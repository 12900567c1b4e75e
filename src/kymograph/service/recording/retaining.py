"""What retention has the engine do: delete sealed files of recordings, and pin recordings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kymograph.model.clock import Clock
from kymograph.model.errors import Conflict
from kymograph.service.contract import Plain
from kymograph.service.recording.recordings import Recordings
from kymograph.store.segments import merge_targets

log = logging.getLogger(__name__)

SOURCE: Final = "retention"


class Retaining:
    """The one implementation of `RetentionService`. Methods may be called from any thread."""

    def __init__(
        self,
        recordings: Recordings,
        clock: Clock,
        notice: Callable[[str, str, dict[str, Any]], None],
        note: Callable[[str, str, Mapping[str, Any]], None],
    ) -> None:
        """`notice` tells an event, `note` writes a line of the audit."""
        self._recordings = recordings
        self._clock = clock
        self._notice = notice
        self._note = note

    def thin(self, recording_id: str, filenames: Sequence[str], reason: str) -> Plain:
        """See `RetentionService.thin`."""
        files = self._recordings.files(recording_id)
        with self._recordings.unchanging(recording_id):
            recording = files.recording()
            listed, _ = files.manifest()
            refusals = {
                "pinned": recording.pinned,
                "running": recording.running or self._recordings.find(recording_id) is not None,
                "mirrored": files.mirrored,
                "not sealed yet": bool(files.journals()),
                "not merged yet": recording.merge and bool(merge_targets(recording, listed)),
            }
            for why, applies in refusals.items():
                if applies:
                    raise Conflict(f"{recording.name} is {why}: nothing of it is deleted", reason=why)
            gone = files.delete_sealed(recording.id, filenames, reason, self._clock.now_ns())
        self._recordings.refresh(recording_id)
        names = [segment.filename for segment in gone]
        told: Plain = {
            "deleted": names, "rows": sum(segment.rows for segment in gone),
            "size_bytes": sum(segment.size_bytes for segment in gone),
        }  # fmt: skip
        if gone:
            body = {"recording_id": recording_id, "name": recording.name, "reason": reason, **told}
            log.info("%d files of %s were deleted: %s", len(names), recording.name, reason)
            self._note(SOURCE, "thinned", {**body, "deleted": len(names), "files": names[:100]})
            self._notice(SOURCE, "state", {**body, "deleted": len(names)})
        return told

    def pin(self, recording_id: str, pinned: bool, by: str = "") -> Plain:
        """See `RetentionService.pin`."""
        changed = self._recordings.pin(recording_id, pinned)
        self._note(by, "pinned" if pinned else "unpinned", {"recording_id": recording_id})
        return changed.to_dict()

    def lost(self, body: Mapping[str, Any]) -> None:
        """See `RetentionService.lost`."""
        self._note(SOURCE, "unsynced loss", body)
        self._notice(SOURCE, "alarm", dict(body))
