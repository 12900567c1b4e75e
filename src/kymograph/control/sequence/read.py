"""From a file to a sequence; every fault is told with file, line and reason, all of them at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from collections.abc import Sequence as Several
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from pydantic import BaseModel, ValidationError

from kymograph.control.sequence.model import KINDS, SHORT, Parameter, Sequence, Step
from kymograph.control.sequence.yaml_text import Item, parse
from kymograph.model.errors import InvalidInput, NotFound

SCENARIOS: Final = Path(__file__).parent.parent / "scenarios"
"""The sequences that come with the program."""
SUFFIX: Final = ".yaml"


class Fault(NamedTuple):
    """One thing that is wrong in a file."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


def refuse(faults: Several[Fault]) -> NoReturn:
    """Raise the error that tells of faults."""
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    raise InvalidInput(
        f"{faults[0]}{more}",
        hint="\n".join(str(fault) for fault in faults[1:]),
        faults=[fault._asdict() for fault in faults],
    )


def load(path: Path) -> Sequence:
    """Read a sequence file.

    Raises:
        NotFound: there is none.
        InvalidInput: its `faults` fact lists file, line and reason of each fault.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        refuse([Fault(str(path), 1 + data[: error.start].count(b"\n"), "this is no UTF-8")])
    return read(text, str(path))


def read(text: str, file: str = "sequence") -> Sequence:
    """Return the sequence that a text is; `file` is its name in errors.

    Raises:
        InvalidInput: its `faults` fact lists file, line and reason of each fault.
    """
    try:
        top = parse(text)
    except InvalidInput as error:
        reason = f"{error.message} ({error.hint})" if error.hint else error.message
        refuse([Fault(file, int(error.facts["line"]), reason)])
    return _Reader(file).sequence(top, hashlib.sha256(text.encode()).hexdigest())


def scenario(name: str) -> Sequence:
    """Return a sequence that comes with the program.

    Raises:
        NotFound: there is none of that name.
    """
    for path in built_in():
        if path.stem == name:
            return load(path)
    known = ", ".join(path.stem for path in built_in())
    raise NotFound(f"there is no scenario {name}", hint=f"there are: {known}")


def built_in() -> Iterable[Path]:
    """Return the files of the sequences that come with the program."""
    return sorted(SCENARIOS.glob(f"*{SUFFIX}"))


class _Reader:
    def __init__(self, file: str) -> None:
        self._file = file
        self._faults: list[Fault] = []

    def sequence(self, top: Item, sha256: str) -> Sequence:
        found = self._fields(top, "a sequence")
        own = {"line": top.line, "file": self._file, "sha256": sha256}
        for key in own:
            if key in found:
                self._fault(found[key].line, f"{key} is not known here")
        steps = {part: self._steps(found.pop(part), part) for part in ("steps", "always") if part in found}
        made = {key: item.plain() for key, item in found.items() if key != "parameters"}
        made["parameters"] = self._parameters(found.get("parameters"))
        whole = self._make(Sequence, {**made, **steps, **own}, found, top.line)
        if self._faults or whole is None:
            refuse(sorted(self._faults))
        return whole

    def _fault(self, line: int, reason: str) -> None:
        self._faults.append(Fault(self._file, line, reason))

    def _fields(self, item: Item, what: str) -> dict[str, Item]:
        if isinstance(item.value, dict):
            return dict(item.value)
        self._fault(item.line, f"{what} is written as key: value")
        return {}

    def _parameters(self, item: Item | None) -> dict[str, Parameter]:
        if item is None or item.value is None:
            return {}
        made: dict[str, Parameter] = {}
        for name, one in self._fields(item, "parameters").items():
            fields = self._fields(one, f"parameter {name}")
            parameter = self._part(Parameter, fields, one.line)
            if parameter is None:
                continue
            made[name] = parameter
            if parameter.default is not None:
                try:
                    parameter.check(name, parameter.default)
                except InvalidInput as error:
                    self._fault(one.line, f"its default: {error}")
        return made

    def _steps(self, item: Item, what: str) -> tuple[Step, ...]:
        if item.value is None:
            return ()
        if not isinstance(item.value, list):
            self._fault(item.line, f"{what} is a list: each step begins with a hyphen")
            return ()
        return tuple(step for step in map(self._step, item.value) if step is not None)

    def _step(self, item: Item) -> Step | None:
        if not isinstance(item.value, dict) or len(item.value) != 1:
            self._fault(item.line, f"a step is one of {', '.join(KINDS)}, and a colon")
            return None
        kind, body = next(iter(item.value.items()))
        if kind not in KINDS:
            self._fault(item.line, f"there is no step {kind}; there are {', '.join(KINDS)}")
            return None
        if kind == "set":
            fields = {"values": body}
        elif kind in SHORT and not isinstance(body.value, dict):
            fields = {SHORT[kind]: body}
        else:
            fields = self._fields(body, kind)
        return self._part(KINDS[kind], fields, item.line)

    def _part(self, kind: type[Any], fields: dict[str, Item], line: int) -> Any:
        if "line" in fields:
            self._fault(fields["line"].line, "line is not known here")
        made: dict[str, Any] = {
            key: self._steps(item, key) if key == "steps" else item.plain() for key, item in fields.items()
        }
        return self._make(kind, {**made, "line": line}, fields, line)

    def _make(self, kind: type[BaseModel], data: dict[str, Any], fields: dict[str, Item], line: int) -> Any:
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            told: dict[tuple[str, int], str] = {}
            for one in error.errors():
                key = str(one["loc"][0])
                where = _line_of(fields.get(key), one["loc"][1:]) or line
                told.setdefault((key, where), _reason(key, one))
            for (_, where), reason in told.items():
                self._fault(where, reason)
            return None


def _reason(key: str, error: Any) -> str:
    match error["type"]:
        case "missing":
            return f"{key} is missing"
        case "extra_forbidden":
            return f"{key} is not known here"
        case _:
            return f"{key}: {error['msg'][:1].lower()}{error['msg'][1:]}"


def _line_of(item: Item | None, path: tuple[int | str, ...]) -> int:
    """Return the line of the value that a path leads to, as far as it leads; 0 if there is none."""
    line = 0
    while item is not None:
        line = item.line
        inner = item.value.get(str(path[0])) if path and isinstance(item.value, dict) else None
        item, path = inner, path[1:]
    return line
