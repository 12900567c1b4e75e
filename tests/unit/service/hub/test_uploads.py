"""Files piece by piece: resumed, broken off, damaged, two at a time."""

from __future__ import annotations

import hashlib
import random
import time
from pathlib import Path

import pytest

from kymograph.model.errors import Conflict, Corrupt, InvalidInput, TooMany
from kymograph.model.limits import UPLOAD_SILENCE_S_MAX, UPLOADS_AT_ONCE_MAX
from kymograph.service.hub.uploads import Uploads
from kymograph.store.objects import FolderObjects

DATA = random.Random(1).randbytes(100_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path / "objects")


@pytest.fixture
def uploads(tmp_path: Path, objects: FolderObjects) -> Uploads:
    return Uploads(tmp_path / "uploads", objects)


def send(uploads: Uploads, offset: int, data: bytes, station: str = "roof", sha256: str = SHA256) -> None:
    with uploads.piece(station, sha256, offset) as piece:
        piece.write(data)


def test_an_upload_goes_on_where_it_was(uploads: Uploads, objects: FolderObjects, tmp_path: Path) -> None:
    assert uploads.offset("roof", SHA256) == 0
    send(uploads, 0, DATA[:40_000])
    assert uploads.offset("roof", SHA256) == 40_000 and not objects.has(SHA256)
    with pytest.raises(Conflict) as refused:
        send(uploads, 0, DATA)
    assert refused.value.facts["offset"] == 40_000
    restarted = Uploads(tmp_path / "uploads", objects)
    send(restarted, 40_000, DATA[40_000:])
    restarted.finish("roof", SHA256)
    assert restarted.offset("roof", SHA256) is None and b"".join(objects.read(SHA256)) == DATA
    restarted.finish("roof", SHA256)  # the same request again, whose answer was lost


def test_a_piece_that_breaks_off_counts_as_far_as_it_came(uploads: Uploads) -> None:
    with pytest.raises(RuntimeError), uploads.piece("roof", SHA256, 0) as piece:
        piece.write(DATA[:1000])
        raise RuntimeError("the line went dead")
    assert uploads.offset("roof", SHA256) == 1000


def test_bytes_of_another_hash_are_thrown_away(uploads: Uploads, objects: FolderObjects) -> None:
    send(uploads, 0, DATA[:-1] + b"!")
    with pytest.raises(Corrupt):
        uploads.finish("roof", SHA256)
    assert uploads.offset("roof", SHA256) == 0 and not objects.has(SHA256)
    with pytest.raises(Conflict):
        uploads.finish("roof", SHA256)


def test_stations_do_not_meet_in_an_upload(uploads: Uploads) -> None:
    send(uploads, 0, b"rubbish", station="cellar")
    assert uploads.offset("roof", SHA256) == 0


def test_one_piece_at_a_time(uploads: Uploads) -> None:
    with uploads.piece("roof", SHA256, 0) as piece:
        piece.write(DATA[:10])
        with pytest.raises(Conflict):
            send(uploads, 0, DATA)
    assert uploads.offset("roof", SHA256) == 10


@pytest.mark.parametrize(
    ("station", "sha256"), [("../x", SHA256), ("roof", "../x"), ("roof", SHA256.upper())]
)
def test_no_name_leads_elsewhere(uploads: Uploads, station: str, sha256: str) -> None:
    with pytest.raises(InvalidInput):
        uploads.offset(station, sha256)


def test_uploads_are_bounded_and_forgotten(uploads: Uploads) -> None:
    hashes = [hashlib.sha256(bytes([i])).hexdigest() for i in range(UPLOADS_AT_ONCE_MAX + 1)]
    for sha256 in hashes[:-1]:
        send(uploads, 0, b"x", sha256=sha256)
    with pytest.raises(TooMany):
        send(uploads, 0, b"x", sha256=hashes[-1])
    assert uploads.tidy() == 0
    assert uploads.tidy(time.time() + UPLOAD_SILENCE_S_MAX + 60) == UPLOADS_AT_ONCE_MAX
    send(uploads, 0, b"x", sha256=hashes[-1])
