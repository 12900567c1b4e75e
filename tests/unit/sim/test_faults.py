"""Faults on request."""

from __future__ import annotations

import pytest

from kymograph.model.errors import InvalidInput
from kymograph.sim.faults import Faults

DATA = bytes(range(100))


def test_no_fault_changes_nothing():
    assert Faults().apply(DATA, 0.0) == DATA


def test_drop_is_across_pieces_and_ends():
    faults = Faults()
    faults.request("drop 5", 0.0)
    assert [faults.apply(DATA[i : i + 3], 0.0) for i in (0, 3, 6)] == [b"", DATA[5:6], DATA[6:9]]


def test_corrupt_flips_one_bit_each():
    faults = Faults()
    faults.request("corrupt 4", 0.0)
    harmed = faults.apply(DATA, 0.0)
    assert [(a ^ b).bit_count() for a, b in zip(harmed, DATA, strict=True)] == [1] * 4 + [0] * 96
    assert faults.apply(DATA, 0.0) == DATA


def test_junk_comes_before_what_follows():
    faults = Faults(seed=1)
    faults.request("junk 20", 0.0)
    harmed = faults.apply(DATA, 0.0)
    assert len(harmed) == 120 and harmed.endswith(DATA)


def test_noise_goes_on_until_ok():
    faults = Faults(seed=1)
    faults.request("noise 0.1", 0.0)
    for _ in range(3):
        wrong = sum(a != b for a, b in zip(faults.apply(bytes(1000), 0.0), bytes(1000), strict=True))
        assert 50 < wrong < 160
    faults.request("ok", 0.0)
    assert faults.apply(DATA, 0.0) == DATA


def test_silence_ends_by_itself_or_when_told():
    faults = Faults()
    faults.request("silence 2", 10.0)
    assert faults.apply(DATA, 11.9) == b""
    assert faults.apply(DATA, 12.0) == DATA
    faults.request("silence", 20.0)
    assert faults.apply(DATA, 9999.0) == b""
    faults.request("speak", 9999.0)
    assert faults.apply(DATA, 9999.0) == DATA


def test_unplugged_for_a_while_or_until_told():
    faults = Faults()
    faults.request("unplug 2", 10.0)
    assert faults.due(11.9) and not faults.due(12.0)
    faults.request("unplug", 20.0)
    assert faults.due(9999.0)
    faults.request("replug", 9999.0)
    assert not faults.due(9999.0)


def test_refuse():
    faults = Faults()
    faults.request("refuse on", 0.0)
    assert faults.refusing
    faults.request("refuse off", 0.0)
    assert not faults.refusing


@pytest.mark.parametrize("line", ["", "explode", "drop", "drop many", "noise", "refuse maybe", "silence x"])
def test_what_is_no_fault(line):
    with pytest.raises(InvalidInput):
        Faults().request(line, 0.0)


def test_a_cut_is_in_the_middle_and_the_wire_goes_a_moment_later():
    faults = Faults()
    faults.request("cut 130 2", 10.0)
    assert faults.apply(DATA, 10.0) == DATA and not faults.due(10.0)
    assert faults.apply(DATA, 10.1) == DATA[:30]
    assert faults.apply(DATA, 10.11) == b"" and not faults.due(10.12)
    assert faults.due(10.2) and faults.due(12.1) and not faults.due(12.2)
    assert faults.apply(DATA, 12.2) == DATA
