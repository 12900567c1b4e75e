"""The JSON schema of a sequence file, for editors that complete and check while one writes.

It knows the shape of a file; what a station has, and what a parameter stands for, `validate` knows.
"""

from __future__ import annotations

import inspect
from typing import Any, Final

from kymograph.control.sequence.model import KINDS, SHORT, Parameter, Part, Sequence, Set

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_OURS: Final = ("line", "file", "sha256")
"""Fields that the reader fills in."""
_STEPS: Final = {"$ref": "#/$defs/steps"}


def schema() -> dict[str, Any]:
    """Return the schema of a sequence file."""
    whole = _body(Sequence)
    whole["properties"]["parameters"] = {
        "type": ["object", "null"], "additionalProperties": _body(Parameter)
    }  # fmt: skip
    steps = [_step(kind, model) for kind, model in KINDS.items()]
    return {
        "$schema": DIALECT, "title": "Kymograph sequence", **whole,
        "$defs": {"steps": {"type": ["array", "null"], "items": {"oneOf": steps}}},
    }  # fmt: skip


def _step(kind: str, model: type[Part]) -> dict[str, Any]:
    """Return the schema of one step: a mapping of its kind to its body."""
    body: dict[str, Any] = {"type": "object", "minProperties": 1} if model is Set else _body(model)
    if kind in SHORT:
        body = {"oneOf": [body["properties"][SHORT[kind]], body]}
    return {
        "type": "object", "properties": {kind: body}, "required": [kind], "additionalProperties": False,
        "description": inspect.cleandoc(model.__doc__ or "").split("\n\n")[0],
    }  # fmt: skip


def _body(model: type[Part]) -> dict[str, Any]:
    """Return the schema of a part's own fields; steps within it are told elsewhere."""
    made = model.model_json_schema()
    made = made.get("$defs", {}).get(model.__name__, made)
    fields = {key: value for key, value in made["properties"].items() if key not in _OURS}
    within = {key: _STEPS for key in ("steps", "always") if key in fields}
    return {
        "type": "object", "properties": {**fields, **within}, "required": made.get("required", []),
        "additionalProperties": False,
    }  # fmt: skip
