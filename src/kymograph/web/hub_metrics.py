"""The numbers of a hub for Prometheus: its stations from the database, its batches since this front began."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from kymograph.model.errors import KymographError

if TYPE_CHECKING:
    from kymograph.service.hub.depot import Depot


def hub_metrics(depot: Depot | None) -> Iterable[Metric]:
    """Yield what came, and how the fleet is; nothing if this is no hub. Asks the database."""
    if depot is None:
        return
    yield from _arrivals(depot.ingest.counts())
    up = GaugeMetricFamily("kymograph_hub_database_up", "Whether the database answers")
    try:
        told = depot.fleet.counts()
    except KymographError:
        up.add_metric([], 0)
        yield up
        return
    up.add_metric([], 1)
    yield up
    yield from _fleet(told)


def _arrivals(counts: dict[str, int]) -> Iterable[Metric]:
    rows = CounterMetricFamily("kymograph_hub_rows", "Rows that came: new, or here already", labels=["kind"])
    rows.add_metric(["new"], counts.pop("rows"))
    rows.add_metric(["duplicate"], counts.pop("duplicates"))
    batches = CounterMetricFamily(
        "kymograph_hub_batches", "Batches that came, by outcome", labels=["outcome"]
    )
    for outcome, number in counts.items():
        batches.add_metric([outcome], number)
    yield from (rows, batches)


def _fleet(told: dict[str, Any]) -> Iterable[Metric]:
    stations = GaugeMetricFamily("kymograph_hub_stations", "Stations by state", labels=["state"])
    for state, number in told["stations"].items():
        stations.add_metric([state], number)
    aside = GaugeMetricFamily("kymograph_hub_rejects", "Batches that are put aside", labels=["kind"])
    for kind, number in told["rejects"].items():
        aside.add_metric([kind], number)
    owed = GaugeMetricFamily("kymograph_hub_rows_owed", "Rows still to come", labels=["station", "stream"])
    for station, streams in told["owed"].items():
        for stream, number in streams.items():
            owed.add_metric([station, stream], number)
    yield from (stations, aside, owed)
