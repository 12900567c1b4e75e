"""`/v1/shipping`: to whom this station ships, what it still owes, and since when."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter

from kymograph.config import Config
from kymograph.service.keeping.shipping_state import read_shipping
from kymograph.service.keys import READ
from kymograph.web.api.answers import problems, with_times
from kymograph.web.api.models import Answer
from kymograph.web.auth import needs
from kymograph.web.front import FrontDep

router = APIRouter(prefix="/v1/shipping", tags=["readings"])


class DestinationOut(Answer):
    """One hub."""

    name: str
    url: str
    kind: str
    state: Literal["connected", "waiting", "refused", "blocked", "unknown"]
    """`waiting`: it does not answer, or cannot now; `refused`: it does not accept the key; `blocked`: what
    answers there is no hub of this kind; `unknown`: nobody ships."""
    owed: dict[str, int]
    """By stream: rows that it has not acknowledged."""
    error: str = ""
    hint: str = ""
    since_ns: int | None = None
    """The time of the oldest row that is owed."""
    since: str | None = None
    lag_s: float = 0.0
    last_success_ns: int | None = None
    last_success: str | None = None
    next_try_ns: int | None = None
    state_since_ns: int | None = None
    object: dict[str, str | int] | None = None
    """The sealed file that is on its way: `sha256 offset size_bytes`."""
    bytes_sent: int = 0
    batches: int = 0
    rows: int = 0
    duplicates: int = 0
    objects: int = 0
    aside: int = 0
    """Rows that it will never take; they are kept in `aside/` of the data folder with the reason."""
    aside_reason: str = ""


class ShippingOut(Answer):
    """How shipping stands."""

    running: bool
    told_ns: int | None
    items: list[DestinationOut]
    next: None = None


def shipping_of(config: Config) -> dict[str, Any]:
    """Return how shipping stands, see `read_shipping`."""
    configured = {name: (table.url, table.kind) for name, table in config.destinations.items()}
    return read_shipping(config.station.data, configured)


@router.get("", response_model=ShippingOut, responses=problems(), dependencies=[needs(READ)])
def shipping(front: FrontDep) -> dict[str, Any]:
    """Return each destination with what it is owed, and how it stands with it."""
    told = shipping_of(front.config)
    items = [
        with_times(one, since="since_ns", last_success="last_success_ns") for one in told["destinations"]
    ]
    return {"running": told["running"], "told_ns": told["told_ns"], "items": items, "next": None}
