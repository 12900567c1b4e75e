"""Who mirrors whom, as a station knows it."""

import time

import pytest

from kymograph.service.archive.mirrors import MIRRORS_MAX, SILENT_NS, MirrorRegister, held_mirrors
from kymograph.sync.mirror import Mirror
from kymograph.sync.source import find
from kymograph.sync.transfer import Transfer
from tests.original_server import SESSION, OriginalServer, chunk_bytes

TOLD = {"state": "running", "expected": 3, "held": 2, "rows": 120, "tail_bytes": 0}


def test_the_one_heard_last_comes_first_and_who_is_silent_is_forgotten():
    register = MirrorRegister()
    register.hear("r1", "laptop", TOLD, 1)
    register.hear("r1", "desk", TOLD, 2)
    register.hear("r2", "desk", TOLD, 2)
    register.hear("r1", "laptop", {**TOLD, "held": 3}, 3)
    assert [(one["name"], one["held"]) for one in register.of("r1", 4)] == [("laptop", 3), ("desk", 2)]
    assert [one["name"] for one in register.of("r1", 2 + SILENT_NS)] == ["laptop"]
    assert register.of("r3", 4) == []


def test_a_thousand_names_do_not_fill_the_memory():
    register = MirrorRegister()
    for number in range(1000):
        register.hear("r1", f"m{number}", TOLD, number)
    assert len(register.of("r1", 1000)) == MIRRORS_MAX


@pytest.fixture
def mirrored(tmp_path):
    with OriginalServer() as server:
        server.chunks.update({index: chunk_bytes(index) for index in range(3)})
        mirror = Mirror(find(Transfer(server.url)), tmp_path)
        mirror.pass_once()
        server.recording = False
        mirror.pass_once()
        mirror.close()
        yield server, tmp_path


def test_what_is_held(mirrored):
    server, folder = mirrored
    [held] = held_mirrors(folder)
    assert (held["recording_id"], held["url"], held["state"]) == (SESSION, server.url, "whole")
    assert (held["held"], held["expected"]) == (3, 3)
    assert abs(time.time_ns() - held["last_contact_ns"]) < 60e9


def test_what_was_deleted_here_is_not_held(mirrored):
    _, folder = mirrored
    next(folder.glob("recordings/*/chunk_00001.jsonl")).unlink()
    [held] = held_mirrors(folder)
    assert (held["held"], held["expected"], held["state"]) == (2, 3, "partial")


def test_a_folder_without_mirrors(tmp_path):
    assert held_mirrors(tmp_path) == []
    (tmp_path / "recordings" / "x").mkdir(parents=True)
    (tmp_path / "recordings" / "x" / "mirror.json").write_text("{")
    assert held_mirrors(tmp_path) == []
