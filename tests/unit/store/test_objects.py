"""Objects by their hash, in a folder and in a store that speaks S3."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from kymograph.model.errors import ConfigError, NotFound, Unavailable
from kymograph.store.objects import ObjectStore, open_store
from tests.postgres import _free_port

DATA = bytes(range(256)) * 40_000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(scope="module")
def s3() -> Generator[str]:
    """The address of a stand-in for Amazon's."""
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                made = urllib.request.Request(f"http://127.0.0.1:{port}/weather", method="PUT")
                urllib.request.urlopen(made, timeout=20).read()
                break
            except (urllib.error.URLError, OSError):
                assert time.monotonic() < deadline and process.poll() is None, "the stand-in does not answer"
                time.sleep(0.05)
        yield f"s3://weather/some/where?endpoint=http://127.0.0.1:{port}&region=us-east-1"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    if request.param == "folder":
        return open_store("objects", tmp_path / "data")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    return open_store(request.getfixturevalue("s3"), tmp_path)


def file_with(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "staged"
    path.write_bytes(data)
    return path


def test_what_is_put_is_there_whole_and_the_staged_file_is_gone(store: ObjectStore, tmp_path: Path) -> None:
    other = hashlib.sha256(b"x").hexdigest()
    staged = file_with(tmp_path, DATA)
    store.put(SHA256, staged)
    assert store.has(SHA256) and not store.has(other) and not staged.exists()
    assert store.size(SHA256) == len(DATA)
    assert b"".join(store.read(SHA256)) == DATA
    store.put(SHA256, file_with(tmp_path, DATA))
    assert b"".join(store.read(SHA256)) == DATA, "the same once more does no harm"
    missing: list[Callable[[], Any]] = [lambda: store.size(other), lambda: list(store.read(other))]
    for ask in missing:
        with pytest.raises(NotFound):
            ask()


def test_an_empty_object(store: ObjectStore, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(b"").hexdigest()
    store.put(sha256, file_with(tmp_path, b""))
    assert store.has(sha256) and store.size(sha256) == 0 and list(store.read(sha256)) == []


def test_a_store_that_is_away_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    store = open_store(f"s3://weather?endpoint=http://127.0.0.1:{_free_port()}", tmp_path)
    with pytest.raises(Unavailable):
        store.put(SHA256, file_with(tmp_path, b"x"))
    assert (tmp_path / "staged").exists()


@pytest.mark.parametrize("address", ["s3://", "s3:///x", "s3://bucket?colour=red"])
def test_addresses_that_make_no_sense(address: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        open_store(address, tmp_path)


def test_a_folder_on_another_file_system(tmp_path: Path) -> None:
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system")
    import tempfile

    with tempfile.TemporaryDirectory(dir=shm) as elsewhere:
        store = open_store(elsewhere, tmp_path)
        store.put(SHA256, file_with(tmp_path, DATA))
        assert b"".join(store.read(SHA256)) == DATA
        assert [p.name for p in Path(elsewhere).rglob("*") if p.is_file()] == [SHA256]
