"""The wires devices hang on, behind one small class.

    serial:///dev/ttyUSB0?baud=128000     a device file, or a link to one (looked up anew at each opening)
    serial://auto                         the only USB serial device there is
    serial://by-id/usb-Silicon_Labs*      the only one whose name under /dev/serial/by-id fits
    tcp://192.168.0.11:8000               a serial server, or a device in the network

Further keys of a serial port: `parity` (none, even, odd), `bits` (7, 8), `stop` (1, 2). A serial port is
taken exclusively. `sim://` never comes here: whoever makes the driver has replaced it by the simulator's own
port.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import termios
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import serial

from kymograph.drivers.serial_devices import find_device, holders, list_ports
from kymograph.model.errors import PortError
from kymograph.model.limits import PORT_READ_BYTES_MAX

__all__ = ["Port", "PortAddress", "list_ports", "open_port", "parse_port"]

CONNECT_TIMEOUT_S: Final = 1.2
"""Long for a local network, and short enough to say within three seconds that nobody is there."""
_KEYS: Final = {"baud", "parity", "bits", "stop"}
_PARITIES: Final = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}
TTY_READ_BYTES_MAX: Final = 4095
"""What a tty hands over at once, however much waits."""
_GONE: Final = (errno.EIO, errno.ENXIO, errno.ENODEV, errno.EBADF, errno.EPIPE, errno.ECONNRESET)


@dataclass(frozen=True, slots=True)
class PortAddress:
    """A port as configured, taken apart. `baud` is 0 where the address names none."""

    url: str
    kind: str
    device: str = ""
    host: str = ""
    number: int = 0
    baud: int = 0
    parity: str = "none"
    bits: int = 8
    stop: int = 1

    @property
    def bits_per_byte(self) -> int:
        """Bits on a serial wire for one byte: start, data, parity, stop."""
        return 1 + self.bits + (self.parity != "none") + self.stop


def parse_port(url: str) -> PortAddress:
    """Take a port's address apart, without touching the port.

    Raises:
        PortError: it is not an address of a port.
    """
    parts = urlsplit(url)
    if parts.scheme == "tcp":
        try:
            number = parts.port
        except ValueError:
            number = None
        if parts.hostname and number:
            return PortAddress(url, "tcp", host=parts.hostname, number=number)
        raise PortError(f"{url} is not a port", hint="write tcp://host:number")
    if parts.scheme != "serial" or not (parts.netloc or parts.path):
        raise PortError(
            f"{url or 'an empty string'} is not a port",
            hint="write serial:///dev/ttyUSB0, serial://auto or tcp://host:number",
        )
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(given.keys() - _KEYS):
        raise PortError(
            f"{url}: a serial port has no {', '.join(unknown)}", hint="keys: baud parity bits stop"
        )
    try:
        address = PortAddress(
            url,
            "serial",
            device=parts.netloc + parts.path,
            baud=int(given.get("baud", 0)),
            parity=given.get("parity", "none"),
            bits=int(given.get("bits", 8)),
            stop=int(given.get("stop", 1)),
        )
    except ValueError:
        raise PortError(f"{url}: baud, bits and stop are whole numbers") from None
    sensible = address.baud >= 0 and address.parity in _PARITIES
    if not sensible or address.bits not in (7, 8) or address.stop not in (1, 2):
        raise PortError(
            f"{url}: not a serial setting", hint="baud > 0, parity none|even|odd, bits 7|8, stop 1|2"
        )
    return address


class Port(ABC):
    """An open wire. Used by one thread; every failure of the wire is a `PortError`.

    `description` is for people; `carried_bytes_per_s` what the wire can carry, None where unknown.
    """

    def __init__(self, fd: int, description: str, carried_bytes_per_s: float | None) -> None:
        self.description = description
        self.carried_bytes_per_s = carried_bytes_per_s
        self._fd = fd
        self._readable = select.poll()
        self._readable.register(fd, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(fd, select.POLLOUT)

    def fileno(self) -> int:
        """Return the file descriptor, non-blocking."""
        return self._fd

    def wait(self, timeout_s: float) -> bool:
        """Return whether something has arrived, or the other end has gone; wait if there is nothing.

        Raises:
            PortError: it is closed.
        """
        self._check_open()
        return bool(self._readable.poll(max(0.0, timeout_s) * 1000))

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived, at most `PORT_READ_BYTES_MAX`; wait only if there is nothing.

        Raises:
            PortError: the other end is gone.
        """
        self._check_open()
        # Nothing read is nothing yet, or the end: only where there is something to read it is the latter.
        got = self._read_once() if timeout_s <= 0 else None
        if not got:
            if not self.wait(timeout_s):
                return b""
            got = self._read_once()
        if got is None:
            return b""
        if not got:
            raise PortError(f"{self.description} was unplugged", hint="check the cable and the power")
        pieces, size_bytes = [got], len(got)
        while len(got) >= TTY_READ_BYTES_MAX and size_bytes < PORT_READ_BYTES_MAX:
            more = self._read_once()
            if not more:
                break
            got = more
            pieces.append(got)
            size_bytes += len(got)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read_once(self) -> bytes | None:
        try:
            return os.read(self._fd, PORT_READ_BYTES_MAX)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._lost(error) from None

    def write(self, data: bytes, timeout_s: float = 1.0) -> None:
        """Send all of `data`.

        Raises:
            PortError: the other end is gone, or took nothing for `timeout_s`.
        """
        self._check_open()
        rest = memoryview(data)
        deadline = time.monotonic() + timeout_s
        while rest:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not self._writable.poll(left_s * 1000):
                raise PortError(f"{self.description} takes no more bytes", unsent_bytes=len(rest))
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._lost(error) from None

    def set_dtr(self, on: bool) -> bool:
        """Raise or lower the line DTR; return False where the wire has no such line."""
        del on
        return False

    @abstractmethod
    def close(self) -> None:
        """Let go of the wire; a second call does nothing. Never raises."""

    def _check_open(self) -> None:
        if self._fd < 0:
            raise PortError(f"{self.description} is closed")

    def _lost(self, error: OSError) -> PortError:
        what = "was unplugged" if error.errno in _GONE else f"failed: {error.strerror}"
        return PortError(f"{self.description} {what}", hint="check the cable and the power")


class _SerialPort(Port):
    def __init__(self, line: serial.Serial, path: str, address: PortAddress) -> None:
        carried = line.baudrate / address.bits_per_byte
        super().__init__(line.fileno(), path, carried)
        self._line = line
        self._exclusive = not os.path.realpath(path).startswith("/dev/pts/")
        # A pty keeps this mark after its opener died, until the simulator ends; a real line does not.
        if self._exclusive:
            fcntl.ioctl(self._fd, termios.TIOCEXCL)

    def set_dtr(self, on: bool) -> bool:
        try:
            self._line.dtr = on
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                return False
            raise self._lost(error) from None
        return True

    def close(self) -> None:
        if self._fd < 0:
            return
        self._fd = -1
        try:
            if self._exclusive:
                fcntl.ioctl(self._line.fileno(), termios.TIOCNXCL)
            self._line.close()
        except OSError:  # the device is gone already; there is nothing left to let go
            pass


class _TcpPort(Port):
    def __init__(self, connection: socket.socket, description: str) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setblocking(False)
        super().__init__(connection.fileno(), description, None)
        self._connection = connection

    def close(self) -> None:
        if self._fd >= 0:
            self._fd = -1
            self._connection.close()


def open_port(url: str, *, baud: int = 9600) -> Port:
    """Open the port at an address; `baud` counts where the address names none.

    Raises:
        PortError: with a hint that says what to do.
    """
    address = parse_port(url)
    return _open_tcp(address) if address.kind == "tcp" else _open_serial(address, address.baud or baud)


def _open_tcp(address: PortAddress) -> Port:
    where = f"{address.host}:{address.number}"
    try:
        connection = socket.create_connection((address.host, address.number), CONNECT_TIMEOUT_S)
    except OSError as error:
        raise PortError(
            f"cannot connect to {where}: {error.strerror or error}",
            hint="check the device's power, its address and the network",
        ) from None
    return _TcpPort(connection, where)


def _open_serial(address: PortAddress, baud: int) -> Port:
    path = find_device(address.device)
    line = serial.Serial(exclusive=True, timeout=0)
    line.port = path
    line.baudrate = baud
    line.bytesize = address.bits
    line.stopbits = address.stop
    line.parity = _PARITIES[address.parity]
    try:
        line.open()
        return _SerialPort(line, path, address)
    except (OSError, ValueError, termios.error) as error:
        line.close()
        raise _refusal(path, error) from None


def _refusal(path: str, error: Exception) -> PortError:
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        there = ", ".join(found["device"] for found in list_ports()) or "no serial device"
        return PortError(f"{path} does not exist", hint=f"plug the device in; there is now: {there}")
    if code in (errno.EACCES, errno.EPERM):
        return PortError(
            f"no permission to open {path}",
            hint="join the group that owns it: sudo usermod -aG dialout $USER, then log in again",
        )
    if code in (errno.EAGAIN, errno.EBUSY):
        who = holders(path)
        by = f" by {', '.join(who)}" if who else ""
        return PortError(
            f"{path} is in use{by}", hint="end the other program, or give another port", holders=who
        )
    return PortError(f"cannot open {path}: {error}", hint="is it a serial device?")
