"""`kymograph shipping`: what a person and a program are shown, and the exit code."""

import json
import time

from kymograph.cli.app import run
from kymograph.service.keeping.shipping_state import write_shipping

HUB = {
    "name": "hub", "url": "http://hub.example", "kind": "kymograph", "state": "connected", "error": "",
    "owed": {"readings": 12, "events": 0, "segments": 3}, "bytes_sent": 4200, "aside": 0,
}  # fmt: skip


def test_how_it_stands_with_each_destination(tmp_path, capsys):
    since_ns = time.time_ns() - 7200 * 10**9
    old = HUB | {"name": "old", "state": "refused", "error": "it does not accept the key", "hint": "make one"}
    write_shipping(
        tmp_path, [HUB | {"since_ns": since_ns}, old | {"aside": 2, "aside_reason": "422: no date"}]
    )
    assert run(["shipping", "--data", str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert "connected" in text and "2 h 00 min" in text and "4.2 kB" in text
    assert "old: it does not accept the key (make one)" in text
    assert "old: 2 rows are put aside: 422: no date" in text


def test_all_well_is_0_and_json_is_whole(tmp_path, capsys):
    write_shipping(tmp_path, [HUB])
    assert run(["shipping", "--data", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["running"] and told["items"][0]["owed"] == HUB["owed"]


def test_nobody_ships(tmp_path, capsys):
    assert run(["shipping", "--data", str(tmp_path)]) == 0
    assert "nobody" in capsys.readouterr().out
    assert run(["shipping"]) == 2
