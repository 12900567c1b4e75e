"""Whether the rings fit into the memory that is free, worked out before the first of them is made.

Rings are anonymous shared memory (`memfd`): the size of /dev/shm does not bound them, but the memory of the
computer does, and the limit of the container or service that the engine runs in. Each is claimed whole at the
start, so that nothing can run out of memory later; where that cannot be, the station does not start.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from kymograph.acquire.ring import ring_nbytes
from kymograph.config import RingTable
from kymograph.model.channel import Stream
from kymograph.model.errors import ConfigError

log = logging.getLogger(__name__)

LEFT_BYTES: Final = 128 * 1024 * 1024
"""Must stay free beside the rings: what the engine's queues and the front take under load."""
_CGROUP: Final = Path("/sys/fs/cgroup")
_UNLIMITED: Final = 1 << 60
_SHORT: Final = 0.99


def ring_rows(stream: Stream, table: RingTable) -> int:
    """Return how many rows of a stream the configuration keeps in memory."""
    wanted = max(int(stream.rate_hz * table.seconds), table.rows_min)
    while ring_nbytes(stream, wanted) > table.bytes_max and wanted > 16:
        wanted = min(wanted - 1, int(wanted * table.bytes_max / ring_nbytes(stream, wanted)))
    return wanted


class Budget(NamedTuple):
    """Memory that could be had, and who says so."""

    free_bytes: int
    bound_by: str


def free_memory(proc: Path = Path("/proc"), cgroup: Path = _CGROUP) -> Budget:
    """Return how much memory there is to be had, by the computer or by the control group, whichever is less.

    What cannot be read bounds nothing.
    """
    found = [Budget(_UNLIMITED, "")]
    for line in _text(proc / "meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            found.append(Budget(int(line.split()[1]) * 1024, "this computer"))
    for limit, used, stat, cache in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat",
         "total_inactive_file"),
    ):  # fmt: skip
        size = _text(cgroup / limit).strip()
        if size.isdecimal() and int(size) < _UNLIMITED:
            cached = dict(line.split(" ", 1) for line in _text(cgroup / stat).splitlines())
            taken = int(_text(cgroup / used) or 0) - int(cached.get(cache, 0))
            found.append(Budget(int(size) - taken, "the limit of this container or service"))
    return min(found)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def check(streams: Iterable[Stream], table: RingTable, budget: Budget | None = None) -> int:
    """Say what the rings take, and return it.

    Raises:
        ConfigError: they do not fit, with the arithmetic.
    """
    sizes = {stream: (rows := ring_rows(stream, table), ring_nbytes(stream, rows)) for stream in streams}
    total = sum(size for _, size in sizes.values())
    for stream, (rows, size) in sizes.items():
        log.info("the ring of %s: %s", stream.name, arithmetic(stream, rows, size))
        if stream.rate_hz and rows < int(stream.rate_hz * table.seconds) * _SHORT:
            wanted = ring_nbytes(stream, int(stream.rate_hz * table.seconds))
            log.warning(
                "the ring of %s holds %.3g s of the %g s of [ring] seconds: that would take %d bytes, and"
                " [ring] bytes_max is %d", stream.name, rows / stream.rate_hz, table.seconds, wanted,
                table.bytes_max,
            )  # fmt: skip
    log.info("rings take %.1f MB in all", total / 1e6)
    budget = budget or free_memory()
    if total + LEFT_BYTES > budget.free_bytes:
        parts = "; ".join(f"{s.name}: {arithmetic(s, *sizes[s])}" for s in sizes)
        raise ConfigError(
            f"the rings take {total / 1e6:.1f} MB, and {budget.bound_by} has {budget.free_bytes / 1e6:.1f} MB"
            f" free, of which {LEFT_BYTES / 1e6:.0f} MB are kept ({parts})",
            hint="lower [ring] seconds or bytes_max",
            ring_bytes=total,
            free_bytes=budget.free_bytes,
        )
    return total


def arithmetic(stream: Stream, rows: int, size: int) -> str:
    """Return how a ring's bytes come about."""
    lasts = f", {rows / stream.rate_hz:.4g} s" if stream.rate_hz else ""
    return f"{rows} rows x {stream.row_nbytes} bytes ({len(stream.channels)} channels and the time) = " + (
        f"{size / 1e6:.1f} MB{lasts}"
    )
