"""`[database]`, `[readings]`, `[retention]`: what a station composes, where it is kept, and for how long.

[database]
url = "postgresql://weather@localhost/weather"     # left out: SQLite, in the data folder

[readings]
interval_s = 60
instruments = ["bme280", "cpu_temp", "disk_space"]

[retention]
used_percent_max = 50         # of the disk; above, what has arrived elsewhere is thinned
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from pydantic import Field

from kymograph.config.base import Name, Names, Table

SQLITE_FILENAME = "kymograph.db"


class DatabaseTable(Table):
    """`[database]`: one address, or its parts; neither means SQLite in the data folder."""

    url: str = ""
    host: str = ""
    port: int = Field(default=5432, ge=1, le=65535)
    name: str = ""
    user: str = ""
    password: str = ""

    def address(self, data: Path) -> str:
        """Return the address as SQLAlchemy spells it."""
        if self.url:
            plain = self.url.partition("://")
            return f"postgresql+psycopg://{plain[2]}" if plain[0] in ("postgres", "postgresql") else self.url
        if self.host or self.name:
            secret = f":{quote(self.password, safe='')}" if self.password else ""
            who = f"{quote(self.user, safe='')}{secret}@" if self.user else ""
            return f"postgresql+psycopg://{who}{self.host or 'localhost'}:{self.port}/{self.name}"
        return f"sqlite:///{data.absolute() / SQLITE_FILENAME}"


class ReadingsTable(Table):
    """`[readings]`: what all instruments show, put together each interval."""

    interval_s: float = Field(default=60.0, ge=0.01, le=86_400)
    instruments: Names = ()
    """Which, in this order; all of the station if none is named."""
    device_id: Name | None = None
    """Who says it; the station's name if left out."""
    fresh_s: float = Field(default=5.0, gt=0, le=3600)
    """An instrument whose newest row is older has nothing to say: its error stands in its place. For one
    that is asked more seldom, twice its own interval."""


class RetentionTable(Table):
    """`[retention]`: what may go, when, and what may not."""

    enabled: bool = True
    check_interval_s: float = Field(default=300.0, ge=0.05)
    used_percent_max: float = Field(default=50.0, gt=0, le=100)
    """Of the file system. Above it, readings and sealed recordings are thinned evenly over time."""
    keep_last_s: float = Field(default=86_400.0, ge=0)
    """What is younger never goes."""
    allow_unsynced_loss: bool = False
    """Whether what was shipped nowhere may go when nothing else is left; written down in the audit."""
    readings_age_s: float | None = Field(default=None, gt=0)
    """Raw readings older than this go, once they have arrived; their roll-ups stay."""
    readings_rows_max: int | None = Field(default=None, ge=1)
    readings_bytes_max: int | None = Field(default=None, ge=1)
    """Of a PostgreSQL, which may be on a disk of its own, this is the measure that helps."""
    recordings_age_s: float | None = Field(default=None, gt=0)
    recordings_bytes_max: int | None = Field(default=None, ge=1)
