"""What can never be kept is said before anything starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_an_address_of_no_database_is_refused_with_a_hint(tmp_path: Path) -> None:
    station = tmp_path / "station.toml"
    station.write_text(
        f'[station]\ndata = "{tmp_path / "data"}"\n[web]\nenabled = false\n[readings]\n'
        '[database]\nurl = "mysql://somewhere/weather"\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "kymograph", "serve", str(station)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "error: no database of the kind mysql\nhint: sqlite or postgresql\n" in done.stderr
