"""A pusher and a hub over real HTTP: what is sent, in which order, and what counts as told."""

import hashlib

import pytest

from kymograph.model.ranges import Ranges
from kymograph.sync.pusher.lanes import LIVE_ROWS
from kymograph.sync.pusher.wire import Away, Denied, Misplaced
from tests.native_hub import NativeHub
from tests.shipping import MINUTE_NS, START_NS, MemoryOutbox, MemoryShelf, drain, pusher


@pytest.fixture
def hub():
    with NativeHub() as hub:
        yield hub


@pytest.fixture
def outbox():
    return MemoryOutbox()


def test_all_that_is_owed_arrives_once(hub, outbox, tmp_path):
    outbox.read(1000)
    outbox.happen(30)
    sha256 = outbox.seal(tmp_path / "a.parquet", b"sealed" * 1000)
    drain(pusher(hub.url, outbox))
    assert hub.seqs("readings") == list(range(1, 1001))
    assert hub.seqs("events") == list(range(1, 31))
    assert hub.seqs("segments") == [1] and hub.objects == {sha256: b"sealed" * 1000}
    assert [outbox.owed("hub", stream) for stream in outbox.rows] == [0, 0, 0]


def test_the_newest_rows_go_first_and_the_backlog_from_its_oldest_on(hub, outbox):
    outbox.read(1000)
    drain(pusher(hub.url, outbox))
    seqs = [seq for _, seq in hub.arrivals]
    assert seqs[:LIVE_ROWS] == list(range(1001 - LIVE_ROWS, 1001))
    assert seqs[LIVE_ROWS:] == list(range(1, 1001 - LIVE_ROWS))


def test_a_new_reading_waits_for_no_more_than_one_batch(hub, outbox):
    outbox.read(5000)
    one = pusher(hub.url, outbox)
    one.connect()
    for _ in range(8):
        one.turn()
    outbox.read()
    one.turn()
    assert hub.arrivals[-1] == ("readings", 5001) and outbox.owed("hub", "readings") > 1000


def test_live_rows_that_pile_up_become_backlog(hub, outbox):
    one = pusher(hub.url, outbox, batch_rows=20)
    one.connect()
    outbox.read(100)
    one.turn()
    assert [seq for _, seq in hub.arrivals] == list(range(81, 101))


def test_each_destination_has_its_own_acknowledgements(hub, outbox):
    outbox.read(20)
    drain(pusher(hub.url, outbox))
    assert outbox.owed("hub", "readings") == 0 and outbox.owed("other", "readings") == 20


def test_what_a_hub_is_told_at_the_beginning(hub, outbox):
    outbox.read(3)
    pusher(hub.url, outbox).connect()
    [readings, *_] = hub.told["streams"]
    newest = START_NS + 3 * MINUTE_NS
    assert readings == {
        "stream": "readings",
        "epoch": outbox.epoch,
        "first": 1,
        "next": 4,
        "newest_ns": newest,
    }


def test_a_lost_answer_is_followed_by_the_same_batch(hub, outbox):
    outbox.read(LIVE_ROWS + 400)
    one = pusher(hub.url, outbox)
    one.connect()
    one.turn()
    hub.faults += ["cut"]
    with pytest.raises(Away):
        one.turn()
    outbox.read(50)
    drain(one)
    ways = [way.split("/")[-1] for way in hub.asked if way.startswith("PUT")]
    assert ways.count("1-360") == 2 and hub.seqs("readings") == list(range(1, LIVE_ROWS + 451))


def test_what_arrived_before_an_answer_was_lost_is_learned_from_the_hub(hub, outbox):
    outbox.read(5)
    hub.faults += ["", "lost"]
    one = pusher(hub.url, outbox)
    with pytest.raises(Away):
        drain(one)
    one.connect()
    assert outbox.owed("hub", "readings") == 0 and one.turn() > 0


def test_a_hub_that_was_installed_anew_gets_everything_that_is_still_here(hub, outbox):
    outbox.read(500)
    one = pusher(hub.url, outbox)
    drain(one)
    outbox.thin("readings", *range(1, 300, 2), 400)
    hub.reset()
    drain(one)
    assert hub.seqs("readings") == sorted(outbox.rows["readings"])
    asked = len(hub.asked)
    drain(one)
    assert len(hub.asked) == asked + 1, "what is gone is not looked for again"


def test_an_edge_that_was_installed_anew_has_another_epoch(hub, outbox):
    outbox.read(30)
    one = pusher(hub.url, outbox)
    drain(one)
    outbox.epoch, outbox.rows["readings"], outbox.next["readings"] = outbox.epoch + 1, {}, 1
    outbox.shipped.clear()
    outbox.read(7)
    drain(one)
    assert sorted(hub.rows["readings", outbox.epoch]) == list(range(1, 8))


def test_a_batch_that_is_refused_counts_as_told_and_holds_up_nothing(hub, outbox):
    outbox.read(800)
    hub.bad = {3}
    one = pusher(hub.url, outbox)
    drain(one)
    assert outbox.owed("hub", "readings") == 0
    assert hub.seqs("readings") == list(range(361, 801)) and hub.dead == [("readings", 1, 360)]
    status = one.status()
    assert status["aside"] == 360 and status["aside_reason"] == "422: a bad row"
    drain(one)
    drain(pusher(hub.url, outbox))
    assert len(hub.dead) == 1, "nor is it sent again, after a restart either"


def test_a_hub_may_ask_again_for_what_it_had_refused(hub, outbox):
    outbox.read(800)
    hub.bad = {3}
    one = pusher(hub.url, outbox)
    drain(one)
    hub.bad.clear()
    hub.held["readings", outbox.epoch] -= Ranges([(1, 360)])
    drain(one)
    assert hub.seqs("readings") == list(range(1, 801))


def test_a_batch_that_is_too_large_is_halved(hub, outbox):
    outbox.read(1000)
    hub.rows_max = 50
    drain(pusher(hub.url, outbox))
    assert hub.seqs("readings") == list(range(1, 1001))


def test_a_key_that_is_not_accepted_is_said_and_tried_again_slowly(hub, outbox):
    outbox.read()
    hub.key = "right"
    one = pusher(hub.url, outbox, key="wrong")
    with pytest.raises(Denied) as refused:
        one.connect()
    assert one.failed(refused.value) >= 60
    status = one.status()
    assert status["state"] == "refused" and "key" in status["hint"] and status["owed"]["readings"] == 1
    drain(pusher(hub.url, outbox, key="right"))
    assert outbox.owed("hub", "readings") == 0


def test_what_is_no_hub_is_said(hub, outbox):
    one = pusher(hub.url + "/elsewhere", outbox)
    with pytest.raises(Misplaced) as refused:
        one.connect()
    one.failed(refused.value)
    assert one.status()["state"] == "blocked"


def test_it_is_not_sent_elsewhere(hub, outbox):
    hub.headers = {"location": "http://elsewhere.example/"}
    hub.faults += [307]
    with pytest.raises(Misplaced, match="elsewhere"):
        pusher(hub.url, outbox).connect()


def test_waits_grow_and_a_hub_may_ask_for_longer_ones(hub, outbox):
    outbox.read()
    one = pusher(hub.url, outbox)
    waits = [one.failed(Away("gone")) for _ in range(9)]
    for wait_s, base_s in zip(waits, (1, 2, 4, 8, 16, 32, 60, 60, 60), strict=True):
        assert base_s * 0.7 <= wait_s <= base_s * 1.3
    hub.headers = {"retry-after": "300"}
    hub.faults += [503]
    with pytest.raises(Away) as away:
        one.connect()
    assert 300 <= one.failed(away.value) <= 390
    drain(one)
    assert one.failed(Away("gone")) < 2, "a success resets"


def test_it_says_since_when_it_owes(hub, outbox):
    outbox.read(20)
    hub.leave()
    one = pusher(hub.url, outbox)
    with pytest.raises(Away):
        one.connect()
    status = one.status()
    assert status["owed"] == {"readings": 20, "events": 0, "segments": 0}
    assert status["since_ns"] == START_NS + MINUTE_NS and status["lag_s"] > 0
    hub.listen()
    drain(one)
    status = one.status()
    assert status["state"] == "connected" and status["since_ns"] is None and status["lag_s"] == 0
    assert status["rows"] == 20 and status["bytes_sent"] > 0 and status["last_success_ns"]


def test_a_file_arrives_in_pieces_and_live_rows_between_them(hub, outbox, tmp_path):
    data = bytes(range(256)) * 4096
    sha256 = outbox.seal(tmp_path / "a.h5", data)
    one = pusher(hub.url, outbox)
    one._piece.nbytes = one._piece._most = 100_000
    one.connect()
    one.turn(), one.turn()
    outbox.read()
    one.turn()
    assert hub.seqs("readings") == [1] and sha256 not in hub.objects
    drain(one)
    assert hub.objects[sha256] == data and hub.seqs("segments") == [1]


def test_a_file_goes_on_where_it_was_cut(hub, outbox, tmp_path):
    data = bytes(range(256)) * 4096
    sha256 = outbox.seal(tmp_path / "a.h5", data)
    one = pusher(hub.url, outbox)
    one._piece.nbytes = one._piece._most = 100_000
    one.connect()
    for _ in range(4):
        one.turn()
    hub.faults += ["lost"]
    with pytest.raises(Away):
        one.turn()
    assert len(hub.parts[sha256]) == 400_000
    drain(pusher(hub.url, outbox))
    assert hub.objects[sha256] == data
    assert sum("objects" in way and way.startswith("PATCH") for way in hub.asked) < 12


def test_a_file_that_is_gone_is_skipped(hub, outbox, tmp_path):
    outbox.seal(tmp_path / "a.h5", b"one")
    kept = outbox.seal(tmp_path / "b.h5", b"two")
    (tmp_path / "a.h5").unlink()
    drain(pusher(hub.url, outbox))
    assert hub.seqs("segments") == [2] and list(hub.objects) == [kept]
    assert outbox.owed("hub", "segments") == 0


def test_a_file_that_is_not_what_was_sealed_is_put_aside(hub, outbox, tmp_path):
    outbox.seal(tmp_path / "a.h5", b"as it was sealed")
    (tmp_path / "a.h5").write_bytes(b"as it is now, ah")
    shelf = MemoryShelf()
    drain(pusher(hub.url, outbox, shelf))
    assert hub.seqs("segments") == [] and "hash" in shelf.kept[0][3]


def test_a_file_that_the_hub_has_already_is_not_sent_again(hub, outbox, tmp_path):
    sha256 = outbox.seal(tmp_path / "a.h5", b"known")
    hub.objects[sha256] = b"known"
    drain(pusher(hub.url, outbox))
    assert hub.seqs("segments") == [1] and not any(way.startswith("PATCH") for way in hub.asked)


def test_pieces_are_halved_where_they_are_too_large(hub, outbox, tmp_path):
    data = hashlib.sha512(b"x").digest() * 4000
    sha256 = outbox.seal(tmp_path / "a.h5", data)
    hub.piece_max = 20_000
    drain(pusher(hub.url, outbox))
    assert hub.objects[sha256] == data


def test_a_hub_that_contradicts_itself_is_not_asked_without_end(hub, outbox, tmp_path):
    outbox.seal(tmp_path / "a.h5", b"data")
    plain = hub.answer
    hub.answer = lambda method, path, headers, body: (
        (200, {}, b"") if method == "HEAD" else plain(method, path, headers, body)
    )
    with pytest.raises(Away, match="agree"):
        drain(pusher(hub.url, outbox))
    assert len(hub.asked) < 12 and outbox.owed("hub", "segments") == 1
