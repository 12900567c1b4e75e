"""Ranges are sets of numbers: everything that is true of the sets is true of them."""

from hypothesis import given
from hypothesis import strategies as st

from kymograph.model.ranges import Ranges

NUMBERS = st.sets(st.integers(0, 40))


def ranges(numbers):
    return Ranges((n, n) for n in numbers)


def numbers(given_ranges):
    return {n for first, last in given_ranges for n in range(first, last + 1)}


@given(NUMBERS, NUMBERS)
def test_they_behave_as_sets(one, other):
    assert numbers(ranges(one) | ranges(other)) == one | other
    assert numbers(ranges(one) - ranges(other)) == one - other
    assert numbers(ranges(one) & ranges(other)) == one & other
    assert ranges(one).count == len(one)
    assert {n for n in range(42) if n in ranges(one)} == one
    assert (ranges(one) == ranges(other)) == (one == other)
    assert bool(ranges(one)) == bool(one)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30))))
def test_pairs_are_apart_and_in_order(pairs):
    made = list(Ranges(pairs))
    assert all(first <= last for first, last in made)
    assert all(made[i][1] + 1 < made[i + 1][0] for i in range(len(made) - 1))
    assert numbers(made) == {n for first, last in pairs for n in range(first, last + 1)}


def test_as_plain_data():
    assert Ranges([(5, 9), (1, 3), (4, 4), (8, 7)]).to_list() == [[1, 9]]
