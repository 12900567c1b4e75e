"""The archive on folders made by hand, with its real worker processes."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import InvalidInput, KymographError, NotFound, Unavailable
from kymograph.model.event import Event
from kymograph.model.recording import Recording, Run, Segment
from kymograph.service.archive.archive import Archive
from kymograph.service.archive.exporting import ExportRequest, request_from_dict
from kymograph.service.archive.workers import Workers
from kymograph.store import formats
from kymograph.store.formats.base import Header
from kymograph.store.journal import JournalHead, JournalWriter, write_journal
from kymograph.store.preview import preview_path, write_preview
from kymograph.store.recording_folder import RecordingFolder, stem

LIDAR = Stream("lidar", (Channel("distance", unit="m"), Channel("angle", unit="deg")), rate_hz=4000.0)
SLOW = Stream("weather.slow", (Channel("t", "float64", "Cel"),))
T0 = 1_700_000_000_000_000_000
STEP_NS = 250_000
ROWS = 40_000


def values(count: int = ROWS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    dice = np.random.default_rng(4)
    distance = dice.normal(3, 1, count).astype("f4")
    distance[dice.random(count) < 0.2] = 0
    return T0 + np.arange(count) * STEP_NS, distance, (np.arange(count) % 360).astype("f4")


TIMES, DISTANCE, ANGLE = values()


def lidar_blocks(start: int, stop: int, step: int = 400) -> list[Block]:
    found: list[Block] = []
    for at in range(start, stop, step):
        cut = slice(at, at + step)
        found.append(Block.pack(LIDAR, 9, at, Rows("lidar", TIMES[cut], [DISTANCE[cut], ANGLE[cut]])))
    return found


def seal(folder: RecordingFolder, form_name: str, index: int, blocks: Sequence[Block]) -> Segment:
    form = formats.find(form_name)
    stream = blocks[0].stream
    path = folder.path / (stem(stream.name, index) + form.suffix)
    with path.open("w+b") as file:
        form.write(file, Header(stream, T0), blocks)
    write_preview(preview_path(path), stream, blocks)
    return Segment(
        stream.name, index, path.name, sum(b.rows for b in blocks), path.stat().st_size,
        hashlib.sha256(path.read_bytes()).hexdigest(), blocks[0].first_ns, blocks[-1].last_ns, 0,
        (Run(0, blocks[0].epoch, blocks[0].seq),),
    )  # fmt: skip


def make(data: Path, name: str, at_ns: int = T0, **more: Any) -> tuple[Recording, RecordingFolder]:
    (data / "recordings").mkdir(exist_ok=True)
    recording = Recording(f"id-{name}", name, more.pop("streams", (LIDAR,)), "hdf5", 60.0, at_ns, **more)
    return recording, RecordingFolder.create(data / "recordings", recording)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers(2, 30.0)
    yield made
    made.close()


@pytest.fixture
def archive(tmp_path: Path, workers: Workers) -> Archive:
    (tmp_path / "recordings").mkdir()
    return Archive(tmp_path, workers, workers)


@pytest.fixture
def night(tmp_path: Path) -> RecordingFolder:
    """Make a recording that runs: two segments and an open journal."""
    _, folder = make(tmp_path, "night")
    listed = [
        seal(folder, "hdf5", 0, lidar_blocks(0, 16_000)),
        seal(folder, "hdf5", 1, lidar_blocks(16_000, 32_000)),
    ]
    write_journal(
        folder.journal_path("lidar", 2),
        JournalHead("id-night", "night", 2, LIDAR, T0, T0),
        lidar_blocks(32_000, ROWS),
    )
    folder.write_manifest("id-night", listed)
    return folder


def wait_until(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


# -- listing -------------------------------------------------------------------------------------------------
def test_recordings_are_listed_newest_first_in_pages(archive: Archive, tmp_path: Path) -> None:
    assert archive.list() == {"items": [], "next": None}
    for i in range(5):
        make(tmp_path, f"r{i}", T0 + i * 10**9)
    first = archive.list(limit=2)
    second = archive.list(limit=2, cursor=first["next"])
    third = archive.list(limit=2, cursor=second["next"])
    names = [item["name"] for page in (first, second, third) for item in page["items"]]
    assert names == ["r4", "r3", "r2", "r1", "r0"]
    assert third["next"] is None
    assert [item["name"] for item in archive.every()] == names
    with pytest.raises(InvalidInput):
        archive.list(cursor="../..")


def test_recordings_are_found_by_name_instrument_and_state(archive: Archive, tmp_path: Path) -> None:
    make(tmp_path, "night", ended="stop", ended_ns=T0 + 5)
    make(tmp_path, "Nightly", T0 + 10**9, streams=(SLOW,))
    assert [item["name"] for item in archive.list(name="night")["items"]] == ["Nightly", "night"]
    assert [item["name"] for item in archive.list(instrument="weather")["items"]] == ["Nightly"]
    assert [item["name"] for item in archive.list(running=False)["items"]] == ["night"]
    assert archive.find("night")["id"] == "id-night"
    with pytest.raises(NotFound):
        archive.find("nigh")


def test_a_recording_is_answered_with_what_it_amounts_to(archive: Archive, night: RecordingFolder) -> None:
    told = archive.get("id-night")
    assert (told["rows"], told["segments"], told["running"], told["ended_at"]) == (ROWS, 2, True, None)
    assert told["started"] == "2023-11-14T22:13:20.000000000Z"
    sizes = sum(segment["size_bytes"] for segment in archive.segments("id-night"))
    assert told["size_bytes"] == sizes + night.journal_path("lidar", 2).stat().st_size
    with pytest.raises(NotFound):
        archive.get("nothing")


def test_what_changes_is_seen_at_once(archive: Archive, night: RecordingFolder, tmp_path: Path) -> None:
    path = night.journal_path("lidar", 3)
    writer = JournalWriter.create(path, JournalHead("id-night", "night", 3, LIDAR, T0, T0))
    for count in (1, 2):
        writer.append(lidar_blocks(0, 400)[0])
        assert archive.get("id-night")["rows"] == ROWS + 400 * count
    writer.close()
    night.write_recording(night.recording().end("stop", T0 + 10**9))
    assert archive.get("id-night")["running"] is False
    assert archive.get("id-night")["ended_at"] == "2023-11-14T22:13:21.000000000Z"
    night.delete()
    with pytest.raises(NotFound):
        archive.get("id-night")
    assert archive.every() == []


def test_a_damaged_recording_hides_no_other(archive: Archive, tmp_path: Path) -> None:
    make(tmp_path, "good")
    _, bad = make(tmp_path, "bad", T0 + 10**9)
    (bad.path / "recording.json").write_text("{")
    (tmp_path / "recordings" / "stray").mkdir()
    (tmp_path / "recordings" / "stray.txt").touch()
    assert [item["name"] for item in archive.every()] == ["good"]


def test_segments_are_found_by_the_manifest_alone(archive: Archive, night: RecordingFolder) -> None:
    filename = archive.manifest("id-night")["segments"][0]["filename"]
    assert archive.file("id-night", filename).path == night.path / filename
    for name in ("../secret", "", "lidar_00009.journal", "lidar_00000.preview"):
        with pytest.raises(NotFound):
            archive.file("id-night", name)


def test_events_are_read(archive: Archive, night: RecordingFolder) -> None:
    assert archive.events("id-night") == []
    night.events.append(Event("e1", 5, "user/anna", "mark", {"text": "ü"}))
    assert [event["body"] for event in archive.events("id-night")] == [{"text": "ü"}]


# -- views ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("points", [10, 60, 1000])
def test_views_keep_the_peaks_from_previews_and_rows_alike(
    archive: Archive, night: RecordingFolder, points: int
) -> None:
    dice = np.random.default_rng(points)
    spans = [
        (0, ROWS),
        (100, 101),
        (31_999, 32_001),
        *(sorted(dice.integers(0, ROWS, 2).tolist()) for _ in range(6)),
    ]
    for start, stop in spans:
        if start == stop:
            continue
        ends = (T0 + start * STEP_NS, T0 + stop * STEP_NS)
        view = archive.data("id-night", "lidar", ["distance"], *ends, points)
        wanted = DISTANCE[start:stop]
        assert view["rows"] == stop - start
        assert len(view["time_ns"]) <= points
        assert view["time_ns"][0] == ends[0]
        if view["mode"] == "raw":
            assert view["columns"]["distance"] == wanted.tolist()
        else:
            found = view["columns"]["distance"]
            assert (min(found["min"]), max(found["max"])) == (wanted.min(), wanted.max())
            places = (np.array(view["time_ns"]) - ends[0]) // STEP_NS
            assert found["max"] == np.maximum.reduceat(wanted, places).tolist()


def test_a_view_needs_no_previews(archive: Archive, night: RecordingFolder) -> None:
    wanted = archive.data("id-night", "lidar", None, None, None, 12)
    for path in night.path.glob("*.preview"):
        path.unlink()
    found = archive.data("id-night", "lidar", None, None, None, 12)
    assert found["rows"] == wanted["rows"] == ROWS
    for name in ("distance", "angle"):
        assert max(found["columns"][name]["max"]) == max(wanted["columns"][name]["max"])


def test_a_view_of_what_is_not_there_is_refused(archive: Archive, night: RecordingFolder) -> None:
    with pytest.raises(NotFound):
        archive.data("id-night", "nothing")
    with pytest.raises(InvalidInput):
        archive.data("id-night", "lidar", ["nothing"])
    assert archive.data("id-night", "lidar", ["angle"], 5, 6)["rows"] == 0


# -- exports -------------------------------------------------------------------------------------------------
def exported(archive: Archive, tmp_path: Path, **wanted: Any) -> tuple[Any, Path]:
    with archive.export(ExportRequest("id-night", **wanted)) as made:
        path = tmp_path / made.filename
        with path.open("wb") as file:
            file.writelines(made)
        if made.size_bytes is not None:
            assert path.stat().st_size == made.size_bytes
        return made, path


@pytest.mark.parametrize("name", formats.names())
def test_a_running_recording_exports_in_every_format(
    archive: Archive, night: RecordingFolder, tmp_path: Path, name: str
) -> None:
    made, path = exported(archive, tmp_path, format=name)
    form = formats.find(name)
    assert (made.filename, made.media_type) == ("night" + form.suffix, form.media_type)
    rows = list(form.read(path, LIDAR))
    assert np.array_equal(np.concatenate([r.time_ns for r in rows]), TIMES)
    assert np.array_equal(np.concatenate([r.columns[0] for r in rows]), DISTANCE)


def test_rows_and_columns_can_be_chosen(archive: Archive, night: RecordingFolder, tmp_path: Path) -> None:
    _, path = exported(
        archive, tmp_path, channels=("angle", "distance"), above=("distance", 0.0),
        options={"time_digits": 6}, start_ns=T0 + 30_000 * STEP_NS, stop_ns=T0 + 35_000 * STEP_NS,
    )  # fmt: skip
    header, *lines = path.read_text().splitlines()
    kept = np.flatnonzero(DISTANCE[30_000:35_000] > 0) + 30_000
    assert header == "timestamp,angle,distance"
    assert len(lines) == len(kept)
    assert lines[0].startswith("2023-11-14T22:13:27.5") and lines[0].index("Z") == 26
    assert [np.float32(line.split(",")[2]) for line in lines] == DISTANCE[kept].tolist()


def test_a_filter_needs_not_be_exported(archive: Archive, night: RecordingFolder, tmp_path: Path) -> None:
    _, path = exported(archive, tmp_path, channels=("angle",), above=("distance", 0.0))
    assert len(path.read_text().splitlines()) == 1 + int((DISTANCE > 0).sum())


def test_several_streams_make_a_zip(archive: Archive, tmp_path: Path) -> None:
    _, folder = make(tmp_path, "night", streams=(LIDAR, SLOW))
    folder.write_manifest("id-night", [seal(folder, "hdf5", 0, lidar_blocks(0, 8000))])
    for name in ("csv", "hdf5"):
        made, path = exported(archive, tmp_path, format=name)
        suffix = formats.find(name).suffix
        assert (made.media_type, made.filename) == ("application/zip", f"night.{name}.zip")
        with zipfile.ZipFile(path) as unpacked:
            assert unpacked.testzip() is None
            assert unpacked.namelist() == [f"night.lidar{suffix}", f"night.weather.slow{suffix}"]
            unpacked.extractall(tmp_path / name)
        rows = list(formats.find(name).read(tmp_path / name / f"night.lidar{suffix}", LIDAR))
        assert sum(len(r.time_ns) for r in rows) == 8000
    made, _ = exported(archive, tmp_path, streams=("lidar",))
    assert made.filename == "night.lidar.csv"


def test_a_sealed_file_that_is_what_is_wanted_is_sent_as_it_is(archive: Archive, tmp_path: Path) -> None:
    _, folder = make(tmp_path, "night", ended="stop", ended_ns=T0)
    segment = seal(folder, "hdf5", 0, lidar_blocks(0, 8000))
    folder.write_manifest("id-night", [segment])
    _, path = exported(archive, tmp_path, format="hdf5")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == segment.sha256
    _, path = exported(archive, tmp_path, format="hdf5", channels=("angle",))
    assert len(list(formats.find("hdf5").read(path, Stream("lidar", (LIDAR.channels[1],))))) == 1


@pytest.mark.parametrize(
    "wanted",
    [{"format": "xls"}, {"streams": ("nothing",)}, {"channels": ("nothing",)}, {"above": ("nothing", 1.0)},
     {"options": {"colour": 1}}, {"options": {"time_digits": 5}}],
)  # fmt: skip
def test_what_cannot_be_exported_is_refused_at_once(
    archive: Archive, night: RecordingFolder, wanted: dict[str, Any]
) -> None:
    with pytest.raises((InvalidInput, NotFound)):
        archive.export(ExportRequest("id-night", **wanted))


def test_a_damaged_segment_ends_the_export_with_an_error(archive: Archive, night: RecordingFolder) -> None:
    path = night.path / "lidar_00001.h5"
    content = bytearray(path.read_bytes())
    for at in range(20_000, len(content), 1000):
        content[at] ^= 0x40
    path.write_bytes(content)
    with archive.export(ExportRequest("id-night")) as made, pytest.raises(KymographError):
        for _ in made:
            pass
    with archive.export(ExportRequest("id-night", stop_ns=T0 + 1000 * STEP_NS)) as made:
        assert b"".join(made).count(b"\n") == 1001


def test_an_export_that_nobody_reads_is_given_up_and_the_next_one_works(
    archive: Archive, tmp_path: Path
) -> None:
    _, folder = make(tmp_path, "night")
    blocks = [Block.pack(LIDAR, 9, i * 40_000, Rows("lidar", TIMES, [DISTANCE, ANGLE])) for i in range(20)]
    write_journal(folder.journal_path("lidar", 0), JournalHead("id-night", "night", 0, LIDAR, T0, T0), blocks)
    for _ in range(4):  # more than there are processes: each must come free again
        made = archive.export(ExportRequest("id-night", format="jsonl"))
        assert next(made)
        made.close()
        made.close()
        assert list(made) == []
    _, path = exported(archive, tmp_path)
    assert path.read_bytes().count(b"\n") == 800_001


def test_temporary_files_leave_nothing_behind(
    archive: Archive, night: RecordingFolder, tmp_path: Path
) -> None:
    exported(archive, tmp_path, format="hdf5", channels=("angle",))
    archive.export(ExportRequest("id-night", format="hdf5")).close()
    assert list((tmp_path / ".tmp").iterdir()) == []


def test_an_export_is_of_rows_up_to_its_beginning(archive: Archive, night: RecordingFolder) -> None:
    made = archive.export(ExportRequest("id-night"))
    first = next(made)
    writer = JournalWriter.create(
        night.journal_path("lidar", 3), JournalHead("id-night", "night", 3, LIDAR, T0, T0)
    )
    writer.append(*lidar_blocks(0, 4000))
    writer.close()
    assert (first + b"".join(made)).count(b"\n") == ROWS + 1


def test_verification_tells_what_is_wrong(archive: Archive, night: RecordingFolder) -> None:
    assert archive.verify("id-night")["ok"] is True
    (night.path / "lidar_00000.h5").write_bytes(b"")
    assert archive.verify("id-night")["ok"] is False


def test_formats_are_listed(archive: Archive) -> None:
    told = {item["name"]: item for item in archive.formats()}
    assert sorted(told) == formats.names()
    assert (told["hdf5"]["suffix"], told["hdf5"]["streamable"]) == (".h5", False)


def test_a_request_survives_its_way_to_the_worker() -> None:
    wanted = ExportRequest("r", "csv", ("a",), ("b", "c"), 1, None, ("b", 0.5), {"time_digits": 6})
    assert request_from_dict(wanted.to_dict()) == wanted


# -- the processes -------------------------------------------------------------------------------------------
def test_a_worker_that_dies_is_told_and_replaced(
    archive: Archive, night: RecordingFolder, tmp_path: Path
) -> None:
    made = archive.export(ExportRequest("id-night", format="jsonl"))
    next(made)
    for pid in _children():
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(KymographError):
        list(made)
    made.close()
    _, path = exported(archive, tmp_path)
    assert path.read_bytes().count(b"\n") == ROWS + 1
    for pid in _children():  # now it is idle
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not _children())
    _, path = exported(archive, tmp_path)
    assert path.read_bytes().count(b"\n") == ROWS + 1


def test_workers_end_with_the_archive(night: RecordingFolder, tmp_path: Path) -> None:
    before = _children()
    archive = Archive(tmp_path)
    exported(archive, tmp_path)
    assert set(_children()) - set(before)
    archive.close()
    assert _children() == before
    with pytest.raises(Unavailable):
        archive.export(ExportRequest("id-night"))


def test_more_jobs_than_processes_wait_and_then_are_refused(night: RecordingFolder, tmp_path: Path) -> None:
    pool = Workers(1, 0.05)
    wanted = ExportRequest("id-night", format="jsonl").to_dict()
    arguments = {"data": str(tmp_path), "folder": str(night.path), "request": wanted}
    first = pool.start("export", **arguments)
    with pytest.raises(Unavailable):
        pool.start("export", **arguments)
    first.close()
    assert io.BytesIO(pool.call("export", **arguments)).readline().startswith(b'{"timestamp"')
    pool.close()


def _children() -> list[int]:
    """Return this process's living children that are workers of an archive."""
    found: list[int] = []
    for pid in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except FileNotFoundError:
            continue
        if b"kymograph.service.archive.worker" in command:
            found.append(int(pid))
    return found
