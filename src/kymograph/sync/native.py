"""A Kymograph station as the source of a mirror."""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote

from kymograph.model.names import safe_name
from kymograph.model.recording import recording_from_dict, segment_from_dict
from kymograph.sync.source import Offer, OpenFile, readable
from kymograph.sync.transfer import Answer, Pieces, Transfer


class Native:
    """Asks `/v1`. Descriptions and manifests are asked for with the tag of the last answer."""

    kind = "kymograph"

    def __init__(self, transfer: Transfer, station: str, station_id: str) -> None:
        self.url = transfer.url
        self.station = station
        self.station_id = station_id
        self._transfer = transfer
        self._name = safe_name(socket.gethostname().strip(".") or "mirror")
        self._answers: dict[str, Answer] = {}

    def ids(self, wanted: Collection[str], known: Collection[str]) -> list[str]:
        """See `Source.ids`."""
        with readable(self.url):
            return self._ids(wanted)

    def _ids(self, wanted: Collection[str]) -> list[str]:
        found: list[str] = []
        cursor = ""
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = self._transfer.get("/v1/recordings", limit=1000, **more).json()
            for one in page["items"]:
                if not wanted or one["id"] in wanted or one["name"] in wanted:
                    found.append(one["id"])
            cursor = page.get("next") or ""
            if not cursor:
                return list(dict.fromkeys(found))

    def offer(self, id: str) -> Offer:
        """See `Source.offer`."""
        with readable(self.url):
            recording = recording_from_dict(self._cached(f"{_path(id)}/files/recording.json").json())
            manifest = self._cached(f"{_path(id)}/manifest").json()
            segments = tuple(segment_from_dict(one) for one in manifest["segments"])
            deleted = tuple(segment_from_dict(one) for one in manifest.get("deleted") or ())
        return Offer(recording, recording.running, segments, deleted)

    def _cached(self, path: str) -> Answer:
        before = self._answers.get(path)
        answer = self._transfer.get(path, tag=before.tag if before else "")
        if answer.status == 304 and before is not None:
            return before
        self._answers[path] = answer
        return answer

    def open_files(self, id: str) -> list[OpenFile]:
        """See `Source.open_files`."""
        told = self._transfer.get(f"{_path(id)}/files", without="sealed").json()
        with readable(self.url):
            return [OpenFile(one["filename"], one["kind"], one["size_bytes"]) for one in told["items"]]

    def small(self, id: str, filename: str) -> bytes:
        """See `Source.small`."""
        return self._transfer.get(f"{_path(id)}/files/{quote(filename)}").body

    def fetch(self, id: str, filename: str, offset: int, tag: str) -> AbstractContextManager[Pieces | None]:
        """See `Source.fetch`."""
        return self._transfer.open(f"{_path(id)}/files/{quote(filename)}", offset, tag)

    def report(self, id: str, told: Mapping[str, Any]) -> None:
        """See `Source.report`."""
        self._transfer.send("PUT", f"{_path(id)}/mirrors/{self._name}", told)


def _path(id: str) -> str:
    return f"/v1/recordings/{quote(id, safe='')}"
