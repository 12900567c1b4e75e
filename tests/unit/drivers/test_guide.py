"""The driver in the guide "a new driver" is whole, short, and works."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from kymograph.drivers.base import Driver
from kymograph.model.clock import Clock
from kymograph.sim.wire import PtyWire

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "new-driver.md"
LINES_MAX = 40


def block() -> str:
    found = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(found) == 1
    return found[0]


@pytest.fixture
def sensor(tmp_path):
    names: dict[str, object] = {"__name__": "wind"}
    exec(compile(block(), str(GUIDE), "exec"), names)
    kind = names["Wind"]
    assert isinstance(kind, type) and issubclass(kind, Driver)
    wire = PtyWire(tmp_path / "mast")
    wire.plug()
    driver = kind(kind.Options(), Clock(time.monotonic_ns, time.time_ns), wire.url)
    yield driver, wire
    driver.close()
    wire.unplug()


def said(wire, size_bytes: int) -> bytes:
    data, until = b"", time.monotonic() + 5
    while len(data) < size_bytes and time.monotonic() < until:
        data += wire.read()
    return data


def test_it_has_at_most_forty_lines():
    lines = [line for line in block().splitlines() if line.strip()]
    assert len(lines) <= LINES_MAX


def test_it_reads_rows(sensor):
    driver, wire = sensor
    driver.open()
    driver.start()
    assert said(wire, 7) == b"START\r\n"
    wire.write(b"D,3.2,270*\r\n$WIND,3.5,271*\r\n$TEMP,20,0*\r\nrubbish\r\n$WIND,3.75,268*\r\n")
    rows, until = [], time.monotonic() + 5
    while sum(len(batch.time_ns) for batch in rows) < 2 and time.monotonic() < until:
        rows += driver.read(0.1)
    values = [tuple(row) for batch in rows for row in zip(*(c.tolist() for c in batch.columns), strict=True)]
    assert values == [(3.5, 271.0), (3.75, 268.0)]
    assert driver.counters.frames_bad == 1
    assert [c.unit for c in driver.streams()[0].channels] == ["m/s", "deg"]


def test_its_command_is_checked_and_sent(sensor):
    driver, wire = sensor
    driver.open()
    assert driver.run_command("heat", {"on": True}) == "on"
    assert said(wire, 8) == b"HEAT 1\r\n"
