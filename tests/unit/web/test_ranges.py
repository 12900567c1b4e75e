"""Files as answers: entity tags, ranges, and files that vanish."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kymograph.model.errors import NotFound
from kymograph.web.problems import HttpProblem
from kymograph.web.ranges import Span, file_response, parse_range

CONTENT = bytes(range(256)) * 4000


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", Span(0, 1)),
        ("bytes=2-5", Span(2, 6)),
        ("bytes=7-", Span(7, 10)),
        ("bytes=-3", Span(7, 10)),
        ("bytes=-99", Span(0, 10)),
        ("bytes=5-99999999999", Span(5, 10)),
        ("", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=0-1,4-5", None),
        ("items=0-1", None),
        ("bytes=٣-", None),
    ],
)
def test_ranges(header: str, span: Span | None) -> None:
    assert parse_range(header, 10) == span


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_ranges_outside(header: str) -> None:
    with pytest.raises(HttpProblem) as refused:
        parse_range(header, 10)
    assert refused.value.status == 416


class Client:
    """Asks the application without a network."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.get(path, headers=headers)

        return asyncio.run(ask())


@pytest.fixture
def client(tmp_path: Path) -> Client:
    path = tmp_path / "file.bin"
    path.write_bytes(CONTENT)

    def answer(request: Request) -> Response:
        return file_response(path, "abc", "application/x-test", request.headers, {})

    return Client(Starlette(routes=[Route("/", answer)]))


def test_the_whole_file(client: Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 200 and answer.content == CONTENT
    assert answer.headers["etag"] == '"abc"' and answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(CONTENT))


def test_a_part_of_it(client: Client) -> None:
    answer = client.get("/", headers={"range": "bytes=1000-500000"})
    assert answer.status_code == 206 and answer.content == CONTENT[1000:500001]
    assert answer.headers["content-range"] == f"bytes 1000-500000/{len(CONTENT)}"
    assert answer.headers["content-length"] == "499001"


def test_what_the_client_has_already(client: Client) -> None:
    for tag in ('"abc"', '"x", W/"abc"', "*"):
        answer = client.get("/", headers={"if-none-match": tag})
        assert answer.status_code == 304 and not answer.content
    assert client.get("/", headers={"if-none-match": '"x"'}).status_code == 200


def test_a_range_of_another_version_gives_the_whole(client: Client) -> None:
    assert client.get("/", headers={"range": "bytes=0-1", "if-range": '"old"'}).status_code == 200
    assert client.get("/", headers={"range": "bytes=0-1", "if-range": '"abc"'}).status_code == 206


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        file_response(tmp_path / "no", "abc", "x/y", Request({"type": "http", "headers": []}).headers, {})


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(NotFound):
        file_response(tmp_path / "link", "abc", "x/y", Request({"type": "http", "headers": []}).headers, {})
