"""Months of 20 weather stations: `tests/system/test_week.py`, longer, processes killed all the time."""

import pytest

from tests.system.test_week import weather


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("seed", [1, 2])
def test_many_weeks(tmp_path, postgres, seed):
    weather(tmp_path, postgres, seed, weeks=6, seconds=180)
