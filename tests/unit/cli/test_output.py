"""Numbers and times as a person reads them, tables and errors as a program may read them."""

import json

import pytest

from kymograph.cli import output
from kymograph.model.errors import ConfigError, DiskFull, InvalidInput, NotFound


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (14_230_000, "14.2 MB"),
        (2.5e9, "2.5 GB"),
        (3e12, "3.0 TB"),
    ],
)
def test_sizes(nbytes, text):
    assert output.size(nbytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "0.2 s"), (59.9, "59.9 s"), (61, "1 min 01 s"), (3600, "1 h 00 min"), (28_920, "8 h 02 min"),
     (5 * 86400, "5.0 days")],
)  # fmt: skip
def test_spans(seconds, text):
    assert output.span(seconds) == text


def test_moments_are_utc():
    assert output.moment(1_000_000_000_000_000_000) == "2001-09-09T01:46:40Z"
    assert output.moment(None) == ""


def test_a_row_of_a_table_is_one_line_however_long(capsys):
    output.table(("name", "rows>"), [("a" * 300, 5), ("b", 12_345), (None, None)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[1] == "a" * 300 + "  " + "    5"
    assert lines[2].endswith("12345")
    assert all(line == line.rstrip() for line in lines)


def test_what_looks_like_markup_is_printed_as_it_is(capsys):
    output.table(("name",), [("[bold]night[/bold]",)])
    assert "[bold]night[/bold]" in capsys.readouterr().out


def test_json_is_one_document_and_keeps_letters(capsys):
    output.emit({"name": "Übung"})
    text = capsys.readouterr().out
    assert json.loads(text) == {"name": "Übung"}
    assert "Übung" in text


@pytest.mark.parametrize(
    ("error", "code"),
    [(InvalidInput("x"), 2), (ConfigError("x"), 2), (NotFound("x"), 1), (DiskFull("x", hint="free some"), 1)],
)
def test_errors_have_their_exit_code(error, code, capsys):
    assert output.report(error, as_json=False) == code
    said = capsys.readouterr().err
    assert said.startswith("error: x\n")
    assert ("hint: " in said) == bool(error.hint)


def test_progress_is_silent_where_nobody_watches(capsys):
    with output.progress() as display:
        task = display.add_task("x", total=10)
        display.update(task, completed=5)
    assert capsys.readouterr().err == ""
