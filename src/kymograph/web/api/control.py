"""`/v1/control`: who may move what, the stop of everything, and interlocks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from kymograph.model.limits import ARMED_S_MAX, HOLDER_CHARS_MAX, LEASE_S_MAX, LEASE_S_MIN, NAME_CHARS_MAX
from kymograph.service.keys import ADMIN, CONTROL, READ
from kymograph.web.api.answers import control_out, problems
from kymograph.web.api.models import Answer, Name, Wish, Words
from kymograph.web.auth import Caller, needs
from kymograph.web.front import FrontDep

router = APIRouter(prefix="/v1/control", tags=["control"])

Anyone = Annotated[Caller, needs(READ)]
Controller = Annotated[Caller, needs(CONTROL)]
Admin = Annotated[Caller, needs(ADMIN)]


class LeaseOut(Answer):
    """Control in somebody's hand."""

    group: str
    holder: str
    fence: int
    """To be sent with each command: one that is older than the present holder's moves nothing."""
    held_s: float
    remaining_s: float


class ArmedOut(Answer):
    """What may be done once, soon, by who armed it."""

    target: str
    by: str
    fence: int
    remaining_s: float


class InterlockOut(Answer):
    """An interlock, and how things stand."""

    name: str
    kind: Literal["trip", "permit"]
    state: Literal["ok", "pending", "tripped"]
    """Only `ok` lets anything through."""
    reason: str
    now: str
    stale: bool
    """Whether a value that it needs is missing or too old."""
    margin: float | None
    """How far danger is, negative beyond it; null if that is no one number."""
    expression: str
    latched: bool
    message: str
    applies_to: list[str]
    names: list[str]


class ActuatorOut(Answer):
    """Something that can be moved, and where it is."""

    instrument: str
    name: str
    unit: str
    labels: list[str]
    value: float | None
    """Where the device says that it is; null if it does not."""
    needs_arming: bool
    """Whether it is to be armed before it is brought to anything but its safe state."""


class CommandOut(Answer):
    """A command of something that moves, as far as it has come."""

    id: str
    time_ns: int
    """When it was accepted, UTC."""
    time: str
    state: str
    """`accepted sent acknowledged verified`, or `refused failed timed_out unknown`."""
    instrument: str
    command: str
    arguments: dict[str, Any]
    by: str
    fence: int | None
    answer: Any
    reason: str
    ended: bool
    """Whether nothing more will happen to it."""
    run: str = ""


class ControlOut(Answer):
    """Who may move what."""

    time_ns: int
    """When it was so: of two, the later one counts."""
    stopped: bool
    stop: dict[str, Any] | None
    lease: LeaseOut | None
    armed: list[ArmedOut]
    interlocks: list[InterlockOut]
    actuators: list[ActuatorOut]
    commands: list[CommandOut]
    """Those under way, and the last that ended; the newest last."""


class StopOut(Answer):
    """A stop, and how it went for each instrument."""

    stopped: bool
    stop: dict[str, Any] | None
    sent: dict[str, str] = Field(default_factory=dict)
    confirm: int | None = None
    """The number that the second step of a reset gives back."""


class StopIn(Wish):
    """Who stops everything, and why."""

    by: Words = ""
    reason: Annotated[str, Field(max_length=500)] = ""


class ResetIn(Wish):
    """A step of a reset: without a number the first, with the number of the first the second."""

    by: Words = ""
    confirm: int | None = None


class LeaseIn(Wish):
    """Who wants control, and for how long."""

    by: Words = ""
    ttl_s: Annotated[float, Field(ge=LEASE_S_MIN, le=LEASE_S_MAX)] = 30.0


class HandOverIn(LeaseIn):
    """To whom control goes, from whom, and for how long."""

    to: Annotated[str, Field(min_length=1, max_length=HOLDER_CHARS_MAX)]


class ArmIn(Wish):
    """What is to be armed: `instrument.actuator`, or `sequence/NAME`."""

    target: Annotated[str, Field(min_length=1, max_length=2 * NAME_CHARS_MAX)]
    by: Words = ""
    ttl_s: Annotated[float, Field(gt=0, le=ARMED_S_MAX)] = 10.0
    fence: int | None = None


class DisarmIn(Wish):
    """What is to be armed no more."""

    target: Annotated[str, Field(min_length=1, max_length=2 * NAME_CHARS_MAX)]
    by: Words = ""


class WhoIn(Wish):
    """Who does it; the name of the key that was sent counts more."""

    by: Words = ""


@router.get("", response_model=ControlOut, responses=problems(), dependencies=[needs(READ)])
def control(front: FrontDep) -> dict[str, Any]:
    """Return who holds control, what is stopped, every interlock, and where each actuator is."""
    return control_out(front.engine.control.status())


@router.post("/stop", response_model=StopOut, responses=problems())
def stop(front: FrontDep, caller: Anyone, told: StopIn) -> dict[str, Any]:
    """Bring everything into its safe state and let nothing move until that is reset. For anybody."""
    return front.engine.control.stop_all(caller.signs(told.by), told.reason)


@router.post("/stop/reset", response_model=StopOut, responses=problems(409))
def reset(front: FrontDep, caller: Controller, told: ResetIn) -> dict[str, Any]:
    """Reset a stop in two steps; nothing moves by it."""
    return front.engine.control.reset_stop(caller.signs(told.by), told.confirm)


@router.post("/lease", response_model=LeaseOut, responses=problems(409))
def take(front: FrontDep, caller: Controller, told: LeaseIn) -> dict[str, Any]:
    """Take control, or keep it for longer; 409 says who holds it, and for how long."""
    return front.engine.control.take(caller.signs(told.by), told.ttl_s)


@router.post("/lease/release", response_model=ControlOut, responses=problems(409))
def release(front: FrontDep, caller: Controller, told: WhoIn) -> dict[str, Any]:
    """Give control back; what moves is made safe."""
    return control_out(front.engine.control.give_up(caller.signs(told.by)))


@router.post("/lease/break", response_model=ControlOut, responses=problems())
def break_(front: FrontDep, caller: Admin, told: WhoIn) -> dict[str, Any]:
    """Take control from whoever has it, as an admin; what moves is made safe."""
    return control_out(front.engine.control.give_up(caller.signs(told.by), break_=True))


@router.post("/lease/handover", response_model=LeaseOut, responses=problems(409))
def hand_over(front: FrontDep, caller: Controller, told: HandOverIn) -> dict[str, Any]:
    """Give control to another, without a moment in which nobody has it; what was armed is not any more."""
    return front.engine.control.hand_over(caller.signs(told.by), told.to, told.ttl_s)


@router.post("/arm", response_model=ArmedOut, responses=problems(404, 409))
def arm(front: FrontDep, caller: Controller, told: ArmIn) -> dict[str, Any]:
    """Arm what cannot be taken back, for one execution within a time, by who holds control."""
    return front.engine.control.arm(told.target, caller.signs(told.by), told.ttl_s, told.fence)


@router.post("/disarm", response_model=ControlOut, responses=problems())
def disarm(front: FrontDep, caller: Controller, told: DisarmIn) -> dict[str, Any]:
    """Take an arming away, whoever armed it."""
    return control_out(front.engine.control.disarm(told.target, caller.signs(told.by)))


@router.post("/interlocks/{name}/{action}", response_model=ControlOut, responses=problems(404, 409))
def reset_interlock(
    front: FrontDep, caller: Controller, name: Name, action: Literal["reset"], told: WhoIn
) -> dict[str, Any]:
    """Let a latched interlock go, if its cause is gone; nothing moves by it."""
    del action
    return control_out(front.engine.control.reset_interlock(name, caller.signs(told.by)))
