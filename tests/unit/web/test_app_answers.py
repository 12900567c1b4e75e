"""What `/v1` answers: shapes as described, problems, recordings, files."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kymograph.web.app import describe
from tests.unit.web.house import House


def check(value: Any, schema: dict[str, Any], shapes: dict[str, Any], at: str = "") -> None:
    """Check an answer against its description, as far as it is used here."""
    if "$ref" in schema:
        return check(value, shapes[schema["$ref"].rpartition("/")[2]], shapes, at)
    if "anyOf" in schema:
        problems = []
        for one in schema["anyOf"]:
            try:
                return check(value, one, shapes, at)
            except AssertionError as error:
                problems.append(str(error))
        raise AssertionError(f"{at}: none of {problems}")
    kinds = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
        "object": dict,
        "array": list,
    }
    if "type" in schema:
        assert isinstance(value, kinds[schema["type"]]), f"{at}: {value!r} is no {schema['type']}"
    for name in schema.get("required", ()):
        assert name in value, f"{at}.{name} is missing"
    for name, one in schema.get("properties", {}).items():
        if name in value:
            check(value[name], one, shapes, f"{at}.{name}")
    if isinstance(value, list) and "items" in schema:
        for i, one in enumerate(value):
            check(one, schema["items"], shapes, f"{at}[{i}]")
    return None


READS = [
    "/v1/station", "/v1/events", "/v1/instruments", "/v1/instruments/{name}", "/v1/streams",
    "/v1/streams/{name}/latest", "/v1/streams/{name}/data", "/v1/drivers", "/v1/formats", "/v1/session",
    "/v1/recordings", "/v1/recordings/{id}", "/v1/recordings/{id}/manifest", "/v1/recordings/{id}/segments",
    "/v1/recordings/{id}/data", "/v1/recordings/{id}/events", "/v1/recordings/{id}/files",
    "/v1/recordings/{id}/completeness", "/v1/recordings/{id}/mirrors", "/v1/mirrors",
    "/v1/shipping",
]  # fmt: skip


@pytest.mark.parametrize("path", READS)
def test_answers_have_the_described_shape(house: House, recording: dict[str, Any], path: str) -> None:
    app = house.app()
    description = describe(app)
    told = description["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    answer = house.ask("GET", path.format(name="gen", id=recording["id"]), app)
    assert answer.status_code == 200, answer.text
    check(answer.json(), told, description["components"]["schemas"])


def test_the_description_is_whole(house: House) -> None:
    description = describe(house.app())
    text = json.dumps(description)
    for reference in set(part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]):
        assert reference in description["components"]["schemas"], reference
    for path, item in description["paths"].items():
        for method, told in item.items():
            assert told.get("description"), (method, path)
            assert told["x-scope"] in ("public", "read", "record", "control", "admin")


def test_latest_and_data_of_a_stream(house: House) -> None:
    latest = house.ask("GET", "/v1/streams/gen/latest").json()
    assert latest["stream"] == "gen" and set(latest["values"]) == {"ch0", "ch1"}
    data = house.ask("GET", "/v1/streams/gen/data?seconds=0.5&channels=ch1&max_points=10").json()
    assert data["mode"] == "minmax" and list(data["columns"]) == ["ch1"]
    assert len(data["time_ns"]) <= 10 < data["rows"]
    at = str(latest["time_ns"])
    one = house.ask("GET", f"/v1/streams/gen/data?start={at}&stop={int(at) + 1}").json()
    assert one["mode"] == "raw" and one["time_ns"] == [latest["time_ns"]]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/nope", None, 404, "not_found"),
        ("POST", "/nope", None, 404, "not_found"),
        ("PUT", "/v1/station", None, 405, "method_not_allowed"),
        ("GET", "/v1/instruments/nope", None, 404, "not_found"),
        ("POST", "/v1/instruments/gen/explode", None, 422, "invalid_input"),
        ("POST", "/v1/instruments/nope/start", None, 404, "not_found"),
        ("GET", "/v1/streams/nope/latest", None, 404, "not_found"),
        ("GET", "/v1/streams/gen/data?channels=nope", None, 422, "invalid_input"),
        ("GET", "/v1/streams/gen/data?start=yesterday", None, 422, "invalid_input"),
        ("GET", "/v1/streams/gen/data?start=2&stop=1", None, 422, "invalid_input"),
        ("GET", "/v1/streams/gen/data?max_points=1000000", None, 422, "invalid_input"),
        ("GET", "/v1/recordings/nope", None, 404, "not_found"),
        ("GET", "/v1/recordings/nope/export", None, 404, "not_found"),
        ("GET", "/v1/recordings?limit=0", None, 422, "invalid_input"),
        ("GET", "/v1/recordings?cursor=..", None, 422, "invalid_input"),
        ("GET", "/v1/events?cursor=%FF", None, 422, "invalid_input"),
        ("POST", "/v1/recordings", {"name": "../x"}, 422, "invalid_input"),
        ("POST", "/v1/recordings", {"name": ""}, 422, "invalid_input"),
        ("POST", "/v1/recordings", {}, 422, "invalid_input"),
        ("POST", "/v1/recordings", {"name": "x", "formt": "csv"}, 422, "invalid_input"),
        ("POST", "/v1/recordings", {"name": "x", "format": "nope"}, 422, "invalid_input"),
        ("POST", "/v1/recordings", {"name": "x", "streams": ["nope"]}, 404, "not_found"),
        ("POST", "/v1/recordings", {"name": "x", "segment_interval_s": 0}, 422, "invalid_input"),
        ("POST", "/v1/recordings", {"name": "x", "metadata": {"a": "b" * 70_000}}, 422, "invalid_input"),
        ("PATCH", "/v1/recordings/nope", {"metadata": {}}, 404, "not_found"),
        ("DELETE", "/v1/recordings/nope", None, 404, "not_found"),
        ("POST", "/v1/recordings/nope/stop", None, 404, "not_found"),
        ("PATCH", "/v1/instruments/gen/settings", {"options": {"nope": 1}}, 422, "config"),
        ("POST", "/v1/instruments/gen/commands/nope", {}, 422, "invalid_input"),
    ],
)  # fmt: skip
def test_problems(house: House, method: str, path: str, body: Any, status: int, code: str) -> None:
    answer = house.ask(method, path, json=body) if body is not None else house.ask(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert {"type", "title", "status", "code", "detail", "hint", "facts"} <= said.keys()
    assert str(house.data.parent) not in answer.text and "Traceback" not in answer.text


def test_a_body_that_is_too_large_is_not_read(house: House) -> None:
    too_large = {"content-length": str(17 * 1024 * 1024)}
    assert house.ask("POST", "/v1/recordings", headers=too_large, content=b"{}").status_code == 413

    async def endless() -> Any:
        for _ in range(20):
            yield b" " * 1024 * 1024

    assert house.ask("POST", "/v1/recordings", content=endless()).status_code == 413


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b"null", b"[" * 100_000, b'"x"', b'{"name": NaN}']
)
def test_bodies_that_are_no_request(house: House, body: bytes) -> None:
    answer = house.ask("POST", "/v1/recordings", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


# -- recordings --------------------------------------------------------------------------------------------


def test_a_recording_from_begin_to_end(house: House, recording: dict[str, Any]) -> None:
    id = recording["id"]
    assert recording["ended"] == "stop" and not recording["running"] and recording["rows"] >= 1100
    assert recording["metadata"] == {"by": "anna"}
    assert id in [one["id"] for one in house.ask("GET", "/v1/recordings").json()["items"]]
    changed = house.ask("PATCH", f"/v1/recordings/{id}", json={"metadata": {"by": None, "room": "2"}})
    assert changed.json()["metadata"] == {"room": "2"}
    marked = house.ask("POST", f"/v1/recordings/{id}/events", json={"text": "door"})
    assert marked.status_code == 201 and marked.json()["kind"] == "mark"
    events = house.ask("GET", f"/v1/recordings/{id}/events").json()["items"]
    assert {"text": "door"} in [event["body"] for event in events]
    data = house.ask("GET", f"/v1/recordings/{id}/data?max_points=50").json()
    assert data["rows"] == recording["rows"]
    csv = house.ask("GET", f"/v1/recordings/{id}/export?format=csv")
    assert csv.headers["content-type"].startswith("text/csv")
    assert csv.headers["content-disposition"] == 'attachment; filename="first.csv"'
    assert len(csv.text.splitlines()) == recording["rows"] + 1
    verified = house.ask("GET", f"/v1/recordings/{id}/verify")
    assert verified.status_code == 200


def test_segments_by_range_and_tag(house: House, recording: dict[str, Any]) -> None:
    base = f"/v1/recordings/{recording['id']}/segments"
    first = house.ask("GET", base).json()["items"][0]
    whole = house.ask("GET", f"{base}/{first['filename']}")
    assert whole.headers["etag"] == f'"{first["sha256"]}"' and len(whole.content) == first["size_bytes"]
    part = house.ask("GET", f"{base}/{first['filename']}", headers={"range": "bytes=5-9"})
    assert part.status_code == 206 and part.content == whole.content[5:10]
    same = house.ask("GET", f"{base}/{first['filename']}", headers={"if-none-match": whole.headers["etag"]})
    assert same.status_code == 304
    beyond = house.ask("GET", f"{base}/{first['filename']}", headers={"range": "bytes=999999999-"})
    assert beyond.status_code == 416
    head = house.ask("HEAD", f"{base}/{first['filename']}")
    assert head.status_code == 200 and head.headers["content-length"] == str(first["size_bytes"])


def test_one_recorder_a_stream_and_the_same_key_the_same_answer(
    house: House, recording: dict[str, Any]
) -> None:
    app = house.app()
    wish = {"json": {"name": "again"}, "headers": {"idempotency-key": "k1"}}
    first = house.ask("POST", "/v1/recordings", app, **wish)
    second = house.ask("POST", "/v1/recordings", app, **wish)
    assert first.status_code == second.status_code == 201
    id = first.json()["id"]
    try:
        assert second.json()["id"] == id
        other = house.ask("POST", "/v1/recordings", app, json={"name": "other"})
        assert other.status_code == 409 and other.json()["facts"]["recording_id"] == id
        assert house.ask("DELETE", f"/v1/recordings/{id}", app).status_code == 409
        running = house.ask("GET", f"/v1/recordings/{id}", app).json()
        assert running["running"] and running["durable"][0]["stream"] == "gen"
        export = house.ask("GET", f"/v1/recordings/{id}/export?format=jsonl", app)
        assert export.status_code == 200
    finally:
        assert house.ask("POST", f"/v1/recordings/{id}/stop", app).status_code == 200
    assert house.ask("POST", f"/v1/recordings/{id}/stop", app).status_code == 409
    assert house.ask("DELETE", f"/v1/recordings/{id}", app).status_code == 204
    assert house.ask("GET", f"/v1/recordings/{id}", app).status_code == 404


def test_pages(house: House, recording: dict[str, Any]) -> None:
    page = house.ask("GET", "/v1/events?limit=2").json()
    assert len(page["items"]) == 2 and page["next"]
    following = house.ask("GET", f"/v1/events?limit=2&cursor={page['next']}").json()
    assert following["items"][0]["id"] not in [one["id"] for one in page["items"]]


def test_metrics(house: House) -> None:
    text = house.ask("GET", "/metrics").text
    assert 'kymograph_instrument_state{instrument="gen",state="acquiring"} 1.0' in text
    assert 'kymograph_instrument_rows_total{instrument="gen"}' in text
    assert "kymograph_engine_up 1.0" in text and "kymograph_disk_free_bytes" in text
