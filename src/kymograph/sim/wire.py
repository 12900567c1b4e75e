"""The wires that simulated devices hang on: a pseudo-terminal behind a stable link, or a TCP port.

A pseudo-terminal carries bytes at any speed and has no modem lines: a rise of DTR is an opening of its file.
What nobody reads is lost when the kernel's buffer is full, as on a real line.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import termios
import tty
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from kymograph.sim.openings import Openings

_BAUDS = {getattr(termios, f"B{n}"): n for n in (2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400)}
_GONE = (errno.EIO, errno.EBADF, errno.ECONNRESET, errno.EPIPE)


class Wire(Protocol):
    """A wire that can be unplugged."""

    bytes_overrun: int
    """Bytes that were lost because nobody read them."""

    @property
    def url(self) -> str:
        """The port that a driver opens."""
        ...

    @property
    def plugged(self) -> bool:
        """Whether the wire is there."""
        ...

    @property
    def baud(self) -> int:
        """The speed that the host has set; 0 where a wire has none."""
        ...

    def opened(self) -> bool:
        """Return whether a host has opened it since this was last asked."""
        ...

    def plug(self) -> None:
        """Plug the wire in; a second call does nothing."""
        ...

    def unplug(self) -> None:
        """Pull the wire out; a second call does nothing. Whoever has it open gets an error."""
        ...

    def read(self) -> bytes:
        """Return what has arrived, without waiting."""
        ...

    def write(self, data: bytes, hold_bytes: int = 0) -> bytes:
        """Send, and return what did not fit, at most `hold_bytes`; the rest is lost and counted."""
        ...

    def wait(self, timeout_s: float, also: int = -1) -> bool:
        """Wait until something arrives here, or on the file descriptor `also`; return whether there."""
        ...


def _wait(fds: list[int], also: int, timeout_s: float) -> bool:
    poll = select.poll()
    for fd in {*fds, also} - {-1}:
        poll.register(fd, select.POLLIN)
    return any(fd == also for fd, _ in poll.poll(max(timeout_s, 0.0) * 1000))


def _send(fd: int, data: bytes) -> int:
    """Write what fits now; return how many bytes did not."""
    try:
        return len(data) - os.write(fd, data)
    except OSError as error:
        if error.errno in (*_GONE, errno.EAGAIN):
            return len(data)
        raise


class PtyWire:
    """A pseudo-terminal behind a link of a fixed name, as udev makes one for a device."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.bytes_overrun = 0
        self._fd, self._far = -1, -1
        self._openings: Openings | None = None

    @property
    def url(self) -> str:
        """`serial://` and the link's absolute path."""
        return f"serial://{self.link.absolute()}"

    @property
    def plugged(self) -> bool:
        """Whether there is a terminal."""
        return self._fd >= 0

    @property
    def baud(self) -> int:
        """The speed that the host has set: the two ends of a terminal share their settings."""
        if not self.plugged:
            return 0
        return _BAUDS.get(termios.tcgetattr(self._far)[5], 0)

    def plug(self) -> None:
        """Make a new terminal and let the link point to it."""
        if self.plugged:
            return
        self._fd, self._far = os.openpty()
        tty.setraw(self._far)
        os.set_blocking(self._fd, False)
        self._openings = Openings(os.ttyname(self._far))
        self.link.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.link.with_name(f".{self.link.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self._far))
        fresh.replace(self.link)

    def unplug(self) -> None:
        """Remove the link, if it is still ours, and the terminal."""
        if not self.plugged:
            return
        with suppress(OSError):
            if str(self.link.readlink()) == os.ttyname(self._far):
                self.link.unlink()
        for fd in (self._fd, self._far):
            os.close(fd)
        self._fd = self._far = -1
        if self._openings is not None:
            self._openings.close()

    def opened(self) -> bool:
        """Return whether its file was opened."""
        return self._openings is not None and self._openings.any_new()

    def read(self) -> bytes:
        """Return what has arrived."""
        if not self.plugged:
            return b""
        try:
            return os.read(self._fd, 4096)
        except OSError as error:
            if error.errno in (errno.EAGAIN, *_GONE):
                return b""
            raise

    def write(self, data: bytes, hold_bytes: int = 0) -> bytes:
        """Send, if there is a terminal; return what did not fit and is to be held."""
        if not (self.plugged and data):
            return b""
        unsent = _send(self._fd, data)
        held = data[len(data) - unsent :][:hold_bytes]
        self.bytes_overrun += unsent - len(held)
        return held

    def unread_bytes(self) -> int:
        """Return how many bytes wait for whoever has the terminal open."""
        if not self.plugged:
            return 0
        return int.from_bytes(fcntl.ioctl(self._far, termios.FIONREAD, bytes(4)), "little")

    def wait(self, timeout_s: float, also: int = -1) -> bool:
        """Wait for the host, or for `also`."""
        return _wait([self._fd] if self.plugged else [], also, timeout_s)


class TcpWire:
    """A listening port that serves one host at a time, as a serial server does."""

    baud = 0

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.bytes_overrun = 0
        self._address = (host, port)
        self._listener: socket.socket | None = None
        self._host: socket.socket | None = None
        self._opened = False

    @property
    def url(self) -> str:
        """`tcp://host:port`, with the port that was given by the system if none was asked for."""
        return f"tcp://{self._address[0]}:{self._address[1]}"

    @property
    def plugged(self) -> bool:
        """Whether it listens."""
        return self._listener is not None

    def plug(self) -> None:
        """Listen, on the same port as before."""
        if self._listener is not None:
            return
        listener = socket.create_server(self._address, backlog=1)
        listener.setblocking(False)
        self._address = (self._address[0], listener.getsockname()[1])
        self._listener = listener

    def opened(self) -> bool:
        """Return whether a new host has come."""
        opened, self._opened = self._opened, False
        return opened

    def unplug(self) -> None:
        """Drop the host and listen no more."""
        for one in (self._host, self._listener):
            if one is not None:
                one.close()
        self._host = self._listener = None

    def read(self) -> bytes:
        """Return what has arrived; a new host takes the place of the old one."""
        if self._listener is not None:
            with suppress(BlockingIOError):
                fresh, _ = self._listener.accept()
                fresh.setblocking(False)
                if self._host is not None:
                    self._host.close()
                self._host, self._opened = fresh, True
        if self._host is None:
            return b""
        try:
            data = self._host.recv(4096)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._host.close()
            self._host = None
        return data

    def write(self, data: bytes, hold_bytes: int = 0) -> bytes:
        """Send, if a host is there; return what did not fit and is to be held."""
        if self._host is None or not data:
            return b""
        unsent = _send(self._host.fileno(), data)
        held = data[len(data) - unsent :][:hold_bytes]
        self.bytes_overrun += unsent - len(held)
        return held

    def wait(self, timeout_s: float, also: int = -1) -> bool:
        """Wait for a host, for what it sends, or for `also`."""
        return _wait(
            [one.fileno() for one in (self._listener, self._host) if one is not None], also, timeout_s
        )
