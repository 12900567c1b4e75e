"""Requests that nobody would write: whatever they are, the answer is no surprise."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.web.house import House, ask_raw

TEXT = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["", "0", "-1", "1e999", "nan", "null", "true", "9" * 30, "gen", "ch0,ch1", "a" * 3000]),
)
READS = st.sampled_from(
    [
        "/v1/streams/gen/data", "/v1/streams/gen/latest", "/v1/events", "/v1/recordings", "/v1/recordings/ID",
        "/v1/recordings/ID/data", "/v1/recordings/ID/manifest", "/v1/recordings/ID/events",
        "/v1/instruments/gen",
    ]
)  # fmt: skip
NAMES = ["channels", "seconds", "start", "stop", "max_points", "limit", "cursor", "stream", "name", "running"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@FUZZ
@given(path=READS, query=st.dictionaries(st.sampled_from(NAMES), TEXT, max_size=4))
def test_no_question_is_a_surprise(
    house: House, recording: dict[str, Any], path: str, query: dict[str, str]
) -> None:
    asked = "&".join(f"{name}={quote(value, errors='surrogatepass')}" for name, value in query.items())
    answer = house.ask("GET", path.replace("ID", recording["id"]) + "?" + asked)
    assert answer.status_code in (200, 404, 422), (path, query, answer.text)


@FUZZ
@given(
    target=st.sampled_from(
        [
            ("POST", "/v1/recordings/ID/events"),
            ("PATCH", "/v1/recordings/ID"),
            ("POST", "/v1/instruments/gen/commands/x"),
            ("POST", "/v1/session"),
            ("POST", "/v1/recordings"),
        ]
    ),
    body=JSON | st.fixed_dictionaries({"name": JSON, "streams": JSON, "metadata": JSON}),
)
def test_no_wish_is_a_surprise(
    house: House, recording: dict[str, Any], target: tuple[str, str], body: Any
) -> None:
    method, path = target
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    headers = {"content-type": "application/json"}
    answer = house.ask(method, path.replace("ID", recording["id"]), content=content, headers=headers)
    assert answer.status_code in (200, 201, 400, 401, 404, 409, 422, 429), (target, body, answer.text)
    if path == "/v1/recordings" and answer.status_code == 201:
        house.ask("POST", f"/v1/recordings/{answer.json()['id']}/stop")


@FUZZ
@given(st.binary(max_size=60))
def test_no_path_is_a_surprise(house: House, raw: bytes) -> None:
    path = "/" + raw.decode("latin-1").replace("?", "")
    answer = ask_raw(house, house.app(), "GET", quote(path))
    assert answer.status_code in (200, 404, 405, 422), path
