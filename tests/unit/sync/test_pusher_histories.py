"""Any history of lost answers, cuts, restarts, thinning and hubs installed anew: each row arrives once."""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from kymograph.model.errors import KymographError
from kymograph.sync.pusher.wire import Answer, Away
from tests.hub_server import HubServer
from tests.native_hub import NativeHub
from tests.original_hub import OriginalHub
from tests.shipping import MemoryOutbox, MemoryShelf, drain, pusher

FAULTS = ("lost", "cut", "refused", 503, 500, 429)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(1, 60)),
        st.tuples(st.just("happen"), st.integers(1, 20)),
        st.tuples(st.just("seal"), st.integers(0, 90_000)),
        st.tuples(st.just("turns"), st.integers(1, 12)),
        st.tuples(st.just("fault"), st.lists(st.sampled_from(("", *FAULTS)), min_size=1, max_size=4)),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("reset"), st.none()),
        st.tuples(st.just("thin"), st.integers(2, 5)),
    ),
    min_size=4,
    max_size=30,
)


class Line:
    """A wire without a network: the hub's answers and its faults, as the wire would tell of them."""

    def __init__(self, hub: HubServer) -> None:
        self.hub = hub
        self.url = "http://hub"
        self.nbytes = 0

    def ask(self, method, path, body=b"", headers=None):
        self.nbytes += len(body)
        if self.hub.faults and self.hub.faults[0] == "refused":
            self.hub.faults.popleft()
            raise Away("nobody there", doubtful=False)
        try:
            return Answer(*self.hub.carried_out(method, path, dict(headers or {}), body))
        except ConnectionAbortedError:
            raise Away("broke off") from None

    def cut(self):
        pass

    def close(self):
        pass


class History:
    """One edge and one hub."""

    def __init__(self, hub: HubServer, kind: str, folder: Path) -> None:
        self.hub = hub
        self.kind = kind
        self.folder = folder
        self.outbox = MemoryOutbox()
        self.shelf = MemoryShelf()
        self.sealed: dict[str, bytes] = {}
        self.restart()

    def restart(self, _=None):
        self.pusher = pusher("http://hub", self.outbox, self.shelf, kind=self.kind, batch_rows=16)
        self.pusher._wire = self.pusher._hub._wire = Line(self.hub)
        self.connected = False

    def read(self, count):
        self.outbox.read(count)

    def happen(self, count):
        self.outbox.happen(count)

    def seal(self, size):
        data = len(self.sealed).to_bytes(4, "big") * (size // 4)
        self.sealed[self.outbox.seal(self.folder / f"{len(self.sealed)}.h5", data)] = data

    def fault(self, faults):
        self.hub.faults += faults

    def reset(self, _):
        if isinstance(self.hub, NativeHub):
            self.hub.reset()

    def thin(self, every):
        """Delete what was acknowledged, as retention does."""
        for stream in ("readings", "events"):
            owed = self.outbox.unshipped("hub", stream)
            gone = [seq for seq in self.outbox.rows[stream] if seq not in owed and seq % every == 0]
            self.outbox.thin(stream, *gone)

    def turns(self, count):
        for _ in range(count):
            try:
                if not self.connected:
                    self.pusher.connect()
                self.connected = True
                self.pusher.turn()
            except KymographError as error:
                self.pusher.failed(error)
                self.connected = False

    def to_the_end(self):
        self.hub.faults.clear()
        for _ in range(8):
            try:
                drain(self.pusher)
            except KymographError as error:
                self.pusher.failed(error)


@settings(max_examples=80)
@given(STEPS)
def test_a_kymograph_hub_has_every_row_once(steps):
    folder = Path(tempfile.mkdtemp())
    try:
        history = History(NativeHub(), "kymograph", folder)
        for what, how in steps:
            getattr(history, what)(how)
        history.to_the_end()
        hub, outbox = history.hub, history.outbox
        for stream, rows in outbox.rows.items():
            assert set(rows) <= set(hub.seqs(stream)), stream
            assert not outbox.owed("hub", stream)
        there = {row["sha256"] for row in outbox.rows["segments"].values()}
        assert {sha256: history.sealed[sha256] for sha256 in there} == {
            key: hub.objects[key] for key in there
        }
        assert not hub.dead and not history.shelf.kept
    finally:
        shutil.rmtree(folder)


@settings(max_examples=80)
@given(STEPS)
@example([("read", 1), ("fault", [""]), ("fault", ["lost", 503]), ("turns", 2)])
def test_an_original_hub_has_every_row_once(steps):
    assume(sum(how.count(500) for what, how in steps if what == "fault") < 5)
    folder = Path(tempfile.mkdtemp())
    try:
        history = History(OriginalHub(), "original", folder)
        for what, how in steps:
            getattr(history, what)(how)
        history.to_the_end()
        times = Counter(history.hub.times())
        assert len(times) == history.outbox.next["readings"] - 1 == times.total()
        assert not history.outbox.owed("hub", "readings") and not history.shelf.kept
    finally:
        shutil.rmtree(folder)


@settings(max_examples=40)
@given(STEPS)
def test_an_original_hub_that_cannot_say_has_a_row_twice_only_if_its_answer_was_lost(steps):
    folder = Path(tempfile.mkdtemp())
    try:
        history = History(OriginalHub(), "original", folder)
        history.hub.queries = False
        lost = 0
        for what, how in steps:
            if what == "fault":
                lost += how.count("lost")
            getattr(history, what)(how)
        history.to_the_end()
        times = Counter(history.hub.times())
        assert len(times) == history.outbox.next["readings"] - 1
        surplus = sum(times.values()) - len(times)
        assert surplus <= 16 * lost and (lost or not surplus)
        assert not history.outbox.owed("hub", "readings") and not history.shelf.kept
    finally:
        shutil.rmtree(folder)


@settings(max_examples=40)
@given(STEPS)
def test_a_hub_that_knows_its_readings_has_each_once(steps):
    folder = Path(tempfile.mkdtemp())
    try:
        history = History(OriginalHub(dedupe=True), "original", folder)
        for what, how in steps:
            getattr(history, what)(how)
        history.to_the_end()
        assert (
            len(history.hub.times()) == len(set(history.hub.times())) == history.outbox.next["readings"] - 1
        )
    finally:
        shutil.rmtree(folder)
