"""A recording ends and is sealed while a mirror asks for it: nothing falls between two answers."""

import hashlib
from contextlib import contextmanager

import pytest

from kymograph.model.channel import Channel, Stream
from kymograph.model.recording import Recording, Run, Segment
from kymograph.sync.mirror import Mirror, Wishes
from kymograph.sync.source import Offer, OpenFile
from kymograph.sync.transfer import Pieces

ROWS = b"rows of the last file"
ID = "6f1c6c1e-0000-4000-8000-000000000001"
STREAM = Stream("gen", (Channel("x"),), 10.0)


class Source:
    """A station whose recording has ended, and whose last journal is sealed when it is asked once more."""

    kind = "kymograph"
    url = "http://127.0.0.1:9"
    station = "bench"
    station_id = "bench-1"

    def __init__(self, sealed_after):
        self._asked_until = sealed_after

    @property
    def _sealed(self):
        self._asked_until -= 1
        return self._asked_until < 0

    def ids(self, wanted, known):
        return [ID]

    def offer(self, id):
        digest = hashlib.sha256(ROWS).hexdigest()
        segment = Segment("gen", 0, "gen_00000.csv", 1, len(ROWS), digest, 1, 1, 2, (Run(0, 1, 0),))
        ended = Recording(ID, "night", (STREAM,), "csv", 60.0, 1).end("stop", 2)
        return Offer(ended, False, (segment,) if self._sealed else ())

    def open_files(self, id):
        return [] if self._sealed else [OpenFile("gen_00000.journal", "journal", 100)]

    @contextmanager
    def fetch(self, id, filename, offset, tag):
        yield Pieces(offset, iter([ROWS[offset:]]))

    def report(self, id, told):
        pass


@pytest.mark.parametrize("sealed_after", range(8))
def test_it_is_finished_only_with_its_last_file(tmp_path, sealed_after):
    mirror = Mirror(Source(sealed_after), tmp_path, Wishes(tails=False))
    passes = 0
    while not (mirror.seen and mirror.finished):
        mirror.pass_once()
        passes += 1
        assert passes < 10
    [copy] = (tmp_path / "recordings").iterdir()
    assert (copy / "gen_00000.csv").read_bytes() == ROWS
    mirror.close()
