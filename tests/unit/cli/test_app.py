"""The tree of commands: help to learn from, one clear line for what went wrong, the right exit code."""

import json
import subprocess
import sys

import pytest
import typer

from kymograph import __version__
from kymograph.cli import app as tree
from kymograph.cli.app import run

COMMANDS = [
    "serve", "demo", "check", "doctor", "drivers", "simulate", "mirror", "shipping", "view", "verify",
    "stop-all", "recordings", "triggers", "plot", "control", "audit", "sequence", "run", "key", "hub",
    "service", "retention",
]  # fmt: skip


def nodes(command, path=()):
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from nodes(child, (*path, name))


ALL = [path for path, _ in nodes(typer.main.get_command(tree.app))]


def test_every_command_is_in_the_tree():
    assert {path[0] for path in ALL if len(path) == 1} == set(COMMANDS)


@pytest.mark.parametrize("path", ALL, ids=lambda path: " ".join(path) or "kymograph")
def test_every_command_explains_itself(path, capsys):
    assert run([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: kymograph {' '.join(path)}".rstrip())
    assert len(text.splitlines()) > 6


@pytest.mark.parametrize(
    "name",
    [c for c in COMMANDS if c not in ("key", "hub", "service")]
    + ["key add", "recordings export", "audit verify", "service install"],
)
def test_every_command_has_an_example(name, capsys):
    run([*name.split(), "--help"])
    assert f"kymograph {name.split()[0]}" in capsys.readouterr().out.partition("Examples:")[2]


def test_answers_are_for_programs_too():
    long_running = {"serve", "demo", "simulate", "view"}
    for path, command in nodes(typer.main.get_command(tree.app)):
        if not getattr(command, "commands", None) and path[-1] not in long_running:
            assert any("--json" in parameter.opts for parameter in command.params), path


def test_the_version_is_told(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"kymograph {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "word", "hint"),
    [
        (["bogus"], "bogus", "kymograph --help"),
        (["serve"], "STATION.toml", "kymograph serve --help"),
        (["serve", "--port", "x", "a.toml"], "--port", "kymograph serve --help"),
        (["serve", "--prot", "1", "a.toml"], "--prot", "kymograph serve --help"),
        (["check", "/nothing/there.toml"], "/nothing/there.toml", "station file"),
        (["recordings", "ls"], "where are the recordings", "--data"),
        (["recordings", "ls", "--data", "a", "--url", "http://b"], "both", "folder"),
        (["key", "add"], "NAME", "kymograph key add --help"),
        (["simulate", "ydlidar", "--set", "seed"], "key=value", "seed=1"),
        (["simulate", "toaster"], "toaster", "ydlidar"),
    ],
)
def test_a_misuse_is_one_line_and_a_hint(arguments, word, hint, capsys):
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    error, advice = said.err.splitlines()
    assert error.startswith("error: ")
    assert word in error
    assert advice.startswith("hint: ")
    assert hint in advice


def test_a_failure_is_not_a_misuse(capsys):
    assert run(["drivers", "toaster"]) == 1
    assert capsys.readouterr().err.startswith("error: there is no driver called toaster\nhint: ")


def test_with_json_an_error_is_json_too(capsys):
    assert run(["drivers", "toaster", "--json"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(said.err)["error"]["code"] == "not_found"


def test_debug_shows_where_it_went_wrong():
    from kymograph.model.errors import NotFound

    with pytest.raises(NotFound):
        run(["--debug", "drivers", "toaster"])


def test_without_arguments_it_shows_its_help(capsys):
    assert run([]) == 2
    said = capsys.readouterr()
    assert "serve" in said.out + said.err


def test_nothing_heavy_is_imported_to_show_help():
    code = (
        "import sys; from kymograph.cli.app import run; run(['--help']);"
        "heavy = {'numpy', 'pydantic', 'rich', 'httpx', 'pyarrow', 'h5py', 'fastapi'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_reader_that_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m kymograph drivers ydlidar --json | head -c 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, timeout=60)
    assert done.stdout == b"{"
    assert done.stderr == b""
