"""`kymograph drivers`: every driver can be read about, also by programs."""

import json

import pytest

from kymograph.cli.app import run
from kymograph.drivers import registry


def test_every_driver_is_listed_with_a_sentence(capsys):
    assert run(["drivers", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["items"]
    assert [item["name"] for item in listed] == registry.names()
    assert all(item["description"].endswith(".") for item in listed)


@pytest.mark.parametrize("name", registry.names())
def test_every_driver_shows_its_table_and_every_option(name, capsys):
    assert run(["drivers", name]) == 0
    text = capsys.readouterr().out
    assert "[instruments." in text
    assert f'driver = "{name}"' in text
    for option in registry.find(name).Options.model_fields:
        assert option in text


@pytest.mark.parametrize("name", registry.names())
def test_every_driver_has_a_schema_for_programs(name, capsys):
    assert run(["drivers", name, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"name", "description", "options_schema", "commands"}
    assert told["options_schema"]["type"] == "object"


def test_commands_are_shown_with_their_arguments(capsys):
    run(["drivers", "ydlidar"])
    assert "command set_frequency(frequency_hz: number)" in capsys.readouterr().out
