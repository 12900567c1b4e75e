"""`kymograph sequence`: faults with file and line, and the timeline."""

import json

from kymograph.cli.app import run


def test_the_scenarios_are_listed(capsys):
    assert run(["sequence", "ls", "--json"]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert len(items) == 8 and not any(item["error"] for item in items)


def test_a_dry_run_tells_what_and_when(capsys):
    assert run(["sequence", "dry-run", "o2feed", "--set", "stand=rig"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].strip() == "0.200 s  rig set_valves valves=[0, 1, 0, 0, 0, 0, 1, 0, 0]"
    assert run(["sequence", "dry-run", "emergency", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"][-1]["latest_s"] == 9.6


def test_faults_are_told_with_their_lines(tmp_path, capsys):
    path = tmp_path / "a.yaml"
    path.write_text("name: a\nsteps:\n  - wait: -1\n  - walk: 2\n")
    assert run(["sequence", "validate", str(path)]) == 2
    told = capsys.readouterr().err
    assert f"{path}:3: seconds" in told and f"{path}:4: there is no step walk" in told
    assert run(["sequence", "validate", str(path), "--json"]) == 2
    assert len(json.loads(capsys.readouterr().err)["error"]["facts"]["faults"]) == 2
    assert run(["sequence", "ls", str(tmp_path), "--json"]) == 0
    assert "a.yaml:3" in json.loads(capsys.readouterr().out)["items"][0]["error"]


def test_a_station_says_what_there_is(tmp_path, capsys):
    station = tmp_path / "s.toml"
    station.write_text(f'[station]\nname = "s"\ndata = "{tmp_path}/d"\n[instruments.wave]\ndriver = "sine"\n')
    assert run(["sequence", "validate", "burning", "--station", str(station)]) == 2
    assert "there is no instrument stand" in capsys.readouterr().err
    path = tmp_path / "a.yaml"
    path.write_text("name: a\nsteps: [{wait: 1}]\n")
    assert run(["sequence", "validate", str(path), "--station", str(station), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 1
    assert run(["sequence", "dry-run", "burning", "--set", "stand"]) == 2
