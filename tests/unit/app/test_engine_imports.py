"""The engine stays small: what belongs to the keeper and the front is never in its process."""

from __future__ import annotations

import subprocess
import sys

import pytest

_ASKS = """
import sys
import kymograph.app.engine, kymograph.app.supervisor
from kymograph.config import parse
from kymograph.service.station import Station

station = Station(parse({
    "station": {"data": sys.argv[1]}, "readings": {}, "hub": {},
    "destinations": {"d": {"url": "http://127.0.0.1:1"}},
    "instruments": {"disk_space": {"driver": "disk_space"}},
}))
station.start()
station.composer.compose(station.clock.now_ns())
station.shutdown()
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize(
    "heavy", ["sqlalchemy", "alembic", "psycopg", "fastapi", "httpx", "pyarrow", "h5py", "polars", "asyncio"]
)
def test_the_engine_does_without(heavy: str, loaded: set[str]) -> None:
    assert heavy not in loaded


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    data = str(tmp_path_factory.mktemp("engine"))
    done = subprocess.run([sys.executable, "-c", _ASKS, data], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())
