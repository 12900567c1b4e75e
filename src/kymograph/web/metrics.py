"""The station's numbers for Prometheus, taken from the engine at the moment they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from kymograph.model.errors import KymographError
from kymograph.model.status import STATES
from kymograph.service.contract import StationService
from kymograph.web.hub_metrics import hub_metrics
from kymograph.web.keeping_metrics import keeping_metrics, reading_metrics
from kymograph.web.live.hub import Hub
from kymograph.web.shipping_metrics import shipping_metrics

if TYPE_CHECKING:
    from kymograph.service.hub.depot import Depot

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Beside(NamedTuple):
    """What the keeper tells of itself; see `read_shipping` and `read_keeping`."""

    destinations: Sequence[Mapping[str, Any]] = ()
    keeping: Mapping[str, Any] | None = None
    depot: Depot | None = None
    """The services of a hub, if this is one."""


_HEALTH: Final = {
    "bytes_received": "Bytes read from the link",
    "frames_good": "Frames that were whole and right",
    "frames_bad": "Frames that failed their check",
    "resyncs": "Times the start of a frame had to be searched for",
    "reopens": "Times the device was opened again",
    "rows": "Rows made",
}
_RECORDER: Final = {
    "rows": "Rows taken by a running recording",
    "rows_lost": "Rows a running recording could not take",
}
_RECORDER_NOW: Final = {
    "size_bytes": "Bytes of a running recording",
    "segments": "Sealed files of a running recording",
    "queue_bytes": "Bytes that wait for the disk",
}


class _Collector:
    def __init__(self, engine: StationService, hub: Hub, beside: Beside) -> None:
        self._engine = engine
        self._hub = hub
        self._beside = beside

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("kymograph_engine_up", "Whether the engine answers")
        found: list[Metric] = [up, *self._live()]
        found += [*shipping_metrics(self._beside.destinations), *keeping_metrics(self._beside.keeping)]
        found += hub_metrics(self._beside.depot)
        try:
            found += [*self._station(), *self._instruments(), *self._recorders()]
            up.add_metric([], 1)
        except KymographError:
            up.add_metric([], 0)
        return found

    def _live(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("kymograph_live_clients", "Live clients", value=len(self._hub.clients))
        dropped = "Rows that live clients lost by being slow"
        yield CounterMetricFamily("kymograph_live_rows_dropped", dropped, value=self._hub.rows_dropped)
        lost = "Rows that the front was too busy to take from the link"
        yield CounterMetricFamily("kymograph_live_rows_lost", lost, value=self._hub.rows_lost)

    def _station(self) -> Iterable[Metric]:
        told = self._engine.station()
        yield from reading_metrics(told.get("readings"))
        disk = told["disk"]
        for name in ("free_bytes", "total_bytes"):
            yield GaugeMetricFamily(f"kymograph_disk_{name}", "Of the data folder's disk", value=disk[name])

    def _instruments(self) -> Iterable[Metric]:
        told = self._engine.instruments()
        state = GaugeMetricFamily(
            "kymograph_instrument_state", "1 for its state", labels=["instrument", "state"]
        )
        rate = GaugeMetricFamily("kymograph_instrument_rate_hz", "Rows a second", labels=["instrument"])
        age = GaugeMetricFamily(
            "kymograph_instrument_age_seconds", "Since the last row", labels=["instrument"]
        )
        for one in told:
            for name in STATES:
                state.add_metric([one["name"], name], float(one["state"] == name))
            rate.add_metric([one["name"]], one["health"]["rate_hz"])
            if one["health"]["age_s"] is not None:
                age.add_metric([one["name"]], one["health"]["age_s"])
        yield from (state, rate, age)
        for name, says in _HEALTH.items():
            family = CounterMetricFamily(f"kymograph_instrument_{name}", says, labels=["instrument"])
            for one in told:
                family.add_metric([one["name"]], one["health"][name])
            yield family

    def _recorders(self) -> Iterable[Metric]:
        told = self._engine.recorders()
        yield GaugeMetricFamily("kymograph_recordings_running", "Running recordings", value=len(told))
        labels = ["recording", "id"]
        kinds = ((CounterMetricFamily, _RECORDER), (GaugeMetricFamily, _RECORDER_NOW))
        for kind, names in kinds:
            for name, says in names.items():
                family = kind(f"kymograph_recorder_{name}", says, labels=labels)
                for one in told:
                    family.add_metric([one["name"], one["recording_id"]], one[name])
                yield family


def exposition(engine: StationService, hub: Hub, beside: Beside = Beside()) -> bytes:
    """Return all numbers in the text format. Blocks for the engine's answers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(engine, hub, beside))  # type: ignore[arg-type]
    return generate_latest(registry)
