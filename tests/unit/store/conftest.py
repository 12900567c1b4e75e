"""What every test of the store is given."""

from __future__ import annotations

import time

import pytest

from kymograph.model.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(time.monotonic_ns, time.time_ns)
