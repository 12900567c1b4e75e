"""The keys with which stations ship: each bound to one station, kept in the hub's database as a hash.

A key is 256 random bits behind `kym_ship_`, shown once. It may bring the rows of its station, and nothing
else. Every request asks the database, so a key that is revoked is worthless at once, for every hub on it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final

from kymograph.model.errors import Conflict, InvalidInput, NotFound
from kymograph.model.limits import STATION_KEYS_MAX
from kymograph.model.names import safe_name
from kymograph.store.sql import station_keys, stations
from kymograph.store.sql.database import Database
from kymograph.store.sql.station_keys import StationKey

__all__ = ["PREFIX", "StationKey", "StationKeys"]

PREFIX: Final = "kym_ship_"
_TOKEN_CHARS_MAX: Final = 128
_LABEL_CHARS_MAX: Final = 128
_NOTED_EVERY_NS: Final = 3600 * 1_000_000_000
"""How exact it is known when a key was used last: each note is a write."""


class StationKeys:
    """Any thread may use it."""

    prefix = PREFIX

    def __init__(self, database: Database, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._now_ns = now_ns

    def make(self, station: str, label: str = "") -> tuple[StationKey, str]:
        """Make a key for a station, and know the station; return it and its token, which is not kept.

        Raises:
            InvalidInput: the name is none of a station, or the label is too long.
            Conflict: the station has too many keys.
        """
        safe_name(station, "station")
        if len(label) > _LABEL_CHARS_MAX or not (label.isprintable() or not label):
            raise InvalidInput(f"a label has at most {_LABEL_CHARS_MAX} characters, all printable")
        token = PREFIX + secrets.token_urlsafe(32)
        key = StationKey(uuid.uuid4().hex[:12], station, label, _hash(token), self._now_ns(), None, None)
        with self._database.begin() as connection:
            good = [one for one in station_keys.of(connection, station) if one.revoked_ns is None]
            if len(good) >= STATION_KEYS_MAX:
                raise Conflict(f"{station} has {STATION_KEYS_MAX} keys already", hint="revoke those not used")
            stations.register(connection, station)
            station_keys.add(connection, key)
        return key, token

    def list(self, station: str | None = None) -> Sequence[StationKey]:
        """Return all keys, or a station's, oldest first; also those that were revoked."""
        with self._database.read() as connection:
            return station_keys.of(connection, station)

    def revoke(self, id: str, station: str | None = None) -> StationKey:
        """Make a key worthless from now on.

        Raises:
            NotFound: there is none of that id, of that station, that is good.
        """
        with self._database.begin() as connection:
            key = station_keys.revoke(connection, id, station, self._now_ns())
        if key is None:
            raise NotFound("there is no key of that id, or it was revoked before")
        return key

    def station_of(self, token: str) -> str | None:
        """Return whose key this is; see `check`."""
        key = self.check(token)
        return None if key is None else key.station

    def check(self, token: str) -> StationKey | None:
        """Return the key whose token this is, None if there is none that is good.

        Raises:
            Unavailable: the database is away.
        """
        if not token.startswith(PREFIX) or len(token) > _TOKEN_CHARS_MAX:
            return None
        with self._database.read() as connection:
            key = station_keys.find(connection, _hash(token))
        if key is not None and (key.used_ns or 0) < (now_ns := self._now_ns()) - _NOTED_EVERY_NS:
            with self._database.begin() as connection:
                station_keys.used(connection, key.id, now_ns)
        return key


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
