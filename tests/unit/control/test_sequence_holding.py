"""For how long a condition has held: by each row and its time, never by when somebody looked."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kymograph.control.sequence.holding import Holding

ALL = 2**63 - 1


def see(holding, rows, seen_ns=ALL):
    """Rows as (time, 1 true, 0 false, 2 not known)."""
    times, held = zip(*rows, strict=True)
    holding.see(np.array(times, np.int64), np.array(held, np.int8), seen_ns)
    return holding.met_ns


def test_it_is_met_by_the_row_that_is_so_much_later_than_the_first():
    holding = Holding(100, 0)
    assert see(holding, [(10, 0), (20, 1), (60, 1), (119, 1)]) is None
    assert see(holding, [(120, 1), (130, 0)]) == 120


@pytest.mark.parametrize("spoiled", [0, 2])
def test_one_row_between_two_looks_breaks_it(spoiled):
    holding = Holding(100, 0)
    assert see(holding, [(10, 1), (50, 1)]) is None
    assert see(holding, [(60, 1), (61, spoiled), (62, 1), (110, 1), (161, 1)]) is None
    assert see(holding, [(162, 1)]) == 162


def test_an_excursion_of_one_row_is_enough_where_it_need_not_last():
    assert see(Holding(0, 0), [(10, 0), (11, 1), (12, 0)]) == 11


def test_what_was_measured_before_it_was_asked_for_does_not_count():
    holding = Holding(100, 50)
    assert see(holding, [(0, 1), (40, 1), (60, 1), (159, 1)]) is None
    assert see(holding, [(160, 1)]) == 160


def test_it_holds_anew_after_a_pause():
    holding = Holding(100, 0)
    see(holding, [(10, 1), (90, 1)])
    holding.restart(95)
    assert see(holding, [(94, 1), (100, 1), (199, 1)]) is None
    assert see(holding, [(200, 1)]) == 200


def test_rows_of_another_stream_that_are_yet_to_come_may_break_it():
    holding = Holding(100, 0)
    see(holding, [(10, 1), (120, 1)], seen_ns=80)
    assert holding.met_ns is None
    see(holding, [(60, 1), (70, 0), (90, 1), (121, 1)], seen_ns=121)  # of the other stream, later and older
    assert holding.met_ns is None
    see(holding, [(122, 1), (189, 1)], seen_ns=189)
    assert holding.met_ns is None
    assert see(holding, [(190, 1)], seen_ns=190) == 190


def test_a_look_at_the_newest_values_goes_by_what_is_known():
    holding = Holding(100, 0)
    assert not holding.look(True, 5, seen_ns=0)
    see(holding, [(6, 1), (104, 1)])
    assert not holding.look(True, 300, seen_ns=104)  # nobody knows what was after 104
    assert holding.look(True, 301, seen_ns=105)


def test_what_has_become_stale_breaks_it():
    holding = Holding(100, 0)
    see(holding, [(0, 1), (90, 1)])
    assert not holding.look(False, 95, seen_ns=90)
    assert see(holding, [(96, 1), (195, 1)]) is None
    assert see(holding, [(196, 1)]) == 196


def test_it_says_when_it_may_be_met_and_never_a_time_that_is_past():
    holding = Holding(100, 0)
    assert holding.due_ns(0) is None
    see(holding, [(10, 1)])
    assert (holding.due_ns(50), holding.due_ns(110)) == (110, None)


def met_row_by_row(rows, stable_ns, from_ns):
    since = None
    for time, held in rows:
        if time < from_ns:
            continue
        if held != 1:
            since = None
            continue
        since = time if since is None else since
        if time - since >= stable_ns:
            return time
    return None


@settings(deadline=None, max_examples=300)
@given(
    steps=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 1, 1, 2])), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 59), max_size=6),
    stable_ns=st.integers(0, 30),
    from_ns=st.integers(0, 40),
)
def test_blocks_of_any_size_come_to_the_same_as_row_by_row(steps, cuts, stable_ns, from_ns):
    times = np.cumsum([step for step, _ in steps]).tolist()
    rows = list(zip(times, [held for _, held in steps], strict=True))
    holding = Holding(stable_ns, from_ns)
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    for start, stop in pairwise(edges):
        see(holding, rows[start:stop])
    assert holding.met_ns == met_row_by_row(rows, stable_ns, from_ns)
