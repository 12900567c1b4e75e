"""Which serial devices there are, and who holds one."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from kymograph.model.errors import PortError

BY_ID: Final = Path("/dev/serial/by-id")
"""Links that udev makes for USB devices, named after maker, product and serial number."""
_PATTERNS: Final = ("ttyUSB*", "ttyACM*")


def list_ports(by_id: Path = BY_ID, dev: Path = Path("/dev")) -> list[dict[str, Any]]:
    """Return the USB serial devices as `{device, name, readable, holders}`; `name` is its link by id."""
    names = {os.path.realpath(link): str(link) for link in sorted(_entries(by_id))}
    devices = {str(path) for pattern in _PATTERNS for path in dev.glob(pattern)} | names.keys()
    return [
        {
            "device": device,
            "name": names.get(device, ""),
            "readable": os.access(device, os.R_OK | os.W_OK),
            "holders": holders(device),
        }
        for device in sorted(devices)
    ]


def find_device(wanted: str, by_id: Path = BY_ID, dev: Path = Path("/dev")) -> str:
    """Return the path of a device given as a path, as `auto`, or as `by-id/<pattern>`.

    Raises:
        PortError: none or several fit; it names what there is.
    """
    if wanted.startswith("/"):
        return wanted
    links = sorted(str(path) for path in _entries(by_id))
    if wanted == "auto":
        # Without udev there are no links, so the bare devices count then.
        links = links or sorted(str(path) for pattern in _PATTERNS for path in dev.glob(pattern))
        return _only(links, links, "USB serial device")
    family, _, pattern = wanted.partition("/")
    if family != "by-id" or not pattern:
        raise PortError(
            f"serial://{wanted} is not a port",
            hint="write serial:///dev/ttyUSB0, serial://auto or serial://by-id/<pattern>",
        )
    fitting = [link for link in links if fnmatch.fnmatch(Path(link).name, pattern)]
    return _only(fitting, links, f"device like {pattern}")


def _entries(folder: Path) -> Iterable[Path]:
    return folder.iterdir() if folder.is_dir() else ()


def _only(fitting: list[str], there: list[str], what: str) -> str:
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise PortError(
            f"{len(fitting)} devices fit, and one is wanted: {', '.join(fitting)}",
            hint="give the device's own path, or serial://by-id/<pattern>",
            found=fitting,
        )
    raise PortError(
        f"there is no {what}",
        hint=f"there is: {', '.join(there)}" if there else "plug the device in, and look at its cable",
        found=there,
    )


def holders(path: str) -> list[str]:
    """Return the processes that have a device open, as `name (pid)`; only those one may look at."""
    try:
        wanted = Path(path).stat().st_rdev
    except OSError:
        return []
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        if _has_open(process, wanted):
            name = _text(process / "comm") or "process"
            found.append(f"{name} ({process.name})")
    return sorted(found)


def _has_open(process: Path, device: int) -> bool:
    try:
        return any(fd.stat().st_rdev == device for fd in (process / "fd").iterdir() if _is_device(fd))
    except OSError:
        return False


def _is_device(fd: Path) -> bool:
    try:
        return str(fd.readlink()).startswith("/dev/")
    except OSError:
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
