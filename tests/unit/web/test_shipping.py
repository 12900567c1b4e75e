"""`/v1/shipping` and its numbers in `/metrics`, from what the keeper has told."""

import json
import time

import pytest

from kymograph.config import Config
from kymograph.service.keeping.shipping_state import FILENAME, write_shipping
from kymograph.web.app import make_app
from tests.unit.web.house import House

URL = "http://hub.example"
HUB = {
    "name": "hub", "url": URL, "kind": "kymograph", "state": "connected", "error": "", "hint": "",
    "owed": {"readings": 12, "events": 0, "segments": 3}, "bytes_sent": 4200, "rows": 99, "aside": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("shipping") / "data")
    yield house
    house.close()


@pytest.fixture
def app(house):
    (house.data / FILENAME).unlink(missing_ok=True)
    destinations = {"hub": {"url": URL, "key": "kym_secret"}}
    config = Config.model_validate({**house.config.model_dump(), "destinations": destinations})
    return make_app(config, house.station, house.archive)


def test_what_was_not_told_yet_is_unknown(house, app):
    told = house.ask("GET", "/v1/shipping", app).json()
    assert told["running"] is False
    assert [(one["name"], one["state"]) for one in told["items"]] == [("hub", "unknown")]


def test_what_was_told_is_answered_without_the_key(house, app):
    since_ns = time.time_ns() - 60 * 10**9
    write_shipping(house.data, [{**HUB, "since_ns": since_ns}])
    answer = house.ask("GET", "/v1/shipping", app)
    [one] = answer.json()["items"]
    assert one["state"] == "connected" and one["owed"] == HUB["owed"]
    assert one["since"].endswith("Z") and 60 <= one["lag_s"] < 120
    assert "kym_secret" not in answer.text


def test_its_numbers_are_metrics(house, app):
    write_shipping(house.data, [HUB])
    text = house.ask("GET", "/metrics", app).text
    assert 'kymograph_shipping_up{destination="hub"} 1.0' in text
    assert 'kymograph_shipping_owed_rows{destination="hub",stream="readings"} 12.0' in text
    assert 'kymograph_shipping_rows_total{destination="hub"} 99.0' in text
    assert "kymograph_shipping" not in house.ask("GET", "/metrics", house.app()).text


def test_a_file_that_makes_no_sense_is_no_failure(house, app):
    for told in ({"told_ns": time.time_ns(), "destinations": [{"name": "hub", "url": URL, "state": 7}]}, []):
        (house.data / FILENAME).write_text(json.dumps(told))
        assert house.ask("GET", "/v1/shipping", app).status_code == 200
        assert house.ask("GET", "/metrics", app).status_code == 200
