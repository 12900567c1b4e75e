"""`/v1/mirrors`, what is mirrored here, and `/v1/recordings/{id}/mirrors`, who mirrors one of ours."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path

from kymograph.model.limits import NAME_CHARS_MAX
from kymograph.service.archive.mirrors import held_mirrors
from kymograph.service.keys import READ
from kymograph.web.api.answers import problems, with_times
from kymograph.web.api.file_models import HeldMirrorOut, MirrorIn, MirrorOut
from kymograph.web.api.models import Name, Page
from kymograph.web.auth import needs
from kymograph.web.front import FrontDep

router = APIRouter(prefix="/v1", tags=["recordings"])

Id = Annotated[str, Path(max_length=NAME_CHARS_MAX, description="The recording's `id`.")]


@router.get("/mirrors", response_model=Page[HeldMirrorOut], responses=problems(), dependencies=[needs(READ)])
def mirrors(front: FrontDep) -> dict[str, Any]:
    """Return the recordings of other stations that are mirrored into this data folder."""
    items = held_mirrors(front.archive.folder)
    return {"items": [with_times(one, last_contact="last_contact_ns") for one in items], "next": None}


@router.get(
    "/recordings/{id}/mirrors",
    response_model=Page[MirrorOut],
    responses=problems(404),
    dependencies=[needs(READ)],
)
def mirrors_of(front: FrontDep, id: Id) -> dict[str, Any]:
    """Return who mirrors a recording, and how far they are; who was silent for ten minutes is left out."""
    front.archive.path(id)
    items = front.mirrors.of(id, time.time_ns())
    return {"items": [with_times(one, heard="heard_ns") for one in items], "next": None}


@router.put(
    "/recordings/{id}/mirrors/{name}",
    status_code=204,
    responses=problems(404),
    dependencies=[needs(READ)],
)
def heard_of(front: FrontDep, id: Id, name: Name, told: MirrorIn) -> None:
    """Say, as a mirror, how far it is. Whoever may take a recording away may say so."""
    front.archive.path(id)
    front.mirrors.hear(id, name, told.model_dump(), time.time_ns())
