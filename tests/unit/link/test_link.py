"""The link: the front sees the engine's service as if it were in its own process."""

import socket
import threading
import time
from operator import attrgetter

import pytest

from kymograph import config as configuration
from kymograph.link import frames
from kymograph.link.client import EngineClient
from kymograph.link.outbox import Outbox
from kymograph.link.server import CALLS, LOCAL, LinkServer
from kymograph.model.block import Block, Cursor, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import InvalidInput, NotFound, Unavailable
from kymograph.model.limits import LINK_QUEUE_BYTES_MAX
from kymograph.service.station import Station


def until(condition, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.005)


@pytest.fixture
def station(tmp_path):
    config = configuration.parse(
        {
            "station": {"name": "bench", "data": str(tmp_path / ("deep-" * 40) / "data")},
            "instruments": {"gen": {"driver": "sine", "options": {"rate_hz": 1000, "channels": 2}}},
        }
    )
    made = Station(config)
    made.start()
    yield made
    made.shutdown()


@pytest.fixture
def link(station):
    served = LinkServer(station, station.folder.path)
    yield served
    served.close()


@pytest.fixture
def client(station, link):
    made = EngineClient(station.folder.path)
    yield made
    made.close()


class Sink:
    def __init__(self):
        self.blocks = []
        self.rows_lost = 0

    def put(self, block):
        self.blocks.append(block)
        return True


def test_calls_give_what_the_station_gives(station, client):
    assert client.station()["id"] == station.folder.station_id
    assert [i["name"] for i in client.instruments()] == ["gen"]
    assert client.streams()[0]["channels"] == station.streams()[0]["channels"]
    assert client.instrument("gen")["options"]["rate_hz"] == 1000
    assert "sine" in [driver["name"] for driver in client.drivers()]


def test_errors_travel_whole(client):
    with pytest.raises(NotFound) as caught:
        client.instrument("none")
    assert caught.value.facts == {"instruments": ["gen"]}
    with pytest.raises(InvalidInput, match="actions are"):
        client.act("gen", "explode")
    with pytest.raises(InvalidInput):
        client._call("act", instrument="gen")


@pytest.mark.parametrize(
    "method",
    ["shutdown", "_notice", "folder", "__class__", "link.nothing", "latest", "control", "control.command"],
)
def test_only_the_service_can_be_called(client, method):
    with pytest.raises(NotFound):
        client._call(method)


def test_every_call_of_the_service_is_there_on_both_sides(station, client):
    for name in CALLS | LOCAL:
        assert callable(attrgetter(name)(station)) and callable(attrgetter(name)(client))


def test_blocks_come_without_a_hole(client):
    sink = Sink()
    subscription = client.subscribe(["gen"], sink)
    until(lambda: sum(block.rows for block in sink.blocks) > 500)
    subscription.close()
    for before, after in zip(sink.blocks, sink.blocks[1:], strict=False):
        assert before.next == (after.epoch, after.seq)
    count = len(sink.blocks)
    client.station()
    assert len(sink.blocks) <= count + 1


def test_the_ring_is_read_without_the_engine(station, client):
    until(lambda: client.latest("gen") is not None)
    history = client.history("gen")
    latest = client.latest("gen")
    assert history[0].seq == 0
    assert latest["seq"] >= history[-1].next.seq - 1
    assert set(latest["values"]) == set(history[0].stream.channel_names)
    part = client.history("gen", since=Cursor(history[0].epoch, 10), rows_max=0)
    assert part[0].seq == 10
    times, columns = client.window("gen", [history[0].stream.channel_names[1]], 0, history[-1].last_ns + 1)
    assert len(times) == len(columns[0]) == sum(block.rows for block in history)
    with pytest.raises(NotFound):
        client.latest("none")


def test_events_come_as_they_happen(client):
    seen = []
    client.on_event(seen.append)
    client.act("gen", "stop")
    until(lambda: any(e["kind"] == "state" and e["body"]["state"] == "idle" for e in seen))


def test_the_end_of_the_engine_is_told(station):
    served = LinkServer(station, station.folder.path)
    gone = threading.Event()
    client = EngineClient(station.folder.path, on_lost=gone.set)
    served.close()
    assert gone.wait(5)
    with pytest.raises(Unavailable):
        client.station()


def test_no_engine_is_said_plainly(tmp_path):
    with pytest.raises(Unavailable, match="no engine is running"):
        EngineClient(tmp_path)


def test_junk_costs_only_its_own_connection(station, link, client):
    other = frames.connect(station.folder.path)
    other.sendall(b"\xff" * 4096)
    try:
        assert other.recv(1) == b""
    except ConnectionResetError:
        pass
    other.close()
    assert client.station()["name"] == "bench"


def test_many_calls_at_once(client):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(client.station()["id"])) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(answers) == 40 and len(set(answers)) == 1


def test_the_socket_is_its_owners_alone(station, link):
    assert (station.folder.path / frames.SOCKET_NAME).stat().st_mode & 0o077 == 0


def test_a_reader_that_does_not_read_loses_blocks_and_never_answers():
    ours, theirs = socket.socketpair()
    stream = Stream("s", (Channel("a", "float64"),), 0.0)
    outbox = Outbox(ours)
    rows = 10_000
    sent = 0
    while sent * rows * 16 < 3 * LINK_QUEUE_BYTES_MAX:
        block = Block.pack(stream, 1, sent * rows, Rows("s", range(rows), [range(rows)]))
        outbox.put_block(frames.pack_block(7, 0, block), block)
        sent += 1
    outbox.put(frames.pack(frames.ANSWER, 9, "still here"))
    assert outbox.rows_dropped > 0
    got, answer = 0, None
    while answer is None:
        frame = frames.receive(theirs)
        if frame.kind == frames.BLOCK:
            got += frames.unpack_block(frame.body, [stream]).rows
        else:
            answer = frames.unpack(frame.body)
    assert answer == "still here"
    assert got + outbox.rows_dropped == sent * rows
    outbox.close()
    theirs.close()
