"""What every test of the store is given."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kymograph.model.clock import Clock
from kymograph.store.folder import DataFolder
from kymograph.store.sealer import Sealer
from tests.unit.store.station import Station


@pytest.fixture
def clock() -> Clock:
    return Clock(time.monotonic_ns, time.time_ns)


@pytest.fixture(scope="module")
def sealer() -> Iterator[Sealer]:
    sealer = Sealer(Clock(time.monotonic_ns, time.time_ns))
    sealer.retain()
    yield sealer
    sealer.close()


@pytest.fixture
def station(tmp_path: Path, clock: Clock, sealer: Sealer) -> Iterator[Station]:
    with DataFolder.open(tmp_path / "data", clock) as data:
        yield Station(data, sealer, clock)
