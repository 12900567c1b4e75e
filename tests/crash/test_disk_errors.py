"""Disks that fail: errors injected into system calls, a full one, a read-only one, one that loses power."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kymograph.model.clock import Clock
from kymograph.model.errors import DiskFull, StorageError
from kymograph.model.event import Event
from kymograph.model.recording import Recording
from kymograph.store.folder import DataFolder
from kymograph.store.reader import RecordingReader
from kymograph.store.recorder import Recorder, RecorderOptions
from kymograph.store.recording_folder import all_recordings, find_recording
from kymograph.store.sealer import Sealer
from kymograph.store.segments import Told
from kymograph.store.verify import verify
from tests.crash.store_writer import ROWS, STREAMS, make_block
from tests.crash.test_recorder_kills import Writer, check_promises, check_rows, recover

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount file systems")
with_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace (apt install strace)")


@pytest.fixture
def clock() -> Clock:
    return Clock(time.monotonic_ns, time.time_ns)


@pytest.fixture
def sealer(clock: Clock) -> Iterator[Sealer]:
    sealer = Sealer(clock)
    yield sealer
    sealer.close()


def injected(data: Path, injection: str) -> Writer:
    """Run a writer whose system calls fail as told, to its end."""
    call = injection.partition(":")[0]
    strace = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={injection}")
    writer = Writer(data, "once", 5, strace)
    assert writer.wait() == 0
    return writer


@with_strace
@pytest.mark.parametrize(
    "injection",
    [
        "fdatasync:error=EIO:when=1",
        "fdatasync:error=EIO:when=2",
        "fdatasync:error=EIO:when=4",
        "writev:error=EIO:when=2",
        "writev:error=EIO:when=9",
        "writev:retval=24:when=9",
        "fallocate:error=EIO:when=2",
        "fallocate:error=EOPNOTSUPP",
    ],
)
def test_one_error_loses_nothing(tmp_path: Path, sealer: Sealer, injection: str) -> None:
    data = tmp_path / "data"
    writer = injected(data, injection)
    ((recording_id, how, lost),) = writer.said("ended")
    assert (how, lost) == ("stop", "0")
    folder = find_recording(data / "recordings", recording_id)
    alarms = [event for event in folder.events.read() if event.kind == "alarm"]
    told = not injection.startswith("fallocate:error=EOPNOTSUPP")
    assert bool(alarms) == told
    if injection.startswith("writev:retval"):
        # The kernel lies about what it wrote, and a frame is damaged: that is found, and told exactly.
        recover(data, sealer)
        check = verify(data).recordings[0]
        assert not check.ok
        assert check.rows == 120 * ROWS - sum(gap.rows or 0 for gap in check.gaps)
        assert {gap.reason for gap in check.gaps} == {"damage"}
        return
    check_promises(data, writer, time.monotonic())
    epoch = int(writer.said("begin")[0][1])
    for stream in STREAMS:
        assert check_rows(data, recording_id, epoch, stream.name) == 60 * ROWS


@with_strace
@pytest.mark.parametrize(
    ("injection", "how"),
    [
        ("fdatasync:error=EIO:when=3+", "disk-failed"),
        ("writev:error=EROFS:when=9+", "disk-failed"),
        ("writev:error=ENOSPC:when=9+", "disk-full"),
        ("writev:error=ENOSPC:when=9", "disk-full"),
        ("fallocate:error=ENOSPC:when=1", "disk-full"),
        ("fdatasync:error=ENOSPC:when=3", "disk-full"),
    ],
)
def test_a_disk_that_says_no_ends_the_recording_and_hides_nothing(
    tmp_path: Path, sealer: Sealer, injection: str, how: str
) -> None:
    data = tmp_path / "data"
    writer = injected(data, injection)
    ((recording_id, said, lost),) = writer.said("ended")
    assert said == how
    recover(data, sealer)
    folder = find_recording(data / "recordings", recording_id)
    assert folder.recording().ended == how.replace("-", " ")
    check_promises(data, writer, time.monotonic(), lossless=False)
    gaps = [event.body for event in folder.events.read() if event.kind == "gap"]
    assert sum(gap["rows"] for gap in gaps) == int(lost) or not gaps
    if injection.endswith("when=9") or injection.endswith("when=1") or injection.endswith("when=3"):
        assert lost == "0"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


@as_root
@pytest.mark.root
def test_a_full_disk_is_a_state(small_disk: Path, clock: Clock, sealer: Sealer) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(32 * 1024 * 1024))
    events: list[Event] = []
    recording = Recording("r1", "full", STREAMS, "jsonl", 3600.0, clock.now_ns())
    with DataFolder.open(small_disk / "data", clock) as data:
        options = RecorderOptions(0.1, told=Told(event=events.append))
        recorder = Recorder(data, recording, sealer, clock, options)
        recorder.start()
        seq, deadline = 0, time.monotonic() + 60
        while not recorder.wait_ended(0.002):
            for stream in STREAMS:
                recorder.put(make_block(stream, 7, seq, 5000))  # never raises, also at the very end
            seq += 5000
            assert time.monotonic() < deadline
        assert recorder.recording.ended == "disk full"
        assert data.state() == "full"
        assert "room" in recorder.status().error
        assert [event.body["text"] for event in events if event.kind == "alarm"]
        with pytest.raises(DiskFull):
            Recorder(data, recording, sealer, clock).start()
        status = recorder.status()
        told = sum(event.body["rows"] for event in events if event.kind == "gap")
        assert told == status.rows_lost
        assert sum(stream.rows for stream in status.streams) > 100_000
        for stream in status.streams:
            assert check_rows(data.path, "r1", 7, stream.stream) == stream.rows
        ballast.unlink()
        assert data.state() in ("ok", "low")
        Recorder(data, Recording("r2", "b", STREAMS, "csv", 60.0, 1), sealer, clock).start()
    recover(small_disk / "data", sealer)
    assert find_recording(small_disk / "data" / "recordings", "r1").recording().ended == "disk full"
    for stream in status.streams:
        assert check_rows(small_disk / "data", "r1", 7, stream.stream) == stream.rows
    assert verify(small_disk / "data").ok


@as_root
@pytest.mark.root
def test_a_read_only_file_system_is_said_at_once(small_disk: Path, clock: Clock) -> None:
    DataFolder.open(small_disk / "data", clock).close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StorageError) as caught:
        DataFolder.open(small_disk / "data", clock)
    assert "read-only" in str(caught.value)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    DataFolder.open(small_disk / "data", clock).close()


EXT4_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2


class PowerSupply:
    """An ext4 file system in a file, whose power can be cut."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / "disk.img"
        self.mount_point = folder / "disk"
        self.mount_point.mkdir()
        with self.image.open("wb") as file:
            file.truncate(256 * 1024 * 1024)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(self.image)], check=True)

    def on(self) -> None:
        subprocess.run(["mount", "-o", "loop", str(self.image), str(self.mount_point)], check=True)

    def cut(self) -> None:
        """Let everything that is not on the platter be lost."""
        fd = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, NOLOGFLUSH.to_bytes(4, "little"))
        finally:
            os.close(fd)

    def off(self) -> None:
        deadline = time.monotonic() + 20
        while subprocess.run(["umount", str(self.mount_point)], check=False).returncode:
            assert time.monotonic() < deadline  # the dead writer's worker may be busy dying
            time.sleep(0.05)


@as_root
@pytest.mark.slow
@pytest.mark.root
@pytest.mark.timeout(900)
def test_a_power_cut_loses_nothing_acknowledged(tmp_path: Path, sealer: Sealer) -> None:
    power = PowerSupply(tmp_path)
    for seed in range(25):
        rng = random.Random(seed)
        power.on()
        data = power.mount_point / "data"
        writer = Writer(data, "loop", seed)
        try:
            writer.wait_for("durable")
            time.sleep(rng.uniform(0.0, 1.5))  # the moment is what is random here
            power.cut()
            cut = time.monotonic()
        finally:
            writer.kill()
            power.off()
        writer.lines = [line for line in writer.lines if line[0] <= cut]
        power.on()
        try:
            recover(data, sealer)
            check_after_power_cut(data, writer)
            assert verify(data).ok
        finally:
            power.off()


def check_after_power_cut(data: Path, writer: Writer) -> None:
    """Check what was acknowledged; a recording that had just begun may not have begun at all."""
    known = {folder.recording().id for folder in all_recordings(data / "recordings")}
    for recording_id, epoch in writer.said("begin"):
        assert recording_id in known
        for stream in STREAMS:
            acknowledged = [
                int(seq)
                for rid, name, seq in writer.said("durable")
                if (rid, name) == (recording_id, stream.name)
            ]
            rows = check_rows(data, recording_id, int(epoch), stream.name)
            assert rows >= max(acknowledged, default=0)
    for folder in all_recordings(data / "recordings"):
        assert RecordingReader(folder.path).recording.ended != "recording"
