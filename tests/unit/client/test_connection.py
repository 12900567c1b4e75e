"""What a script is told when an answer is an error, is not ours, breaks off or does not come."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kymograph.client import Recording, connect, errors
from kymograph.client.connection import Connection, Request, station_url

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None: ...  # a client that hung up is part of the test


class Wire:
    """A server that says what a test tells it to, one answer after the other, the last for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                wire.asked.append((self.command, self.path, dict(self.headers)))
                self.rfile.read(int(self.headers.get("content-length", 0)))
                (wire.answers.pop(0) if len(wire.answers) > 1 else wire.answers[0])(self)

            do_POST = do_GET  # noqa: N815 - the library's word

            def log_message(self, *_: object) -> None: ...

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def wire() -> Generator[Wire]:
    made = Wire()
    yield made
    made.server.shutdown()
    made.server.server_close()


def says(status: int, body: Any, headers: dict[str, str] | None = None) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def hangs_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.close()


def breaks_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"a" * 10)
    handler.close_connection = True


def problem(code: str, **more: Any) -> dict[str, Any]:
    return {"type": "about:blank", "title": "No", "status": 409, "code": code, "detail": "because", **more}


@pytest.mark.parametrize("kind", [k for k in errors.tree().values() if k is not errors.KymographError])
def test_every_error_of_the_tree_comes_back_as_itself(wire: Wire, kind: type[errors.KymographError]) -> None:
    wire.answers = [says(409, problem(kind.code, hint="do that", facts={"who": "anna"}))]
    with pytest.raises(kind) as told:
        connect(wire.url).station()
    assert type(told.value) is kind and told.value.message == "because"
    assert told.value.facts == {"who": "anna"}
    assert told.value.hint == "do that" or kind is errors.KeyNeeded


def test_a_code_from_the_future_is_an_error_all_the_same(wire: Wire) -> None:
    wire.answers = [says(418, problem("teapot"))]
    with pytest.raises(errors.KymographError, match="because"):
        connect(wire.url).station()


@pytest.mark.parametrize("body", [b"<html>nginx</html>", b"", b"[]", b'"no"', b"{}"])
def test_somebody_else_is_no_station(wire: Wire, body: bytes) -> None:
    wire.answers = [says(404, body)]
    with pytest.raises(errors.Unavailable, match="is this the address"):
        connect(wire.url).station()


def test_a_question_that_broke_is_asked_again(wire: Wire) -> None:
    wire.answers = [hangs_up, hangs_up, says(200, {"items": [], "next": None})]
    assert connect(wire.url).instruments() == [] and len(wire.asked) == 3


def test_a_wish_that_broke_is_not_done_twice(wire: Wire) -> None:
    wire.answers = [hangs_up]
    with pytest.raises(errors.Unavailable, match="broke"):
        Connection(wire.url, None, 5).ask(Request("POST", "/x"))
    assert len(wire.asked) == 1


def test_a_recording_is_begun_with_one_key_however_often_it_is_asked_for(wire: Wire) -> None:
    wire.answers = [hangs_up, says(201, {"id": "x", "name": "night"})]
    assert connect(wire.url).recording("night").id == "x"
    keys = [headers["Idempotency-Key"] for _, _, headers in wire.asked]
    assert len(keys) == 2 and len(set(keys)) == 1


def test_no_answer_in_time(wire: Wire) -> None:
    done = threading.Event()
    wire.answers = [lambda _: done.wait(10) and None]
    try:
        with pytest.raises(errors.TimedOut, match=r"within 0\.2 s"):
            connect(wire.url, timeout_s=0.2).station()
    finally:
        done.set()


def test_all_pages_of_a_list(wire: Wire) -> None:
    wire.answers = [says(200, {"items": [{"name": "a"}], "next": "m"}), says(200, {"items": [{"name": "b"}]})]
    assert [one["name"] for one in Connection(wire.url, None, 5).items("/x")] == ["a", "b"]
    assert wire.asked[1][1] == "/v1/x?limit=1000&cursor=m"


def test_the_key_goes_into_a_header(wire: Wire) -> None:
    wire.answers = [says(200, {"items": []})]
    connect(wire.url, "kym_x").instruments()
    ((_, path, headers),) = wire.asked
    assert headers["Authorization"] == "Bearer kym_x" and "kym_x" not in path


def recording(wire: Wire) -> Recording:
    return Recording(Connection(wire.url, None, 5), {"id": "x", "name": "night"})


def test_a_download_that_breaks_off_leaves_nothing(wire: Wire, tmp_path: Path) -> None:
    wire.answers = [breaks_off]
    (tmp_path / "x.csv").write_text("old")
    with pytest.raises(errors.Unavailable, match="broke"):
        recording(wire).export(tmp_path / "x.csv", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["x.csv"] and (tmp_path / "x.csv").read_text() == "old"


def test_a_download_is_whole_before_it_has_its_name(wire: Wire, tmp_path: Path) -> None:
    body = bytes(range(256)) * 2000
    name = {"Content-Disposition": 'attachment; filename="night.csv"'}
    wire.answers = [says(200, body, name)]
    seen: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None) -> None:
        assert not (tmp_path / "night.csv").exists()
        seen.append((done, total))

    made = recording(wire).export(tmp_path, progress=progress)
    assert made == tmp_path / "night.csv" and made.read_bytes() == body
    assert seen[-1] == (len(body), len(body)) and [p.name for p in tmp_path.iterdir()] == ["night.csv"]
    with pytest.raises(errors.Conflict):
        recording(wire).export(tmp_path)


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "..", ".hidden", "a/b", 'a"b', "%2e%2e%2fevil"])
def test_a_name_that_a_station_suggests_leads_nowhere_else(wire: Wire, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    wire.answers = [says(200, b"x", {"Content-Disposition": f'attachment; filename="{name}"'})]
    made = recording(wire).export(folder)
    assert made.parent == folder and [p.parent for p in tmp_path.rglob("*") if p.is_file()] == [folder]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000"),
        ("station.local:8000", "http://station.local:8000"),
        ("https://host/extensionv2/sensor/", "https://host/extensionv2/sensor"),
    ],
)
def test_an_address_has_one_spelling(text: str, url: str) -> None:
    assert station_url(text) == url


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "http://", "http://x:port", "http://x:99999", "http://key@host", "http://x?a=1"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(errors.InvalidInput):
        connect(text)
