"""What rings take is said before they are made, and refused if it cannot be had."""

import logging

import pytest

from kymograph.config import RingTable
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import ConfigError
from kymograph.service.ring_budget import Budget, check, free_memory, ring_rows

STAND = Stream("stand", tuple(Channel(f"c{i}", "float32") for i in range(24)), 10_000.0)
TEN_MINUTES = RingTable(seconds=600, bytes_max=640_000_000)


def test_ten_minutes_of_a_test_stand_are_624_megabytes(caplog):
    with caplog.at_level(logging.INFO):
        total = check([STAND], TEN_MINUTES, Budget(10**10, "this computer"))
    assert ring_rows(STAND, TEN_MINUTES) == 6_000_000
    assert 624_000_000 <= total <= 624_100_000
    assert "6000000 rows x 104 bytes (24 channels and the time) = 624.0 MB, 600 s" in caplog.text


def test_what_is_cut_short_is_said(caplog):
    check([STAND], RingTable(seconds=600), Budget(10**10, "this computer"))
    assert "holds 64.5 s of the 600 s" in caplog.text and "bytes_max is 67108864" in caplog.text


def test_what_does_not_fit_is_refused_with_the_arithmetic():
    with pytest.raises(ConfigError) as refused:
        check([STAND], TEN_MINUTES, Budget(700_000_000, "this computer"))
    said = refused.value.message
    assert "624.0 MB" in said and "700.0 MB free" in said and "134 MB are kept" in said
    assert "6000000 rows x 104 bytes" in said and "lower [ring] seconds" in refused.value.hint
    check([STAND], TEN_MINUTES, Budget(760_000_000, "this computer"))


def test_the_tighter_of_computer_and_container_counts(tmp_path):
    proc, group = tmp_path / "proc", tmp_path / "cgroup"
    proc.mkdir(), group.mkdir()
    (proc / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
    assert free_memory(proc, group) == (4000 * 1024, "this computer")
    (group / "memory.max").write_text("max\n")
    assert free_memory(proc, group).bound_by == "this computer"
    (group / "memory.max").write_text("3000000\n")
    (group / "memory.current").write_text("2000000\n")
    (group / "memory.stat").write_text("anon 5\ninactive_file 500000\n")
    assert free_memory(proc, group) == (1_500_000, "the limit of this container or service")
    assert free_memory(tmp_path / "none", tmp_path / "none").free_bytes > 10**15
