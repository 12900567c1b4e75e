"""What `kymograph doctor` looks at of I²C: is a bus there, may it be opened, which chips answer.

A bus is asked address by address for one byte. That is done to the buses of a station, and to the one on the
pins of a Raspberry Pi; the others of a computer (of its screens, its memory) are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from kymograph.cli.findings import FAIL, OK, WARN, Finding
from kymograph.drivers import bme280
from kymograph.drivers.i2c import I2cBus, open_bus, scan
from kymograph.model.errors import DeviceError, KymographError

PI_BUS: Final = "i2c:///dev/i2c-1"
"""The one on pins 3 and 5."""
_ENABLE: Final = (
    "sudo raspi-config nonint do_i2c 0, or dtparam=i2c_arm=on in /boot/firmware/config.txt and a restart; "
    "if there is still none: sudo modprobe i2c-dev"
)


def look(wanted: Iterable[str], dev: Path = Path("/dev"), model: Path | None = None) -> Iterator[Finding]:
    """Look at the buses that a station wants, by their ports; without any, at a Raspberry Pi's own."""
    buses = sorted({port.partition("?")[0] for port in wanted if port.startswith("i2c:")})
    if buses:
        for port in buses:
            yield from bus(port)
        return
    there = sorted(path.name for path in dev.glob("i2c-*"))
    pi = _is_pi(model or Path("/proc/device-tree/model"))
    if pi and not (dev / "i2c-1").exists():
        yield Finding("I²C", WARN, "switched off", f"if a sensor hangs on it: {_ENABLE}")
    elif pi:
        yield from bus(PI_BUS)
    elif there:
        yield Finding("I²C", OK, f"{', '.join(there)}; not looked into, as no station names one")


def bus(port: str) -> Iterator[Finding]:
    """Look at one bus: may it be opened, and who answers."""
    name = port.removeprefix("i2c://")
    subject = f"I²C bus {name}"
    try:
        opened = open_bus(port)
    except KymographError as error:
        yield Finding(subject, FAIL, error.message, error.hint)
        return
    try:
        answering = [_named(opened, chip) for chip in scan(opened)]
    except DeviceError as error:
        yield Finding(subject, FAIL, error.message, error.hint)
    else:
        advice = "" if answering else "check the sensor's supply and its wires: SDA to pin 3, SCL to pin 5"
        found = f"answering: {', '.join(answering)}" if answering else "nothing answers"
        yield Finding(subject, OK if answering else WARN, found, advice)
    finally:
        opened.close()


def _named(opened: I2cBus, chip: int) -> str:
    """Return an address, and what is there where its place tells how to ask."""
    if chip not in bme280.ADDRESSES:
        return f"0x{chip:02x}"
    kind = opened.transfer(chip, bytes([bme280.ID_REGISTER]), 1)[0]
    return f"0x{chip:02x} ({bme280.CHIPS.get(kind, f'id 0x{kind:02x}')})"


def _is_pi(model: Path) -> bool:
    try:
        return "Raspberry Pi" in model.read_text("utf-8", "replace")
    except OSError:
        return False
