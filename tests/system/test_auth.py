"""A station on a wider bind, from outside: the first key, keys made while it runs, sessions, live."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import httpx
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from kymograph.service.keys import CONTROL, READ, RECORD, KeyStore
from tests.running import RunningStation, generator

WIDE = ("--host", "0.0.0.0")


def key(station: RunningStation, name: str, *scopes: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {KeyStore(station.data / 'keys.json').create(name, scopes)}"}


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningStation]:
    with RunningStation(tmp_path_factory.mktemp("wide"), generator(1000), arguments=WIDE) as made:
        yield made


def test_the_first_key_is_shown_once_and_opens_everything(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(f'[station]\ndata = "{tmp_path / "data"}"\n{generator(1000)}')
    command = [sys.executable, "-m", "kymograph", "serve", str(tmp_path / "s.toml"), *WIDE, "--port", "0"]
    shown: list[str] = []
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        text = ""
        for line in process.stdout:
            text += line
            url = re.search(r"http://\S+?:\d+", line)
            if url:
                break
        tokens = re.findall(r"kym_\S+", text)
        if tokens:
            shown += tokens
            answer = httpx.get(f"{url[0]}/v1/station", headers={"X-API-Key": tokens[0]}) if url else None
            assert answer is not None and answer.status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert len(shown) == 1
    assert shown[0] not in (tmp_path / "data" / "keys.json").read_text()


def test_keys_made_and_removed_while_it_runs(station: RunningStation) -> None:
    assert httpx.get(f"{station.url}/v1/station").status_code == 401
    reader = key(station, "reader", READ)
    assert httpx.get(f"{station.url}/v1/station", headers=reader).status_code == 200
    refused = httpx.post(f"{station.url}/v1/recordings", headers=reader, json={"name": "x"})
    assert refused.status_code == 403 and refused.json()["facts"]["scope"] == "record"
    KeyStore(station.data / "keys.json").remove("reader")
    assert httpx.get(f"{station.url}/v1/station", headers=reader).status_code == 401


def test_what_each_scope_does(station: RunningStation) -> None:
    recorder, controller = key(station, "recorder", RECORD), key(station, "controller", CONTROL)
    begun = httpx.post(f"{station.url}/v1/recordings", headers=recorder, json={"name": "x"}, timeout=30)
    assert begun.status_code == 201
    id = begun.json()["id"]
    assert httpx.post(f"{station.url}/v1/instruments/gen/stop", headers=recorder).status_code == 403
    assert httpx.post(f"{station.url}/v1/recordings/{id}/stop", headers=controller).status_code == 403
    mark = httpx.post(f"{station.url}/v1/recordings/{id}/events", headers=recorder, json={"text": "seen"})
    assert mark.json()["source"] == "user/recorder"
    assert (
        httpx.post(f"{station.url}/v1/recordings/{id}/stop", headers=recorder, timeout=30).status_code == 200
    )
    assert httpx.delete(f"{station.url}/v1/recordings/{id}", headers=recorder).status_code == 403
    assert httpx.post(f"{station.url}/v1/instruments/gen/stop", headers=controller).status_code == 200
    assert httpx.post(f"{station.url}/v1/instruments/gen/start", headers=controller).status_code == 200


def test_the_dashboard_comes_without_a_key_and_shows_nothing_of_the_station(station: RunningStation) -> None:
    page = httpx.get(f"{station.url}/")
    assert page.status_code == 200 and "bench" not in page.text
    assert httpx.get(f"{station.url}/readyz").text == "ok\n"
    assert httpx.get(f"{station.url}/metrics").status_code == 401


def test_a_session(station: RunningStation) -> None:
    token = key(station, "browser", RECORD)["Authorization"].removeprefix("Bearer ")
    with httpx.Client(base_url=station.url, timeout=30) as browser:
        begun = browser.post("/v1/session", json={"key": token})
        assert begun.status_code == 200 and begun.json()["scopes"] == ["read", "record"]
        assert browser.get("/v1/station").status_code == 200
        assert browser.post("/v1/recordings", json={"name": "y"}).status_code == 403, "no page asked for it"
        origin = {"Origin": station.url}
        begun = browser.post("/v1/recordings", json={"name": "y"}, headers=origin)
        assert begun.status_code == 201
        assert browser.post(f"/v1/recordings/{begun.json()['id']}/stop", headers=origin).status_code == 200
        browser.delete("/v1/session", headers=origin)
        assert browser.get("/v1/station").status_code == 401


def hello(station: RunningStation, message: dict[str, str], **headers: str) -> tuple[dict[str, str], int]:
    """Say hello; return the answer and the code with which it was closed, 0 if it was not."""
    url = station.url.replace("http", "ws") + "/v1/live"
    with connect(url, compression=None, additional_headers=headers) as client:
        client.send(msgspec.json.encode({"type": "hello", **message}).decode())
        answer = msgspec.json.decode(client.recv(10))
        if answer["type"] == "welcome":
            return answer, 0
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(10)
        assert closed.value.rcvd is not None
        return answer, closed.value.rcvd.code


def test_live_needs_a_key_in_its_hello(station: RunningStation) -> None:
    said, code = hello(station, {})
    assert (said["code"], code) == ("key_needed", 4401)
    said, code = hello(station, {"token": "kym_wrong"})
    assert (said["code"], code) == ("key_needed", 4401)
    token = key(station, "live", READ)["Authorization"].removeprefix("Bearer ")
    assert hello(station, {"token": token})[1] == 0


def test_live_with_a_session_only_from_our_own_page(station: RunningStation) -> None:
    token = key(station, "page", READ)["Authorization"].removeprefix("Bearer ")
    begun = httpx.post(f"{station.url}/v1/session", json={"key": token})
    cookie = begun.headers["set-cookie"].partition(";")[0]
    assert hello(station, {}, Cookie=cookie, Origin=station.url)[1] == 0
    assert hello(station, {}, Cookie=cookie)[1] == 4401


def test_a_removed_key_ends_its_live_connection(station: RunningStation) -> None:
    token = key(station, "gone", READ)["Authorization"].removeprefix("Bearer ")
    with connect(station.url.replace("http", "ws") + "/v1/live", compression=None) as client:
        client.send(msgspec.json.encode({"type": "hello", "token": token}).decode())
        client.recv(10)
        KeyStore(station.data / "keys.json").remove("gone")
        with pytest.raises((ConnectionClosed, OSError)):
            client.recv(20)
            client.recv(20)


def test_wrong_keys_are_slowed_down(station: RunningStation) -> None:
    right = key(station, "right", READ)
    codes = [
        httpx.get(f"{station.url}/v1/station", headers={"X-API-Key": "no"}).status_code for _ in range(15)
    ]
    assert codes[0] == 401 and codes[-1] == 429
    assert httpx.get(f"{station.url}/v1/station", headers=right).status_code == 200
