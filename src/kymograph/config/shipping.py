"""`[destinations.NAME]` and `[hub]`: to whom a station ships, and what a hub answers for.

[destinations.hub]
url = "https://hub.example.org"
key = "kym_…"                 # made on the hub, for this station
# kind = "original"           # a hub of the older system: readings only, POST /readings/bulk
# streams = ["readings", "events", "segments"]
# limit_bytes_per_s = 20000

[hub]
store = "objects"             # folder, or s3://bucket/prefix?endpoint=http://…
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from kymograph.config.base import Table, split_words

Shipped = Literal["readings", "events", "segments"]


def _http(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("begins with http:// or https://")
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0 or parts.username or parts.query or parts.fragment:
        raise ValueError("is https://host, with a port and a path if need be, and nothing else")
    return url.rstrip("/")


class DestinationTable(Table):
    """`[destinations.NAME]`: a hub that is to have everything."""

    url: Annotated[str, AfterValidator(_http)]
    key: str = ""
    kind: Literal["kymograph", "original"] = "kymograph"
    streams: Annotated[tuple[Shipped, ...], BeforeValidator(split_words)] = ("readings", "events", "segments")
    """Of an original hub, readings only."""
    station: str = ""
    """The name under which this station is known there; its own if left out."""
    batch_rows: int = Field(default=360, ge=1, le=10_000)
    limit_bytes_per_s: float | None = Field(default=None, gt=0)
    connect_timeout_s: float = Field(default=5.0, gt=0, le=60)
    answer_timeout_s: float = Field(default=30.0, gt=0, le=600)


class HubTable(Table):
    """`[hub]`: this station takes what others ship."""

    store: str = "objects"
    """Where sealed segments go: a folder, relative to the data folder, or an S3 address."""
    late_s: float = Field(default=180.0, gt=0)
    """A station whose newest reading is older, and older than three of its intervals, is late."""
    silent_s: float = Field(default=3600.0, gt=0)
    open: bool = False
    """Let anyone who reaches the port ship readings for any station without a key."""
