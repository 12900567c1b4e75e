"""What became of readings, for Prometheus: composed by the engine, kept by the keeper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

_COMPOSED: Final = {
    "composed": "Readings composed since the engine began",
    "lost": "Readings that there was no room for, on the disk and in memory",
}


def reading_metrics(readings: Mapping[str, Any] | None) -> Iterable[Metric]:
    """Yield what the engine says of its readings; nothing where none are composed."""
    if readings is None:
        return
    for name, says in _COMPOSED.items():
        yield CounterMetricFamily(f"kymograph_readings_{name}", says, value=readings[name])
    says = "Readings that wait in memory for room on the disk"
    yield GaugeMetricFamily("kymograph_readings_waiting", says, value=readings["waiting"])


def keeping_metrics(keeping: Mapping[str, Any] | None) -> Iterable[Metric]:
    """Yield what the keeper says; nothing where none runs. See `read_keeping`."""
    if keeping is None:
        return
    up = GaugeMetricFamily(
        "kymograph_database_up", "Whether the database answers the keeper", labels=["dialect"]
    )
    up.add_metric([str(keeping.get("dialect", ""))], float(keeping["database"] == "ok"))
    yield up
    yield GaugeMetricFamily("kymograph_keeper_up", "Whether the keeper runs", value=float(keeping["running"]))
    says = "Readings that the keeper has put into the database since it began"
    yield CounterMetricFamily("kymograph_readings_kept", says, value=keeping.get("kept", 0))
    says = "Bytes of readings that are on the disk and not in the database yet"
    yield GaugeMetricFamily("kymograph_readings_spool_bytes", says, value=keeping.get("spool_bytes", 0))
