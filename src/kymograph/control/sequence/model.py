"""What a sequence is made of, as it stands in its file.

    name: warm-up
    parameters:
      hold: {type: number, default: 3, low: 0, high: 60, unit: s}
    steps:
      - command: {instrument: stand, command: set_valves, arguments: {valves: [0, 0, 0, 0, 1, 0, 0, 0, 0]}}
      - wait: ${hold}
      - wait_until: {condition: stand.P1 > 10, stable_for: 2, timeout: 30}
    always:
      - command: {instrument: stand, command: set_valves, arguments: {valves: [0, 0, 0, 0, 0, 0, 0, 0, 0]}}

`${name}` stands for a parameter wherever a value may be. Durations are in seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field

from kymograph.model.errors import InvalidInput
from kymograph.model.limits import SEQUENCE_TIMES_MAX, SEQUENCE_WAIT_S_MAX

ANSWER_S: Final = 5.0
"""How long a command's answer is waited for unless its step says otherwise."""

_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_]\w*)\}")

Reference: TypeAlias = Annotated[str, Field(pattern=r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$")]
Seconds: TypeAlias = Annotated[float, Field(ge=0, le=SEQUENCE_WAIT_S_MAX, allow_inf_nan=False)] | Reference
Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=1000)]


class Part(BaseModel):
    """A part of a file, and the line where it begins."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    line: int = 0


class Parameter(Part):
    """A value that is given when a sequence is started."""

    type: Literal["number", "integer", "boolean", "text"] = "number"
    default: Any = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    description: str = ""

    def check(self, name: str, value: Any) -> Any:
        """Return a value that this parameter may have.

        Raises:
            InvalidInput: it is of another type, or out of bounds.
        """
        if not self._fits(value):
            raise InvalidInput(
                f"{name} cannot be {value!r}", hint=f"it is of type {self.type}", parameter=name
            )
        if self.type not in ("number", "integer"):
            return value
        low, high = self.low, self.high
        if (low is not None and value < low) or (high is not None and value > high):
            unit = f" {self.unit}" if self.unit else ""
            least = "" if low is None else f"at least {low:g}{unit}"
            most = "" if high is None else f"at most {high:g}{unit}"
            hint = " and ".join(part for part in (least, most) if part)
            raise InvalidInput(f"{name} cannot be {value:g}{unit}", hint=hint, parameter=name)
        return float(value) if self.type == "number" else value

    def _fits(self, value: Any) -> bool:
        match self.type:
            case "boolean":
                return isinstance(value, bool)
            case "text":
                return isinstance(value, str)
            case "integer":
                return isinstance(value, int) and not isinstance(value, bool)
            case "number":
                return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class Command(Part):
    """Give a command to an instrument.

    With `confirm` the next step waits for the answer, and no answer within `timeout`, or a bad one, is a
    failure. Without it the next step follows at once, and the answer is only noted.
    """

    kind: ClassVar[str] = "command"
    instrument: Text
    command: Text
    arguments: dict[str, Any] = {}
    confirm: bool = True
    timeout: Seconds = ANSWER_S


class Wait(Part):
    """Let time pass."""

    kind: ClassVar[str] = "wait"
    seconds: Seconds


class WaitUntil(Part):
    """Wait until a condition holds and has held for a while; not in time is a failure."""

    kind: ClassVar[str] = "wait_until"
    condition: Text
    timeout: Seconds
    stable_for: Seconds = 0.0


class Repeat(Part):
    """Do steps several times."""

    kind: ClassVar[str] = "repeat"
    times: Annotated[int, Field(ge=0, le=SEQUENCE_TIMES_MAX)] | Reference
    steps: tuple[Step, ...]


class Group(Part):
    """Steps that belong together, under a name that people see.

    Among the `always` steps, `unless_done` leaves them out where the run came to its end as it should.
    """

    kind: ClassVar[str] = "group"
    name: Text
    unless_done: bool = False
    steps: tuple[Step, ...]


class Record(Part):
    """Begin or end a recording."""

    kind: ClassVar[str] = "record"
    do: Literal["start", "stop"]
    name: str = ""
    metadata: dict[str, Any] = {}
    timeout: Seconds = ANSWER_S


class Mark(Part):
    """Write an event beside the data."""

    kind: ClassVar[str] = "event"
    text: Text
    fields: dict[str, Any] = {}


class Set(Part):
    """Give parameters other values for the steps that follow."""

    kind: ClassVar[str] = "set"
    values: dict[str, Any]


Step: TypeAlias = Command | Wait | WaitUntil | Repeat | Group | Record | Mark | Set
KINDS: Final[Mapping[str, type[Step]]] = {
    kind.kind: kind for kind in (Command, Wait, WaitUntil, Repeat, Group, Record, Mark, Set)
}
SHORT: Final = {"wait": "seconds", "event": "text", "record": "do"}
"""Steps that may be written as one value, and which one it is."""


class Sequence(Part):
    """A sequence. `file` is where it was read and `sha256` the digest of its text: its version."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str = ""
    parameters: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")], Parameter] = {}
    steps: tuple[Step, ...]
    always: tuple[Step, ...] = ()
    file: str = ""
    sha256: str = ""

    def settle(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return every parameter's value: what is given, else its default.

        Raises:
            InvalidInput: there is no such parameter, a value does not fit, or one is missing.
        """
        for name in given:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise InvalidInput(f"{self.name} has no parameter {name}", hint=f"it has: {known}")
        settled: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            value = given.get(name, parameter.default)
            if value is None:
                raise InvalidInput(f"{name} is needed", hint=parameter.description, parameter=name)
            settled[name] = parameter.check(name, value)
        return settled


def steps_of(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Yield steps and the steps within them, each once, in the order of the file."""
    for step in steps:
        yield step
        if isinstance(step, Repeat | Group):
            yield from steps_of(step.steps)


def references(value: Any) -> Iterator[str]:
    """Yield the parameters that a value, or anything in it, stands for."""
    if isinstance(value, str):
        yield from _REFERENCE.findall(value)
    elif isinstance(value, dict):
        for one in cast("dict[str, Any]", value).values():
            yield from references(one)
    elif isinstance(value, list | tuple):
        for one in cast("list[Any]", value):
            yield from references(one)


def resolve(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Return a value with its parameters filled in; a text that is only `${name}` keeps the type.

    Raises:
        InvalidInput: there is no such parameter.
    """
    if isinstance(value, str):
        whole = _REFERENCE.fullmatch(value)
        if whole:
            return _look_up(whole[1], parameters)
        return _REFERENCE.sub(lambda match: written(_look_up(match[1], parameters)), value)
    if isinstance(value, dict):
        return {key: resolve(one, parameters) for key, one in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [resolve(one, parameters) for one in cast("list[Any]", value)]
    return value


def _look_up(name: str, parameters: Mapping[str, Any]) -> Any:
    if name not in parameters:
        known = ", ".join(parameters) or "none"
        raise InvalidInput(f"there is no parameter {name}", hint=f"there are: {known}")
    return parameters[name]


def written(value: Any) -> str:
    """Return a value as it stands within a text."""
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f"{value:.12g}"
        if isinstance(value, float)
        else str(value)
    )


def seconds(value: Any, parameters: Mapping[str, Any]) -> float:
    """Return a duration with its parameter filled in.

    Raises:
        InvalidInput: it is no duration.
    """
    found = resolve(value, parameters)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= SEQUENCE_WAIT_S_MAX:
        raise InvalidInput(f"{found!r} is no duration", hint=f"0 to {SEQUENCE_WAIT_S_MAX:g} s")
    return float(found)


def times(step: Repeat, parameters: Mapping[str, Any]) -> int:
    """Return how often steps are to be done.

    Raises:
        InvalidInput: it is no such number.
    """
    found = resolve(step.times, parameters)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= SEQUENCE_TIMES_MAX:
        raise InvalidInput(f"{found!r} is no number of repetitions", hint=f"0 to {SEQUENCE_TIMES_MAX}")
    return found
