"""The table of readings, which each database has in its own way, and its view for the older system's tools.

SQLite        a table; `id` counts on, also when the newest rows are deleted
PostgreSQL    a table in monthly parts of `time_ns`; a hypertable where the TimescaleDB extension is installed

The view has the older columns, `(id, device_id, ts_utc, ts_local, payload, is_synced)`, and the older name,
`sensor_project.readings`; SQLite, which has no schemas, calls it `sensor_project_readings`. A reading is
synced when each destination that takes readings (`facts.destinations`) has committed it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

from kymograph.model.errors import ConfigError
from kymograph.store.sql.months import MONTH_NS, make_ends

LOCAL_TIME: Final = "(timestamp 'epoch' + (local_ns / 1000) * interval '1 microsecond')"
"""`local_ns` as PostgreSQL's timestamp, exactly as the index has it."""
_UTC_TIME: Final = "((timestamp 'epoch' + (time_ns / 1000) * interval '1 microsecond') AT TIME ZONE 'UTC')"

_SYNCED: Final = """(EXISTS (SELECT 1 FROM {destinations}) AND NOT EXISTS (
    SELECT 1 FROM {destinations} WHERE NOT EXISTS (
        SELECT 1 FROM shipped s JOIN facts e ON e.name = 'epoch' AND s.epoch = CAST(e.value AS BIGINT)
        WHERE s.destination = d.value AND s.stream = 'readings' AND r.id BETWEEN s.first AND s.last)))"""
_NAMES_ON_SQLITE: Final = "json_each((SELECT value FROM facts WHERE name = 'destinations')) d"
_NAMES: Final = (
    "(SELECT jsonb_array_elements_text(value::jsonb) AS value FROM facts WHERE name = 'destinations') d"
)

_SQLITE: Final = (
    """CREATE TABLE readings (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        device_id TEXT NOT NULL,
        time_ns BIGINT NOT NULL,
        local_ns BIGINT NOT NULL,
        payload JSON NOT NULL,
        UNIQUE (device_id, time_ns)
    )""",
    "CREATE INDEX readings_by_local ON readings (local_ns)",
    """CREATE VIEW sensor_project_readings AS SELECT id, device_id,
        strftime('%Y-%m-%d %H:%M:%S', time_ns / 1000000000, 'unixepoch')
            || printf('.%06d', time_ns / 1000 % 1000000) AS ts_utc,
        strftime('%Y-%m-%d %H:%M:%S', local_ns / 1000000000, 'unixepoch')
            || printf('.%06d', local_ns / 1000 % 1000000) AS ts_local,
        payload,
        {synced} AS is_synced
    FROM readings r""".replace("{synced}", _SYNCED.format(destinations=_NAMES_ON_SQLITE)),
)

_POSTGRESQL: Final = (
    "CREATE SEQUENCE readings_id_seq",
    """CREATE TABLE readings (
        id bigint NOT NULL DEFAULT nextval('readings_id_seq'),
        device_id text NOT NULL,
        time_ns bigint NOT NULL,
        local_ns bigint NOT NULL,
        payload jsonb NOT NULL,
        PRIMARY KEY (device_id, time_ns)
    ){partitioned}""",
    "ALTER SEQUENCE readings_id_seq OWNED BY readings.id",
    "CREATE INDEX readings_by_id ON readings (id)",
    f"CREATE INDEX readings_by_local ON readings ({LOCAL_TIME})",
    "CREATE INDEX readings_by_time ON readings USING brin (time_ns)",
)

_VIEW: Final = (
    "CREATE SCHEMA IF NOT EXISTS sensor_project",
    """CREATE VIEW sensor_project.readings AS SELECT r.id, r.device_id,
        {utc} AS ts_utc, {local} AS ts_local, r.payload, {synced} AS is_synced
    FROM readings r""".replace("{utc}", _UTC_TIME)
    .replace("{local}", LOCAL_TIME)
    .replace("{synced}", _SYNCED.format(destinations=_NAMES)),
)


def make_on_sqlite(connection: Connection) -> None:
    """Make table, index and view."""
    for statement in _SQLITE:
        connection.exec_driver_sql(statement)


def make_on_postgresql(connection: Connection) -> None:
    """Make table, first parts, indexes and view.

    Raises:
        ConfigError: the older system's table has the view's name.
    """
    taken = connection.execute(text("SELECT to_regclass('sensor_project.readings')")).scalar()
    if taken is not None:
        raise ConfigError(
            "this database holds a table sensor_project.readings of another program",
            hint="give a database of its own, or rename that table: it is left as it is",
        )
    chunks = connection.execute(text("SELECT count(*) FROM pg_proc WHERE proname = 'create_hypertable'"))
    native = not chunks.scalar_one()
    for statement in _POSTGRESQL:
        partitioned = " PARTITION BY RANGE (time_ns)" if native else ""
        connection.exec_driver_sql(statement.replace("{partitioned}", partitioned))
    if native:
        make_ends(connection)
    else:
        made = (
            "SELECT create_hypertable('readings', 'time_ns', chunk_time_interval => CAST(:width AS bigint))"
        )
        connection.execute(text(made), {"width": MONTH_NS})
    for statement in _VIEW:
        connection.exec_driver_sql(statement)
