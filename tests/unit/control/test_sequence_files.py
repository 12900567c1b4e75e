"""Sequence files: what is read, what is refused with its line, and what they would tell."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kymograph.control.sequence.catalogue import catalogue_of
from kymograph.control.sequence.model import Command, Wait, steps_of
from kymograph.control.sequence.read import built_in, load, read, scenario
from kymograph.control.sequence.timeline import timeline
from kymograph.control.sequence.validate import validate
from kymograph.control.sequence.yaml_text import parse
from kymograph.drivers.registry import find
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import InvalidInput, NotFound

STAND = catalogue_of(
    {"stand": find("stm32"), "motors": find("arduino_stepper")},
    [Stream("stand", (Channel("P1", "float32", "bar"),), 10.0)],
)
TABLE = {
    "fuelFeed": "000010000/3000 000010010",
    "o2feed": "010000000/200 010000100",
    "o2cleaning": "000000100/200 001000100/5000 000000100/200 000000000",
    "fuelcleaning": "000000010/200 000100010/5000 000000010/200 000000000",
    "preburning": "010010000",
    "burningstart": "010010001",
    "burning": "010010101/500 010010111",
    "emergency": "010010110/100 010010000/100 000000000/100 100001000/1500 000000000/200 000000110/100 "
    "001100110/5000 000000110/500 000000000/2000",
}


def faults_of(text, values=(), catalogue=STAND):
    with pytest.raises(InvalidInput) as caught:
        validate(read(text, "f.yaml"), dict(values), catalogue)
    return [(fault["line"], fault["reason"]) for fault in caught.value.facts["faults"]]


@pytest.mark.parametrize("name", TABLE)
def test_the_scenarios_are_those_of_the_table(name):
    made = scenario(name)
    assert made.name == name
    written = []
    for step in made.always if name == "emergency" else made.steps:
        if isinstance(step, Command):
            written.append("".join(map(str, step.arguments["valves"])))
        elif isinstance(step, Wait):
            written[-1] += f"/{round(step.seconds * 1000)}"
    assert " ".join(written) == TABLE[name]
    validate(made, {}, STAND)


def test_there_are_no_other_scenarios():
    assert {path.stem for path in built_in()} == set(TABLE)
    with pytest.raises(NotFound, match="no scenario landing"):
        scenario("landing")


def test_what_a_text_means():
    made = parse("""
# a comment
a: 1            # another
b: [1, -2.5, "x # y", 'it''s', true, null, {c: ~, d: [ ]}]
"e": it's # not a quote
f:
- one
-   g: 2
    h:
      - - 3
        - 4
i:
""")  # fmt: skip
    assert made.plain() == {
        "a": 1, "b": [1, -2.5, "x # y", "it's", True, None, {"c": None, "d": []}], "e": "it's",
        "f": ["one", {"g": 2, "h": [[3, 4]]}], "i": None,
    }  # fmt: skip
    assert made.value["f"].value[1].value["h"].line == 10


def test_words_that_are_no_booleans_stay_words():
    made = parse("---\non: 'off'\nyes: [\"on\", e5, 1.2.3, 1 bar]\nsay: |\n  two\n  lines\nfold: a\n  text\n")
    assert made.plain() == {
        "on": "off", "yes": ["on", "e5", "1.2.3", "1 bar"], "say": "two\nlines\n", "fold": "a text",
    }  # fmt: skip
    assert [item.line for item in made.value.values()] == [2, 3, 4, 7]


def test_the_engine_reads_no_yaml_before_a_sequence_is_read():
    code = (
        "import sys, kymograph.service.station, kymograph.control.sequence.read; print('yaml' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize(("text", "line", "reason"), [
    ("", 1, "empty"),
    ("a: 1\na: 2", 2, "twice"),
    ("a: {b: 1, b: 2}", 1, "twice"),
    ("a: 010", 1, "different things"),
    ("a: yes", 1, "different things"),
    ("a: True", 1, "different things"),
    ("a: 1:30", 1, "different things"),
    ("\ta: 1", 1, "tab"),
    ("a: &x 1", 1, "no anchors"),
    ("a: *x", 1, "no anchors"),
    ("a: !!int 1", 1, "no tags"),
    ("a: !!python/object/apply:os.getcwd []", 1, "no tags"),
    ("&x a: 1", 1, "a key is"),
    ("a: @x", 1, "begin with @"),
    ("a: 1\n---\nb: 1", 2, "one document"),
    ("%YAML 1.1\n---\na: 1", 1, "directives"),
    ("a: b: c", 1, "no key here"),
    ("a: 1\n   b: 2", 2, "no key here"),
    ("a: 1\n1: 2", 2, "is no text"),
    ("a: 1\ntrue: 2", 2, "is no text"),
    ("[a]: 1", 1, "a key is a text"),
    ("a: \x01", 1, "character 0x1"),
    ("a:\n    b: 1\n  c: 2", 3, "does not belong"),
    ("a: 'x", 1, "not closed"),
    ("a: [1, 2\n", 1, "not closed"),
    ("a: [,]", 1, "missing"),
    ("a: [1] 2", 1, "does not belong"), ('a: "\\q"', 1, "escape"),
    ("a: 1e999", 1, "too large"),
    ("a: " + "9" * 9000, 1, "too large"),
    ("- 1\nb: 2", 2, "does not belong"),
    ("a: " + "[" * 250_000, 1, "levels deep"),
    ("- " * 40 + "1", 1, "levels deep"),
    (" " * 300_000, 1, "at most"),
    ("just\nb: 1", 2, "no key here"),
    ("a: .nan", 1, "different"),
])  # fmt: skip
def test_what_can_be_taken_in_two_ways_is_refused_with_its_line(text, line, reason):
    with pytest.raises(InvalidInput, match=reason) as caught:
        parse(text)
    assert caught.value.facts["line"] == line


@given(
    st.lists(
        st.sampled_from([*"-:#[]{},'\"\\ \n&|?~1", "  ", "a", "b: ", "\n  ", "- ", "\n- ", "true", "${n}"])
    )
)
def test_any_text_is_read_or_refused_with_a_line(parts):
    text = "".join(parts)
    try:
        read(text)
    except InvalidInput as error:
        assert all(1 <= fault["line"] <= text.count("\n") + 1 for fault in error.facts["faults"])
    try:
        made = parse(text)
    except InvalidInput:
        return
    again = parse(f"a: {json.dumps(made.plain())}")
    assert again.plain() == {"a": made.plain()}


def test_every_fault_of_the_form_is_told_at_once():
    assert faults_of("""name: wrong name
steps:
  - wait: -1
  - walk: 3
  - command:
      instrument: stand
      confirm: maybe
      force: 9
  - repeat:
      times: 2
      steps:
        - wait_until: {condition: stand.P1 > 3}
  - group
parameters:
  n: {type: integer, default: 2.5}
line: 3
""") == [
        (1, "name: string should match pattern '^[A-Za-z0-9_-]{1,64}$'"),
        (3, "seconds: input should be greater than or equal to 0"),
        (4, "there is no step walk; there are command, wait, wait_until, repeat, group, record, event, set"),
        (5, "command is missing"),
        (7, "confirm: input should be a valid boolean"),
        (8, "force is not known here"),
        (12, "timeout is missing"),
        (13, "a step is one of command, wait, wait_until, repeat, group, record, event, set, and a colon"),
        (15, "its default: n cannot be 2.5 (it is of type integer)"),
        (16, "line is not known here"),
    ]  # fmt: skip


def test_names_and_arguments_are_checked_before_anything_moves():
    found = faults_of("""name: names
parameters: {n: {default: 1, low: 0, high: 9}}
steps:
  - command: {instrument: stnad, command: set_valves}
  - command: {instrument: stand, command: set_valve}
  - command: {instrument: stand, command: set_valves, arguments: {valves: [1, 2]}}
  - command: {instrument: motors, command: move, arguments: {motor_id: 3, angle: 1.0}}
  - wait_until: {condition: stand.P9 > 3, timeout: 3}
  - wait_until: {condition: stand.P1, timeout: 3}
  - wait_until: {condition: stand.P1 > 3, stable_for: 9, timeout: 3}
  - wait: ${m}
  - set: {k: 1}
always:
  - event: "${no}"
""")
    assert sorted({line for line, _ in found}) == [4, 5, 6, 7, 8, 9, 10, 11, 12, 14]
    reasons = " ".join(reason for _, reason in found)
    for part in (
        "stnad (stand?)",
        "set_valve (set_valves?)",
        "valves:",
        "motor_id:",
        "P9",
        "is a number",
        "m",
    ):
        assert part in reasons


@pytest.mark.parametrize(("steps", "reason"), [
    ("[{set: {n: 10}}]", "n cannot be 10"),
    ("[{set: {n: x}}]", "of type number"),
    ("[{set: {k: 1}}]", "no parameter k"),
    ("[{group: {name: a, unless_done: true, steps: []}}]", "always"),
    ("[{repeat: {times: 10000, steps: [{wait: 0}, {wait: 0}]}}]", "20001 steps"),
    ("[{repeat: {times: '${n}', steps: []}}]", "repetitions"),
    ("[{set: {n: 3}}, {repeat: {times: '${n}', steps: []}}]", "times cannot be ${n}"),
])  # fmt: skip
def test_what_a_run_could_not_do_is_refused(steps, reason):
    text = f"name: a\nparameters: {{n: {{default: 1, low: 0, high: 9}}}}\nsteps: {steps}\n"
    assert any(reason in told for _, told in faults_of(text))


def test_a_value_that_is_set_is_checked_where_it_is_used_later():
    text = (
        "name: a\nparameters: {n: {default: 1, low: -5}}\nsteps:\n  - set: {n: -2}\nalways:\n  - wait: ${n}\n"
    )
    assert faults_of(text) == [(6, "-2.0 is no duration (0 to 86400 s)")]


@pytest.mark.parametrize("values", [{}, {"n": 11}, {"n": "1"}, {"n": True}, {"n": 1, "m": 2}])
def test_parameters_that_do_not_fit(values):
    assert faults_of("name: a\nparameters: {n: {high: 10}}\nsteps: []\n", values)


def test_the_timeline_has_ranges_where_something_is_waited_for():
    made = read("""name: t
parameters: {hold: {default: 2, unit: s}}
steps:
  - repeat:
      times: 2
      steps:
        - command: {instrument: stand, command: open, arguments: {valve: 3}}
        - wait: ${hold}
  - wait_until: {condition: stand.P1 > 3, stable_for: 1, timeout: 10}
  - set: {hold: 0.5}
  - record: start
always:
  - wait: ${hold}
  - event: over
""")  # fmt: skip
    found = [(one.earliest_s, one.latest_s, one.text) for one in timeline(made, {})]
    assert found == [
        (0, 0, "stand open valve=3"), (2, 2, "stand open valve=3"),
        (4, 4, "wait until stand.P1 > 3 for 1 s, 10 s at most"), (5, 14, "set hold = 0.5"),
        (5, 14, "record start"), (5.5, 14.5, "event: over"), (5.5, 14.5, "end"),
    ]  # fmt: skip
    assert str(timeline(made, {"hold": 1})[2]).strip().startswith("2.000 s  wait until")


def test_a_file_is_known_by_its_text(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("name: a\nsteps: []\n")
    first = load(path)
    assert first.file == str(path) and len(first.sha256) == 64
    assert list(steps_of(first.steps)) == []
    path.write_bytes(b"name: a\n\xff")
    with pytest.raises(InvalidInput, match=r"a\.yaml:2: this is no UTF-8"):
        load(path)
    with pytest.raises(NotFound):
        load(tmp_path / "b.yaml")
