"""Live streams through the whole house: generator, engine, link, front, WebSocket."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.running import RunningStation, generator, until

RATE_HZ = 2000


class Live:
    """A client that says hello and reads."""

    def __init__(self, station: RunningStation, token: str | None = None, **options: Any) -> None:
        url = station.url.replace("http", "ws") + "/v1/live"
        self.socket: ClientConnection = connect(url, max_size=None, compression=None, **options).__enter__()
        self.send(type="hello", **({} if token is None else {"token": token}))
        self.welcome = self.read()

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, **message: Any) -> None:
        self.socket.send(msgspec.json.encode(message).decode())

    def read(self, timeout_s: float = 20) -> dict[str, Any]:
        message = self.socket.recv(timeout_s)
        kind = msgspec.json if isinstance(message, str) else msgspec.msgpack
        return kind.decode(message)

    def closed_with(self) -> int:
        """Read on to the end of the connection; return its code."""
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                self.read()
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code

    def until(self, kind: str, timeout_s: float = 20) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            message = self.read(timeout_s)
            if message["type"] == kind:
                return message
        raise AssertionError(f"no {kind} within {timeout_s} s")


def counter(message: dict[str, Any]) -> Any:
    """Return the column that counts rows."""
    column = message["columns"]["counter"]
    return np.frombuffer(column["data"], column["dtype"]) if isinstance(column, dict) else np.array(column)


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningStation]:
    with RunningStation(tmp_path_factory.mktemp("live"), generator(RATE_HZ)) as made:
        yield made


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_rows_are_whole_and_in_order(station: RunningStation, encoding: str) -> None:
    with Live(station) as client:
        assert client.welcome["type"] == "welcome" and client.welcome["station"] == "bench"
        client.send(type="subscribe", id="a", streams=["gen"], encoding=encoding)
        assert client.read()["type"] == "schema"
        at = None
        for _ in range(30):
            message = client.until("data")
            values = counter(message)
            assert len(values) == message["seq_to"] - message["seq_from"]
            assert at is None or message["seq_from"] == at
            np.testing.assert_array_equal(np.diff(values), 1)
            at = message["seq_to"]


def test_a_client_resumes_where_it_was(station: RunningStation) -> None:
    with Live(station) as client:
        client.send(type="subscribe", id="a", streams=["gen"], encoding="msgpack")
        last = client.until("data")
    time.sleep(0.3)  # rows that nobody listens to
    follow(station, last, 40)


def read_until_lost(client: Live, last: dict[str, Any]) -> dict[str, Any]:
    """Return the last rows that came before the connection broke."""
    while True:
        try:
            message = client.read()
        except (ConnectionClosed, OSError, EOFError):
            return last
        last = message if message["type"] == "data" else last


def follow(station: RunningStation, last: dict[str, Any], messages: int) -> None:
    """Go on behind some rows, and check that nothing is left out or comes twice."""
    with Live(station) as client:
        since = {"gen": [last["epoch"], last["seq_to"]]}
        client.send(type="subscribe", id="a", streams=["gen"], encoding="msgpack", since=since)
        assert client.read()["type"] == "schema"
        at, value = last["seq_to"], counter(last)[-1]
        for _ in range(messages):
            message = client.read()
            assert message["type"] == "data" and message["seq_from"] == at
            assert counter(message)[0] == value + 1
            at, value = message["seq_to"], counter(message)[-1]


def test_the_front_killed_and_the_client_back_without_a_hole(tmp_path: Path) -> None:
    with RunningStation(tmp_path, generator(RATE_HZ)) as station, Live(station) as client:
        client.send(type="subscribe", id="a", streams=["gen"], encoding="msgpack")
        last = client.until("data")
        front = station.front()
        assert front is not None
        os.kill(front.pid, signal.SIGKILL)
        last = read_until_lost(client, last)
        until(station.answers, 15, "a new front")
        follow(station, last, 60)


def test_reduced_views_over_the_wire(station: RunningStation) -> None:
    with Live(station) as client:
        client.send(
            type="subscribe", id="m", streams=["gen"], mode="minmax", max_rate_hz=10, channels=["counter"]
        )
        first, second = client.until("data"), client.until("data")
        assert second["seq_from"] == first["seq_to"]
        peaks = second["columns"]["counter"]
        assert peaks["max"][0] - peaks["min"][0] == second["seq_to"] - second["seq_from"] - 1
        client.send(type="unsubscribe", id="m")
        client.send(type="subscribe", id="l", streams=["gen"], mode="latest", max_rate_hz=5)
        message = client.until("data")
        while message["id"] != "l":
            message = client.until("data")
        assert message["seq_to"] == message["seq_from"] + 1


def test_status_and_events(station: RunningStation) -> None:
    with Live(station) as client:
        client.send(type="subscribe", id="s", status=True)
        status = client.until("status")
        assert status["instruments"][0]["name"] == "gen" and status["recorders"] == []
        control = station.call("GET", "/v1/control")
        assert status["control"].pop("time_ns") <= control.pop("time_ns")
        assert status["control"] == control
        id = station.call("POST", "/v1/recordings", {"name": "seen"})["id"]
        event = client.until("event")
        assert event["body"]["recording_id"] == id
        until(lambda: client.until("status")["recorders"][0]["recording_id"] == id)
        station.call("POST", f"/v1/recordings/{id}/stop")


NONSENSE = [
    "", "{", "null", "[]", '{"type": "nope"}', '{"type": "subscribe"}', '{"type": "subscribe", "id": ""}',
    '{"type": "subscribe", "id": "x"}', '{"type": "subscribe", "id": "x", "streams": ["nope"]}',
    '{"type": "subscribe", "id": "x", "streams": ["gen"], "mode": "best"}',
    '{"type": "subscribe", "id": "x", "streams": ["gen"], "max_rate_hz": 0}',
    '{"type": "subscribe", "id": "x", "streams": ["gen"], "max_rate_hz": NaN}',
    '{"type": "subscribe", "id": "x", "streams": ["gen"], "channels": ["nope"]}',
    '{"type": "subscribe", "id": "x", "streams": ["gen"], "since": {"gen": [1]}}',
    '{"type": "subscribe", "id": "x", "streams": ["gen"], "since": {"gen": [-1, 0]}}',
    '{"type": "unsubscribe", "id": "x"}', '{"type": "hello"}', b"\xc1", b"\xff" * 100, b"\x91" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_is_answered_and_the_connection_stays(
    station: RunningStation, nonsense: str | bytes
) -> None:
    with Live(station) as client:
        client.socket.send(nonsense)
        error = client.read()
        assert error["type"] == "error" and error["code"] in ("invalid_input", "not_found"), error
        client.send(type="subscribe", id="a", streams=["gen"])
        assert client.until("data")["id"] == "a"


def test_too_much_nonsense_ends_it(station: RunningStation) -> None:
    with Live(station) as client:
        for _ in range(20):
            client.socket.send("{")
        assert client.closed_with() == 4429


def raw(station: RunningStation, **options: Any) -> ClientConnection:
    url = station.url.replace("http", "ws") + "/v1/live"
    return connect(url, compression=None, **options).__enter__()


def code_after(client: ClientConnection) -> tuple[dict[str, Any], int]:
    said = msgspec.json.decode(client.recv(10))
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(10)
    assert closed.value.rcvd is not None
    return said, closed.value.rcvd.code


def test_who_does_not_say_hello_first_is_closed(station: RunningStation) -> None:
    with raw(station) as client:
        client.send('{"type": "subscribe", "id": "a", "streams": ["gen"]}')
        said, code = code_after(client)
        assert said["type"] == "error" and code == 4400
    with raw(station) as client:
        said, code = code_after(client)
        assert code == 4408


def test_a_message_that_is_too_large_ends_it(station: RunningStation) -> None:
    with Live(station) as client:
        client.socket.send('{"type": "hello", "token": "' + "x" * 70_000 + '"}')
        assert client.closed_with() == 1009


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}]
)
def test_other_sites_do_not_get_in(station: RunningStation, headers: dict[str, str]) -> None:
    with socket.create_connection(("127.0.0.1", int(station.url.rpartition(":")[2]))) as wire:
        said = {
            "Host": station.url.removeprefix("http://"), "Upgrade": "websocket", "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", **headers,
        }  # fmt: skip
        lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        wire.sendall(f"GET /v1/live HTTP/1.1\r\n{lines}\r\n".encode())
        assert wire.recv(4096).startswith(b"HTTP/1.1 403")


def test_our_own_page_gets_in(station: RunningStation) -> None:
    with Live(station, additional_headers={"Origin": station.url}) as client:
        assert client.welcome["type"] == "welcome"


def test_one_that_does_not_read_delays_nobody_and_is_cut_off(tmp_path: Path) -> None:
    with RunningStation(tmp_path, generator(10_000, 24)) as station:
        front = station.front()
        assert front is not None
        stuck = socket.create_connection(("127.0.0.1", int(station.url.rpartition(":")[2])))
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client = raw(station, sock=stuck, max_queue=1)
        client.send('{"type": "hello"}')
        client.recv(10)
        client.send('{"type": "subscribe", "id": "a", "streams": ["gen"], "encoding": "msgpack"}')
        with Live(station) as reader:
            reader.send(type="subscribe", id="a", streams=["gen"], encoding="msgpack")
            at = reader.until("data")["seq_to"]
            deadline = time.monotonic() + 60
            while clients(station) > 1:
                assert time.monotonic() < deadline, "the stuck client is still there"
                at = read_a_second(reader, at)
            assert front.memory_info().rss < 400 * 1024 * 1024
        stuck.close()
        assert station.answers()


def read_a_second(reader: Live, at: int) -> int:
    """Read on without a hole and return where; asking the station oftener would make this reader slow."""
    for _ in range(50):
        message = reader.until("data")
        assert message["seq_from"] == at and message["dropped"] == 0
        at = message["seq_to"]
    return at


def clients(station: RunningStation) -> int:
    """Return how many live clients the station counts."""
    text = httpx.get(f"{station.url}/metrics", timeout=20).text
    return int(
        float(
            next(line for line in text.splitlines() if line.startswith("kymograph_live_clients")).split()[1]
        )
    )


def test_many_that_come_and_go_leave_nothing(station: RunningStation) -> None:
    def visit() -> None:
        for _ in range(5):
            with Live(station) as client:
                client.send(type="subscribe", id="a", streams=["gen"])
                client.until("data")

    visitors = [threading.Thread(target=visit) for _ in range(6)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    until(lambda: clients(station) == 0, 10, "everyone has left")


def test_a_stop_tells_clients_to_come_back(tmp_path: Path) -> None:
    with RunningStation(tmp_path, generator(RATE_HZ)) as station, Live(station) as client:
        client.send(type="subscribe", id="a", streams=["gen"])
        client.until("data")
        children = psutil.Process(station.engine.pid).children(recursive=True)
        assert station.stop() == 0
        assert client.closed_with() == 1012
        assert not psutil.wait_procs(children, 5)[1]


def test_a_proxys_plain_request_is_told_what_this_is(station: RunningStation) -> None:
    assert httpx.get(f"{station.url}/v1/live").status_code == 404
    with pytest.raises(InvalidStatus):
        connect(station.url.replace("http", "ws") + "/v1/nope").__enter__()
