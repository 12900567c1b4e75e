"""A station from a Python script or a notebook.

    from kymograph.client import connect

    with connect("http://station.local:8000", key="kym_…") as client:
        with client.recording("dive", metadata={"site": "north wall"}) as recording:
            for batch in client.live("sensor", seconds=60):
                print(batch)
        print(recording.completeness())
        table = recording.to_pandas()

Rows come as NumPy columns with int64 UTC nanoseconds and units; rows that do not come are told as `Gap`.
Errors are those of `errors`, each with a hint. pandas, polars and Arrow are imported when they are asked for.
"""

from kymograph.client.client import Client, Station, connect
from kymograph.client.completeness import Completeness, Missing
from kymograph.client.frame import Batch, Frame, Gap, RowsMissing
from kymograph.client.instrument import Instrument
from kymograph.client.live import Live, LiveOptions
from kymograph.client.moments import Moment, to_datetime64, to_ns
from kymograph.client.recording import Part, Recording
from kymograph.client.recordings import RecordingOptions, Recordings
from kymograph.client.stream import LiveStream, Row
from kymograph.model import errors
from kymograph.model.block import Cursor
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import KymographError
from kymograph.model.event import Event

__all__ = [
    "Batch", "Channel", "Client", "Completeness", "Cursor", "Event", "Frame", "Gap", "Instrument",
    "KymographError", "Live", "LiveOptions", "LiveStream", "Missing", "Moment", "Part", "Recording",
    "RecordingOptions", "Recordings", "Row", "RowsMissing", "Station", "Stream", "connect", "errors",
    "to_datetime64", "to_ns",
]  # fmt: skip
