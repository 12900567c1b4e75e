"""`kymograph key`: made, listed, removed, in the folder of a station."""

import json
import stat

import pytest

from kymograph.cli.app import run
from kymograph.service.keys import KeyStore


def answer(capsys, *arguments):
    assert run(["key", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_key_is_shown_once_and_opens_what_it_is_for(tmp_path, capsys):
    made = answer(capsys, "add", "anna", "--scope", "record", "--data", str(tmp_path))
    assert made["scopes"] == ["record"]
    key = KeyStore(tmp_path / "keys.json").check(made["key"])
    assert key is not None
    assert key.granted == {"read", "record"}
    assert made["key"] not in (tmp_path / "keys.json").read_text()
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


def test_a_key_alone_goes_to_a_pipe(tmp_path, capsys):
    assert run(["key", "add", "wall", "--data", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert KeyStore(tmp_path / "keys.json").check(said.out.strip()) is not None
    assert "not kept" in said.err


def test_keys_are_listed_without_showing_them(tmp_path, capsys):
    first = answer(capsys, "add", "anna", "--scope", "admin", "--data", str(tmp_path))
    answer(capsys, "add", "wall", "--data", str(tmp_path))
    listed = answer(capsys, "ls", "--data", str(tmp_path))
    assert [(k["name"], k["scopes"]) for k in listed["items"]] == [("anna", ["admin"]), ("wall", ["read"])]
    assert first["key"] not in json.dumps(listed)
    assert run(["key", "ls", "--data", str(tmp_path)]) == 0
    assert "anna" in capsys.readouterr().out


def test_a_removed_key_opens_nothing(tmp_path, capsys):
    made = answer(capsys, "add", "anna", "--data", str(tmp_path))
    assert answer(capsys, "rm", "anna", "--data", str(tmp_path)) == {"removed": "anna"}
    assert KeyStore(tmp_path / "keys.json").check(made["key"]) is None


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["add", "a/b"], 2),
        (["add", "anna", "--scope", "everything"], 2),
        (["rm", "nobody"], 1),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, capsys, arguments, code):
    assert run(["key", *arguments, "--data", str(tmp_path)]) == code
    assert capsys.readouterr().err.startswith("error: ")


def test_two_keys_of_one_name_are_a_conflict(tmp_path, capsys):
    answer(capsys, "add", "anna", "--data", str(tmp_path))
    assert run(["key", "add", "anna", "--data", str(tmp_path)]) == 1


def test_the_folder_can_be_named_by_the_environment(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KYMOGRAPH_DATA", str(tmp_path))
    answer(capsys, "add", "anna")
    assert (tmp_path / "keys.json").exists()
