"""The keys that open a station to the network: `<data>/keys.json`, read by the front, written by the CLI too.

A key is 256 random bits behind the prefix `kym_`, shown once, when it is made. Kept is only its SHA-256:
of so many random bits no slow hash is needed, and a copy of the file opens nothing. The file is replaced as
a whole (mode 0600), so a reader sees the old keys or the new ones; it is read again whenever it changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from kymograph.model.errors import Conflict, InvalidInput, NotFound, StorageError
from kymograph.model.limits import KEYS_MAX
from kymograph.model.names import safe_name

PREFIX: Final = "kym_"
READ: Final = "read"
RECORD: Final = "record"
CONTROL: Final = "control"
ADMIN: Final = "admin"
SCOPES: Final = (READ, RECORD, CONTROL, ADMIN)
"""What a key may be for: see, record and mark, operate instruments, everything."""
SHIP: Final = "ship"
"""What a station's key is for: bringing its rows to a hub. Such keys are in the hub's database, bound to the
station (`service.hub.keys`); of those here, an admin's carries it, for every station."""

_IMPLIED: Final = {
    READ: frozenset({READ}),
    RECORD: frozenset({READ, RECORD}),
    CONTROL: frozenset({READ, CONTROL}),
    ADMIN: frozenset({*SCOPES, SHIP}),
}


def granted(scopes: Iterable[str]) -> frozenset[str]:
    """Return the scopes that these carry: each carries `read`, `admin` carries all."""
    return frozenset[str]().union(*(_IMPLIED[scope] for scope in scopes))


@dataclass(frozen=True, slots=True)
class Key:
    """One key as it is kept. `sha256` is that of the whole token, in hexadecimal."""

    name: str
    scopes: tuple[str, ...]
    sha256: str
    created_ns: int

    @property
    def granted(self) -> frozenset[str]:
        """All scopes that the key carries."""
        return granted(self.scopes)


Keys = list[Key]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class KeyStore:
    """The keys of one data folder. Every method may be called from any thread and any process."""

    def __init__(self, path: Path, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._path = path
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._by_hash: dict[str, Key] = {}

    def create(self, name: str, scopes: Iterable[str]) -> str:
        """Make a key and return its token, which cannot be had again.

        Raises:
            InvalidInput: the name is not safe, or a scope is unknown or missing.
            Conflict: a key has that name, or there are too many.
        """
        safe_name(name, "key name")
        wanted = tuple(scope for scope in SCOPES if scope in (asked := set(scopes)))
        if not wanted or len(wanted) != len(asked):
            raise InvalidInput("a key needs scopes, and only known ones", allowed=list(SCOPES))
        token = PREFIX + secrets.token_urlsafe(32)
        with self._changing() as keys:
            if any(key.name == name for key in keys):
                raise Conflict(f"there is a key called {name} already", hint="remove it, or choose a name")
            if len(keys) >= KEYS_MAX:
                raise Conflict(f"there are {KEYS_MAX} keys already", hint="remove those no longer used")
            keys.append(Key(name, wanted, _hash(token), self._now_ns()))
        return token

    def remove(self, name: str) -> None:
        """Make a key worthless from now on.

        Raises:
            NotFound: no key has that name.
        """
        with self._changing() as keys:
            kept = [key for key in keys if key.name != name]
            if len(kept) == len(keys):
                raise NotFound("there is no key of that name")
            keys[:] = kept

    def list(self) -> Keys:
        """Return all keys, oldest first."""
        return [*self._current().values()]

    def check(self, token: str) -> Key | None:
        """Return the key whose token this is, or None.

        The look-up is by hash, so its timing says nothing about any token.
        """
        if not token.startswith(PREFIX) or len(token) > 128:
            return None
        return self._current().get(_hash(token))

    def find(self, name: str) -> Key | None:
        """Return the key of that name, or None."""
        return next((key for key in self._current().values() if key.name == name), None)

    def _current(self) -> dict[str, Key]:
        with self._lock:
            try:
                stat = self._path.stat()
            except FileNotFoundError:
                self._seen, self._by_hash = None, {}
                return self._by_hash
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen != self._seen:
                self._by_hash = {key.sha256: key for key in self._read()}
                self._seen = seen
            return self._by_hash

    def _read(self) -> Keys:
        try:
            data: Any = msgspec.json.decode(self._path.read_bytes())
            return [Key(k["name"], tuple(k["scopes"]), k["sha256"], k["created_ns"]) for k in data["keys"]]
        except FileNotFoundError:
            return []
        except (msgspec.DecodeError, LookupError, TypeError) as error:
            raise StorageError(
                f"{self._path.name} is damaged", hint="delete it and make new keys with `kymograph key add`"
            ) from error

    @contextmanager
    def _changing(self) -> Generator[Keys]:
        """Hold the keys for a change, one process at a time, and write them if it succeeds."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            keys = self._read()
            yield keys
            self._write(keys)
        finally:
            os.close(descriptor)

    def _write(self, keys: Keys) -> None:
        temporary = self._path.with_suffix(".tmp")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode({"keys": [asdict(key) for key in keys]})))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
