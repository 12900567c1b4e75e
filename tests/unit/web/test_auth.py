"""The guard: who may do what on which bind, with which key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from kymograph.config import Config, WebTable
from kymograph.model.errors import Forbidden, KeyNeeded, TooMany
from kymograph.model.limits import ADDRESSES_WATCHED_MAX, KEYS_WRONG_MAX, SESSION_S_MAX
from kymograph.service.keys import ADMIN, CONTROL, READ, RECORD, KeyStore
from kymograph.web.auth import COOKIE, Guard, WrongKeys, ensure_first_key, needs

ALL = {READ, RECORD, CONTROL, ADMIN}


def request(address: str = "10.0.0.9", **headers: str) -> Request:
    raw = [(key.replace("_", "-").encode(), value.encode("latin-1")) for key, value in headers.items()]
    return Request({"type": "http", "method": "GET", "headers": raw, "client": (address, 1)})


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys.json")


@pytest.fixture
def guard_on(keys: KeyStore) -> Callable[..., Guard]:
    return lambda **web: Guard(WebTable(**web), keys)


@pytest.mark.parametrize(
    ("web", "scopes"),
    [
        ({"host": "127.0.0.1"}, ALL),
        ({"host": "0.0.0.0"}, set()),
        ({"host": "0.0.0.0", "open": True}, {READ, RECORD}),
        ({"host": "0.0.0.0", "open": True, "open_control": True}, {READ, RECORD, CONTROL}),
        ({"host": "0.0.0.0", "open_control": True}, set()),
    ],
)
def test_what_nobody_in_particular_may_do(guard_on: Any, web: dict[str, Any], scopes: set[str]) -> None:
    assert guard_on(**web).caller(request()).scopes == scopes


def test_a_key_opens_its_scopes_in_both_headers(guard_on: Any, keys: KeyStore) -> None:
    token = keys.create("anna", [RECORD])
    guard = guard_on(host="0.0.0.0")
    for said in (
        request(authorization=f"Bearer {token}"),
        request(authorization=f"bearer  {token} "),
        request(x_api_key=token),
    ):
        caller = guard.caller(said)
        assert caller.name == "anna" and caller.scopes == {READ, RECORD}
        caller.require(RECORD)
        with pytest.raises(Forbidden):
            caller.require(CONTROL)


def test_no_key_and_a_wrong_key_are_told_apart_from_a_weak_one(guard_on: Any) -> None:
    guard = guard_on(host="0.0.0.0")
    with pytest.raises(KeyNeeded):
        guard.caller(request()).require(READ)
    with pytest.raises(KeyNeeded):
        guard.caller(request(authorization="Bearer kym_wrong"))
    with pytest.raises(KeyNeeded):
        guard.caller(request(x_api_key=""))


def test_a_wrong_key_on_loopback_is_not_ignored(guard_on: Any) -> None:
    with pytest.raises(KeyNeeded):
        guard_on().caller(request(authorization="Bearer kym_wrong"))


def test_wrong_keys_are_slowed_down_but_nobody_is_locked_out(guard_on: Any, keys: KeyStore) -> None:
    token = keys.create("anna", [READ])
    guard = guard_on(host="0.0.0.0")
    for _ in range(KEYS_WRONG_MAX):
        with pytest.raises(KeyNeeded):
            guard.caller(request(x_api_key="kym_no"))
    with pytest.raises(TooMany) as refused:
        guard.caller(request(x_api_key="kym_no"))
    assert 0 < refused.value.facts["retry_after_s"] <= 61
    with pytest.raises(KeyNeeded):
        guard.caller(request("10.0.0.10", x_api_key="kym_no"))
    assert guard.caller(request(x_api_key=token)).name == "anna"


def test_wrong_keys_are_forgiven_after_a_minute_and_counted_in_bounded_memory() -> None:
    now = 0.0
    wrong = WrongKeys(lambda: now)
    for _ in range(KEYS_WRONG_MAX):
        assert wrong.count("a") == 0
    assert wrong.count("a") > 0
    now = 61.0
    assert wrong.count("a") == 0
    for i in range(3 * ADDRESSES_WATCHED_MAX):
        wrong.count(str(i))
    assert len(wrong) <= ADDRESSES_WATCHED_MAX


def test_a_session_stands_for_its_key_until_either_ends(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "keys.json")
    token = keys.create("wall", [READ])
    now = 1000.0
    guard = Guard(WebTable(host="0.0.0.0"), keys, wall_s=lambda: now)
    _, cookie = guard.session(token, "10.0.0.9")
    assert token not in cookie
    said = request(cookie=f"{COOKIE}={cookie}")
    caller = guard.caller(said)
    assert caller.name == "wall" and caller.by_cookie
    restarted = Guard(WebTable(host="0.0.0.0"), KeyStore(tmp_path / "keys.json"), wall_s=lambda: now)
    assert restarted.caller(said).name == "wall"
    now += SESSION_S_MAX + 1
    assert guard.caller(said).scopes == set()
    now = 1000.0
    keys.remove("wall")
    assert guard.caller(said).scopes == set()
    keys.create("wall", [ADMIN])
    assert guard.caller(said).scopes == set(), "a new key of the same name is another key"


@pytest.mark.parametrize(
    "forge",
    [
        lambda c: c[:-1] + ("0" if c[-1] != "0" else "1"),
        lambda c: c.replace("wall", "boss"),
        lambda c: c.replace("|", "|9", 1),
        lambda c: "",
        lambda c: "||",
        lambda c: "wall|é|ü",
    ],
)
def test_a_forged_session_is_nobody(guard_on: Any, keys: KeyStore, forge: Callable[[str], str]) -> None:
    guard = guard_on(host="0.0.0.0")
    token = keys.create("wall", [READ])
    keys.create("boss", [ADMIN])
    _, cookie = guard.session(token, "x")
    assert guard.caller(request(cookie=f"{COOKIE}={forge(cookie)}")).scopes == set()


def test_a_session_changes_nothing_without_a_browsers_word(guard_on: Any, keys: KeyStore) -> None:
    guard = guard_on(host="0.0.0.0")
    _, cookie = guard.session(keys.create("wall", [RECORD]), "x")
    plain = request(cookie=f"{COOKIE}={cookie}", host="10.0.0.1:8000")
    with pytest.raises(Forbidden):
        guard.check_change(plain, guard.caller(plain))
    ours = request(cookie=f"{COOKIE}={cookie}", host="10.0.0.1:8000", origin="http://10.0.0.1:8000")
    guard.check_change(ours, guard.caller(ours))


def test_a_caller_whose_key_was_removed_is_not_known_any_more(guard_on: Any, keys: KeyStore) -> None:
    guard = guard_on(host="0.0.0.0")
    caller = guard.caller_with(keys.create("anna", [READ]), "x")
    assert guard.still_knows(caller) and guard.still_knows(guard.anonymous)
    keys.remove("anna")
    assert not guard.still_knows(caller)


def test_the_first_key_is_made_once_and_only_where_it_is_needed(keys: KeyStore) -> None:
    assert ensure_first_key(Config(), keys) is None
    wide = Config(web=WebTable(host="0.0.0.0"))
    token = ensure_first_key(wide, keys)
    assert token is not None
    found = keys.check(token)
    assert found is not None and found.scopes == (ADMIN,)
    assert ensure_first_key(wide, keys) is None


def test_a_scope_that_does_not_exist_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="everything"):
        needs("everything")
