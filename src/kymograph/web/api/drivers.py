"""`/v1/drivers`, `/v1/formats`: what could be configured, and in what a recording can be kept."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from kymograph.service.keys import READ
from kymograph.web.api.answers import problems
from kymograph.web.api.models import DriverOut, FormatOut, Page
from kymograph.web.auth import needs
from kymograph.web.front import FrontDep

router = APIRouter(prefix="/v1", tags=["drivers and formats"])


@router.get("/drivers", response_model=Page[DriverOut], responses=problems(), dependencies=[needs(READ)])
def drivers(front: FrontDep) -> dict[str, Any]:
    """Return every driver with the JSON schema of its options."""
    return {"items": front.engine.drivers(), "next": None}


@router.get("/formats", response_model=Page[FormatOut], responses=problems(), dependencies=[needs(READ)])
def formats(front: FrontDep) -> dict[str, Any]:
    """Return every format of recordings and exports."""
    return {"items": front.archive.formats(), "next": None}
