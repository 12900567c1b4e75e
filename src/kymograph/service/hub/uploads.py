"""Files on their way here, piece by piece: kept on this disk until they are whole, verified, and put.

    <data>/uploads/<station>/<sha256>        as far as it has come

Which bytes are here is the file's length, so an upload goes on where it was, also after a crash. A piece that
breaks off counts as far as it came. Another hub that shares the store does not see them: there, the upload
begins anew.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kymograph.model.errors import Conflict, Corrupt, InvalidInput, TooMany
from kymograph.model.limits import OBJECT_BYTES_MAX, UPLOAD_SILENCE_S_MAX, UPLOADS_AT_ONCE_MAX
from kymograph.model.names import safe_name
from kymograph.store.durable import storage_error
from kymograph.store.objects import ObjectStore

FOLDER: Final = "uploads"
_PIECE: Final = 1024 * 1024


class Uploads:
    """The uploads of one hub's front. Any thread may use it."""

    def __init__(self, folder: Path, objects: ObjectStore) -> None:
        self._folder = folder
        self._objects = objects
        self._guard = threading.Lock()
        self._busy: set[Path] = set()

    def _path(self, station: str, sha256: str) -> Path:
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise InvalidInput("that is no SHA-256 in hexadecimal digits")
        return self._folder / safe_name(station, "station") / sha256

    def offset(self, station: str, sha256: str) -> int | None:
        """Return how many bytes of a file are here, None if all are, and are durable."""
        path = self._path(station, sha256)
        return None if self._objects.has(sha256) else _length(path)

    @contextmanager
    def piece(self, station: str, sha256: str, offset: int) -> Generator[Piece]:
        """Take a piece of a file that begins at `offset`.

        Raises:
            Conflict: it is not the next one, or one is coming already; the fact `offset` says which is next.
            TooMany: the station has too many uploads under way.
        """
        path = self._path(station, sha256)
        with self._guard:
            if path in self._busy:
                raise Conflict("a piece of this file is coming already", offset=_length(path))
            self._busy.add(path)
        try:
            have = _length(path)
            if offset != have:
                raise Conflict(f"the next piece begins at {have}", offset=have)
            self._make_room(path)
            piece = Piece(path, offset)
            try:
                yield piece
            finally:
                piece.close()
        finally:
            with self._guard:
                self._busy.discard(path)

    def _make_room(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() and sum(1 for _ in path.parent.iterdir()) >= UPLOADS_AT_ONCE_MAX:
                raise TooMany(f"{UPLOADS_AT_ONCE_MAX} files are on their way already", retry_after_s=60)
        except OSError as error:
            raise storage_error(error, path) from error

    def finish(self, station: str, sha256: str) -> None:
        """Put a file whose last piece has come. When this returns, it is verified and durable.

        Raises:
            Corrupt: its bytes have another hash; they are thrown away, and the upload begins anew.
            StorageError, Unavailable: the store cannot take it now; the bytes stay here.
        """
        path = self._path(station, sha256)
        try:
            if _hash_of(path) != sha256:
                path.unlink(missing_ok=True)
                raise Corrupt("the bytes that came are not those of the hash", sha256=sha256)
        except FileNotFoundError:
            if self._objects.has(sha256):
                return  # it was put meanwhile, by a request that was repeated
            raise Conflict("nothing of this file is here", offset=0) from None
        except OSError as error:
            raise storage_error(error, path) from error
        self._objects.put(sha256, path)

    def tidy(self, now_s: float | None = None) -> int:
        """Give up files of which nothing came for a long time; return how many."""
        before = (time.time() if now_s is None else now_s) - UPLOAD_SILENCE_S_MAX
        gone = 0
        for path in self._files():
            try:
                if path.stat().st_mtime < before:
                    path.unlink()
                    gone += 1
            except FileNotFoundError:
                continue
        return gone

    def _files(self) -> Iterator[Path]:
        return self._folder.glob("*/*")


class Piece:
    """One piece as it comes; what was written counts, also if the rest never comes."""

    def __init__(self, path: Path, offset: int) -> None:
        self._path = path
        self.offset = offset
        """How many bytes of the file are here."""
        try:
            self._file = path.open("ab")
        except OSError as error:
            raise storage_error(error, path) from error

    def write(self, data: bytes) -> None:
        """Add bytes.

        Raises:
            InvalidInput: the file is too long.
            StorageError: the disk does not take them.
        """
        if self.offset + len(data) > OBJECT_BYTES_MAX:
            raise InvalidInput(f"a file has at most {OBJECT_BYTES_MAX} bytes")
        try:
            self._file.write(data)
        except OSError as error:
            raise storage_error(error, self._path) from error
        self.offset += len(data)

    def close(self) -> None:
        """Make durable what has come."""
        try:
            with self._file as file:
                file.flush()
                os.fdatasync(file.fileno())
        except OSError as error:
            raise storage_error(error, self._path) from error


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _hash_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
