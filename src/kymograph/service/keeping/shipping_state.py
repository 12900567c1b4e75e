"""How shipping stands, told by the process that ships to all others: `<data>/shipping.json`.

It is replaced as a whole, at most once a second, is not made durable, and may be missing: it says nothing
that the database does not say again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

log = logging.getLogger(__name__)

FILENAME: Final = "shipping.json"
OLD_S: Final = 90.0
"""Without a word for so long, nobody ships."""
UNKNOWN: Final = "unknown"

Plain = dict[str, Any]


class _Destination(msgspec.Struct):
    name: str
    url: str
    kind: str
    state: Literal["connected", "waiting", "refused", "blocked"]
    owed: dict[str, int]
    error: str = ""
    hint: str = ""
    state_since_ns: int | None = None
    since_ns: int | None = None
    last_success_ns: int | None = None
    next_try_ns: int | None = None
    failures: int = 0
    bytes_sent: int = 0
    batches: int = 0
    rows: int = 0
    duplicates: int = 0
    objects: int = 0
    object: dict[str, str | int] | None = None
    """The sealed file that is on its way: `sha256 offset size_bytes`."""
    aside: int = 0
    aside_reason: str = ""


class _Told(msgspec.Struct):
    told_ns: int
    destinations: list[_Destination]


def write_shipping(data: Path, destinations: Sequence[Mapping[str, Any]]) -> None:
    """Tell how it stands with each destination. A disk that takes nothing is no reason not to ship."""
    path = data / FILENAME
    tmp = path.with_name(FILENAME + ".tmp")
    try:
        tmp.write_bytes(msgspec.json.encode({"told_ns": time.time_ns(), "destinations": destinations}))
        tmp.replace(path)
    except OSError as error:
        log.debug("%s: %s", path, error)


def read_shipping(data: Path, configured: Mapping[str, tuple[str, str]] | None = None) -> Plain:
    """Return `told_ns`, `running`, and the destinations as the shipping process last told of them.

    `configured` has each destination's address and kind by its name: one of which nothing was told yet is
    `unknown`, one that is configured no more is left out. Without it: all that was told of.
    """
    told_ns, told = _read(data / FILENAME)
    now_ns = time.time_ns()
    running = told_ns is not None and abs(now_ns - told_ns) < OLD_S * 1e9
    if configured is None:
        configured = {name: (one["url"], one["kind"]) for name, one in told.items()}
    items: list[Plain] = []
    for name, (url, kind) in configured.items():
        one = told.get(name)
        if one is None or one["url"] != url:
            items.append({"name": name, "url": url, "kind": kind, "state": UNKNOWN, "owed": {}})
            continue
        since_ns = one["since_ns"]
        lag_s = 0.0 if since_ns is None else max(0.0, (now_ns - since_ns) / 1e9)
        items.append({**one, "lag_s": lag_s, "state": one["state"] if running else UNKNOWN})
    return {"told_ns": told_ns, "running": running, "destinations": items}


def _read(path: Path) -> tuple[int | None, dict[str, Plain]]:
    try:
        told = msgspec.json.decode(path.read_bytes(), type=_Told)
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError):
        return None, {}
    return told.told_ns, {one.name: msgspec.to_builtins(one) for one in told.destinations}
