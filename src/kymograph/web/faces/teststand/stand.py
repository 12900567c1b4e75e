"""The stand and its motors as the contract speaks of them: who asks, what is ordered, how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import HTTPConnection

from kymograph.model import status
from kymograph.model.errors import (
    Conflict,
    DeviceError,
    InvalidInput,
    KymographError,
    NotFound,
    Refused,
    TimedOut,
    Unavailable,
)
from kymograph.service.contract import Plain, StationService
from kymograph.web.auth import Caller
from kymograph.web.faces.teststand.formulas import NO_FORMULAS, Formulas

VALVES_COUNT: Final = 9
MODES: Final = ("idle", "test", "auto", "manual", "running", "maintenance", "emergency")
"""Words for the system's mode that are taken. They are words: nothing follows from one."""
_UP: Final = (status.IDLE, status.ACQUIRING)
_WIDTH: Final = 8

T = TypeVar("T")


class Names(NamedTuple):
    """The instruments behind this face; `steppers` is "" if there are none."""

    stand: str
    steppers: str


class Lane:
    """Threads of their own for calls that may wait: a motor holds up no valve, and nothing a stop."""

    def __init__(self) -> None:
        self._limiter: CapacityLimiter | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """Do it in a thread; call on the event loop."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(_WIDTH)
        return await to_thread.run_sync(work, limiter=self._limiter)


@dataclass
class Place:
    """What the parts of this face share."""

    names: Names
    formulas: Formulas = NO_FORMULAS
    mode: str = "idle"
    looks: Lane = field(default_factory=Lane)
    valves: Lane = field(default_factory=Lane)
    motors: Lane = field(default_factory=Lane)
    stops: Lane = field(default_factory=Lane)
    files: Lane = field(default_factory=Lane)


def who(connection: HTTPConnection, caller: Caller) -> str:
    """Return under whose name orders of a client are given.

    That is the name of its key, else what it calls itself in `?by=`, else its address. A port is no part of
    it: a browser opens several connections, and would stand in its own way.
    """
    by = connection.query_params.get("by", "")[:100].strip()
    address = connection.client.host if connection.client else "somewhere"
    return caller.signs(by or f"test stand page at {address}")


def status_of(error: KymographError) -> int:
    """Return the contract's HTTP status of an order that failed; 0 for what it is silent about."""
    if isinstance(error, InvalidInput):
        return 422
    if isinstance(error, Refused) and error.facts.get("state") in (status.CLOSED, status.FAULT):
        return 500
    if isinstance(error, Conflict | Refused):
        return 409
    return 500 if isinstance(error, TimedOut | DeviceError | Unavailable) else 0


class Stand:
    """The instruments behind this face, asked through the engine. Every method blocks."""

    def __init__(self, engine: StationService, names: Names) -> None:
        self.engine = engine
        self.names = names

    # -- what is -------------------------------------------------------------------------------------------
    def instruments(self) -> tuple[Plain | None, Plain | None]:
        """Return the status of the stand and of the motors, None for one that there is not."""
        found = {one["name"]: one for one in self.engine.instruments()}
        return found.get(self.names.stand), found.get(self.names.steppers)

    def status(self) -> Plain:
        """Return the contract's status but for who is connected and the mode."""
        stand, steppers = self.instruments()
        there = [one for one in (stand, steppers) if one is not None]
        well = all(one["state"] in _UP for one in there) and not self.engine.control.status()["stopped"]
        return {
            "stm32_connected": stand is not None and stand["state"] in _UP,
            "arduino_connected": steppers is not None and steppers["state"] in _UP,
            "simulation_active": any(one["simulated"] for one in there),
            "status": "operational" if well else "error",
        }

    @property
    def stream(self) -> str:
        """The name of the stand's one stream."""
        stand, _ = self.instruments()
        if stand is None:
            raise Unavailable(f"there is no instrument {self.names.stand}")
        return stand["streams"][0]

    def control(self) -> Plain:
        """Return the station's control, with `valves` as the device told them last and `troubles`."""
        told = self.engine.control.status()
        valves = [one["value"] for one in told["actuators"] if one["instrument"] == self.names.stand]
        stand, steppers = self.instruments()
        troubles = [one["error"] for one in (stand, steppers) if one is not None and one["error"]]
        for lock in told["interlocks"]:
            if lock.get("state") == "tripped":
                troubles.append(str(lock.get("message") or lock.get("name")))
        if told["stopped"]:
            troubles.append(f"everything is stopped by {told['stop']['by']}")
        return {**told, "valves": [None if v is None else int(v) for v in valves], "troubles": troubles}

    # -- orders --------------------------------------------------------------------------------------------
    def set_valves(self, valves: Sequence[int], by: str) -> Plain:
        """Set the nine valves; return once the device has acknowledged.

        Raises:
            InvalidInput: not nine times 0 or 1.
            Conflict, Refused: another holds control, or something forbids it.
            TimedOut, DeviceError: there is no acknowledgement.
        """
        check_valves(valves)
        done = self.engine.command(self.names.stand, "set_valves", {"valves": list(valves)}, by)["result"]
        outcome = done.get("outcome")
        if outcome == "contradicted":
            raise DeviceError(f"the controller says that other valves are open: {', '.join(done['differ'])}")
        if outcome not in ("verified", "acknowledged"):
            raise TimedOut("the valves were sent, and the controller acknowledges nothing")
        return {"success": True, "valves": list(valves)}

    def step_motor(self, motor_id: int, angle: float, by: str) -> Plain:
        """Turn a motor by an angle in degrees; return when it stands. Raises as `set_valves`."""
        if not self.names.steppers:
            raise Unavailable("no stepper motors are configured")
        arguments = {"motor_id": motor_id, "angle": angle}
        done = self.engine.command(self.names.steppers, "move", arguments, by)["result"]
        return {"success": True, **arguments, "response": str(done.get("response", ""))}

    # -- scenarios -----------------------------------------------------------------------------------------
    def scenario(self, name: str, by: str, stays: bool) -> Plain:
        """Start a scenario: a sequence of the station or of the program. `stays`: who asks keeps control.

        Where nobody does, the run keeps it by itself.
        """
        runs = self.engine.runs
        try:
            wanted = runs.sequence(name)["parameters"]
            parameters = {"stand": self.names.stand} if "stand" in wanted else {}
            request = {"sequence": name, "parameters": parameters, "by": by, "keep": not stays}
            run = runs.start(request)
        except (Conflict, InvalidInput, NotFound, Refused) as error:
            return {"status": "error", "message": str(error)}
        return {"status": "ok", "message": f"{name} has begun", "run_id": run["id"]}

    def emergency(self, by: str) -> Plain:
        """Run the emergency, whoever holds control; say how each step went, and end stopped.

        Raises:
            Unavailable: the engine is not there.
        """
        try:
            return self.engine.runs.emergency(by)
        except Unavailable:
            raise
        except KymographError as error:
            self.engine.control.stop_all(by, "emergency")
            message = f"everything was stopped instead: {error}"
            return {"status": "error", "message": message, "feedback": []}


def check_valves(valves: Any) -> None:
    """Refuse what is not nine times 0 or 1: cutting or padding would move the wrong valve.

    Raises:
        InvalidInput: so it is.
    """
    if not isinstance(valves, list | tuple) or len(valves) != VALVES_COUNT:  # pyright: ignore[reportUnknownArgumentType]
        raise InvalidInput(f"valves are a list of {VALVES_COUNT}")
    if any(type(valve) is not int or valve not in (0, 1) for valve in valves):  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
        raise InvalidInput("each valve is 0 or 1")


def set_mode(place: Place, mode: str) -> Plain:
    """Keep a word for the mode, and answer as the contract does."""
    if mode not in MODES:
        known = ", ".join(MODES)
        return {"status": "error", "message": f"there is no mode {mode[:40]!r}; modes are {known}"}
    place.mode = mode
    return {"status": "ok", "message": f"the mode is {mode}"}
