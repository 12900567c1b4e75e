"""`/v1/retention`: how full the disk is, what would be deleted next and why, what is held back, what went."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Final

from fastapi import APIRouter, Response
from pydantic import Field

from kymograph.service.keys import READ, RECORD
from kymograph.service.retention.view import RetentionView, viewing
from kymograph.web.api.answers import problems, with_times
from kymograph.web.api.models import Answer
from kymograph.web.auth import needs
from kymograph.web.front import Front, FrontDep

router = APIRouter(prefix="/v1/retention", tags=["readings"])

RUN_WAIT_S: Final = 20.0
"""How long the answer waits for a pass to be done; it goes on all the same."""


class DiskOut(Answer):
    """The disk of the data folder."""

    used_bytes: int
    free_bytes: int
    used_percent: float
    excess_bytes: int
    """What has to go until it is not too full."""


class ForeseenOut(Answer):
    """Something that the next pass would delete, about."""

    stream: str
    """`readings` or `recordings`."""
    why: str
    unsynced: bool
    """Whether it is what no hub has."""
    rows: int
    size_bytes: int
    segments: int = 0
    files: list[str] = Field(default_factory=list[str])
    width_s: float = 0.0
    """One reading in so much time stays; 0: none."""


class DoneOut(Answer):
    """Something that a pass deleted."""

    stream: str
    why: str
    rows: int
    size_bytes: int
    segments: int
    unsynced: bool
    error: str


class PassOut(Answer):
    """One pass."""

    started_ns: int
    started: str
    used_percent: float
    used_percent_after: float
    freed_bytes: int
    paused: str
    done: list[DoneOut]


class TombstoneOut(Answer):
    """What is left of something that was deleted."""

    id: int
    time_ns: int
    time: str
    stream: str
    device_id: str
    """Whose readings; of segments, the id of the recording."""
    what: str
    first: int | None
    last: int | None
    first_ns: int | None
    last_ns: int | None
    rows: int
    size_bytes: int
    reason: str
    sha256: str
    """Of a segment; of readings, of their lines `id, device, time_ns, local_ns, payload` with tabs."""


class RetentionOut(Answer):
    """How retention stands."""

    enabled: bool
    paused: str
    """Why nothing is deleted at present."""
    disk: DiskOut
    database: dict[str, Any]
    recordings: dict[str, int]
    thresholds: dict[str, Any]
    next: list[ForeseenOut]
    held_back: dict[str, dict[str, Any]]
    """By stream and reason: `young`, `unshipped`, `pinned`, `running`."""
    passes: list[PassOut]
    tombstones: list[TombstoneOut]


class AskedOut(Answer):
    """A pass that was asked for."""

    done: bool
    """Whether it is over; else it is under way, or comes when the station's keeper runs."""
    result: PassOut | None = None


def _view(front: Front) -> AbstractContextManager[RetentionView]:
    return viewing(front.config, None if front.readings is None else front.readings.database)


@router.get("", response_model=RetentionOut, responses=problems(503), dependencies=[needs(READ)])
def retention(front: FrontDep) -> dict[str, Any]:
    """Return what there is, what the next pass would delete and why, and what stays and why."""
    with _view(front) as view:
        told = view.look()
    passes = [with_times(one, started="started_ns") for one in told["passes"]]
    tombstones = [with_times(one, time="time_ns") for one in told["tombstones"]]
    return {**told, "passes": passes, "tombstones": tombstones}


@router.post("/run", response_model=AskedOut, responses=problems(503), dependencies=[needs(RECORD)])
def run(front: FrontDep, response: Response) -> dict[str, Any]:
    """Do a pass now: 200 with what it did, 202 if it takes longer than an answer may."""
    with _view(front) as view:
        told = view.answer(view.ask(), RUN_WAIT_S)
    if told is None:
        response.status_code = 202
        return {"done": False}
    return {"done": True, "result": with_times(told, started="started_ns")}
