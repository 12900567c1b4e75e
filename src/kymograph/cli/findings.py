"""What `kymograph doctor` looks at: this computer, its ports, its clock and its disk, one function each.

Every look costs at most a second and changes nothing, but for a small file that is written and removed
where the data will live.
"""

from __future__ import annotations

import ctypes
import fcntl
import grp
import os
import platform
import pwd
import socket
import stat
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from kymograph.drivers.serial_devices import holders

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"

FREE_BYTES_LOW: Final = 1_000_000_000
"""Below this, a warning: an hour of a fast instrument."""
FREE_BYTES_MIN: Final = 100_000_000
"""Below this, a failure: a recording would not get far."""
FDATASYNC_S_SLOW: Final = 0.25
"""An fdatasync above this stalls a second's flush; healthy SD cards take 5 to 50 ms."""

_PORTS: Final = ("ttyUSB*", "ttyACM*", "ttyAMA*")
_ADJTIMEX_SIZE: Final = 208
_STA_UNSYNC: Final = 0x0040


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `advice` says what to do where it is not `ok`."""

    subject: str
    state: str
    found: str
    advice: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return asdict(self)


def python() -> Finding:
    """Look at the interpreter: our packages exist for 64-bit Python 3.11 to 3.13."""
    found = f"Python {platform.python_version()}, {struct.calcsize('P') * 8} bit, {platform.machine()}"
    if struct.calcsize("P") != 8:
        return Finding("python", FAIL, found, "install a 64-bit system: NumPy and Arrow exist for no other")
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        return Finding("python", FAIL, found, "use Python 3.11, 3.12 or 3.13")
    return Finding("python", OK, found)


def ports() -> Iterator[Finding]:
    """Look for serial ports: which there are, whether we may open them, and who has them open."""
    devices = sorted({path for pattern in _PORTS for path in Path("/dev").glob(pattern)})
    if not devices:
        yield Finding(
            "serial ports", WARN, "none found",
            "plug the instrument in and see `dmesg`; without one, use a sim:// port",
        )  # fmt: skip
    names = {link.resolve(): link for link in sorted(Path("/dev/serial/by-id").glob("*"))}
    for device in devices:
        yield _port(device, names.get(device.resolve()))


def _port(device: Path, by_id: Path | None) -> Finding:
    subject = f"port {device}"
    found = by_id.name if by_id else "no stable name"
    if not os.access(device, os.R_OK | os.W_OK):
        return Finding(subject, FAIL, f"{found}; not allowed to open it", _permission_advice(device))
    users = holders(str(device))
    if users:
        who = ", ".join(users)
        return Finding(subject, WARN, f"{found}; in use by {who}", "end that program, or leave it the port")
    return Finding(subject, OK, f"{found}; free")


def _permission_advice(device: Path) -> str:
    try:
        status = device.stat()
        group = grp.getgrgid(status.st_gid).gr_name
    except (OSError, KeyError):
        return f"sudo chmod a+rw {device}"
    user = pwd.getpwuid(os.getuid()).pw_name
    if not status.st_mode & stat.S_IRGRP or group == "root":
        return "install deploy/99-kymograph.rules into /etc/udev/rules.d and plug the device in again"
    if user in grp.getgrnam(group).gr_mem:
        return f"{user} is in {group} since after this login: log out and in again"
    return f"sudo usermod -aG {group} {user}, then log out and in again"


def _mount_of(folder: Path) -> str:
    best = ("", "")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split(" ")
        if (folder == Path(place) or Path(place) in folder.parents) and len(place) >= len(best[0]):
            best = (place, kind)
    return best[1]


def disk(data: Path) -> Iterator[Finding]:
    """Look at the disk under the data folder: may we write, how much is free, how long until it is safe."""
    place = data.expanduser().absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        yield Finding("data folder", FAIL, f"{place} is no folder", "choose another with --data")
        return
    try:
        with tempfile.NamedTemporaryFile(prefix=".kymograph-doctor-", dir=place) as file:
            took = sorted(_fdatasync_s(file.fileno()) for _ in range(7))
    except OSError as error:
        advice = f"give it to the user that runs this: sudo chown {pwd.getpwuid(os.getuid()).pw_name} {place}"
        yield Finding("data folder", FAIL, f"{place}: {error.strerror}", advice)
        return
    yield Finding("data folder", OK, f"{data}: can be written")
    status = os.statvfs(place)
    free, total = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    text = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free on {_mount_of(place) or 'an unknown file system'}"
    state = FAIL if free < FREE_BYTES_MIN else WARN if free < FREE_BYTES_LOW else OK
    yield Finding("disk space", state, text, "" if state == OK else "free some space, or choose another disk")
    text = f"fdatasync {took[len(took) // 2] * 1e3:.1f} ms, slowest {took[-1] * 1e3:.1f} ms"
    if _mount_of(place) in ("tmpfs", "ramfs"):
        yield Finding("disk speed", WARN, "this is memory: a power cut takes all of it", "use a real disk")
    elif took[len(took) // 2] > FDATASYNC_S_SLOW:
        yield Finding("disk speed", WARN, text, "use a faster card or disk, or a longer flush_interval_s")
    else:
        yield Finding("disk speed", OK, text)


def _fdatasync_s(descriptor: int) -> float:
    os.write(descriptor, os.urandom(64 * 1024))
    began = time.perf_counter()
    os.fdatasync(descriptor)
    return time.perf_counter() - began


def lock(data: Path) -> Finding:
    """Look whether a station owns the data folder now."""
    try:
        descriptor = os.open(data / ".lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return Finding("data folder lock", OK, "free")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return Finding(
            "data folder lock", WARN, "a station is running on this folder",
            "nothing to do if that is meant; two stations need two folders",
        )  # fmt: skip
    finally:
        os.close(descriptor)
    return Finding("data folder lock", OK, "free")


def listening(host: str, port: int) -> Finding:
    """Look whether the address of the dashboard is free."""
    subject = f"address {host}:{port}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            advice = "end what listens there, or choose another with --port"
            return Finding(subject, FAIL, str(error.strerror or error), advice)
    return Finding(subject, OK, "free")


def clock() -> Iterator[Finding]:
    """Look whether the clock is set by something, and whether it outlives a power cut."""
    synchronised = _kernel_synchronised()
    if synchronised is None:
        yield Finding("clock", WARN, "the kernel does not say whether it is synchronised", "see timedatectl")
    elif synchronised:
        yield Finding("clock", OK, "synchronised")
    else:
        yield Finding(
            "clock", WARN, "not synchronised: times may be wrong by any amount, and jump when it is set",
            "sudo timedatectl set-ntp true; off the network, give the computer an RTC or a GPS receiver",
        )  # fmt: skip
    if time.time() < 1_700_000_000:
        yield Finding("date", FAIL, time.strftime("%Y-%m-%d"), "set it: sudo timedatectl set-time …")
    if list(Path("/sys/class/rtc").glob("rtc*")):
        yield Finding("battery clock", OK, "found")
    else:
        yield Finding(
            "battery clock", WARN, "none: after a power cut the date is wrong until the network sets it",
            "add an RTC (on a Pi 5, a battery on its connector) where there is no network",
        )  # fmt: skip


def _kernel_synchronised() -> bool | None:
    # adjtimex(2) with modes = 0 only reads; status is the int behind modes, offset, freq, maxerror, esterror.
    buffer = ctypes.create_string_buffer(_ADJTIMEX_SIZE)
    if ctypes.CDLL(None, use_errno=True).adjtimex(buffer) < 0:
        return None
    status = struct.unpack_from("i", buffer, 5 * struct.calcsize("l"))[0]
    return not status & _STA_UNSYNC


def power() -> Iterator[Finding]:
    """Look whether a Raspberry Pi has ever had too little voltage since it started."""
    for path in Path("/sys/devices/platform/soc").glob("*firmware/get_throttled"):
        try:
            flags = int(path.read_text(), 16)
        except (OSError, ValueError):
            continue
        if flags & 0x10001:
            yield Finding(
                "power", WARN, "the voltage was too low", "use the official supply and a short cable"
            )
        else:
            yield Finding("power", OK, "never too low since start")


def summary(findings: Sequence[Finding]) -> str:
    """Return the worst state among findings."""
    states = {finding.state for finding in findings}
    return FAIL if FAIL in states else WARN if WARN in states else OK
