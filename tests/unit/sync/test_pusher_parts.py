"""The parts of a pusher: lanes, the cap, the size of pieces, the wire."""

import ssl
import threading

import pytest

from kymograph.model.ranges import Ranges
from kymograph.sync.pusher.bucket import BURST_S, TokenBucket
from kymograph.sync.pusher.lanes import LIVE_ROWS, Lanes
from kymograph.sync.pusher.portion import Portion
from kymograph.sync.pusher.uploading import PIECE_BYTES_MIN, PieceSize
from kymograph.sync.pusher.wire import Answer, Away, Denied, Misplaced, Wire, checked
from tests.native_hub import NativeHub
from tests.proxy import Cable
from tests.shipping import Extent


class Hands:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def lanes(next, first=1, missing=None, epoch=7):
    one = Lanes("readings")
    extent = Extent("readings", epoch, first, next, None, next - first)
    one.load(extent, Ranges([(first, next - 1)]) if missing is None else Ranges(missing))
    one.connected()
    return one


def grown(one, next):
    return one.see(Extent("readings", one.epoch, 1, next, None, next - 1))


def test_live_is_the_newest_and_what_comes_after():
    one = lanes(next=1001)
    assert one.live(360) == (1001 - LIVE_ROWS, 1000)
    one.told(1001 - LIVE_ROWS, 1000)
    assert one.live(360) is None and one.backlog() == (1, 1000 - LIVE_ROWS)
    assert not grown(one, 1003)
    assert one.live(360) == (1001, 1002)


def test_a_doubtful_range_keeps_its_bounds():
    one = lanes(next=1001)
    one.doubt(101, 200)
    assert one.backlog() == (1, 100)
    one.told(1, 100)
    assert one.backlog() == (101, 200) and one.is_doubtful((101, 200))
    one.told(150, 160)
    assert one.backlog() == (101, 149) and not one.is_doubtful((101, 149))


def test_what_is_deferred_is_left_alone_until_something_else_was_taken():
    one = lanes(next=11)
    one.defer(1, 10)
    assert one.live(360) is None and one.owed == 10
    one.resume()
    assert one.live(360) == (1, 10)


def test_numbers_that_go_back_are_another_database():
    one = lanes(next=100)
    assert grown(one, 50)
    assert one.see(Extent("readings", 8, 1, 200, None, 199))


def test_what_a_hub_lost_and_what_it_has_without_our_knowing():
    one = lanes(next=101, missing=[(51, 100)])
    one.put_aside(1, 5)
    lost, known = one.reconcile(Ranges([(11, 60)]))
    assert lost == Ranges([(6, 10)]) and known == Ranges([(51, 60)])


def test_a_cap_lets_pass_what_it_says_and_bursts():
    clock = Hands()
    bucket = TokenBucket(1000.0, clock)
    bucket.take(int(1000 * BURST_S))
    assert bucket.wait_s() == 0
    bucket.take(500)
    assert bucket.wait_s() == pytest.approx(0.5) and bucket.wait_s(debt_s=1.0) == 0
    clock.now += 0.5
    assert bucket.wait_s() == 0
    clock.now += 3600
    bucket.take(int(1000 * BURST_S) + 100)
    assert bucket.wait_s() == pytest.approx(0.1), "an idle hour is worth no more than a burst"


def test_without_a_cap_nobody_waits():
    bucket = TokenBucket(None)
    bucket.take(10**12)
    assert bucket.wait_s() == 0


def test_pieces_follow_the_line():
    size = PieceSize(None)
    before = size.nbytes
    size.took(0.01)
    assert size.nbytes == 2 * before
    for _ in range(30):
        size.took(30.0)
    assert size.nbytes == PIECE_BYTES_MIN and not size.too_large()
    capped = PieceSize(20_000.0)
    capped.took(0.0)
    assert capped.nbytes == 10_000


def test_portions_shrink_where_nothing_arrives_and_grow_again():
    portion = Portion(360)
    assert [portion.broke_off() for _ in range(6)] == [False, False, True, False, False, True]
    assert portion.rows == 90
    portion.worked(), portion.worked(), portion.worked()
    assert portion.rows == 360
    portion.too_large(360)
    portion.worked()
    assert portion.rows == 180


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, Away), (503, Away), (429, Away), (408, Away), (401, Denied), (403, Denied), (302, Misplaced),
     (404, Misplaced), (405, Misplaced)],
)  # fmt: skip
def test_what_an_answer_means(status, error):
    with pytest.raises(error):
        checked(Answer(status, {"location": "http://elsewhere/"}, b""), "http://hub")


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [("7", 7), ("", 0), ("soon", 0), ("-3", 0), ("86400", 600), ("Mon, 02 Jan 1995 00:00:00 GMT", 0)],
)
def test_how_long_a_hub_asks_us_to_wait(text, wait_s):
    assert Answer(503, {"retry-after": text}, b"").retry_s == wait_s


def test_one_connection_serves_many_requests_and_is_made_anew_when_it_was_closed():
    with NativeHub() as hub, Cable(int(hub.url.rpartition(":")[2])) as cable:
        wire = Wire(cable.url, "", 5.0, 5.0)
        for _ in range(3):
            assert wire.ask("HEAD", "/v1/ingest/pi/objects/" + "0" * 64).status == 404
        assert cable.connections == 1
        cable.cut(), cable.mend()
        assert wire.ask("HEAD", "/v1/ingest/pi/objects/" + "0" * 64).status == 404
        wire.close()


def test_it_is_known_whether_a_request_may_have_arrived():
    with NativeHub() as hub, Cable(int(hub.url.rpartition(":")[2])) as cable:
        wire = Wire(cable.url, "", 5.0, 5.0)
        cable.lose_answers = True
        with pytest.raises(Away) as lost:
            wire.ask("POST", "/v1/ingest/pi/hello", b'{"streams": []}')
        assert lost.value.doubtful
    with pytest.raises(Away) as gone:
        Wire(hub.url, "", 1.0, 1.0).ask("GET", "/")
    assert not gone.value.doubtful


def test_a_hub_that_says_nothing_is_not_waited_for_for_ever():
    with NativeHub() as hub:
        hub.meanwhile.clear()
        with pytest.raises(Away, match="in time"):
            Wire(hub.url, "", 1.0, 0.2).ask("GET", "/")


def test_a_request_can_be_ended_from_outside():
    with NativeHub() as hub:
        hub.meanwhile.clear()
        wire = Wire(hub.url, "", 5.0, 60.0)
        told = []

        def ask():
            try:
                wire.ask("GET", "/")
            except Away as error:
                told.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        while thread.is_alive():
            wire.cut()
            thread.join(0.05)
        assert told


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path):
    with NativeHub() as hub:  # it speaks no TLS at all: that is no reason to do without
        url = hub.url.replace("http://", "https://")
        with pytest.raises(Away) as refused:
            Wire(url, "key", 5.0, 5.0).ask("GET", "/")
    assert not refused.value.doubtful and not hub.asked
    assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED
