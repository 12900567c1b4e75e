"""`/v1/station`, `/v1/events`: who this is, and what happened."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from kymograph.model.limits import PAGE_ITEMS_MAX
from kymograph.service.keys import READ
from kymograph.web.api.answers import (
    CursorText,
    Limit,
    decode_cursor,
    encode_cursor,
    events_out,
    problems,
    with_times,
)
from kymograph.web.api.models import EventOut, Page, StationOut
from kymograph.web.auth import needs
from kymograph.web.front import Front, FrontDep

router = APIRouter(prefix="/v1", tags=["station"])


def features_of(front: Front) -> list[str]:
    """Return which of the optional groups of routes this station has."""
    has = {
        "fleet": front.depot is not None,
        "readings": front.config.readings is not None,
        "retention": front.config.keeps,
    }
    return [name for name, is_there in has.items() if is_there]


@router.get("/station", response_model=StationOut, responses=problems(), dependencies=[needs(READ)])
def station(front: FrontDep) -> dict[str, Any]:
    """Return the station's name, version, clock and disk, and what the station file tells the dashboard."""
    told = {
        **front.engine.station(),
        "features": features_of(front),
        "dashboard": front.config.dashboard.model_dump(mode="json"),
    }
    return with_times(told, started="started_ns", now="now_ns")


@router.get("/events", response_model=Page[EventOut], responses=problems(), dependencies=[needs(READ)])
def events(front: FrontDep, limit: Limit = 100, cursor: CursorText = None) -> dict[str, Any]:
    """Return the station's events, newest first; the newest thousand can be paged through."""
    after = decode_cursor(cursor)
    newest = front.engine.events(PAGE_ITEMS_MAX)
    if after is not None:
        ids = [event["id"] for event in newest]
        newest = newest[ids.index(after) + 1 :] if after in ids else []
    items = newest[:limit]
    more = len(newest) > limit
    return {"items": events_out(items), "next": encode_cursor(items[-1]["id"]) if more else None}
