"""HTTP of a mirror: what an answer means, ranges, pace."""

import random
import time

import pytest

from kymograph.model.errors import KeyNeeded, KymographError, NotFound, Unavailable
from kymograph.sync.backoff import FIRST_S, LAST_S, Backoff
from kymograph.sync.transfer import Away, Transfer
from tests.original_server import SESSION, OriginalServer, chunk_bytes
from tests.proxy import Cable

FILE = f"/files/{SESSION}/chunk_00000.jsonl"


@pytest.fixture
def server():
    with OriginalServer() as server:
        server.chunks[0] = chunk_bytes(0)
        yield server


def test_waits_double_up_to_half_a_minute_give_or_take():
    backoff = Backoff(random.Random(1))
    waits = [backoff.failed() for _ in range(12)]
    for wait, wanted in zip(waits, [min(FIRST_S * 2**n, LAST_S) for n in range(12)], strict=True):
        assert 0.7 * wanted <= wait <= 1.3 * wanted
    assert len({round(wait / LAST_S, 6) for wait in waits[7:]}) == 5  # not all at the same moment
    backoff.worked()
    assert backoff.failed() <= 1.3 * FIRST_S


def test_a_file_from_an_offset_on(server):
    with Transfer(server.url) as transfer, transfer.open(FILE, 100) as found:
        assert found.offset == 100
        assert b"".join(found.pieces) == server.chunks[0][100:]


def test_a_server_without_ranges_begins_anew(server):
    server.ranges = False
    with Transfer(server.url) as transfer, transfer.open(FILE, 100) as found:
        assert found.offset == 0
        assert b"".join(found.pieces) == server.chunks[0]


def test_a_file_that_breaks_off_is_no_file(server):
    with Cable(int(server.url.rpartition(":")[2])) as cable, Transfer(cable.url) as transfer:
        cable.cut_after(3000)
        got = bytearray()
        with pytest.raises(Unavailable), transfer.open(FILE) as found:
            for piece in found.pieces:
                got += piece
        assert server.chunks[0].startswith(got)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, KeyNeeded), (403, KeyNeeded), (404, NotFound), (500, Unavailable), (503, Unavailable),
        (400, KymographError),
    ],
)  # fmt: skip
def test_what_a_status_means(server, status, error):
    server.answer = lambda path: (status, {"detail": "no"})
    with Transfer(server.url) as transfer, pytest.raises(error) as raised:
        transfer.get("/anything")
    assert type(raised.value) is error and str(status) in str(raised.value)


def test_our_own_errors_come_as_they_are(server):
    problem = {"code": "conflict", "detail": "held", "hint": "wait", "facts": {"holder": "ana"}}
    server.answer = lambda path: (409, problem)
    with Transfer(server.url) as transfer, pytest.raises(KymographError) as raised:
        transfer.get("/anything")
    assert (raised.value.code, raised.value.facts) == ("conflict", {"holder": "ana"})


def test_the_source_s_disk_is_not_ours(server):
    problem = {"code": "disk_full", "detail": "no space", "hint": "delete", "facts": {"free_bytes": 3}}
    server.answer = lambda path: (507, problem)
    with Transfer(server.url) as transfer, pytest.raises(Unavailable, match="no space"):
        transfer.get("/anything")


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff\xfe"])
def test_an_answer_that_is_no_json(server, body):
    server.answer = lambda path: (200, body)
    with Transfer(server.url) as transfer, pytest.raises(Unavailable):
        transfer.get("/anything").json()


def test_nobody_there():
    with Cable(1) as cable, Transfer(cable.url) as transfer, pytest.raises(Away) as raised:
        transfer.get("/record/status")
    assert cable.url in str(raised.value)


def test_a_limited_rate_is_kept(server):
    server.chunks[0] = bytes(60_000)
    with Transfer(server.url, bytes_per_s=120_000) as transfer, transfer.open(FILE) as found:
        began = time.monotonic()
        assert sum(map(len, found.pieces)) == 60_000
        assert time.monotonic() - began >= 0.45
