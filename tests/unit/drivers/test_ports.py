"""Ports: addresses, finding a device, what goes wrong, and a wire that is pulled out."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from kymograph.drivers.ports import open_port, parse_port
from kymograph.drivers.serial_devices import find_device, holders, list_ports
from kymograph.model.errors import PortError
from kymograph.sim.wire import PtyWire, TcpWire


@pytest.fixture
def wire(tmp_path):
    made = PtyWire(tmp_path / "device")
    made.plug()
    yield made
    made.unplug()


def read_all(source, size_bytes: int, deadline_s: float = 5.0) -> bytes:
    data, until = b"", time.monotonic() + deadline_s
    while len(data) < size_bytes and time.monotonic() < until:
        data += source()
    return data


def test_addresses():
    address = parse_port("serial:///dev/ttyUSB0?baud=128000&parity=even&bits=7&stop=2")
    assert (address.device, address.baud, address.bits_per_byte) == ("/dev/ttyUSB0", 128000, 11)
    assert parse_port("serial://auto").device == "auto"
    assert parse_port("serial://by-id/usb-Silicon*").device == "by-id/usb-Silicon*"
    address = parse_port("tcp://lidar.local:8000")
    assert (address.host, address.number) == ("lidar.local", 8000)


@pytest.mark.parametrize(
    "url",
    ["", "/dev/ttyUSB0", "serial://", "sim://ydlidar", "tcp://host", "tcp://host:x", "tcp://host:99999",
     "serial:///dev/x?speed=9600", "serial:///dev/x?baud=fast", "serial:///dev/x?bits=9",
     "serial:///dev/x?parity=mark", "serial:///dev/x?baud=-1"],
)  # fmt: skip
def test_what_is_no_address(url):
    with pytest.raises(PortError):
        parse_port(url)


def test_bytes_go_both_ways(wire):
    port = open_port(f"{wire.url}?baud=128000")
    assert port.carried_bytes_per_s == 12800
    port.write(b"\x00\xa5\r\n\x03")
    assert read_all(wire.read, 5) == b"\x00\xa5\r\n\x03"
    wire.write(bytes(range(256)))
    assert read_all(lambda: port.read(1.0), 256) == bytes(range(256))
    port.close()
    port.close()
    with pytest.raises(PortError):
        port.read(0)


def test_nothing_arrived_is_empty_and_no_modem_line_is_told(wire):
    port = open_port(wire.url)
    assert port.read(0) == b""
    assert port.read(0.01) == b""
    assert port.set_dtr(True) is False
    port.close()


def test_more_than_one_tty_read_is_taken_at_once(wire):
    port = open_port(wire.url)
    wire.write(b"x" * 6000)
    deadline = time.monotonic() + 5
    while wire.unread_bytes() < 4095 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert len(read_all(lambda: port.read(1.0), 6000)) == 6000
    port.close()


def test_unplugged_while_open_and_plugged_in_again(wire):
    port = open_port(wire.url)
    wire.unplug()
    with pytest.raises(PortError, match="unplugged"):
        read_all(lambda: port.read(0.1), 1)
    with pytest.raises(PortError):
        port.write(b"x")
    port.close()
    with pytest.raises(PortError, match="does not exist"):
        open_port(wire.url)
    wire.plug()
    port = open_port(wire.url)
    wire.write(b"back")
    assert read_all(lambda: port.read(1.0), 4) == b"back"
    port.close()


def test_second_opener_is_told_who_has_it(wire):
    port = open_port(wire.url)
    with pytest.raises(PortError, match="in use") as caught:
        open_port(wire.url)
    assert any(f"({os.getpid()})" in who for who in caught.value.facts["holders"])
    port.close()
    open_port(wire.url).close()


def test_a_file_is_no_serial_device(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PortError, match="cannot open"):
        open_port(f"serial://{tmp_path}/file")


def test_nobody_reads_and_the_writer_is_told(wire):
    port = open_port(wire.url)
    with pytest.raises(PortError, match="takes no more"):
        port.write(bytes(1_000_000), timeout_s=0.1)
    port.close()


def test_no_permission(tmp_path, monkeypatch):
    import serial

    def refuse(_self):
        raise serial.SerialException(13, "could not open port: Permission denied")

    monkeypatch.setattr(serial.Serial, "open", refuse)
    with pytest.raises(PortError) as caught:
        open_port("serial:///dev/ttyUSB0")
    assert "dialout" in caught.value.hint


# Finding --------------------------------------------------------------------------------------------------
def devices(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).symlink_to("/dev/null")
    return folder


def test_auto_takes_the_only_one(tmp_path):
    by_id = devices(tmp_path / "by-id", "usb-Silicon_Labs_CP2102-if00")
    assert find_device("auto", by_id, tmp_path) == str(by_id / "usb-Silicon_Labs_CP2102-if00")


def test_auto_without_links_takes_the_only_bare_device(tmp_path):
    devices(tmp_path, "ttyUSB0")
    assert find_device("auto", tmp_path / "none", tmp_path) == str(tmp_path / "ttyUSB0")


def test_auto_names_all_when_there_are_several(tmp_path):
    by_id = devices(tmp_path / "by-id", "usb-one", "usb-two")
    with pytest.raises(PortError, match=r"usb-one.*usb-two"):
        find_device("auto", by_id, tmp_path)
    assert find_device("by-id/*two", by_id, tmp_path).endswith("usb-two")


def test_pattern_that_fits_nothing_says_what_there_is(tmp_path):
    by_id = devices(tmp_path / "by-id", "usb-one")
    with pytest.raises(PortError) as caught:
        find_device("by-id/*lidar*", by_id, tmp_path)
    assert "usb-one" in caught.value.hint
    with pytest.raises(PortError, match="no USB serial device"):
        find_device("auto", tmp_path / "none", tmp_path / "none")
    with pytest.raises(PortError):
        find_device("ttyUSB0", by_id, tmp_path)


def test_list_of_ports(tmp_path):
    by_id = devices(tmp_path / "by-id", "usb-one")
    found = list_ports(by_id, tmp_path / "dev")
    assert [(one["device"], one["name"], one["readable"]) for one in found] == [
        ("/dev/null", str(by_id / "usb-one"), True)
    ]


def test_nobody_holds_what_is_not_there(tmp_path):
    assert holders(str(tmp_path / "none")) == []


# TCP ------------------------------------------------------------------------------------------------------
def test_tcp_both_ways_and_hung_up():
    wire = TcpWire()
    wire.plug()
    port = open_port(wire.url)
    assert port.carried_bytes_per_s is None
    port.write(b"hello")
    assert read_all(wire.read, 5) == b"hello"
    wire.write(b"world")
    assert read_all(lambda: port.read(1.0), 5) == b"world"
    wire.unplug()
    with pytest.raises(PortError, match="unplugged"):
        read_all(lambda: port.read(0.1), 1)
    port.close()


def test_tcp_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
    with pytest.raises(PortError, match="cannot connect"):
        open_port(f"tcp://127.0.0.1:{number}")
