"""The station file: its tables (`tables` and those beside it) and how it is read (`station_file`)."""

from kymograph.config.keeping import DatabaseTable, ReadingsTable, RetentionTable
from kymograph.config.shipping import DestinationTable, HubTable
from kymograph.config.station_file import load, parse
from kymograph.config.tables import (
    Config,
    ControlTable,
    InstrumentTable,
    Override,
    RecordingTable,
    RingTable,
    StationTable,
    WebTable,
)

__all__ = [
    "Config", "ControlTable", "DatabaseTable", "DestinationTable", "HubTable", "InstrumentTable", "Override",
    "ReadingsTable", "RecordingTable", "RetentionTable", "RingTable", "StationTable", "WebTable",
    "load", "parse",
]  # fmt: skip
