"""Events and sealed files of other stations, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, tuple_

from kymograph.store.sql.holdings import upsert
from kymograph.store.sql.tables import events, segments


def add_events(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
    """Add events of `station id revision time_ns source kind recording_id body`; return how many are new."""
    return _added(connection, events, rows)


def add_segments(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
    """Add sealed files; return how many are new."""
    return _added(connection, segments, rows)


def _added(connection: Connection, table: Any, rows: Sequence[Mapping[str, Any]]) -> int:
    if not rows:
        return 0
    new = upsert(connection, table).on_conflict_do_nothing().returning(table.c.seq)
    return len(connection.execute(new, list(rows)).all())


def other_hashes(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of files, of one station, that are known with other bytes."""
    c = segments.c
    found: list[str] = []
    for begin in range(0, len(rows), 200):
        part = {(row["recording_id"], row["filename"]): row["sha256"] for row in rows[begin : begin + 200]}
        asked = select(c.recording_id, c.filename, c.sha256).where(
            c.station == rows[begin]["station"], tuple_(c.recording_id, c.filename).in_(list(part))
        )
        known = connection.execute(asked).all()
        found += [row.filename for row in known if part[row.recording_id, row.filename] != row.sha256]
    return found


def recordings_of(
    connection: Connection, station: str, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """Return what is held of a station's recordings, the newest arrival first: files, bytes, times."""
    c = segments.c
    newest = func.max(c.seq)
    asked = (
        select(
            c.recording_id, newest.label("arrived"), func.count().label("segments"),
            func.sum(c.size_bytes).label("size_bytes"),
            func.min(c.first_ns).label("first_ns"), func.max(c.last_ns).label("last_ns"),
        )
        .where(c.station == station).group_by(c.recording_id).order_by(newest.desc()).limit(limit)
    )  # fmt: skip
    if before is not None:
        asked = asked.having(newest < before)
    found = [dict(row) for row in connection.execute(asked).mappings()]
    described = select(c.seq, c.facts).where(c.seq.in_([one["arrived"] for one in found]))
    facts = {row.seq: row.facts for row in connection.execute(described)}
    for one in found:
        one["size_bytes"] = int(one["size_bytes"])
        one["recording"] = facts[one["arrived"]].get("recording") or {}
    return found


def segments_of(connection: Connection, station: str, recording_id: str) -> list[dict[str, Any]]:
    """Return the files that are held of a recording, as they were shipped, in order of their names."""
    c = segments.c
    asked = select(c.facts).where(c.station == station, c.recording_id == recording_id)
    return [dict(facts) for facts in connection.execute(asked.order_by(c.filename)).scalars()]


def segment(connection: Connection, station: str, recording_id: str, filename: str) -> dict[str, Any] | None:
    """Return one file of a recording as it was shipped, None if it is not held."""
    c = segments.c
    which = [c.station == station, c.recording_id == recording_id, c.filename == filename]
    facts = connection.execute(select(c.facts).where(*which)).scalar()
    return None if facts is None else dict(facts)
