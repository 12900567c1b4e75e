"""The guide to the Python client is followed line by line, at the demonstration station."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from kymograph.client import connect, errors
from tests.running import RunningStation, until

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "python-client.md"
DEMO = ROOT / "src" / "kymograph" / "cli" / "demo.toml"
URL = "http://127.0.0.1:8000"
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def station(tmp_path: Path) -> Generator[RunningStation]:
    text = DEMO.read_text("utf-8")
    assert set(tomllib.loads(text)["instruments"]) == {"lidar", "signals"}
    with RunningStation(tmp_path, text[text.index("[instruments.lidar]") :]) as made:
        client = connect(made.url)
        for name in ("lidar", "signals"):
            until(lambda n=name: client.instrument(n).state == "acquiring", what=name)
        yield made


def test_the_guide(
    station: RunningStation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(BLOCKS) > 8 and URL in BLOCKS[0]
    names: dict[str, Any] = {"__name__": "__main__"}
    said: list[str] = []
    for block in BLOCKS:
        code = compile(block.replace(URL, station.url), str(GUIDE), "exec")
        try:
            exec(code, names)
        except errors.NotFound as missing:
            if "completeness" not in block or "path" not in missing.message:
                raise
        said.append(capsys.readouterr().out)
    assert said[0].startswith("bench ['lidar', 'signals']")
    live = next(out for block, out in zip(BLOCKS, said, strict=True) if "client.live" in block)
    assert len(live.splitlines()) > 5 and live.splitlines()[0].endswith(" m")
    assert names["frame"].attrs["units"]["distance"] == "m" and len(names["part"]) < len(names["frame"])
    assert (tmp_path / "dive.csv").stat().st_size > 0
    assert "not_found" in said[-1] or "invalid_input" in said[-1], said[-1]
