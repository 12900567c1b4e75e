"""The tables, on an edge and on a hub the same. What makes and changes them: `migrations`.

Times are whole nanoseconds since 1970 UTC (`…_ns`); `local_ns` is what the clock on the wall said, as if that
were UTC. Views with the older system's names make timestamps of them (`migrations`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

tables: Final = MetaData()

_Json: Final = JSON().with_variant(JSONB(), "postgresql")
_Number: Final = BigInteger()
_Id: Final = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts by itself in a column that is exactly INTEGER PRIMARY KEY."""

facts: Final = Table(
    "facts",
    tables,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)
"""What the database says of itself: `epoch`, the ns at which it was made, under which its ids are seqs."""

readings: Final = Table(
    "readings",
    tables,
    Column("id", _Id, Identity(), nullable=False),
    Column("device_id", String, nullable=False),
    Column("time_ns", _Number, nullable=False),
    Column("local_ns", _Number, nullable=False),
    Column("payload", _Json, nullable=False),
    sqlite_autoincrement=True,
)
"""One reading, known by device and time. `id` is its seq where it was made, the order of arrival on a hub.

How its keys and partitions are made differs between the databases: see `migrations`.
"""

events: Final = Table(
    "events",
    tables,
    Column("seq", _Id, Identity(), primary_key=True),
    Column("station", String, nullable=False),
    Column("id", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("time_ns", _Number, nullable=False),
    Column("source", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("recording_id", String),
    Column("body", _Json, nullable=False),
    Index("events_identity", "station", "id", "revision", unique=True),
    Index("events_by_time", "station", "kind", "time_ns"),
    sqlite_autoincrement=True,
)

segments: Final = Table(
    "segments",
    tables,
    Column("seq", _Id, Identity(), primary_key=True),
    Column("station", String, nullable=False),
    Column("recording_id", String, nullable=False),
    Column("filename", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("size_bytes", _Number, nullable=False),
    Column("first_ns", _Number),
    Column("last_ns", _Number),
    Column("facts", _Json, nullable=False),
    Index("segments_identity", "station", "recording_id", "filename", unique=True),
    Index("segments_by_hash", "sha256"),
    sqlite_autoincrement=True,
)
"""A sealed file of a recording; `facts` is the row as it is shipped, with the recording's description."""

shipped: Final = Table(
    "shipped",
    tables,
    Column("destination", String, primary_key=True),
    Column("stream", String, primary_key=True),
    Column("epoch", _Number, primary_key=True),
    Column("first", _Number, primary_key=True),
    Column("last", _Number, nullable=False),
)
"""On an edge: what a destination has committed, as ranges that are apart."""

held: Final = Table(
    "held",
    tables,
    Column("station", String, primary_key=True),
    Column("stream", String, primary_key=True),
    Column("epoch", _Number, primary_key=True),
    Column("first", _Number, primary_key=True),
    Column("last", _Number, nullable=False),
)
"""On a hub: what was committed of a station's stream, as ranges that are apart."""

told: Final = Table(
    "told",
    tables,
    Column("station", String, primary_key=True),
    Column("stream", String, primary_key=True),
    Column("epoch", _Number, primary_key=True),
    Column("first", _Number, nullable=False),
    Column("next", _Number, nullable=False),
    Column("newest_ns", _Number),
    Column("told_ns", _Number, nullable=False),
    Column("said", _Number, nullable=False),
    Column("base", _Number, nullable=False),
    Column("complete_ns", _Number),
)
"""On a hub: what a station says that it has made, up to `next` (exclusive).

`said` is that number as it said it last, before what came since; `base` the lowest row number that was ever
told or came; `complete_ns` the time of the newest row when nothing was owed last.
"""

batches: Final = Table(
    "batches",
    tables,
    Column("station", String, primary_key=True),
    Column("stream", String, primary_key=True),
    Column("epoch", _Number, primary_key=True),
    Column("first", _Number, primary_key=True),
    Column("last", _Number, primary_key=True),
    Column("sha256", String, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("received_ns", _Number, nullable=False),
)
"""On a hub: each batch that was taken, so that the same one is known again."""

rejects: Final = Table(
    "rejects",
    tables,
    Column("id", _Id, Identity(), primary_key=True),
    Column("station", String, nullable=False),
    Column("stream", String, nullable=False),
    Column("epoch", _Number, nullable=False),
    Column("first", _Number, nullable=False),
    Column("last", _Number, nullable=False),
    Column("sha256", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("received_ns", _Number, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("rejects_once", "station", "stream", "epoch", "first", "last", "sha256", unique=True),
)
"""On a hub: batches that could not be taken (`dead`), or contradict what is held (`quarantined`)."""

stations: Final = Table(
    "stations",
    tables,
    Column("name", String, primary_key=True),
    Column("title", String, nullable=False, server_default=""),
    Column("place", String, nullable=False, server_default=""),
    Column("latitude", Double),
    Column("longitude", Double),
    Column("interval_s", Double),
    Column("version", String, nullable=False, server_default=""),
    Column("first_seen_ns", _Number),
    Column("last_seen_ns", _Number),
    Column("newest_ns", _Number),
    Column("newest", _Json),
    Column("facts", _Json, nullable=False),
)
"""On a hub: who ships, or posts readings. `newest` is the payload of its newest reading, at `newest_ns`; what
a clock has dated into the future does not count as that."""

keys: Final = Table(
    "keys",
    tables,
    Column("id", String, primary_key=True),
    Column("station", String, nullable=False),
    Column("label", String, nullable=False, server_default=""),
    Column("sha256", String, nullable=False, unique=True),
    Column("created_ns", _Number, nullable=False),
    Column("used_ns", _Number),
    Column("revoked_ns", _Number),
)
"""Keys bound to a station: they may ship its rows, and nothing else. Kept is the hash of the token only."""

rollups: Final = Table(
    "rollups",
    tables,
    Column("device_id", String, primary_key=True),
    Column("field", String, primary_key=True),
    Column("width_s", Integer, primary_key=True),
    Column("start_ns", _Number, primary_key=True),
    Column("n", _Number, nullable=False),
    Column("minimum", Double, nullable=False),
    Column("mean", Double, nullable=False),
    Column("maximum", Double, nullable=False),
    Column("m2", Double, nullable=False),
)
"""n, smallest, mean, largest, and the sum of squared deviations, of one field in one hour or day."""

minutes: Final = Table(
    "minutes",
    tables,
    Column("device_id", String, primary_key=True),
    Column("field", String, primary_key=True),
    Column("start_ns", _Number, primary_key=True),
    Column("buckets", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""The minutes of a field in one hour, packed: as rows they would weigh more than what they sum up."""

fields: Final = Table(
    "fields",
    tables,
    Column("device_id", String, primary_key=True),
    Column("field", String, primary_key=True),
)
"""Which numbers a device's readings have, by their dotted path."""

dirty: Final = Table(
    "dirty",
    tables,
    Column("id", _Id, Identity(), primary_key=True),
    Column("device_id", String, nullable=False),
    Column("start_ns", _Number, nullable=False),
    Index("dirty_by_device", "device_id", "start_ns"),
)
"""Hours of which readings have come since they were rolled up; written in the transaction of the readings.

One row a transaction and hour, never changed: nobody waits for another, and what is settled is what was seen.
"""

thinned: Final = Table(
    "thinned",
    tables,
    Column("device_id", String, primary_key=True),
    Column("start_ns", _Number, primary_key=True),
    Column("times", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""Hours of which raw readings were deleted. `times` are those of all readings in their roll-ups, still
there or not: so each is merged once, whoever brings it again."""

tombstones: Final = Table(
    "tombstones",
    tables,
    Column("id", _Id, Identity(), primary_key=True),
    Column("time_ns", _Number, nullable=False),
    Column("device_id", String, nullable=False),
    Column("stream", String, nullable=False),
    Column("what", String, nullable=False),
    Column("first", _Number),
    Column("last", _Number),
    Column("first_ns", _Number),
    Column("last_ns", _Number),
    Column("rows", _Number, nullable=False),
    Column("size_bytes", _Number, nullable=False),
    Column("reason", Text, nullable=False),
    Column("sha256", String, nullable=False),
)
"""What was deleted on purpose, when and why: every gap stays explainable."""
