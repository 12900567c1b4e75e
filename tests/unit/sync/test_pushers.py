"""All destinations side by side, each in its thread, and what is told of them."""

import threading

import pytest

from kymograph.config import parse
from kymograph.model.errors import ConfigError, Unavailable
from kymograph.service.keeping.shipping_state import read_shipping
from kymograph.sync.pusher.pushers import Pushers
from tests.native_hub import NativeHub
from tests.original_hub import OriginalHub
from tests.running import until
from tests.shipping import MemoryOutbox


class Station:
    """What ships, in a thread as the keeper has it."""

    def __init__(self, outbox, data, **tables):
        station = {"name": "pi-7", "data": str(data)}
        config = parse({"station": station, "readings": {"interval_s": 60}, "destinations": tables})
        self.pushers = Pushers(config, outbox)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.pushers.run, args=(self._stop,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def outbox():
    return MemoryOutbox()


def test_several_destinations_each_at_its_own_pace(outbox, tmp_path):
    outbox.read(500)
    with NativeHub() as ours, OriginalHub() as original, NativeHub() as gone:
        gone.leave()
        with Station(
            outbox, tmp_path, ours={"url": ours.url}, old={"url": original.url, "kind": "original"},
            gone={"url": gone.url},
        ):  # fmt: skip
            until(lambda: len(ours.seqs("readings")) == 500 and len(original.times()) == 500)
            outbox.read(3)
            until(lambda: len(ours.seqs("readings")) == 503 and len(original.times()) == 503)
            assert ours.told["name"] == "pi-7" and ours.told["interval_s"] == 60 and ours.told["disk"]
            until(lambda: told(tmp_path, gone="waiting") and owed(tmp_path, "gone") == 503)
            assert "reached" in told(tmp_path, gone="waiting")["gone"]["error"]
            until(lambda: told(tmp_path, ours="connected", old="connected"))
            gone.listen()
            until(lambda: len(gone.seqs("readings")) == 503)
            until(lambda: told(tmp_path, gone="connected"))
    assert outbox.owed("ours", "readings") == 0 == outbox.owed("gone", "readings")


def told(data, **wanted):
    found = {one["name"]: one for one in read_shipping(data)["destinations"]}
    return found if all(found.get(name, {}).get("state") == state for name, state in wanted.items()) else None


def owed(data, name):
    return told(data)[name]["owed"].get("readings")


def test_it_ends_in_the_middle_of_a_request(outbox, tmp_path):
    outbox.read(5)
    with NativeHub() as hub:
        hub.meanwhile.clear()
        with Station(outbox, tmp_path, hub={"url": hub.url, "answer_timeout_s": 600}) as station:
            until(lambda: station.pushers.pushers[0]._wire._http is not None)
        hub.meanwhile.set()
    assert outbox.owed("hub", "readings") == 5


def test_a_fault_that_nobody_thought_of_ends_nothing(outbox, tmp_path, caplog):
    outbox.read(5)
    whole, outbox.batch = outbox.batch, lambda *asked: 1 / 0
    with NativeHub() as hub, Station(outbox, tmp_path, hub={"url": hub.url}) as station:
        until(lambda: "ZeroDivisionError" in station.pushers.status()[0]["error"])
        outbox.batch = whole
        until(lambda: len(hub.seqs("readings")) == 5)
    assert "shipping failed" in caplog.text


def test_a_database_that_is_away_is_waited_for(outbox, tmp_path, caplog):
    outbox.read(5)
    whole = outbox.extents

    def away():
        raise Unavailable("the database does not answer")

    with NativeHub() as hub:
        with Station(outbox, tmp_path, hub={"url": hub.url}) as station:
            until(lambda: len(hub.seqs("readings")) == 5)
            outbox.extents = away
            until(lambda: "database" in station.pushers.status()[0]["error"])
            outbox.extents = whole
            outbox.read(5)
            until(lambda: len(hub.seqs("readings")) == 10)
    assert caplog.text.count("shipping waits") == 1


def test_what_is_lost_is_said_once_and_once_when_it_is_back(outbox, tmp_path, caplog):
    caplog.set_level("INFO")
    outbox.read(5)
    with NativeHub() as hub:
        hub.faults += [503, "cut"]
        with Station(outbox, tmp_path, hub={"url": hub.url}):
            until(lambda: len(hub.seqs("readings")) == 5, 30)
    assert caplog.text.count("shipping waits") == 1 == caplog.text.count("ships again")


@pytest.mark.parametrize(
    "url", ["hub.example", "ftp://hub", "http://", "http://hub:x", "http://a:b@hub", "http://h?x=1"]
)
def test_an_address_that_is_none_is_said_at_once(tmp_path, url):
    with pytest.raises(ConfigError, match="destinations"):
        parse({"station": {"name": "pi-7", "data": str(tmp_path)}, "destinations": {"hub": {"url": url}}})
