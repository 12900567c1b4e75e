"""`kymograph audit`: what was done, and whether the record of it is whole."""

import json

from kymograph.cli.app import run
from kymograph.control.audit import FILENAME, Audit


def folder(tmp_path):
    audit = Audit(tmp_path / FILENAME, 0)
    audit.append(1_700_000_000 * 10**9, "anna", "lease", {"group": "stand"})
    audit.append(
        1_700_000_001 * 10**9, "ben", "command", {"command": "valves", "arguments": {"valves": [0, 1]}}
    )
    audit.append(1_700_000_002 * 10**9, "anna", "stop", {"reason": "two\nlines"})
    audit.close()
    return tmp_path


def test_what_was_done_is_listed(tmp_path, capsys):
    assert run(["audit", "ls", str(folder(tmp_path))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[2].split()[:4] == ["1", "2023-11-14T22:13:21Z", "ben", "command"]
    assert '{"valves": [0, 1]}' in lines[2]


def test_it_is_narrowed_down(tmp_path, capsys):
    where = str(folder(tmp_path))
    for options, seqs in ((["--who", "anna"], [0, 2]), (["--what", "stop"], [2]), (["--last", "1"], [2])):
        assert run(["audit", "ls", where, *options, "--json"]) == 0
        assert [item["seq"] for item in json.loads(capsys.readouterr().out)["items"]] == seqs


def test_a_whole_one_is_well(tmp_path, capsys):
    where = folder(tmp_path)
    assert run(["audit", "verify", str(where / FILENAME), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["entries"], told["breaks"]) == (True, 3, [])
    assert run(["audit", "verify", str(where), "--head", told["head"].upper()]) == 0
    assert capsys.readouterr().out == f"ok    3 entries, last hash {told['head']}\n"


def test_where_it_breaks_is_said(tmp_path, capsys):
    path = folder(tmp_path) / FILENAME
    data = path.read_bytes().replace(b'"who":"ben"', b'"who":"eva"')
    path.write_bytes(data + b'{"hash')
    assert run(["audit", "verify", str(path)]) == 1
    broken, torn, told = capsys.readouterr().out.splitlines()
    offset = data.index(b"\n") + 1
    assert broken == f"FAIL  line 2 (byte {offset}): it was changed: its bytes do not have its hash"
    assert "6 bytes of half a line" in torn
    assert told.startswith("FAIL  2 entries")


def test_no_audit_is_one_line_and_a_hint(tmp_path, capsys):
    assert run(["audit", "ls", str(tmp_path)]) == 1
    assert capsys.readouterr().err.splitlines()[1].startswith("hint: ")
