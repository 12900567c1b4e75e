"""The measures: each limit is met exactly, and one more is a finding."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[3] / "tools/measures.py"
spec = importlib.util.spec_from_file_location("measures", TOOL)
measures = importlib.util.module_from_spec(spec)
sys.modules["measures"] = measures
spec.loader.exec_module(measures)


def findings(tmp_path, text):
    path = tmp_path / "room.py"
    path.write_text(text)
    return [finding.text for finding in measures.measure(path)]


@pytest.mark.parametrize(("lines", "found"), [(400, 0), (401, 1)])
def test_lines_of_a_file(tmp_path, lines, found):
    assert len(findings(tmp_path, "x = 1\n" * lines)) == found


@pytest.mark.parametrize(("lines", "found"), [(49, 0), (50, 1)])
def test_lines_of_a_function(tmp_path, lines, found):
    assert len(findings(tmp_path, "def f():\n" + "    x = 1\n" * lines)) == found


@pytest.mark.parametrize(
    ("signature", "found"),
    [
        ("def f(a, b, c, d, e, f): ...", 0),
        ("def f(a, b, c, d, e, f, g): ...", 1),
        ("def f(a, b, *, c, d, e, f, g): ...", 1),
        ("def f(a, b, c, d, e, *f, **g): ...", 1),
        ("class C:\n    def f(self, a, b, c, d, e, f): ...", 0),
        ("class C:\n    async def f(self, a, b, c, d, e, f, g): ...", 1),
        ("@router.get('/x')\nasync def f(a, b, c, d, e, f, g): ...", 0),
        ("@cache\ndef f(a, b, c, d, e, f, g): ...", 1),
        ("@app.command()\ndef f(a, b, c, d, e, f, g): ...", 0),
    ],
)
def test_parameters(tmp_path, signature, found):
    assert len(findings(tmp_path, signature)) == found


THREE = "def f():\n    if a:\n        for b in c:\n            with d:\n                e()\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (THREE, 0),
        (THREE.replace("e()", "while e:\n                    g()"), 1),
        (THREE.replace("e()", "def g():\n                    if h:\n                        i()"), 0),
        (
            "def f():\n if a:\n  b\n elif c:\n  d\n elif e:\n  g\n elif h:\n  i\n",
            0,
        ),
        (
            "def f():\n try:\n  a\n except B:\n  if c:\n   for d in e:\n    g\n",
            0,
        ),
    ],
)
def test_nesting(tmp_path, text, found):
    assert len(findings(tmp_path, text)) == found


def test_the_program_names_the_place_and_fails(tmp_path):
    (tmp_path / "long.py").write_text("x = 1\n" * 401)
    done = subprocess.run([sys.executable, TOOL, tmp_path], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{tmp_path}/long.py:1: 401 lines")
    (tmp_path / "long.py").write_text("x = 1\n")
    assert subprocess.run([sys.executable, TOOL, tmp_path], capture_output=True).returncode == 0


@pytest.mark.parametrize(("name", "code"), [("a.css", 1), ("a.js", 1), ("vendor/a.js", 0), ("a.txt", 0)])
def test_the_pages_files_are_counted_and_what_others_wrote_is_not(tmp_path, name, code):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("a\n" * 401)
    assert subprocess.run([sys.executable, TOOL, tmp_path], capture_output=True).returncode == code
