"""Telling systemd how we are: one datagram to the socket it names, nothing where it names none.

Protocol: sd_notify(3).
"""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Send a state such as `READY=1`, `WATCHDOG=1` or `STOPPING=1`."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            pass  # a supervisor that does not listen must not stop a recording


def watchdog_interval_s() -> float | None:
    """Return how often systemd wants to hear from this process, half of its limit; None if it does not."""
    limit_us = os.environ.get("WATCHDOG_USEC", "")
    ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(limit_us) / 2e6 if limit_us.isdigit() and ours else None
