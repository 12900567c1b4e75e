"""The I²C buses that sensors hang on: transactions, whoever carries them.

    i2c:///dev/i2c-1                      a bus of this computer, through the kernel
    i2c:///dev/i2c-1?address=0x76         and the chip on it that is meant
    serial:///dev/ttyUSB0, tcp://…        a bus behind an adapter that speaks lines, as simulators do

A transaction writes bytes to a chip and then, after a repeated start, reads some from it. Several programs
may use one bus at a time: the kernel keeps their transactions apart.

An adapter's lines, with a CRC-16 (CCITT, start 0xFFFF) of what stands before its blank, all in hexadecimal
but the numbers:

    host       `<number> <chip> <bytes to write, or -> <how many to read> <crc>`
    adapter    `<number> ok <bytes, or -> <crc>`, or `nack` (no chip took it) or `bad` (say it again) for `ok`
"""

from __future__ import annotations

import binascii
import errno
import fcntl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from kymograph.drivers.base import Counters
from kymograph.drivers.ports import Port, open_port
from kymograph.model.errors import ConfigError, DeviceError, PortError

if TYPE_CHECKING:
    from smbus2 import SMBus

ADDRESSES: Final = range(0x08, 0x78)
"""Of chips; the others are reserved (NXP UM10204, reserved addresses)."""
TIMEOUT_S: Final = 0.5
"""The bus counts as hung after so long: the longest transaction here takes 3 ms."""
_I2C_TIMEOUT: Final = 0x0702
"""The ioctl of linux/i2c-dev.h; in units of 10 ms."""
_NACKED: Final = (errno.EREMOTEIO, errno.ENXIO, errno.ENODEV)
_ADAPTER_TIMEOUT_S: Final = 2.0
"""Long for an adapter, as a simulator on a busy computer may be one."""
_CUT_S: Final = 0.1
"""A line that began and does not end for so long has lost its end."""
_ATTEMPTS_MAX: Final = 8
_ENABLE: Final = (
    "switch I²C on: sudo raspi-config nonint do_i2c 0, or dtparam=i2c_arm=on in "
    "/boot/firmware/config.txt and a restart; then sudo modprobe i2c-dev"
)


class Nack(DeviceError):
    """No chip at that address took what was sent."""


class BusHung(DeviceError):
    """The bus did not come to an end of the transaction: something holds one of its lines."""


class I2cBus(Protocol):
    """An open bus; used by one thread."""

    description: str

    def transfer(self, chip: int, data: bytes, count: int = 0) -> bytes:
        """Write bytes to a chip, then read `count` from it, in one transaction.

        Raises:
            Nack: no chip of that address answers.
            BusHung: the transaction does not end.
            DeviceError: the bus failed otherwise.
        """
        ...

    def close(self) -> None:
        """Let go of the bus; a second call does nothing. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class I2cPort:
    """A port as configured: the bus, and the chip's address where it names one."""

    bus: str
    chip: int | None = None


def parse_port(url: str) -> I2cPort:
    """Take the address of a bus apart, without touching it.

    Raises:
        ConfigError: it is not the address of a bus, or no chip can have that address on it.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("i2c", "serial", "tcp") or not (parts.path or parts.netloc):
        raise ConfigError(
            f"{url or 'an empty string'} is not an I²C bus", hint="write i2c:///dev/i2c-1?address=0x76"
        )
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    text = given.pop("address", None)
    if parts.scheme == "i2c" and (given or parts.netloc or not parts.path.startswith("/dev/")):
        raise ConfigError(f"{url} is not an I²C bus", hint="write i2c:///dev/i2c-1?address=0x76")
    query = urlencode(given, safe="/:")
    bus = url.partition("?")[0] + (f"?{query}" if query else "")
    return I2cPort(bus, None if text is None else _chip(url, text))


def _chip(url: str, text: str) -> int:
    try:
        chip = int(text, 0)
    except ValueError:
        chip = -1
    if chip not in ADDRESSES:
        raise ConfigError(
            f"{url}: {text or 'nothing'} is no address of a chip", hint="0x08 to 0x77, for example 0x76"
        )
    return chip


def open_bus(url: str, counters: Counters | None = None) -> I2cBus:
    """Open a bus; what is read and what was damaged on the way is counted.

    Raises:
        ConfigError: it is not the address of a bus.
        PortError: it cannot be opened, with a hint that says what to do.
    """
    bus, counted = parse_port(url).bus, counters or Counters()
    if not bus.startswith("i2c:"):
        return AdapterBus(open_port(bus, baud=115_200), counted)
    return LinuxBus(_open_device(urlsplit(bus).path), urlsplit(bus).path, counted)


def _open_device(path: str) -> SMBus:
    from smbus2 import SMBus

    try:
        opened = SMBus(path)
    except OSError as error:
        raise _refusal(path, error) from None
    if opened.fd is not None:
        fcntl.ioctl(opened.fd, _I2C_TIMEOUT, round(TIMEOUT_S * 100))
    return opened


def _refusal(path: str, error: OSError) -> PortError:
    if error.errno in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        return PortError(f"there is no {path}", hint=_ENABLE)
    if error.errno in (errno.EACCES, errno.EPERM):
        return PortError(
            f"no permission to open {path}",
            hint="join its group: sudo usermod -aG i2c $USER, then log in again",
        )
    return PortError(f"cannot open {path}: {error.strerror}", hint="is it an I²C bus?")


class LinuxBus:
    """A bus of this computer, `/dev/i2c-N`."""

    def __init__(self, bus: SMBus, description: str, counters: Counters) -> None:
        self.description = description
        self._bus: SMBus | None = bus
        self._counters = counters

    def transfer(self, chip: int, data: bytes, count: int = 0) -> bytes:
        """Write and read through the kernel, which ends a transaction after `TIMEOUT_S`."""
        from smbus2 import i2c_msg

        if self._bus is None:
            raise PortError(f"{self.description} is closed")
        messages = [i2c_msg.write(chip, data)] if data else []
        if count:
            messages.append(i2c_msg.read(chip, count))
        try:
            self._bus.i2c_rdwr(*messages)
        except OSError as error:
            raise _failure(self.description, chip, error) from None
        self._counters.bytes_received += count
        return bytes(messages[-1]) if count else b""

    def close(self) -> None:
        """Close the device file."""
        if self._bus is not None:
            self._bus.close()
            self._bus = None


def _failure(description: str, chip: int, error: OSError) -> DeviceError:
    if error.errno in _NACKED:
        return _nack(description, chip)
    if error.errno == errno.ETIMEDOUT:
        return _hung(description)
    return DeviceError(
        f"{description} failed at 0x{chip:02x}: {error.strerror}",
        hint="check the wires and their length; look at dmesg",
    )


def _nack(description: str, chip: int) -> Nack:
    return Nack(
        f"nothing answers at 0x{chip:02x} on {description}",
        hint="check its power and the wires SDA and SCL; kymograph doctor says which addresses answer",
        address=chip,
    )


def _hung(description: str) -> BusHung:
    return BusHung(
        f"{description} hangs",
        hint="something holds SDA or SCL low: switch the sensor off and on, shorten the wires, "
        "check the pull-ups",
    )


class AdapterBus:
    """A bus behind an adapter that speaks lines; damaged ones are counted and said again."""

    def __init__(self, port: Port, counters: Counters) -> None:
        self.description = port.description
        self._port = port
        self._counters = counters
        # Answers to an earlier opening may still wait to be read: they bear other numbers.
        self._number = time.monotonic_ns() // 1000 % 10_000
        self._rest = b""

    def transfer(self, chip: int, data: bytes, count: int = 0) -> bytes:
        """Ask until the answer arrives undamaged; a transaction may so be carried out more than once."""
        for _ in range(_ATTEMPTS_MAX):
            self._number = (self._number + 1) % 10_000
            self._port.write(with_crc(f"{self._number} {chip:02x} {data.hex() or '-'} {count}"))
            answer = self._answer()
            if answer is None:
                self._counters.frames_bad += 1
                continue
            if answer[0] == "nack":
                raise _nack(self.description, chip)
            return bytes.fromhex(answer[1].strip("-"))
        raise DeviceError(f"{self.description}: no answer arrives undamaged", hint="check the cable")

    def _answer(self) -> tuple[str, str] | None:
        """Return the word and the bytes of the answer to this number; None if it was damaged."""
        until_s = time.monotonic() + _ADAPTER_TIMEOUT_S
        while (left_s := until_s - time.monotonic()) > 0:
            line, end, rest = self._rest.partition(b"\n")
            if not end:
                data = self._port.read(min(left_s, _CUT_S) if line else left_s)
                self._counters.bytes_received += len(data)
                if line and not data:
                    self._rest = b""
                    return None
                self._rest += data
                continue
            self._rest = rest
            words = without_crc(line)
            if words is None or len(words) != 3 or words[1] == "bad":
                return None
            if words[0] == str(self._number):
                return words[1], words[2]
        raise _hung(self.description)

    def close(self) -> None:
        """Close the port."""
        self._port.close()


def with_crc(text: str) -> bytes:
    """Return a line of the adapter's: the text, its checksum, an end of line."""
    return f"{text} {binascii.crc_hqx(text.encode(), 0xFFFF):04x}\n".encode()


def without_crc(line: bytes) -> list[str] | None:
    """Return the words of a line whose checksum is right, else None."""
    text, _, crc = line.rstrip(b"\r").rpartition(b" ")
    if crc != f"{binascii.crc_hqx(text, 0xFFFF):04x}".encode():
        return None
    return text.decode("ascii", "replace").split(" ")


def scan(bus: I2cBus) -> Iterator[int]:
    """Yield the addresses at which a chip lets one byte be read.

    Raises:
        DeviceError: the bus hangs or fails.
    """
    for chip in ADDRESSES:
        try:
            bus.transfer(chip, b"", 1)
        except Nack:
            continue
        yield chip
