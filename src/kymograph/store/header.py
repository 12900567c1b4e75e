"""What a file should say of the recording it is from, the same whether it was sealed, merged or exported."""

from __future__ import annotations

import json
from typing import Any

from kymograph.model.recording import Recording
from kymograph.store.formats.instants import to_word


def attributes(recording: Recording, stream: str, station_id: str, station: str) -> dict[str, Any]:
    """Return the attributes of a `Header` for one stream of a recording."""
    return {
        "station": station,
        "station_id": station_id,
        "recording": recording.name,
        "recording_id": recording.id,
        "stream": stream,
        "instrument": stream.partition(".")[0],
        "started": to_word(recording.started_ns),
        "metadata": json.dumps(dict(recording.metadata), ensure_ascii=False),
        "origin": json.dumps(dict(recording.origin), ensure_ascii=False),
    }
