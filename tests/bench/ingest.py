"""What a hub takes beside PostgreSQL alone, a bulk of readings beside the plain ORM way, and beside InfluxDB.

Each round sends the same rows to each, one after the other, each time into an empty database; what is given
is the median of the rounds' ratios. A hub's rows go over HTTP into the real program, COPY's go straight into
the same table from the same machine.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from kymograph.store.sql import months, schema
from kymograph.store.sql.database import Database
from tests.bench.orm import OrmHub
from tests.bench.table import Line, at_least
from tests.postgres import Server, _free_port, binaries
from tests.running import RunningStation, until

ROUNDS = 3
STATIONS = 20
ROWS_EACH = 5000
BULK = 360
LANES = 4
"""Connections at one time: stations of a fleet do not wait for one another."""
BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
HUB = '[web]\nfaces = ["readings"]\n[hub]\nopen = true\n[database]\nurl = "{url}"\n'


def run() -> list[Line]:
    programs = binaries()
    if programs is None:
        return []
    server = Server(programs)
    try:
        server.start()
        return [*native(server), *bulk(server)]
    finally:
        server.close()


# -- rows --------------------------------------------------------------------------------------------------
def reading(station: int, i: int) -> dict[str, Any]:
    """A reading of the shape that weather stations have."""
    celsius = round(18 + station / 10 + (i % 997) / 100, 2)
    return {
        "bme280": {
            "temperature": {"c": celsius, "f": round(celsius * 1.8 + 32, 2)},
            "pressure": {"hpa": round(1013 + (i % 331) / 50, 2)},
            "humidity": {"rh": round(40 + (i % 521) / 20, 2)},
        },
        "cpu_temp": {"c": 48.3, "f": 118.94},
        "disk_space": {"total_mb": 29_665.5, "used_mb": 5000 + i, "free_mb": 24_665.5 - i},
    }


def rows_of(station: int, count: int) -> list[dict[str, Any]]:
    begin_ns = int(BEGIN.timestamp()) * 1_000_000_000
    return [
        {
            "seq": i + 1, "device_id": f"station-{station:02d}", "time_ns": begin_ns + i * 60_000_000_000,
            "local_ns": begin_ns + (i * 60 + 36_000) * 1_000_000_000, "payload": reading(station, i),
        }
        for i in range(count)
    ]  # fmt: skip


def lines(rows: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows)


Request = tuple[str, str, bytes, dict[str, str]]


def send_all(url: str, requests: Sequence[Sequence[Request]]) -> float:
    """Send each list of requests over a connection of its own; return how long all of them took."""
    parts = urllib.parse.urlsplit(url)
    wrong: list[str] = []

    def one(mine: Sequence[Request]) -> None:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        for method, path, body, headers in mine:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status not in (200, 201, 204):
                wrong.append(f"{answer.status} {said[:200]!r}")
                return

    threads = [threading.Thread(target=one, args=(mine,)) for mine in requests]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    assert not wrong, wrong[0]
    return took


@contextmanager
def hub(server: Server) -> Iterator[tuple[RunningStation, str]]:
    """A hub of its own on an empty database."""
    url = server.create_database()
    with tempfile.TemporaryDirectory(dir=".", prefix="bench-") as folder:
        with RunningStation(Path(folder), "", HUB.format(url=url)) as station:
            until(station.answers)
            yield station, url
    server.drop_database(url)


def count_of(url: str) -> int:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return connection.execute("SELECT count(*) FROM readings").fetchone()[0]  # type: ignore[index]


# -- native ingest -----------------------------------------------------------------------------------------
def native(server: Server) -> list[Line]:
    data = [rows_of(station, ROWS_EACH) for station in range(STATIONS)]
    text = [copy_text(rows) for rows in data]
    found: list[Line] = []
    for size, goal in ((ROWS_EACH, 0.6), (BULK, None)):
        requests = [batches(rows, size) for rows in data]
        ours, peers = [], []
        for _ in range(ROUNDS):
            with hub(server) as (station, url):
                lanes = [[r for mine in requests[k::LANES] for r in mine] for k in range(LANES)]
                ours.append(STATIONS * ROWS_EACH / send_all(station.url, lanes))
                assert count_of(url) == STATIONS * ROWS_EACH
            peers.append(STATIONS * ROWS_EACH / copied(server, text))
        what = f"hub ingest over HTTP, {size} readings a batch"
        peer = "PostgreSQL COPY of the same rows, the same table"
        found.append(compared(what, ours, peer, peers, goal))
    return found


def batches(rows: list[dict[str, Any]], size: int) -> list[Request]:
    made: list[Request] = []
    for begin in range(0, len(rows), size):
        part = rows[begin : begin + size]
        body = lines(part)
        path = f"/v1/ingest/{part[0]['device_id']}/readings/7/{part[0]['seq']}-{part[-1]['seq']}"
        headers = {
            "x-content-sha256": hashlib.sha256(body).hexdigest(),
            "content-type": "application/x-ndjson",
        }
        made.append(("PUT", path, body, headers))
    return made


def copy_text(rows: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(
        f"{r['device_id']}\t{r['time_ns']}\t{r['local_ns']}\t{json.dumps(r['payload'])}\n".encode()
        for r in rows
    )


def copied(server: Server, text: Sequence[bytes]) -> float:
    """COPY each station's rows into an empty table of readings, a transaction each."""
    url = server.create_database()
    database = Database(url)
    schema.upgrade(database)
    with database.begin() as connection:
        months.ensure(connection, [int(BEGIN.timestamp()) * 1_000_000_000])
    database.close()
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        began = time.perf_counter()
        for one in text:
            with (
                connection.cursor() as cursor,
                cursor.copy("COPY readings (device_id, time_ns, local_ns, payload) FROM STDIN") as copy,
            ):
                copy.write(one)
            connection.commit()
        took = time.perf_counter() - began
    server.drop_database(url)
    return took


def compared(what: str, ours: Sequence[float], peer: str, peers: Sequence[float], goal: float | None) -> Line:
    """A line with the median of the rounds' ratios, held against the peer's median."""
    ratio = statistics.median(a / b for a, b in zip(ours, peers, strict=True))
    theirs = statistics.median(peers)
    if goal is None:
        return Line(what, ratio * theirs, "rows/s", peer, theirs)
    return at_least(what, ratio * theirs, "rows/s", peer, theirs, goal)


# -- POST /readings/bulk -----------------------------------------------------------------------------------
def posted(rows: Sequence[dict[str, Any]]) -> list[Request]:
    made: list[Request] = []
    for begin in range(0, len(rows), BULK):
        readings = [
            {
                "device_id": row["device_id"],
                "ts_utc": (BEGIN + timedelta(seconds=60 * (row["seq"] - 1))).isoformat(),
                "ts_local": (BEGIN + timedelta(seconds=60 * (row["seq"] - 1) + 36_000)).isoformat()[:19],
                "payload": row["payload"],
            }
            for row in rows[begin : begin + BULK]
        ]
        body = json.dumps({"readings": readings}).encode()
        made.append(("POST", "/readings/bulk", body, {"content-type": "application/json"}))
    return made


def bulk(server: Server) -> list[Line]:
    """The same requests to us, to the ORM's way, and as lines to InfluxDB."""
    each = 3600
    count = each * LANES
    lanes = [posted(rows_of(station, each)) for station in range(LANES)]
    ours, orm, influx = [], [], []
    for _ in range(ROUNDS):
        with hub(server) as (station, url):
            ours.append(count / send_all(station.url, lanes))
            assert count_of(url) == count
        with OrmHub(server.create_database()) as peer:
            orm.append(count / send_all(peer.url, lanes))
        if shutil.which("influxd"):
            influx.append(count / influxed([rows_of(station, each) for station in range(LANES)]))
    what = f"POST /readings/bulk, {BULK} readings each"
    found = [compared(what, ours, "FastAPI, pydantic and ORM add_all, PostgreSQL", orm, 7)]
    if influx:
        found.append(compared(what, ours, "InfluxDB 1.6, line protocol, the same batches", influx, None))
    return found


# -- InfluxDB ----------------------------------------------------------------------------------------------
def influxed(data: Sequence[Sequence[dict[str, Any]]]) -> float:
    with tempfile.TemporaryDirectory(dir=".", prefix="bench-") as folder:
        port, process = influxd(Path(folder).absolute())
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: _answers(url), 30, "InfluxDB")
            asked = urllib.request.Request(
                f"{url}/query", urllib.parse.urlencode({"q": "CREATE DATABASE weather"}).encode()
            )
            urllib.request.urlopen(asked, timeout=30).read()
            lanes: list[list[Request]] = [
                [
                    ("POST", "/write?db=weather", _protocol(rows[begin : begin + BULK]), {})
                    for begin in range(0, len(rows), BULK)
                ]
                for rows in data
            ]
            return send_all(url, lanes)
        finally:
            process.kill()
            process.wait()


def influxd(folder: Path) -> tuple[int, subprocess.Popen[bytes]]:
    port, rpc = _free_port(), _free_port()
    config = folder / "influxdb.conf"
    config.write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{rpc}"\n'
        f'[meta]\ndir = "{folder}/meta"\n[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\n'
        f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n'
    )
    process = subprocess.Popen(
        ["influxd", "-config", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return port, process


def _answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(f"{url}/ping", timeout=2).status == 204
    except OSError:
        return False


def _protocol(rows: Sequence[dict[str, Any]]) -> bytes:
    def numbers(path: str, value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from numbers(f"{path}.{key}" if path else key, inner)
        else:
            yield f"{path}={float(value)}"

    return "".join(
        f"readings,device_id={r['device_id']} {','.join(numbers('', r['payload']))} {r['time_ns']}\n"
        for r in rows
    ).encode()
