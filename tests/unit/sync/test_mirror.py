"""A mirror of an original server of the Q_Sensor_API: each pass fetches what is missing, and only that."""

import errno
import json
import shutil
import time

import pytest

from kymograph.model.errors import Conflict, KymographError, StorageError
from kymograph.store.completeness import ledger
from kymograph.store.reader import RecordingReader
from kymograph.store.verify import verify
from kymograph.sync.mirror import Mirror, Wishes
from kymograph.sync.source import find
from kymograph.sync.transfer import Away, Transfer
from tests.original_server import SESSION, OriginalServer, chunk_bytes
from tests.proxy import Cable


@pytest.fixture(params=["first", "later"])
def server(request):
    with OriginalServer(later=request.param == "later") as server:
        server.chunks.update({index: chunk_bytes(index) for index in range(3)})
        yield server


class Topside:
    """A mirror of a server into a folder, as often as it is begun."""

    def __init__(self, folder, wishes=None):
        self.folder = folder
        self.wishes = wishes
        self.told = []

    def __call__(self, url):
        transfer = Transfer(url)
        return Mirror(find(transfer), self.folder, self.wishes, self.told.append)

    def recording(self):
        [path] = (self.folder / "recordings").iterdir()
        return path

    def chunks(self):
        return {int(path.name[6:11]): path.read_bytes() for path in self.recording().glob("chunk_*.jsonl")}

    def ledger(self):
        return ledger(self.recording(), time.time_ns())


@pytest.fixture
def topside(tmp_path):
    return Topside(tmp_path / "dives")


def asked_for_files(server):
    return [path[-11:-6] for path in server.asked if path.startswith("/files/")]


def test_each_chunk_is_fetched_once(server, topside):
    mirror = topside(server.url)
    assert mirror.pass_once() and not mirror.finished
    server.chunks[3] = chunk_bytes(3)
    assert mirror.pass_once() and mirror.pass_once()
    server.recording = False
    server.chunks[4] = chunk_bytes(4, 17)
    assert mirror.pass_once() and mirror.finished
    mirror.close()
    assert topside.chunks() == server.chunks
    assert sorted(asked_for_files(server)) == ["00000", "00001", "00002", "00003", "00004"]
    told = topside.ledger()
    assert told.complete and told.summary == "5 of 5 files, 257 rows, nothing missing"
    assert verify(topside.folder).ok


def test_its_rows_can_be_read_as_those_of_any_recording(server, topside):
    mirror = topside(server.url)
    mirror.pass_once()
    mirror.close()
    blocks = list(RecordingReader(topside.recording()).blocks("sensor"))
    assert sum(block.rows for block in blocks) == 180
    last = blocks[-1].columns()
    assert (last[0][-1], last[1][-1], last[2][-1], last[3][-1]) == (2.059, 21.5, 12.3, 0)
    assert blocks[-1].seq + blocks[-1].rows == 180


def test_a_chunk_that_fails_holds_up_no_other_and_comes_later(server, topside):
    server.missing.add(1)
    server.damaged.add(2)
    server.chunks[3] = chunk_bytes(3)
    mirror = topside(server.url)
    assert not mirror.pass_once()
    assert set(topside.chunks()) == {0, 3}
    told = topside.ledger()
    assert not told.complete
    [missing] = [one for stream in told.to_dict()["streams"] for one in stream["missing"]]
    assert (missing["from_seq"], missing["to_seq"], missing["reason"]) == (60, 180, "never fetched")
    assert list(missing["files"]) == ["chunk_00001.jsonl", "chunk_00002.jsonl"]
    server.missing.clear()
    assert not mirror.pass_once() and set(topside.chunks()) == {0, 1, 3}
    server.damaged.clear()
    assert mirror.pass_once() and topside.chunks() == server.chunks
    mirror.close()


def test_a_chunk_goes_on_where_it_broke_off(server, topside):
    server.chunks = {0: bytes(200_000)}
    with Cable(int(server.url.rpartition(":")[2])) as cable:
        mirror = topside(cable.url)
        cable.cut_after(150_000)
        with pytest.raises(Away):
            mirror.pass_once()
        first = cable.answered_bytes
        assert mirror.pass_once() and topside.chunks() == server.chunks
        assert cable.answered_bytes - first < 60_000
        mirror.close()


def test_without_ranges_it_comes_whole(server, topside):
    server.ranges = False
    server.chunks = {0: bytes(200_000)}
    with Cable(int(server.url.rpartition(":")[2])) as cable:
        mirror = topside(cable.url)
        cable.cut_after(150_000)
        with pytest.raises(Away):
            mirror.pass_once()
        assert mirror.pass_once() and topside.chunks() == server.chunks
        mirror.close()


def test_a_part_of_another_file_is_not_gone_on_with(server, topside):
    with Cable(int(server.url.rpartition(":")[2])) as cable:
        mirror = topside(cable.url)
        mirror.pass_once()
        server.chunks[3] = bytes(200_000)
        cable.cut_after(150_000)
        with pytest.raises(Away):
            mirror.pass_once()
        server.chunks[3] = b"1" * 200_000  # never happens with a server that keeps its word
        assert not mirror.pass_once() and set(topside.chunks()) == {0, 1, 2}
        assert mirror.pass_once() and topside.chunks() == server.chunks
        mirror.close()


def test_a_later_run_goes_on_with_what_ended_meanwhile(server, topside):
    mirror = topside(server.url)
    mirror.pass_once()
    mirror.close()
    server.recording = False
    server.chunks[3] = chunk_bytes(3)
    mirror = topside(server.url)
    assert mirror.pass_once() and mirror.finished
    mirror.close()
    assert topside.chunks() == server.chunks
    again = topside(server.url)
    again.pass_once()
    assert sorted(asked_for_files(server)) == ["00000", "00001", "00002", "00003"]
    again.close()


def test_one_that_is_asked_for_by_name(server, tmp_path):
    server.recording = False
    topside = Topside(tmp_path / "dives", Wishes((SESSION,)))
    mirror = topside(server.url)
    assert mirror.pass_once() and mirror.finished and topside.chunks() == server.chunks
    mirror.close()


def test_two_mirrors_of_one_source_into_one_folder_are_refused(server, topside):
    mirror = topside(server.url)
    with pytest.raises(Conflict):
        topside(server.url)
    mirror.close()
    topside(server.url).close()


def test_two_sources_into_one_folder(server, topside):
    with OriginalServer() as other:
        other.chunks[0] = chunk_bytes(7)
        first, second = topside(server.url), topside(other.url)
        assert first.pass_once() and second.pass_once()
        first.close(), second.close()
    held = sorted(len(list(path.glob("chunk_*.jsonl"))) for path in (topside.folder / "recordings").iterdir())
    assert held == [1, 3]


def test_a_full_disk_loses_nothing_and_says_so(server, topside, monkeypatch):
    mirror = topside(server.url)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("kymograph.service.archive.mirror_folder._append", full)
    with pytest.raises(StorageError):
        mirror.pass_once()
    assert topside.chunks() == {}
    monkeypatch.undo()
    assert mirror.pass_once() and topside.chunks() == server.chunks
    mirror.close()


def test_what_was_killed_between_file_and_manifest_is_not_fetched_again(server, topside):
    mirror = topside(server.url)
    mirror.pass_once()
    mirror.close()
    manifest = topside.recording() / "manifest.json"
    told = json.loads(manifest.read_bytes())
    manifest.write_text(json.dumps({**told, "segments": told["segments"][:1]}))
    server.asked.clear()
    mirror = topside(server.url)
    assert mirror.pass_once() and asked_for_files(server) == []
    assert topside.ledger().complete
    mirror.close()


def test_what_was_killed_before_it_had_its_name_is_not_fetched_again(server, topside):
    mirror = topside(server.url)
    mirror.pass_once()
    mirror.close()
    chunk = topside.recording() / "chunk_00001.jsonl"
    chunk.rename(chunk.with_name(chunk.name + ".part"))
    server.asked.clear()
    mirror = topside(server.url)
    assert mirror.pass_once() and asked_for_files(server) == [] and topside.chunks() == server.chunks
    mirror.close()


def test_what_somebody_deleted_or_changed_here_is_told_and_fetched_again(server, topside):
    mirror = topside(server.url)
    mirror.pass_once()
    mirror.close()
    (topside.recording() / "chunk_00001.jsonl").unlink()
    assert not topside.ledger().complete
    mirror = topside(server.url)
    assert mirror.pass_once() and topside.chunks() == server.chunks and topside.ledger().complete
    mirror.close()


@pytest.mark.parametrize("filename", ["../evil", "a/b", "..", "", None, ".hidden\n", "x" * 300])
def test_a_source_cannot_write_outside_its_folder(topside, filename, tmp_path):
    with OriginalServer() as server:
        server.chunks[0] = chunk_bytes(0)
        real = server.answer

        def answer(path):
            status, body = real(path)
            if path.startswith("/record/snapshots"):
                body["chunks"][0]["filename"] = filename
            return status, body

        server.answer = answer
        mirror = topside(server.url)
        assert not mirror.pass_once() and SESSION in mirror.refused and not mirror.finished
        mirror.close()
    assert {path.name for path in tmp_path.iterdir()} <= {"dives"}


def test_a_web_server_that_is_none(topside):
    with OriginalServer() as server:
        server.answer = lambda path: (404, {"detail": "Not Found"})
        with pytest.raises(KymographError, match="no station that can be mirrored"):
            topside(server.url)


def test_it_tells_how_far_it_is(server, topside):
    mirror = topside(server.url)
    mirror.pass_once()
    mirror.close()
    last = topside.told[-1]
    assert (last.held, last.expected, last.rows, last.state) == (3, 3, 180, "running")
    assert last.size_bytes == last.expected_bytes == sum(map(len, server.chunks.values()))


def test_nothing_here_is_lost_when_the_source_forgets(server, topside):
    mirror = topside(server.url)
    mirror.pass_once()
    before = topside.chunks()
    server.answer = lambda path: (404, {"detail": "Session not found"})
    mirror.pass_once()
    mirror.close()
    assert topside.chunks() == before
    shutil.rmtree(topside.folder)
