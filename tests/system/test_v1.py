"""`/v1` over the wire: what only a real server can show."""

from __future__ import annotations

import socket
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kymograph.model.limits import REQUEST_HEADERS_S_MAX
from tests.running import RunningStation, generator, until

TABLES = '[recording]\nformat = "csv"\nsegment_interval_s = 1\n'


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningStation]:
    with RunningStation(tmp_path_factory.mktemp("v1"), generator(10_000, 8), TABLES) as made:
        yield made


@pytest.fixture(scope="module")
def recording(station: RunningStation) -> dict[str, Any]:
    """A recording of some megabytes that goes on."""
    id = station.call("POST", "/v1/recordings", {"name": "long"})["id"]
    until(lambda: station.call("GET", f"/v1/recordings/{id}")["rows"] > 100_000, 60)
    return station.call("GET", f"/v1/recordings/{id}")


def wire(station: RunningStation) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(station.url.rpartition(":")[2])), 30)


def test_an_export_of_a_running_recording_is_whole(
    station: RunningStation, recording: dict[str, Any]
) -> None:
    with httpx.stream(
        "GET", f"{station.url}/v1/recordings/{recording['id']}/export?format=csv", timeout=60
    ) as answer:
        assert answer.status_code == 200 and answer.headers["transfer-encoding"] == "chunked"
        text = "".join(answer.iter_text())
    header, *lines = text.splitlines()
    assert header.startswith("timestamp,counter,")
    counters = [int(line.split(",")[1]) for line in lines]
    assert len(counters) > 100_000
    assert counters == list(range(counters[0], counters[0] + len(counters)))


def test_who_leaves_in_the_middle_costs_nothing_afterwards(
    station: RunningStation, recording: dict[str, Any]
) -> None:
    url = f"{station.url}/v1/recordings/{recording['id']}/export?format=csv"
    for _ in range(12):  # more than there are workers
        with httpx.stream("GET", url, timeout=60) as answer:
            next(answer.iter_bytes())
    with httpx.stream("GET", url, timeout=60) as answer:
        assert answer.status_code == 200
        next(answer.iter_bytes())


def test_a_slow_download_keeps_nobody_waiting(station: RunningStation, recording: dict[str, Any]) -> None:
    with wire(station) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        path = f"/v1/recordings/{recording['id']}/export?format=csv"
        slow.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert slow.recv(100).startswith(b"HTTP/1.1 200")
        front = station.front()
        assert front is not None
        for _ in range(20):
            assert station.call("GET", "/v1/station", timeout_s=20)["name"] == "bench"
        assert front.memory_info().rss < 400 * 1024 * 1024


def test_segments_in_pieces_make_the_whole(station: RunningStation, recording: dict[str, Any]) -> None:
    first = station.call("GET", f"/v1/recordings/{recording['id']}/segments")["items"][0]
    url = f"{station.url}/v1/recordings/{recording['id']}/segments/{first['filename']}"
    whole = httpx.get(url, timeout=60)
    assert whole.headers["etag"] == f'"{first["sha256"]}"' and len(whole.content) == first["size_bytes"]
    half = first["size_bytes"] // 2
    parts = [
        httpx.get(url, headers={"Range": f"bytes={span}"}).content for span in (f"0-{half - 1}", f"{half}-")
    ]
    assert b"".join(parts) == whole.content
    assert httpx.get(url, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304


def drain(client: socket.socket) -> None:
    """Read until the other side has ended the connection, in whatever way."""
    try:
        while client.recv(4096):
            pass
    except ConnectionResetError:
        pass  # cut, not closed


def test_a_request_that_never_ends_is_cut_off(station: RunningStation) -> None:
    with wire(station) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        began = time.monotonic()
        drain(slow)
        assert REQUEST_HEADERS_S_MAX - 1 < time.monotonic() - began < 25


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
        b"GET http://evil/ HTTP/1.1\r\nHost: evil\r\n\r\n",
        b"GET /v1/station HTTP/1.1\r\nHost: localhost:8000@evil\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/recordings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00",
    ],
)
def test_malformed_requests_are_refused(station: RunningStation, said: bytes) -> None:
    with wire(station) as client:
        client.sendall(said)
        answer = client.recv(4096)
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 403", b"HTTP/1.1 413")), answer[:100]
        assert b"Traceback" not in answer


def test_the_engine_gone_is_told(tmp_path: Path) -> None:
    with RunningStation(tmp_path, generator(100)) as station:
        assert station.call("GET", "/v1/station")["simulated"] is False
        assert station.stop() == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{station.url}/healthz")
