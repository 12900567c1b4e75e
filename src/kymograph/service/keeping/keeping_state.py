"""How keeping stands, told by the keeper to all others: `<data>/keeping.json`.

It is replaced as a whole, at most once a second, is not made durable, and may be missing.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any, Final

log = logging.getLogger(__name__)

FILENAME: Final = "keeping.json"
OLD_S: Final = 30.0
"""Without a word for so long, nobody keeps."""
UNKNOWN: Final = "unknown"

Plain = dict[str, Any]


def write_keeping(data: Path, told: Plain) -> None:
    """Tell it. A disk that takes nothing is no reason not to keep."""
    path = data / FILENAME
    tmp = path.with_name(FILENAME + ".tmp")
    try:
        tmp.write_text(json.dumps({"told_ns": time.time_ns(), **told}))
        tmp.replace(path)
    except OSError as error:
        log.debug("%s: %s", path, error)


def read_keeping(data: Path) -> Plain:
    """Return what was told, and whether it still holds; `database` is `unknown` while nobody keeps."""
    try:
        told: Any = json.loads((data / FILENAME).read_bytes())
        told_ns = int(told["told_ns"])
    except (OSError, ValueError, LookupError, TypeError):
        return {"told_ns": None, "running": False, "database": UNKNOWN}
    running = abs(time.time_ns() - told_ns) < OLD_S * 1e9
    return {**told, "running": running, "database": told.get("database", UNKNOWN) if running else UNKNOWN}
