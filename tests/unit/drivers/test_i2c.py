"""I²C buses: the kernel's, whose errors are told in words, and one behind an adapter."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from smbus2 import i2c_msg

from kymograph.drivers import i2c
from kymograph.drivers.base import Counters
from kymograph.model.errors import ConfigError, DeviceError, PortError
from kymograph.sim import bme280 as device
from kymograph.sim.simulation import Simulation
from kymograph.sim.wire import PtyWire


class Kernel:
    """The kernel's side of /dev/i2c-1: messages to simulated chips, errors as numbers."""

    fd = None

    def __init__(self, chips, code=0):
        self.chips = chips
        self.code = code
        self.closed = 0

    def i2c_rdwr(self, *messages):
        if self.code:
            raise OSError(self.code, os.strerror(self.code))
        for message in messages:
            chip = self.chips.get(message.addr)
            if chip is None:
                raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))
            if message.flags & 1:
                for i, byte in enumerate(chip.read(message.len, 0.0)):
                    message.buf[i] = byte
            else:
                chip.write(bytes(message), 0.0)

    def close(self):
        self.closed += 1


def linux(code=0) -> tuple[i2c.LinuxBus, Kernel]:
    kernel = Kernel(device.make({}).chips, code)
    return i2c.LinuxBus(kernel, "/dev/i2c-1", Counters()), kernel  # pyright: ignore[reportArgumentType]


@contextmanager
def adapter(folder, **parameters) -> Iterator[tuple[i2c.I2cBus, Simulation, Counters]]:
    with Simulation(device.make(parameters), PtyWire(folder / "bus")) as simulation:
        counters = Counters()
        bus = i2c.open_bus(simulation.url, counters)
        yield bus, simulation, counters
        bus.close()


def test_the_kernel_is_given_one_transaction():
    bus, _ = linux()
    assert bus.transfer(0x77, b"\xd0", 1) == b"\x60"
    assert bus.transfer(0x77, b"\xf2\x05\xf5\x0c") == b""
    assert bus.transfer(0x77, b"\xf2", 1) == b"\x05"


def test_messages_are_smbus2s_own():
    read, write = i2c_msg.read(0x76, 8), i2c_msg.write(0x76, b"\xf7")
    assert (read.addr, read.flags, read.len) == (0x76, 1, 8)
    assert (write.addr, write.flags, bytes(write)) == (0x76, 0, b"\xf7")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.EREMOTEIO, i2c.Nack), (errno.ENXIO, i2c.Nack), (errno.ETIMEDOUT, i2c.BusHung),
        (errno.EIO, DeviceError), (errno.EAGAIN, DeviceError),
    ],
)  # fmt: skip
def test_errors_of_the_kernel_are_told_in_words(code, kind):
    bus, _ = linux(code)
    with pytest.raises(kind) as caught:
        bus.transfer(0x77, b"\xd0", 1)
    assert caught.value.hint and "/dev/i2c-1" in caught.value.message


def test_a_closed_bus_says_so_and_closes_once():
    bus, kernel = linux()
    bus.close()
    bus.close()
    assert kernel.closed == 1
    with pytest.raises(PortError):
        bus.transfer(0x77, b"", 1)


def test_a_bus_that_is_not_there_says_how_to_switch_it_on():
    with pytest.raises(PortError) as caught:
        i2c.open_bus("i2c:///dev/i2c-none")
    assert "raspi-config" in caught.value.hint


def test_a_file_that_is_no_bus_is_refused():
    with pytest.raises(PortError):
        i2c.open_bus("i2c:///dev/null")


def test_ports_are_taken_apart():
    assert i2c.parse_port("i2c:///dev/i2c-1") == i2c.I2cPort("i2c:///dev/i2c-1")
    assert i2c.parse_port("i2c:///dev/i2c-1?address=0x76") == i2c.I2cPort("i2c:///dev/i2c-1", 0x76)
    assert i2c.parse_port("i2c:///dev/i2c-1?address=118").chip == 0x76
    serial = i2c.parse_port("serial:///dev/ttyUSB0?baud=9600&address=0x77")
    assert serial == i2c.I2cPort("serial:///dev/ttyUSB0?baud=9600", 0x77)


@pytest.mark.parametrize(
    "url", ["", "i2c://", "i2c:///etc/passwd", "i2c:///dev/i2c-1?address=", "http://x/y"]
)
def test_what_is_no_bus_is_refused(url):
    with pytest.raises(ConfigError):
        i2c.parse_port(url)


def test_an_adapter_answers(tmp_path):
    with adapter(tmp_path) as (bus, _, counters):
        assert bus.transfer(0x77, b"\xd0", 1) == b"\x60"
        assert bus.transfer(0x77, b"\x88", 2) == (27504).to_bytes(2, "little")
        with pytest.raises(i2c.Nack):
            bus.transfer(0x20, b"\x00", 1)
        assert counters.frames_bad == 0 and counters.bytes_received > 0


def test_damaged_answers_are_asked_for_again(tmp_path):
    with adapter(tmp_path) as (bus, simulation, counters):
        simulation.fault("corrupt 3")
        assert bus.transfer(0x77, b"\xd0", 1) == b"\x60"
        assert counters.frames_bad == 1


def test_an_answer_without_its_end_is_asked_for_again(tmp_path):
    with adapter(tmp_path) as (bus, simulation, counters):
        simulation.fault("drop 1")
        assert bus.transfer(0x77, b"\xd0", 1) == b"\x60"
        simulation.fault("junk 5")
        assert bus.transfer(0x77, b"\xd0", 1) == b"\x60"
        assert counters.frames_bad >= 2


def test_answers_to_somebody_else_are_passed_over(tmp_path):
    with adapter(tmp_path) as (bus, simulation, counters):
        with simulation.wire.link.open("wb", buffering=0) as other:
            other.write(i2c.with_crc("99999 77 d0 1"))
        assert bus.transfer(0x77, b"\x88", 1) == b"\x70"
        assert counters.frames_bad == 0


def test_a_silent_adapter_is_a_hung_bus(tmp_path):
    with adapter(tmp_path) as (bus, simulation, _):
        simulation.fault("hang on")
        with pytest.raises(i2c.BusHung):
            bus.transfer(0x77, b"\xd0", 1)


def test_a_scan_finds_who_answers(tmp_path):
    with adapter(tmp_path, address="0x76") as (bus, _, _counters):
        assert list(i2c.scan(bus)) == [0x76]


def test_checksums():
    assert i2c.without_crc(i2c.with_crc("1 ok ff").strip(b"\n")) == ["1", "ok", "ff"]
    assert i2c.without_crc(b"1 ok ff 0000") is None
    assert i2c.without_crc(b"") is None
