"""The key store: what is kept, what is not, and who may read it."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest

from kymograph.model.errors import Conflict, InvalidInput, NotFound, StorageError
from kymograph.service.keys import ADMIN, KeyStore, granted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_key_is_known_and_its_token_is_nowhere(path: Path) -> None:
    token = KeyStore(path).create("anna", ["record", "read"])
    assert token.startswith("kym_") and len(token) > 40
    found = KeyStore(path).check(token)
    assert found is not None and found.name == "anna" and found.scopes == ("read", "record")
    assert token not in path.read_text() and token[4:] not in path.read_text()


def test_only_the_owner_may_read_it(path: Path) -> None:
    KeyStore(path).create("anna", ["read"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "token", ["", "kym_", "kym_" + "a" * 43, "x" * 43, "kym_" + "a" * 10_000, "kym_\udcff\0é"]
)
def test_other_tokens_are_not_known(path: Path, token: str) -> None:
    store = KeyStore(path)
    assert store.check(token) is None
    store.create("anna", ["read"])
    assert store.check(token) is None


def test_a_removed_key_is_worthless_at_once_in_another_process(path: Path) -> None:
    here, there = KeyStore(path), KeyStore(path)
    token = here.create("anna", ["read"])
    assert there.check(token) is not None
    here.remove("anna")
    assert there.check(token) is None
    with pytest.raises(NotFound):
        here.remove("anna")


def test_names_and_scopes_are_checked(path: Path) -> None:
    store = KeyStore(path)
    store.create("anna", ["read"])
    with pytest.raises(Conflict):
        store.create("anna", ["read"])
    for scopes in ([], ["root"], ["read", "root"]):
        with pytest.raises(InvalidInput):
            store.create("bert", scopes)
    with pytest.raises(InvalidInput):
        store.create("../bert", ["read"])
    assert [key.name for key in store.list()] == ["anna"]


def test_many_writers_lose_no_key(path: Path) -> None:
    def make(i: int) -> None:
        KeyStore(path).create(f"key{i}", ["read"])

    threads = [threading.Thread(target=make, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key.name for key in KeyStore(path).list()) == sorted(f"key{i}" for i in range(12))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"keys": [{}]}', '{"keys": 3}'])
def test_a_damaged_file_opens_nothing(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(StorageError):
        KeyStore(path).check("kym_" + "a" * 43)


def test_scopes_carry_others() -> None:
    assert granted(["read"]) == {"read"}
    assert granted(["record"]) == {"read", "record"}
    assert granted(["control"]) == {"read", "control"}
    assert granted([ADMIN]) == {"read", "record", "control", "admin", "ship"}


def test_what_is_kept(path: Path) -> None:
    KeyStore(path, now_ns=lambda: 7).create("anna", ["admin"])
    (kept,) = json.loads(path.read_text())["keys"]
    assert kept.keys() == {"name", "scopes", "sha256", "created_ns"} and kept["created_ns"] == 7
