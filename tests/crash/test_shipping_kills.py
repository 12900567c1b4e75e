"""Keeper, station, hub and its front killed at any moment, the cable cut: every reading arrives, and once."""

import contextlib
import os
import random
import signal
import urllib.error

import psutil
import pytest

from tests.original_hub import OriginalHub
from tests.proxy import Cable
from tests.running import RunningStation, generator, until

EDGE = """
[web]
faces = ["readings"]
[readings]
interval_s = 0.05
[destinations.hub]
url = "{hub}"
batch_rows = 20
answer_timeout_s = 3
[destinations.old]
url = "{old}"
kind = "original"
batch_rows = 20
"""
HUB = '[web]\nfaces = ["readings"]\n[hub]\nopen = true\n'
ROUNDS = 12


def kill_child(station, module):
    """SIGKILL one of a station's processes; another is started."""
    for child in station.engine.children():
        with contextlib.suppress(psutil.Error):
            if module in " ".join(child.cmdline()):
                os.kill(child.pid, signal.SIGKILL)
                return


def kill_whole(station):
    station.kill_engine()
    station.start()


def readings(station):
    with contextlib.suppress(urllib.error.URLError, ConnectionError):
        return [one["ts_utc"] for one in station.call("GET", "/readings")]
    return []


@pytest.fixture
def places(tmp_path):
    here, there = tmp_path / "edge", tmp_path / "hub"
    here.mkdir(), there.mkdir()
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(OriginalHub())
        hub = stack.enter_context(RunningStation(there, "", HUB))
        cable = stack.enter_context(Cable(port(hub)))
        tables = EDGE.format(hub=cable.url, old=old.url)
        edge = stack.enter_context(RunningStation(here, generator(200, 2), tables))
        yield edge, hub, cable, old


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_reading_arrives_once_whatever_is_killed(places):
    edge, hub, cable, old = places
    chance = random.Random(5)
    misfortunes = [
        lambda: kill_child(edge, "app.keeper"),
        lambda: kill_child(edge, "app.front"),
        lambda: kill_child(hub, "app.front"),
        lambda: kill_child(hub, "app.keeper"),
        lambda: kill_whole(edge),
        lambda: kill_whole(hub),
        lambda: (cable.cut(), cable.mend()),
        lambda: old.faults.extend(["lost", "cut", 503]),
        lambda: setattr(cable, "lose_answers", not cable.lose_answers),
    ]
    for _ in range(ROUNDS):
        before = len(readings(hub))
        chance.choice(misfortunes)()
        if not cable.lose_answers:
            until(lambda before=before: len(readings(hub)) > before, 60, "a reading at the hub")
    cable.lose_answers = False
    wanted = until(lambda: readings(edge), 40, "the station's readings")
    until(lambda: set(wanted) <= set(readings(hub)), 60, "the hub's readings")
    until(lambda: len(set(old.times())) >= len(wanted), 60, "the original hub's readings")
    check(readings(hub))
    check(sorted(old.times()))
    assert not hub.call("GET", "/v1/fleet/rejects")["items"]
    ledgers = hub.call("GET", "/v1/fleet/bench/ledger")["items"]
    assert all(one["missing"] == one["owed"] for one in ledgers), ledgers


def port(station):
    return int(station.url.rpartition(":")[2])


def check(times):
    assert len(times) == len(set(times)) and times == sorted(times)
