"""`/v1/sequences` and `/v1/runs`: what a station can run by itself, and what runs or has run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header
from pydantic import Field

from kymograph.service.keys import CONTROL, READ
from kymograph.web.api.answers import Limit, problems, with_times
from kymograph.web.api.models import Answer, Name, Notes, Page, Wish, Words
from kymograph.web.auth import Caller, needs
from kymograph.web.front import FrontDep

router = APIRouter(prefix="/v1", tags=["runs"])

Anyone = Annotated[Caller, needs(READ)]
Controller = Annotated[Caller, needs(CONTROL)]


class FaultOut(Answer):
    """One thing that is wrong in a sequence."""

    file: str
    line: int
    reason: str


class MomentOut(Answer):
    """One thing that a sequence does, in seconds from its start."""

    earliest_s: float
    latest_s: float
    text: str
    line: int
    always: bool
    """Whether it is one of the steps of every way out."""
    answer_s: float


class SequenceOut(Answer):
    """A sequence that this station could run."""

    name: str
    description: str
    parameters: dict[str, dict[str, Any]]
    file: str
    sha256: str
    built_in: bool
    problems: list[FaultOut]
    """What is wrong with it here; empty if it can be run."""


class SequenceWholeOut(SequenceOut):
    """A sequence with its text, and with what it does when."""

    text: str
    timeline: list[MomentOut]


class ValuesIn(Wish):
    """Values of parameters."""

    parameters: Notes = Field(default_factory=dict)


class ValidOut(Answer):
    """Whether a sequence can be run with these parameters."""

    ok: bool
    problems: list[FaultOut]
    timeline: list[MomentOut]


class RunIn(Wish):
    """A run that is asked for."""

    sequence: Name
    parameters: Notes = Field(default_factory=dict)
    by: Words = ""
    fence: int | None = None
    """Of the lease under which it runs; without, that of `by`."""
    keep: bool = False
    """Let the run renew its lease itself: nobody need stay."""


class ByIn(Wish):
    """Who does it, and why."""

    by: Words = ""
    reason: Annotated[str, Field(max_length=500)] = ""


class WhoIn(Wish):
    """Who does it; the name of the key that was sent counts more."""

    by: Words = ""


class StepOut(Answer):
    """How one step of an emergency went: `verified` by the device itself, `unverified` or `failed`."""

    step: str
    outcome: Literal["verified", "unverified", "failed"]
    detail: str


class EmergencyOut(Answer):
    """An emergency that is over."""

    status: Literal["ok", "error"]
    message: str
    run_id: str | None
    """None where no emergency sequence fits the station: then everything was stopped."""
    feedback: list[StepOut]


class RunOut(Answer):
    """A run; `ending` is at the steps of every way out."""

    id: str
    sequence: str
    sha256: str
    by: str
    fence: int | None
    keep: bool
    parameters: dict[str, Any]
    state: Literal["running", "paused", "ending", "done", "aborted", "failed"]
    reason: str
    started_ns: int
    ended_ns: int | None
    line: int | None
    waits_for: str
    left_s: float | None
    path: list[dict[str, Any]]
    failures: list[str]
    recordings: list[str]
    """Ids of the recordings that ran beside it."""


class RunWholeOut(RunOut):
    """A run with all that it asked for, and what it was to do when."""

    asked: list[dict[str, Any]]
    """What it told, and what came of it: `what line always told_ns ended_ns outcome detail arguments`."""
    met: list[dict[str, Any]]
    """Conditions that came true: `condition line since_ns met_ns`."""
    timeline: list[MomentOut]


def _out(run: dict[str, Any]) -> dict[str, Any]:
    return with_times(run, started="started_ns", ended="ended_ns")


@router.get("/sequences", response_model=Page[SequenceOut], responses=problems(), dependencies=[needs(READ)])
def sequences(front: FrontDep) -> dict[str, Any]:
    """List the sequences of this station, and those that come with the program."""
    return {"items": front.engine.runs.sequences(), "next": None}


@router.get(
    "/sequences/{name}",
    response_model=SequenceWholeOut,
    responses=problems(404),
    dependencies=[needs(READ)],
)
def sequence(front: FrontDep, name: Name) -> dict[str, Any]:
    """Return one with its text, and with what it does when."""
    return front.engine.runs.sequence(name)


@router.post(
    "/sequences/{name}/validate",
    response_model=ValidOut,
    responses=problems(404),
    dependencies=[needs(READ)],
)
def validate(front: FrontDep, name: Name, wish: ValuesIn) -> dict[str, Any]:
    """Say whether it can be run with these parameters; nothing moves."""
    return front.engine.runs.validate(name, wish.parameters)


@router.post("/runs", response_model=RunWholeOut, status_code=201, responses=problems(404, 409))
def start(
    front: FrontDep,
    caller: Controller,
    wish: RunIn,
    idempotency_key: Annotated[str | None, Header(description="The same key, the same answer.")] = None,
) -> dict[str, Any]:
    """Run a sequence. It fails, by its last steps, when its lease is lost; `keep` renews it by itself."""
    asked = {**wish.model_dump(), "by": caller.signs(wish.by)}
    return front.answers.once(
        caller.name, idempotency_key, asked, lambda: _out(front.engine.runs.start(asked))
    )


@router.post("/runs/emergency", response_model=EmergencyOut, responses=problems())
def emergency(front: FrontDep, caller: Anyone, told: WhoIn) -> dict[str, Any]:
    """Run the emergency sequence, whoever holds control and whatever goes on; answers when it is over.

    For anybody. Afterwards everything is in its safe state, and stopped.
    """
    return front.engine.runs.emergency(caller.signs(told.by))


@router.get("/runs", response_model=Page[RunOut], responses=problems(), dependencies=[needs(READ)])
def runs(front: FrontDep, limit: Limit = 100) -> dict[str, Any]:
    """List runs, newest first."""
    return {"items": [_out(run) for run in front.engine.runs.list(limit)], "next": None}


@router.get("/runs/{id}", response_model=RunWholeOut, responses=problems(404), dependencies=[needs(READ)])
def run(front: FrontDep, id: Name) -> dict[str, Any]:
    """Return a run, as it is now or as it ended."""
    return _out(front.engine.runs.get(id))


@router.post("/runs/{id}/{action}", response_model=RunWholeOut, responses=problems(404, 409))
def act(
    front: FrontDep, caller: Controller, id: Name, action: Literal["pause", "resume", "abort"], wish: ByIn
) -> dict[str, Any]:
    """Pause a run, let it go on, or bring it to its last steps."""
    by, engine = caller.signs(wish.by), front.engine.runs
    if action == "abort":
        return _out(engine.abort(id, by, wish.reason))
    return _out(engine.pause(id, by) if action == "pause" else engine.resume(id, by))
