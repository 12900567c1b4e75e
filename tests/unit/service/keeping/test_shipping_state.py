"""How shipping stands, as the front and the command line read it."""

import json
import time

from kymograph.service.keeping.shipping_state import FILENAME, OLD_S, read_shipping, write_shipping

HUB = {"name": "hub", "url": "http://hub", "kind": "kymograph", "state": "connected", "owed": {"readings": 3}}
CONFIGURED = {"hub": ("http://hub", "kymograph")}


def test_what_was_told_is_read(tmp_path):
    write_shipping(tmp_path, [{**HUB, "since_ns": time.time_ns() - 60 * 10**9}])
    told = read_shipping(tmp_path, CONFIGURED)
    [one] = told["destinations"]
    assert told["running"] and one["state"] == "connected" and one["owed"] == {"readings": 3}
    assert 60 <= one["lag_s"] < 120
    assert read_shipping(tmp_path)["destinations"][0]["name"] == "hub"


def test_nothing_was_told(tmp_path):
    told = read_shipping(tmp_path, CONFIGURED)
    assert not told["running"] and told["told_ns"] is None
    assert told["destinations"][0]["state"] == "unknown" and told["destinations"][0]["owed"] == {}
    assert read_shipping(tmp_path)["destinations"] == []


def test_what_is_old_or_of_another_address_is_not_believed(tmp_path):
    write_shipping(tmp_path, [HUB])
    [other] = read_shipping(tmp_path, {"hub": ("http://other", "kymograph")})["destinations"]
    assert other["state"] == "unknown" and other["owed"] == {}
    path = tmp_path / FILENAME
    old = json.loads(path.read_text()) | {"told_ns": time.time_ns() - int((OLD_S + 1) * 1e9)}
    path.write_text(json.dumps(old))
    told = read_shipping(tmp_path, CONFIGURED)
    assert not told["running"] and told["destinations"][0]["state"] == "unknown"
    assert told["destinations"][0]["owed"] == {"readings": 3}


def test_a_file_that_makes_no_sense_says_nothing(tmp_path):
    for text in ("", "[]", '{"told_ns": 1}', '{"told_ns": 1, "destinations": [1]}', "\xff"):
        (tmp_path / FILENAME).write_text(text)
        assert read_shipping(tmp_path, CONFIGURED)["told_ns"] is None


def test_a_disk_that_takes_nothing_is_no_reason_to_fail(tmp_path):
    write_shipping(tmp_path / "nowhere", [HUB])
