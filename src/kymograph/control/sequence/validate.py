"""Everything in a sequence that can be wrong is found before anything moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kymograph.control.expression import compile_condition
from kymograph.control.sequence import model
from kymograph.control.sequence.catalogue import Catalogue
from kymograph.control.sequence.model import Sequence, Step, references, resolve, steps_of
from kymograph.control.sequence.read import Fault, refuse
from kymograph.model.errors import InvalidInput
from kymograph.model.limits import SEQUENCE_STEPS_MAX


def validate(sequence: Sequence, given: Mapping[str, Any], catalogue: Catalogue | None) -> dict[str, Any]:
    """Check a sequence against what a station has; without a catalogue only what needs none.

    Returns:
        The parameters' values.

    Raises:
        InvalidInput: its `faults` fact lists file, line and reason of each fault.
    """
    faults = list(check(sequence, given, catalogue))
    if faults:
        refuse(sorted(set(faults)))
    return sequence.settle(given)


def check(sequence: Sequence, given: Mapping[str, Any], catalogue: Catalogue | None) -> Iterator[Fault]:
    """Yield what is wrong."""
    try:
        parameters = sequence.settle(given)
    except InvalidInput as error:
        yield Fault(sequence.file, sequence.line, str(error))
        return
    for step in steps_of(sequence.steps):
        if isinstance(step, model.Group) and step.unless_done:
            yield Fault(sequence.file, step.line, "unless_done is for the always steps")
    try:
        for values in _courses(sequence, parameters):
            for step in steps_of(values[1]):
                yield from _of_step(sequence, step, values[0], catalogue)
    except InvalidInput as error:
        yield Fault(sequence.file, int(error.facts.get("line", sequence.line)), str(error))


def _courses(
    sequence: Sequence, parameters: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], tuple[Step, ...]]]:
    """Yield the steps with the values that parameters have there, as `set` changes them on the way."""
    yield parameters, sequence.steps
    yield parameters, sequence.always
    count(sequence, parameters)
    # A run may leave its body after any step: each value that is ever set may hold in any later step.
    for step in steps_of((*sequence.steps, *sequence.always)):
        if isinstance(step, model.Set):
            values = _after(sequence, step, parameters)
            yield values, (*sequence.steps, *sequence.always)


def commands(
    sequence: Sequence, parameters: Mapping[str, Any]
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield instrument, command and arguments of each command that a run may give.

    Raises:
        InvalidInput: a parameter is wrong; `validate` says which.
    """
    for values, steps in _courses(sequence, dict(parameters)):
        for step in steps_of(steps):
            if isinstance(step, model.Command):
                filled = [resolve(part, values) for part in (step.instrument, step.command, step.arguments)]
                yield str(filled[0]), str(filled[1]), filled[2]


def conditions(sequence: Sequence, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield the conditions that a run may wait for.

    Raises:
        InvalidInput: a parameter is wrong; `validate` says which.
    """
    for values, steps in _courses(sequence, dict(parameters)):
        for step in steps_of(steps):
            if isinstance(step, model.WaitUntil):
                yield str(resolve(step.condition, values))


def changed(sequence: Sequence) -> set[str]:
    """Return the parameters that are set on the way."""
    sets = (s for s in steps_of((*sequence.steps, *sequence.always)) if isinstance(s, model.Set))
    return {name for step in sets for name in step.values}


def _after(sequence: Sequence, step: model.Set, parameters: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return sequence.settle({**parameters, **resolve(step.values, parameters)})
    except InvalidInput as error:
        raise InvalidInput(error.message, hint=error.hint, line=step.line) from None


def count(sequence: Sequence, parameters: Mapping[str, Any]) -> int:
    """Return how many steps a run has, repetitions counted.

    Raises:
        InvalidInput: more than a run may have, or as many as it makes up on the way.
    """
    changing = changed(sequence)
    for step in steps_of((*sequence.steps, *sequence.always)):
        if isinstance(step, model.Repeat) and changing.intersection(references(step.times)):
            raise InvalidInput(
                f"times cannot be {step.times}",
                hint="a parameter that is set on the way cannot say how often",
                line=step.line,
            )
    total = _count(sequence.steps, parameters) + _count(sequence.always, parameters)
    if total > SEQUENCE_STEPS_MAX:
        raise InvalidInput(
            f"{sequence.name} has {total} steps with its repetitions", hint=f"at most {SEQUENCE_STEPS_MAX}"
        )
    return total


def _count(steps: tuple[Step, ...], parameters: Mapping[str, Any]) -> int:
    total = 0
    for step in steps:
        inner = _count(step.steps, parameters) if isinstance(step, model.Repeat | model.Group) else 0
        total += 1 + inner * (_times(step, parameters) if isinstance(step, model.Repeat) else 1)
    return total


def _times(step: model.Repeat, parameters: Mapping[str, Any]) -> int:
    try:
        return model.times(step, parameters)
    except InvalidInput:
        return 0  # it is told of where the step is checked


def _of_step(
    sequence: Sequence, step: Step, parameters: Mapping[str, Any], catalogue: Catalogue | None
) -> Iterator[Fault]:
    try:
        _look(step, parameters, catalogue)
    except InvalidInput as error:
        yield Fault(sequence.file, step.line, str(error))
    if isinstance(step, model.Set):
        for name in step.values:
            if name not in sequence.parameters:
                yield Fault(sequence.file, step.line, f"there is no parameter {name}")


def _look(step: Step, parameters: Mapping[str, Any], catalogue: Catalogue | None) -> None:
    match step:
        case model.Command():
            filled = [resolve(part, parameters) for part in (step.instrument, step.command, step.arguments)]
            model.seconds(step.timeout, parameters)
            if catalogue is not None:
                catalogue.check(str(filled[0]), str(filled[1]), filled[2])
        case model.Wait():
            model.seconds(step.seconds, parameters)
        case model.WaitUntil():
            _condition(step, parameters, catalogue)
        case model.Repeat():
            model.times(step, parameters)
        case model.Record():
            resolve([step.name, step.metadata], dict(parameters))
            model.seconds(step.timeout, parameters)
        case model.Mark():
            resolve([step.text, step.fields], parameters)
        case model.Set():
            resolve(step.values, parameters)
        case model.Group():
            pass


def _condition(step: model.WaitUntil, parameters: Mapping[str, Any], catalogue: Catalogue | None) -> None:
    for name in references(step.condition):
        if isinstance(parameters.get(name), str):
            raise InvalidInput(f"{name} is a text", hint="a condition takes numbers only")
    text = resolve(step.condition, parameters)
    stable_s, timeout_s = (model.seconds(part, parameters) for part in (step.stable_for, step.timeout))
    if stable_s > timeout_s:
        raise InvalidInput(
            f"what is to hold for {stable_s:g} s cannot have come true in {timeout_s:g} s",
            hint="make timeout longer than stable_for",
        )
    if catalogue is not None:
        compile_condition(text, catalogue.names)
