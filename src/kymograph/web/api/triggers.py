"""`/v1/triggers`: what begins a recording by itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter

from kymograph.service.keys import READ, RECORD
from kymograph.web.api.answers import problems
from kymograph.web.api.models import Answer, Name, Page, Wish, Words
from kymograph.web.auth import Caller, needs
from kymograph.web.front import FrontDep

router = APIRouter(prefix="/v1/triggers", tags=["recordings"])


class TriggerOut(Answer):
    """A trigger of the station file."""

    name: str
    when: str
    state: Literal["armed", "recording", "waiting", "off"]
    """`waiting`: its condition must become false, or `rearm_s` pass, before it is armed again."""
    last_ns: int | None
    recordings: list[str]
    """The newest it began, oldest first."""
    recording_id: str | None
    fired: int
    now: str
    """How things stand: what is compared, as it is."""
    left_s: float | None
    error: str
    pre_s: float
    post_s: float
    rearm_s: float
    hold: bool
    record: str


class ByIn(Wish):
    """Who does it; the name of the key that was sent counts more."""

    by: Words = ""


@router.get("", response_model=Page[TriggerOut], responses=problems(), dependencies=[needs(READ)])
def triggers(front: FrontDep) -> dict[str, Any]:
    """Return all triggers."""
    return {"items": front.engine.triggers.status(), "next": None}


@router.post("/{name}/{action}", response_model=TriggerOut, responses=problems(404, 409))
def act(
    front: FrontDep,
    caller: Annotated[Caller, needs(RECORD)],
    name: Name,
    action: Literal["arm", "disarm", "fire"],
    told: ByIn | None = None,
) -> dict[str, Any]:
    """Let a trigger fire, let it not fire, or record as if its condition had become true now."""
    by = caller.signs(told.by if told is not None else "")
    triggers = front.engine.triggers
    return {"arm": triggers.arm, "disarm": triggers.disarm, "fire": triggers.fire}[action](name, by)
