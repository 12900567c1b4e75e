"""The schema of a sequence file says of a file's shape what the reader says."""

import re

import pytest
import yaml

from kymograph.control.sequence.read import built_in, read
from kymograph.control.sequence.schema import schema
from kymograph.model.errors import InvalidInput

TYPES = {
    "object": dict, "array": list, "string": str, "number": (int, float), "integer": int, "boolean": bool,
    "null": type(None),
}  # fmt: skip
WHOLE = """
name: whole
parameters:
  hold: {type: number, default: 3, low: 0, high: 60, unit: s}
steps:
  - wait: ${hold}
  - wait_until: {condition: stand.P1 > 10, timeout: 30}
  - record: {do: start, name: whole}
  - repeat: {times: 2, steps: [{event: again}, {set: {hold: 4}}]}
  - group: {name: end, steps: []}
always:
  - record: stop
"""


def fits(value, rule, top):
    """A small part of JSON Schema: what ours uses."""
    if "$ref" in rule:
        rule = top["$defs"][rule["$ref"].rpartition("/")[2]]
    kinds = rule.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    right = [k for k in kinds if isinstance(value, TYPES[k]) and (k == "boolean" or value is not bool(value))]
    if kinds and not right:
        return False
    for word, enough in (("anyOf", any), ("oneOf", lambda found: sum(found) == 1)):
        if word in rule and not enough([fits(value, one, top) for one in rule[word]]):
            return False
    if "enum" in rule and value not in rule["enum"]:
        return False
    if isinstance(value, dict):
        inner, others = rule.get("properties", {}), rule.get("additionalProperties", True)
        known = all(
            fits(one, inner[key] if key in inner else others if isinstance(others, dict) else {}, top)
            and (key in inner or others is not False)
            for key, one in value.items()
        )
        return known and set(rule.get("required", ())) <= set(value)
    if isinstance(value, list):
        return all(fits(one, rule.get("items", {}), top) for one in value)
    if isinstance(value, str):
        return re.search(rule.get("pattern", ""), value) is not None
    return not isinstance(value, (int, float)) or (
        rule.get("minimum", value) <= value <= rule.get("maximum", value)
    )


@pytest.mark.parametrize("text", [WHOLE, *(path.read_text("utf-8") for path in built_in())])
def test_what_is_read_fits(text):
    read(text)
    assert fits(yaml.safe_load(text), schema(), schema())


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("name: whole", "name: no blanks here"),
        ("name: whole", "name: whole\nline: 3"),
        ("wait: ${hold}", "wait: long"),
        ("wait: ${hold}", "dance: 3"),
        ("timeout: 30", "timeout: -1"),
        ("timeout: 30", "patience: 30"),
        ("do: start", "do: begin"),
        ("type: number", "type: complex"),
        ("times: 2", "times: many"),
        ("event: again", "event: again, wait: 3"),
    ],
)
def test_what_is_refused_does_not(right, wrong):
    text = WHOLE.replace(right, wrong, 1)
    with pytest.raises(InvalidInput):
        read(text)
    assert not fits(yaml.safe_load(text), schema(), schema())
