"""What is owed to each destination, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

_COUNTS: Final = {
    "rows": "Rows that it has committed",
    "duplicates": "Rows that it had already",
    "batches": "Batches that it has answered for",
    "objects": "Sealed files that it has taken",
    "bytes_sent": "Bytes on the line",
    "aside": "Rows that it will never take",
}


def shipping_metrics(destinations: Sequence[Mapping[str, Any]]) -> Iterable[Metric]:
    """Yield the numbers of all destinations; none where nothing is shipped."""
    if not destinations:
        return
    up = GaugeMetricFamily(
        "kymograph_shipping_up", "Whether it takes what it is sent", labels=["destination"]
    )
    lag = GaugeMetricFamily(
        "kymograph_shipping_lag_seconds", "Age of the oldest row that is owed", labels=["destination"]
    )
    owed = GaugeMetricFamily(
        "kymograph_shipping_owed_rows", "Rows that are owed", labels=["destination", "stream"]
    )
    for one in destinations:
        up.add_metric([one["name"]], float(one["state"] == "connected"))
        lag.add_metric([one["name"]], float(one.get("lag_s", 0.0)))
        for stream, rows in one["owed"].items():
            owed.add_metric([one["name"], stream], rows)
    yield from (up, lag, owed)
    for name, says in _COUNTS.items():
        family = CounterMetricFamily(f"kymograph_shipping_{name}", says, labels=["destination"])
        for one in destinations:
            family.add_metric([one["name"]], one.get(name, 0))
        yield family
