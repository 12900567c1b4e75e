"""What a sequence would tell, and when, worked out without running it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kymograph.control.sequence import model
from kymograph.control.sequence.model import Sequence, Step, resolve
from kymograph.control.sequence.validate import validate

_ELSE: Final = " (only if the run is aborted or fails)"


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happens, at the earliest and at the latest, in seconds from the start.

    Answers of devices count as immediate: how long they may take at most is `answer_s`.
    """

    earliest_s: float
    latest_s: float
    text: str
    line: int
    always: bool
    answer_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "earliest_s": self.earliest_s, "latest_s": self.latest_s, "text": self.text, "line": self.line,
            "always": self.always, "answer_s": self.answer_s,
        }  # fmt: skip

    def __str__(self) -> str:
        when = f"{self.earliest_s:.3f}"
        if self.latest_s > self.earliest_s:
            when += f" … {self.latest_s:.3f}"
        return f"{when:>20} s  {'always  ' if self.always else ''}{self.text}"


def timeline(sequence: Sequence, given: Mapping[str, Any]) -> list[Moment]:
    """Return what a run tells if nothing goes wrong, in order, and its end.

    Raises:
        InvalidInput: the sequence or its parameters are wrong.
    """
    walk = _Walk(sequence, validate(sequence, given, None))
    moments = [*walk.steps(sequence.steps, False), *walk.steps(sequence.always, True)]
    return [*moments, Moment(walk.earliest_s, walk.latest_s, "end", 0, False)]


class _Walk:
    def __init__(self, sequence: Sequence, parameters: dict[str, Any]) -> None:
        self.earliest_s = self.latest_s = 0.0
        self._sequence = sequence
        self._parameters = parameters

    def steps(self, steps: tuple[Step, ...], always: bool) -> Iterator[Moment]:
        for step in steps:
            if isinstance(step, model.Repeat):
                for _ in range(model.times(step, self._parameters)):
                    yield from self.steps(step.steps, always)
            elif isinstance(step, model.Group):
                yield self._moment(step, f"{step.name}{_ELSE * step.unless_done}:", always)
                if not step.unless_done:
                    yield from self.steps(step.steps, always)
            else:
                yield from self._one(step, always)

    def _moment(self, step: Step, text: str, always: bool, answer_s: float = 0.0) -> Moment:
        return Moment(round(self.earliest_s, 9), round(self.latest_s, 9), text, step.line, always, answer_s)

    def _one(self, step: Step, always: bool) -> Iterator[Moment]:
        match step:
            case model.Command():
                what = resolve(step.arguments, self._parameters)
                arguments = " ".join(f"{key}={json.dumps(value)}" for key, value in what.items())
                name = resolve(f"{step.instrument} {step.command}", self._parameters)
                answer_s = model.seconds(step.timeout, self._parameters) if step.confirm else 0.0
                yield self._moment(step, f"{name} {arguments}".rstrip(), always, answer_s)
            case model.Wait():
                self._pass(wait_s := model.seconds(step.seconds, self._parameters), wait_s)
            case model.WaitUntil():
                stable_s = model.seconds(step.stable_for, self._parameters)
                timeout_s = model.seconds(step.timeout, self._parameters)
                told = f" for {stable_s:g} s" if stable_s else ""
                text = resolve(step.condition, self._parameters)
                yield self._moment(step, f"wait until {text}{told}, {timeout_s:g} s at most", always)
                self._pass(stable_s, timeout_s)
            case model.Record():
                name = resolve(step.name, self._parameters)
                yield self._moment(step, f"record {step.do} {name}".rstrip(), always)
            case model.Mark():
                yield self._moment(step, f"event: {resolve(step.text, self._parameters)}", always)
            case model.Set():
                changed = resolve(step.values, self._parameters)
                self._parameters = self._sequence.settle({**self._parameters, **changed})
                told = ", ".join(f"{name} = {model.written(value)}" for name, value in changed.items())
                yield self._moment(step, f"set {told}", always)
            case model.Repeat() | model.Group():
                pass

    def _pass(self, least_s: float, most_s: float) -> None:
        self.earliest_s += least_s
        self.latest_s += most_s
