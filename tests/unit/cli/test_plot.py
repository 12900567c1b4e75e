"""`kymograph plot`: what is drawn, where it goes, and what is said when it cannot be."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kymograph.cli.app import run

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def log(tmp_path):
    """A log of a test stand as others write it: seconds as numbers, no units."""
    times = 1.77e9 + np.arange(500) / 50
    columns = {"timestamp": times, "P1": np.sin(times), "P2": np.cos(times), "thrust": times % 7 * 100}
    columns["Debi1"] = np.full(500, np.nan)
    path = tmp_path / "sensor_log_20260201_024000.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_a_log_becomes_a_picture_beside_it(log, capsys):
    assert run(["plot", str(log), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == str(log.with_suffix(".png"))
    assert log.with_suffix(".png").read_bytes()[:8] == PNG
    assert [(panel["title"], panel["unit"], panel["channels"]) for panel in told["panels"]] == [
        ("Pressure", "bar", ["P1", "P2"]), ("Thrust", "N", ["thrust"]),
    ]  # fmt: skip
    assert told["rows"] == 500 and told["without_values"] == ["Debi1"]


def test_an_svg_has_the_title_and_only_what_is_asked_for(log, capsys):
    out = log.with_name("a.svg")
    assert run(["plot", str(log), "-o", str(out), "--channels", "thr*", "--title", "Firing", "--json"]) == 0
    assert [panel["channels"] for panel in json.loads(capsys.readouterr().out)["panels"]] == [["thrust"]]
    assert out.read_bytes().startswith(b"<?xml")


def test_the_last_seconds_only(log, capsys):
    assert run(["plot", str(log), "--last", "2s", "--json"]) == 0
    assert 99 <= json.loads(capsys.readouterr().out)["rows"] <= 101


def test_a_file_that_exists_is_not_written_over(log, capsys):
    assert run(["plot", str(log)]) == 0
    assert run(["plot", str(log)]) == 1
    assert "--force" in capsys.readouterr().err
    assert run(["plot", str(log), "--force"]) == 0


@pytest.mark.parametrize(("arguments", "told"), [
    (["--channels", "thrast"], "did you mean thrust?"),
    (["--start", "2031-01-01T00:00:00Z"], "no rows to draw"),
    (["-o", "a.pdf"], ".png, .svg"),
    (["--group", "colour"], "auto, unit"),
    (["--last", "soon"], "no duration"),
    (["--height", "300"], "high enough"),
    (["--width", "300"], "wide enough"),
    (["--last", "2s", "--start", "1"], "both given"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_told(log, capsys, arguments, told):
    assert run(["plot", str(log), *arguments]) == 2
    assert told in capsys.readouterr().err
    assert not list(log.parent.glob("*.p*g*"))


def test_what_is_no_recording_is_told(tmp_path, capsys):
    assert run(["plot", "night"]) == 1
    assert "--data" in capsys.readouterr().err
    assert run(["plot", str(tmp_path)]) == 1
    assert "not a recording" in capsys.readouterr().err
    (tmp_path / "a.parquet").write_bytes(b"no parquet")
    assert run(["plot", str(tmp_path / "a.parquet")]) == 1
    assert "cannot be read" in capsys.readouterr().err
