"""`/healthz`, `/readyz`, `/metrics`: for whoever watches over the station."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from kymograph.service.keeping.keeping_state import read_keeping
from kymograph.service.keys import READ
from kymograph.web.api.answers import problems
from kymograph.web.api.shipping import shipping_of
from kymograph.web.auth import PUBLIC, needs
from kymograph.web.front import FrontDep
from kymograph.web.metrics import CONTENT_TYPE, Beside, exposition

router = APIRouter(tags=["health"])


@router.get("/healthz", response_class=PlainTextResponse, dependencies=[needs(PUBLIC)])
async def healthz() -> str:
    """Say that this process lives."""
    return "ok\n"


@router.get("/readyz", response_class=PlainTextResponse, responses=problems(), dependencies=[needs(PUBLIC)])
def readyz(front: FrontDep) -> str:
    """Say that the engine answers, or 503."""
    front.engine.station()
    return "ok\n"


@router.get("/metrics", response_class=PlainTextResponse, responses=problems(), dependencies=[needs(READ)])
def metrics(front: FrontDep) -> Response:
    """Return counters and gauges in Prometheus' text format."""
    keeping = read_keeping(front.config.station.data) if front.config.keeps else None
    beside = Beside(shipping_of(front.config)["destinations"], keeping, front.depot)
    return Response(exposition(front.engine, front.hub, beside), media_type=CONTENT_TYPE)
