"""What a station has recorded, read from its folder as it is."""

import msgspec
import numpy as np

from kymograph.store.reader import RecordingReader


def counters(station, recording_id):
    """Return (seq, counter) of every recorded row, read from the folder as it is."""
    [folder] = [
        path.parent
        for path in (station.data / "recordings").glob("*/recording.json")
        if msgspec.json.decode(path.read_bytes())["id"] == recording_id
    ]
    seqs, values = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for block in RecordingReader(folder).blocks("gen"):
        seqs.append(np.arange(block.seq, block.seq + block.rows))
        values.append(block.columns()[0])
    return np.concatenate(seqs), np.concatenate(values)
