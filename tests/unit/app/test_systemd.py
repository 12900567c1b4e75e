"""What systemd hears of us."""

import os
import socket

import pytest

from kymograph.app import systemd
from kymograph.app.supervisor import bind
from kymograph.model.errors import ConfigError


@pytest.fixture
def listener(tmp_path, monkeypatch):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(tmp_path / "notify"))
    sock.settimeout(5)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    yield sock
    sock.close()


def test_a_state_is_one_datagram(listener):
    systemd.notify("READY=1")
    assert listener.recv(100) == b"READY=1"


def test_an_abstract_address_is_understood(monkeypatch):
    name = f"kymograph-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        systemd.notify("STOPPING=1")
        assert sock.recv(100) == b"STOPPING=1"


def test_nobody_listening_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    systemd.notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    systemd.notify("READY=1")


@pytest.mark.parametrize(
    ("usec", "pid", "interval_s"),
    [("30000000", None, 15.0), (None, None, None), ("30000000", "1", None), ("soon", None, None)],
)
def test_the_watchdog_is_fed_at_half_its_limit(monkeypatch, usec, pid, interval_s):
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert systemd.watchdog_interval_s() == interval_s


def test_a_port_that_is_taken_says_what_to_do():
    with bind("127.0.0.1", 0) as taken, pytest.raises(ConfigError) as caught:
        bind("127.0.0.1", taken.getsockname()[1])
    assert "--port" in caught.value.hint


def test_an_address_that_is_not_ours_is_refused():
    with pytest.raises(ConfigError):
        bind("203.0.113.1", 8000)
