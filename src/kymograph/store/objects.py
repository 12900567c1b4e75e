"""Sealed files by their hash: in a folder, or in a store that speaks S3.

    <folder>/ab/ab12…ef          the bytes whose SHA-256 that is
    s3://bucket/prefix/ab/ab12…  the same; `?endpoint=http://host:9000` names one that is not Amazon's

An object is put once its bytes were verified and never changed, so any number of hubs may share one store,
and whatever else lies there does no harm. Keys of an S3 store come from the environment, as its other tools
read them (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`).
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, urlsplit

from kymograph.model.errors import ConfigError, Corrupt, NotFound, StorageError, Unavailable
from kymograph.store.durable import TMP_SUFFIX, fsync_folder, storage_error

_PIECE: Final = 1024 * 1024
_S3: Final = "s3://"


class ObjectStore(Protocol):
    """Bytes by their SHA-256 (hexadecimal). Any thread may use it."""

    def has(self, sha256: str) -> bool:
        """Return whether an object is there, whole.

        Raises:
            Unavailable: the store does not answer.
        """
        ...

    def put(self, sha256: str, file: Path) -> None:
        """Move a file here whose bytes were verified. When this returns, they are durable.

        Raises:
            StorageError, Unavailable: it is not there; the file may be.
        """
        ...

    def size(self, sha256: str) -> int:
        """Return how many bytes it has.

        Raises:
            NotFound: it is not there.
        """
        ...

    def read(self, sha256: str) -> Iterator[bytes]:
        """Yield its bytes.

        Raises:
            NotFound: it is not there.
        """
        ...


def open_store(address: str, data: Path) -> ObjectStore:
    """Return the store at an address: a folder, relative to the data folder, or `s3://…`.

    Raises:
        ConfigError: it is no such address.
    """
    return S3Objects(address) if address.startswith(_S3) else FolderObjects(data / address)


def _missing(sha256: str) -> NotFound:
    return NotFound("the bytes of this file are not here", sha256=sha256)


class FolderObjects:
    """Objects as files, in folders by the first two digits of their hash."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        """Return where an object is, or would be."""
        return self._folder / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """See `ObjectStore`."""
        return self.path(sha256).is_file()

    def put(self, sha256: str, file: Path) -> None:
        """See `ObjectStore`."""
        target = self.path(sha256)
        try:
            if not target.parent.is_dir():
                target.parent.mkdir(parents=True, exist_ok=True)
                fsync_folder(self._folder)
            if file.stat().st_dev != target.parent.stat().st_dev:
                file = _copied(
                    file, target.with_name(f"{sha256}.{os.getpid()}.{threading.get_ident()}{TMP_SUFFIX}")
                )
            descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            file.replace(target)
            fsync_folder(target.parent)
        except OSError as error:
            raise storage_error(error, target) from error

    def size(self, sha256: str) -> int:
        """See `ObjectStore`."""
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError:
            raise _missing(sha256) from None

    def read(self, sha256: str) -> Iterator[bytes]:
        """See `ObjectStore`."""
        try:
            file = self.path(sha256).open("rb")
        except FileNotFoundError:
            raise _missing(sha256) from None
        with file:
            while piece := file.read(_PIECE):
                yield piece


def _copied(file: Path, beside: Path) -> Path:
    """Copy a file onto the store's file system, and let the other go."""
    shutil.copyfile(file, beside)
    file.unlink()
    return beside


class S3Objects:
    """Objects in a bucket; connects when it is first used."""

    def __init__(self, address: str) -> None:
        """Take `s3://bucket/prefix?endpoint=…&region=…`.

        Raises:
            ConfigError: it names no bucket, or something that is not known.
        """
        parts = urlsplit(address)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        endpoint, region = options.pop("endpoint", ""), options.pop("region", "")
        if not parts.netloc or options:
            raise ConfigError(
                f"not the address of an S3 store: {address}",
                hint="s3://bucket/prefix?endpoint=http://host:9000&region=us-east-1",
            )
        self._root = f"{parts.netloc}/{parts.path.strip('/')}".rstrip("/")
        self._options: dict[str, Any] = {"connect_timeout": 5, "request_timeout": 30}
        if endpoint:
            scheme, _, host = endpoint.rpartition("://")
            self._options |= {"endpoint_override": host, "scheme": scheme or "https"}
        if region or not os.environ.get("AWS_REGION"):
            self._options["region"] = region or "us-east-1"
        self._made: Any = None
        self._guard = threading.Lock()

    def _files(self) -> Any:
        with self._guard:
            if self._made is None:
                fs: Any = import_module("pyarrow.fs")
                self._made = fs.S3FileSystem(**self._options)
            return self._made

    def _path(self, sha256: str) -> str:
        return f"{self._root}/{sha256[:2]}/{sha256}"

    def _size(self, sha256: str) -> int | None:
        try:
            found: Any = self._files().get_file_info(self._path(sha256))
        except OSError as error:
            raise _away(error) from error
        return int(found.size) if found.is_file else None

    def has(self, sha256: str) -> bool:
        """See `ObjectStore`."""
        return self._size(sha256) is not None

    def put(self, sha256: str, file: Path) -> None:
        """See `ObjectStore`. The object is there once its last part is; before, it has no name."""
        try:
            with file.open("rb") as source:
                # Not as a context: what is closed is whole, and what broke off must not be.
                target: Any = self._files().open_output_stream(self._path(sha256))
                while piece := source.read(_PIECE):
                    target.write(piece)
                target.close()
        except OSError as error:
            raise _away(error) from error
        if self._size(sha256) != file.stat().st_size:
            raise StorageError("the store has not taken all of a file", sha256=sha256)
        file.unlink(missing_ok=True)

    def size(self, sha256: str) -> int:
        """See `ObjectStore`."""
        found = self._size(sha256)
        if found is None:
            raise _missing(sha256)
        return found

    def read(self, sha256: str) -> Iterator[bytes]:
        """See `ObjectStore`."""
        size, sent = self.size(sha256), 0
        try:
            source: Any = self._files().open_input_stream(self._path(sha256))
            with source:
                while piece := source.read(_PIECE):
                    sent += len(piece)
                    yield piece
        except OSError as error:
            raise _away(error) from error
        if sent != size:
            raise Corrupt("the store gave other bytes than it holds", sha256=sha256)


def _away(error: OSError) -> Unavailable:
    said = (str(error).strip().splitlines() or ["no answer"])[0]
    return Unavailable(f"the object store does not answer: {said[:300]}", hint="it is tried again")
