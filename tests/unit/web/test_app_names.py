"""Names from outside: none of them becomes a path."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.web.house import House, ask_raw

HOSTILE = [
    "..", "../..", "../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%252e%252e%252fetc%252fpasswd", "%00", "first%00.csv", "/etc/passwd", "%2fetc%2fpasswd", "....//....//",
    "..%5c..%5cwindows", "a" * 5000, "%ff%fe", "%c0%ae%c0%ae", ".", "~", "*", "recording.json",
    "%0d%0aX-Evil:1", "\u202e", "keys.json", "manifest.json", "con", "first\t", "%20",
]  # fmt: skip
SLOTS = [
    "/v1/recordings/{}", "/v1/recordings/{}/manifest", "/v1/recordings/{}/export", "/v1/recordings/{}/data",
    "/v1/recordings/{}/events", "/v1/recordings/{}/verify", "/v1/recordings/{}/segments",
    "/v1/recordings/ID/segments/{}",
    "/v1/instruments/{}", "/v1/streams/{}/latest", "/v1/streams/{}/data", "/ui/{}", "/docs/{}",
]  # fmt: skip


@pytest.mark.parametrize("slot", SLOTS)
def test_no_name_is_a_path(house: House, recording: dict[str, Any], slot: str) -> None:
    app = house.app()
    for hostile in HOSTILE:
        path = slot.replace("ID", recording["id"]).format(hostile)
        answer = ask_raw(house, app, "GET", path)
        assert answer.status_code in (404, 405, 422), (path[:80], answer.status_code)
        text = answer.text
        assert "root:" not in text and "sha256" not in text and str(house.data) not in text, path[:80]
        assert "x-evil" not in answer.headers


def test_the_same_names_in_requests_that_change_things(house: House) -> None:
    app = house.app()
    for hostile in HOSTILE:
        for method, slot in (
            ("POST", "/v1/recordings/{}/stop"),
            ("DELETE", "/v1/recordings/{}"),
            ("PATCH", "/v1/recordings/{}"),
        ):
            assert ask_raw(house, app, method, slot.format(hostile)).status_code in (404, 405, 422)
    assert (house.data / "station.json").exists()


def test_hostile_names_of_recordings(house: House) -> None:
    for hostile in ("..", "../x", "/x", "a/b", "a\\b", ".hidden", "a\0b", "é", "a b", "x" * 129, "\u202ex"):
        answer = house.ask("POST", "/v1/recordings", json={"name": hostile})
        assert answer.status_code == 422, hostile
