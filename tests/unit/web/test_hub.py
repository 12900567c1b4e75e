"""A hub's routes: who may use which, what a station's key opens, what each answer says, bounds of bodies."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from kymograph.model.limits import BATCH_BYTES_MAX
from kymograph.service.keys import ADMIN, READ, RECORD, SHIP
from kymograph.web.app import describe
from kymograph.web.auth import declared_scopes
from tests.unit.service.hub.conftest import reading
from tests.unit.web.house import House

SCOPES = {
    "POST /v1/ingest/{station}/hello": SHIP,
    "PUT /v1/ingest/{station}/{stream}/{epoch}/{range}": SHIP,
    "HEAD /v1/ingest/{station}/objects/{sha256}": SHIP,
    "PATCH /v1/ingest/{station}/objects/{sha256}": SHIP,
    "POST /readings": SHIP,
    "POST /readings/bulk": SHIP,
    "GET /readings": READ,
    "GET /readings/latest": READ,
    "GET /v1/readings": READ,
    "GET /v1/readings/fields": READ,
    "GET /v1/readings/latest": READ,
    "GET /v1/fleet": READ,
    "GET /v1/fleet/rejects": READ,
    "GET /v1/fleet/rejects/{id}": READ,
    "DELETE /v1/fleet/rejects/{id}": ADMIN,
    "GET /v1/fleet/{station}": READ,
    "PATCH /v1/fleet/{station}": RECORD,
    "GET /v1/fleet/{station}/ledger": READ,
    "GET /v1/fleet/{station}/recordings": READ,
    "GET /v1/fleet/{station}/recordings/{id}/segments": READ,
    "GET /v1/fleet/{station}/recordings/{id}/segments/{filename}": READ,
    "GET /v1/fleet/{station}/keys": ADMIN,
    "POST /v1/fleet/{station}/keys": ADMIN,
    "DELETE /v1/fleet/{station}/keys/{id}": ADMIN,
}


class HubHouse(House):
    """A hub and its front, without a network."""

    def __init__(self, data: Path, **tables: Any) -> None:
        super().__init__(data)
        self.config = type(self.config).model_validate({**self.config.model_dump(), **tables})
        self.front = self.app(host="0.0.0.0", faces=["readings"])
        self.admin = {"authorization": f"Bearer {self.keys.create('admin', [ADMIN])}"}

    def say(self, method: str, path: str, key: dict[str, str] | None = None, **request: Any) -> Any:
        headers = {**(key or {}), **request.pop("headers", {})}
        return self.ask(method, path, self.front, headers=headers, **request)

    def key_of(self, station: str) -> dict[str, str]:
        made = self.say("POST", f"/v1/fleet/{station}/keys", self.admin, json={"label": "test"})
        assert made.status_code == 201, made.text
        return {"x-api-key": made.json()["key"]}

    def put(self, key: dict[str, str], body: bytes, path: str, **headers: str) -> Any:
        sha256 = headers.pop("sha256", hashlib.sha256(body).hexdigest())
        if headers.get("content-encoding") == "gzip":
            body = gzip.compress(body)
        return self.say("PUT", path, key, content=body, headers={"x-content-sha256": sha256, **headers})


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Generator[HubHouse]:
    made = HubHouse(tmp_path_factory.mktemp("hub") / "data", hub={})
    yield made
    made.close()


def batch(station: str, first: int, last: int) -> bytes:
    return b"".join(json.dumps(reading(seq, station)).encode() + b"\n" for seq in range(first, last + 1))


def test_every_route_of_a_hub_has_the_scope_that_is_written_here(hub: HubHouse) -> None:
    found: dict[str, str] = {}
    for route in hub.front.routes:
        (scope,) = declared_scopes(route)
        for method in getattr(route, "methods", None) or ():
            found[f"{method} {route.path}"] = scope
    ours = {path: scope for path, scope in found.items() if _is_ours(path)}
    assert ours == SCOPES


def _is_ours(path: str) -> bool:
    return any(part in path for part in ("/v1/ingest", "/v1/fleet", "/v1/readings", " /readings"))


def test_the_key_of_a_station_opens_its_own_door_only(hub: HubHouse) -> None:
    key = hub.key_of("narrow")
    for what, scope in SCOPES.items():
        method, path = what.split(" ")
        for name, value in (("station", "narrow"), ("stream", "readings"), ("epoch", "1"), ("range", "1-1"),
                            ("sha256", "0" * 64), ("id", "1"), ("filename", "x")):  # fmt: skip
            path = path.replace(f"{{{name}}}", value)
        answer = hub.say(method, path, key, json={})
        assert (answer.status_code == 403) == (scope != SHIP), (what, answer.status_code)
        assert hub.say(method, path, json={}).status_code == 401, f"{what} without a key"
        if "narrow" in path and scope == SHIP:
            assert hub.say(method, path.replace("narrow", "other"), key, json={}).status_code == 403, what
    assert hub.say("GET", "/v1/station", key).status_code == 403
    assert (
        hub.say("POST", "/v1/ingest/narrow/hello", {"x-api-key": "kym_ship_no"}, json={}).status_code == 401
    )


def test_a_revoked_key_is_worthless_at_once(hub: HubHouse) -> None:
    key = hub.key_of("short")
    assert hub.say("POST", "/v1/ingest/short/hello", key, json={"streams": []}).status_code == 200
    (told,) = hub.say("GET", "/v1/fleet/short/keys", hub.admin).json()["items"]
    assert told["used_ns"] is not None and key["x-api-key"] not in json.dumps(told)
    assert hub.say("DELETE", f"/v1/fleet/short/keys/{told['id']}", hub.admin).status_code == 204
    assert hub.say("POST", "/v1/ingest/short/hello", key, json={"streams": []}).status_code == 401


def test_what_a_batch_is_answered(hub: HubHouse) -> None:
    key = hub.key_of("roof")
    body = batch("roof", 1, 10)
    path = "/v1/ingest/roof/readings/7/1-10"
    taken = hub.put(key, body, path, **{"content-encoding": "gzip"})
    assert (taken.status_code, taken.json()) == (201, {"committed": 10, "duplicates": 0})
    known = hub.put(key, body, path)
    assert (known.status_code, known.json()) == (200, {"committed": 0, "duplicates": 10})
    other = hub.put(key, body + b"\n", path)
    assert other.status_code == 409 and other.json()["detail"]
    dead = hub.put(key, b"rubbish", "/v1/ingest/roof/readings/7/11-20")
    assert dead.status_code == 422 and "line 1" in dead.json()["detail"]
    sha256 = hashlib.sha256(b"rows").hexdigest()
    row = {"seq": 1, "recording_id": "r", "filename": "f", "sha256": sha256, "size_bytes": 4}
    early = hub.put(key, json.dumps(row).encode(), "/v1/ingest/roof/segments/7/1-1")
    assert early.status_code == 424 and early.json()["facts"]["missing"] == [sha256]
    (first, *_) = hub.say("GET", "/v1/fleet/rejects?limit=1", hub.admin).json()["items"]
    assert first["kind"] == "dead"
    assert hub.say("GET", f"/v1/fleet/rejects/{first['id']}", hub.admin).content == b"rubbish"
    assert hub.say("DELETE", f"/v1/fleet/rejects/{first['id']}", hub.admin).status_code == 204


WRONG: list[tuple[str, dict[str, str], int]] = [
    ("/v1/ingest/wrong/readings/7/1-10", {"sha256": "0" * 64}, 400),
    ("/v1/ingest/wrong/readings/7/1-10", {"sha256": "short"}, 400),
    ("/v1/ingest/wrong/readings/7/10-1", {}, 400),
    ("/v1/ingest/wrong/readings/7/x", {}, 400),
    ("/v1/ingest/wrong/readings/-7/1-10", {}, 400),
    (f"/v1/ingest/wrong/readings/7/1-{2**63}", {}, 400),
    ("/v1/ingest/wrong/pictures/7/1-10", {}, 404),
    ("/v1/ingest/wrong/readings/7/1-10", {"content-encoding": "br"}, 415),
]


@pytest.mark.parametrize(("path", "headers", "status"), WRONG)
def test_a_wrong_request_never_has_a_status_that_means_something_to_a_station(
    hub: HubHouse, path: str, headers: dict[str, str], status: int
) -> None:
    assert hub.put(hub.admin, batch("wrong", 1, 10), path, **headers).status_code == status
    assert hub.say("GET", "/v1/fleet/rejects?station=wrong", hub.admin).json()["items"] == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"streams": [{"stream": "x"}]}', b'{"interval_s": -1}'])
def test_a_hello_that_makes_no_sense(hub: HubHouse, body: bytes) -> None:
    assert hub.say("POST", "/v1/ingest/wrong/hello", hub.admin, content=body).status_code == 400


def test_names_that_no_station_can_have(hub: HubHouse) -> None:
    for name in ("rejects", ".hidden", "a%20b"):
        answer = hub.say("POST", f"/v1/ingest/{name}/hello", hub.admin, json={"streams": []})
        assert answer.status_code == 400, name


def test_bodies_are_bounded_also_once_they_are_unpacked(hub: HubHouse) -> None:
    path = "/v1/ingest/big/readings/7/1-10"
    bomb = gzip.compress(b" " * (BATCH_BYTES_MAX + 1))
    headers = {"x-content-sha256": "0" * 64, "content-encoding": "gzip"}
    assert len(bomb) < 100_000
    assert hub.say("PUT", path, hub.admin, content=bomb, headers=headers).status_code == 413
    for damaged, status in ((b"no gzip", 400), (bomb[:50], 400), (gzip.compress(b"x") + b"more", 400)):
        assert hub.say("PUT", path, hub.admin, content=damaged, headers=headers).status_code == status
    assert hub.say("POST", "/readings/bulk", hub.admin, content=bomb, headers=headers).status_code == 413


def test_a_file_comes_in_pieces_and_is_given_back(hub: HubHouse) -> None:
    key, data = hub.key_of("files"), bytes(range(256)) * 20
    sha256 = hashlib.sha256(data).hexdigest()
    path = f"/v1/ingest/files/objects/{sha256}"
    asked = hub.say("HEAD", path, key)
    assert (asked.status_code, asked.headers["upload-offset"]) == (404, "0")
    first = hub.say(
        "PATCH", path, key, content=data[:1000], headers={"upload-offset": "0", "upload-complete": "?0"}
    )
    assert (first.status_code, first.headers["upload-offset"]) == (204, "1000")
    again = hub.say("PATCH", path, key, content=data[:1000], headers={"upload-offset": "0"})
    assert (again.status_code, again.headers["upload-offset"]) == (409, "1000")
    last = {"upload-offset": "1000", "upload-complete": "?1"}
    assert hub.say("PATCH", path, key, content=data[1000:-1] + b"!", headers=last).status_code == 422
    assert hub.say("HEAD", path, key).headers["upload-offset"] == "0"
    whole = {"upload-offset": "0", "upload-complete": "?1"}
    assert hub.say("PATCH", path, key, content=data, headers=whole).status_code == 204
    assert hub.say("HEAD", path, key).status_code == 200
    row = {"seq": 1, "recording_id": "r", "filename": "f.h5", "sha256": sha256, "size_bytes": len(data)}
    assert hub.put(key, json.dumps(row).encode(), "/v1/ingest/files/segments/7/1-1").status_code == 201
    (recording,) = hub.say("GET", "/v1/fleet/files/recordings", hub.admin).json()["items"]
    assert recording["size_bytes"] == len(data)
    given = hub.say("GET", "/v1/fleet/files/recordings/r/segments/f.h5", hub.admin)
    assert given.content == data and given.headers["etag"] == f'"{sha256}"'
    assert hub.say("GET", "/v1/fleet/files/recordings/r/segments/g.h5", hub.admin).status_code == 404


def test_the_fleet_and_its_numbers(hub: HubHouse) -> None:
    key = hub.key_of("counted")
    told = {"streams": [{"stream": "readings", "epoch": 7, "first": 1, "next": 21}], "interval_s": 60}
    assert hub.say("POST", "/v1/ingest/counted/hello", key, json=told).json()["streams"][0]["held"] == []
    hub.put(key, batch("counted", 1, 15), "/v1/ingest/counted/readings/7/1-15")
    one = hub.say("GET", "/v1/fleet/counted", hub.admin).json()
    assert one["state"] == "silent" and one["owed"]["readings"]["rows"] == 5
    assert one["ledger"] == {"expected": 20, "held": 15, "missing": 5}
    listed = hub.say("GET", "/v1/fleet", hub.admin).json()["items"]
    assert "counted" in [item["station"] for item in listed]
    named = {"title": "In the field", "latitude": 47.5, "longitude": None}
    assert hub.say("PATCH", "/v1/fleet/counted", hub.admin, json=named).json()["title"] == "In the field"
    for wrong in ({"latitude": 91}, {"title": None}, {"colour": "red"}):
        assert hub.say("PATCH", "/v1/fleet/counted", hub.admin, json=wrong).status_code == 422
    assert hub.say("GET", "/v1/fleet/nobody", hub.admin).status_code == 404
    page = hub.say("GET", "/v1/readings?station=counted&limit=10", hub.admin).json()
    rest = hub.say("GET", f"/v1/readings?station=counted&limit=10&cursor={page['next']}", hub.admin).json()
    assert [one["payload"]["bme280"]["temperature"]["c"] for one in page["items"] + rest["items"]] == [
        seq / 10 for seq in range(1, 16)
    ]
    fields = "/v1/readings?station=counted&start=0&fields=bme280.temperature.c"
    series = hub.say("GET", fields, hub.admin).json()
    assert series["mode"] == "raw" and len(series["series"]["bme280.temperature.c"]["mean"]) == 15
    numbers = hub.say("GET", "/metrics", hub.admin).text
    assert 'kymograph_hub_rows_owed{station="counted",stream="readings"} 5.0' in numbers
    assert "kymograph_hub_database_up 1.0" in numbers and 'kymograph_hub_stations{state="silent"}' in numbers


def test_the_description_is_whole(hub: HubHouse) -> None:
    description = describe(hub.front)
    for path, item in description["paths"].items():
        for method, told in item.items():
            assert told.get("description"), (method, path)
            assert told["x-scope"] in ("public", "read", "record", "control", "admin", "ship")


def test_a_database_that_is_away_is_503_and_when_to_come_back(tmp_path: Path) -> None:
    away = {"url": "postgresql+psycopg://nobody@127.0.0.1:1/none"}
    house = HubHouse(tmp_path / "data", hub={}, database=away)
    try:
        for method, path in (
            ("GET", "/v1/fleet"), ("GET", "/readings"), ("GET", "/v1/readings"),
            ("POST", "/v1/ingest/a/hello"),
        ):  # fmt: skip
            answer = house.say(method, path, house.admin, json={"streams": []})
            assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0, (path, answer.text)
        put = house.put(house.admin, batch("a", 1, 2), "/v1/ingest/a/readings/7/1-2")
        assert put.status_code == 503 and int(put.headers["retry-after"]) > 0
        stations_key = {"x-api-key": "kym_ship_" + "a" * 43}
        assert house.say("POST", "/readings", stations_key, json={}).status_code == 503
        assert "kymograph_hub_database_up 0.0" in house.say("GET", "/metrics", house.admin).text
        assert house.say("GET", "/v1/station", house.admin).status_code == 200
    finally:
        house.close()


def test_an_open_hub_takes_from_anyone_and_shows_nothing_more(tmp_path: Path) -> None:
    house = HubHouse(tmp_path / "data", hub={"open": True})
    try:
        assert house.put({}, batch("a", 1, 2), "/v1/ingest/a/readings/7/1-2").status_code == 201
        assert house.say("GET", "/v1/fleet").status_code == 401
    finally:
        house.close()


def test_an_edge_gives_its_readings_and_takes_none(tmp_path: Path) -> None:
    house = HubHouse(tmp_path / "data", readings={"instruments": ["gen"]})
    try:
        posted = {"device_id": "t", "ts_utc": "2026-05-01T03:00:00Z", "ts_local": "2026-05-01", "payload": {}}
        assert house.say("POST", "/readings", house.admin, json=posted).status_code == 403
        assert house.say("POST", "/readings/bulk", house.admin, json=[posted]).status_code == 403
        assert house.say("GET", "/readings", house.admin).json() == []
        assert house.say("GET", "/readings/latest", house.admin).status_code == 404
        assert house.say("GET", "/v1/readings", house.admin).json() == {"items": [], "next": None}
        assert house.say("GET", "/v1/fleet", house.admin).status_code == 404
    finally:
        house.close()
