"""YDLidar laser scanners, all models that speak the common protocol over a serial line.

    [instruments.lidar]
    driver = "ydlidar"
    port = "serial:///dev/ttyUSB0"      # the model's baud rate is known; ?baud= overrides it

    [instruments.lidar.options]
    model = "X4"                        # not readable from the device: it must be said
    # rate_khz = 9                      # samples a millisecond, on models that can change it
    # frequency_hz = 7                  # rotation, on models that take it by command
    # intensity = "auto"                # or 0, 8, 10, 16 bits: only if yours differs from its model

One stream, `scan`, a row a sample: distance (m, 0 is no return), angle (deg, clockwise from the front),
intensity, and the number of the revolution. See docs/drivers/ydlidar.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from kymograph.drivers.base import DriverOptions, LinkLoad, command
from kymograph.drivers.ports import open_port, parse_port
from kymograph.drivers.shapes import PacketDriver
from kymograph.drivers.ydlidar_commands import Commands, DeviceInfo, find_info
from kymograph.drivers.ydlidar_frames import HEAD_BYTES
from kymograph.drivers.ydlidar_models import (
    MODELS,
    PACKET_SAMPLES,
    Model,
    canonical,
    link_load,
)
from kymograph.drivers.ydlidar_packets import PacketDecoder, SampleFormat, Samples
from kymograph.model.block import Column, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import DeviceError, DeviceSilent, InvalidInput, Refused

log = logging.getLogger(__name__)

MOTOR_LOW_S: Final = 0.1
MOTOR_START_S: Final = 0.7
"""From DTR's rise until a scan is answered with samples; the adapter starts the motor on that edge."""
OPEN_TIMEOUT_S: Final = 2.0
INFO_TRIES: Final = 3
_UNIT_WITH_INTENSITY: Final = {8: 0.25, 10: 0.25, 16: 1.0}
_NEXT_WIDTH: Final = {16: 8, 10: 0, 8: 0, 0: 16}
_LOCK_PACKETS: Final = 3
"""Good packets in a row after which the width of intensity is taken as found."""
_T = TypeVar("_T")


class YdLidarOptions(DriverOptions):
    """Options of the driver `ydlidar`."""

    model: Annotated[str, AfterValidator(canonical)] = "X4"
    rate_khz: int | None = None
    frequency_hz: float | None = Field(default=None, ge=1, le=35)
    intensity: Literal["auto", 0, 8, 10, 16] | None = None
    silence_s: float = Field(default=2.0, ge=0.5, le=60)

    @model_validator(mode="after")
    def _fits_the_model(self) -> YdLidarOptions:
        model = MODELS[self.model]
        if self.rate_khz is not None and self.rate_khz not in model.rates_khz:
            rates = ", ".join(map(str, model.rates_khz))
            raise ValueError(f"rate_khz of a {model.name} is one of {rates}")
        if self.frequency_hz is not None and not model.steps:
            raise ValueError(f"a {model.name} does not take its frequency by command; leave frequency_hz out")
        low, high = model.rotation_hz
        if self.frequency_hz is not None and not low <= self.frequency_hz <= high:
            raise ValueError(f"frequency_hz of a {model.name} is {low} to {high}")
        return self


def sample_format(model: Model, bits: int, mm_per_count: float | None = None) -> SampleFormat:
    """Return how a model writes samples with so many bits of intensity."""
    unit = _UNIT_WITH_INTENSITY.get(bits, mm_per_count or model.mm_per_count)
    return SampleFormat(bits, unit, model.triangle)


class YdLidar(PacketDriver[YdLidarOptions]):
    """A YDLidar."""

    Options = YdLidarOptions

    def __init__(self, options: YdLidarOptions, clock: Clock, port: str = "") -> None:
        self.model = MODELS[options.model]
        self._rate_khz = options.rate_khz or self.model.rates_khz[0]
        super().__init__(options, clock, port)
        self.silence_s = options.silence_s
        bits = options.intensity if isinstance(options.intensity, int) else self.model.intensity_bits
        self.decoder = PacketDecoder(sample_format(self.model, bits))
        self._width_found = options.intensity != "auto"
        self._samples: Samples | None = None
        self._scanning = False
        # Source: SDK; asked for its frequency, the TG series says 0.4 Hz too much.
        self._offset_hz = 0.4 if self.model.name.startswith("TG") else 0.0

    def streams(self) -> Sequence[Stream]:
        """One stream, a row a sample."""
        return (
            Stream(
                "scan",
                (
                    Channel("distance", "float32", "m", "0 is no return", 0.0, float(self.model.range_m)),
                    Channel("angle", "float32", "deg", "clockwise from the front", 0.0, 360.0),
                    Channel("intensity", "uint16", "", "strength of the return"),
                    Channel("scan", "uint32", "", "number of the revolution"),
                ),
                self._rate_khz * 1000.0,
                f"YDLidar {self.model.name}",
            ),
        )

    def link_load(self) -> LinkLoad | None:
        """Count the bytes of samples and packet heads; a network port has no rate to compare with."""
        address = parse_port(self.port) if self.port else None
        if address is not None and address.kind != "serial":
            return None
        bits = (
            self.options.intensity if isinstance(self.options.intensity, int) else self.model.intensity_bits
        )
        baud = (address.baud if address else 0) or self.model.baud
        return link_load(self._rate_khz, bits, baud, address.bits_per_byte if address else 10)

    # -- life ----------------------------------------------------------------------------------------------
    def open(self) -> Mapping[str, Any]:
        """Open the port, stop a scan left running, and ask who is there."""
        self._link = open_port(self.port, baud=self.model.baud)
        if self.model.single_channel:
            info, device = self._listen(), dict[str, Any]()
        else:
            info, device = self._ask_who()
        return self._described(info) | device

    def _ask_who(self) -> tuple[DeviceInfo | None, dict[str, Any]]:
        commands = Commands(self.link)
        commands.stop()
        info = next((found for _ in range(INFO_TRIES) if (found := commands.info())), None)
        if info is None:
            raise DeviceSilent(
                f"no lidar answers on {self.link.description}",
                hint=f"check power and cable, and that it is a {self.model.name} ({self.model.baud} baud)",
            )
        health = commands.health()
        if health["health"] == "error":
            raise DeviceError(f"the lidar reports an error of its own, code {health['error_code']}", **health)
        self._set_up(commands)
        return info, health

    def _set_up(self, commands: Commands) -> None:
        """Set the rotation and the sampling rate that are configured."""
        if self.options.frequency_hz is not None:
            commands.set_frequency(self.options.frequency_hz, self._offset_hz)
        rates = sorted(self.model.rates_khz)
        codes = {4: 0, 6: 1, 8: 1, 9: 2, 10: 3} if rates[-1] <= 10 else {8: 0, 10: 0, 16: 1, 18: 2, 20: 3}
        if len(rates) > 1 and not commands.set_rate(codes[self._rate_khz], 4):
            log.warning("%s: the sampling rate cannot be confirmed as %d kHz", self.port, self._rate_khz)

    def _listen(self) -> DeviceInfo | None:
        """Wait for the packets that a single-channel lidar sends unasked."""
        self._start_motor()
        data, deadline = b"", time.monotonic() + OPEN_TIMEOUT_S
        decoder = PacketDecoder(self.decoder.format)
        while (left_s := deadline - time.monotonic()) > 0:
            data = (data + self.link.read(left_s))[-8192:]
            decoder.decode(data)
            if decoder.packets_good or (self.options.intensity == "auto" and decoder.packets_bad):
                return find_info(data)
        raise DeviceSilent(
            f"no packets of a {self.model.name} on {self.link.description}",
            hint="check its power, the model and the baud rate",
        )

    def _described(self, info: DeviceInfo | None) -> dict[str, Any]:
        device: dict[str, Any] = {"model": self.model.name}
        if info is None:
            return device
        device |= {
            "model_id": info.model_id,
            "firmware": info.firmware,
            "hardware": info.hardware,
            "serial_number": info.serial,
        }
        if info.model_id not in self.model.ids:
            could_be = [m.name for m in MODELS.values() if info.model_id in m.ids]
            device["warning"] = (
                f"configured as {self.model.name}, but the device says model {info.model_id}"
                + (f" ({', '.join(could_be)})" if could_be else "")
            )
            log.warning("%s: %s", self.port, device["warning"])
        if self.model.name.startswith("TG") and info.firmware_number <= (1, 2):
            # Source: SDK; early firmware of the TG series counts in half millimetres.
            self.decoder.format = sample_format(self.model, self.decoder.format.intensity_bits, 0.5)
        return device

    def start(self) -> None:
        """Start the motor and the scan."""
        super().start()
        self.decoder.lose_step()
        if not self.model.single_channel:
            self._start_motor()
            self.buffer = Commands(self.link).scan()
        self._scanning = True
        self.check_silence(heard=True)

    def _start_motor(self) -> None:
        if self.link.set_dtr(False):
            time.sleep(MOTOR_LOW_S)
            self.link.set_dtr(True)
            time.sleep(MOTOR_START_S)

    def stop(self) -> None:
        """Stop the scan and the motor."""
        self._scanning = False
        if not self.model.single_channel:
            Commands(self.link).stop()
            self.link.set_dtr(False)

    def close(self) -> None:
        """Stop the scan if it runs, and let go of the port."""
        if self._link is not None and self._scanning:
            try:
                self.stop()
            except DeviceError:  # it is gone; that is why we close
                pass
        self._scanning = False
        super().close()

    # -- samples -------------------------------------------------------------------------------------------
    def decode(self, buffer: bytes) -> tuple[Sequence[Column], int]:
        """Decode all whole packets at once."""
        decoder = self.decoder
        found = decoder.decode(buffer)
        self.counters.frames_good = decoder.packets_good
        self.counters.frames_bad = decoder.packets_bad
        self.counters.resyncs = decoder.resyncs
        if not self._width_found:
            self._find_width()
        self._samples = found
        return (found.distance, found.angle, found.intensity, found.scan), found.consumed

    def _find_width(self) -> None:
        """Try the next width of intensity after two bad packets in a row (as the SDK does)."""
        decoder = self.decoder
        if decoder.bad_in_a_row >= 2:
            bits = _NEXT_WIDTH[decoder.format.intensity_bits]
            decoder.format = sample_format(self.model, bits)
            decoder.bad_in_a_row = decoder.good_in_a_row = 0
        elif decoder.good_in_a_row >= _LOCK_PACKETS:
            self._width_found = True
            log.info("%s: samples carry %d bits of intensity", self.port, decoder.format.intensity_bits)

    def delay_ns(self, pending_bytes: int) -> float:
        """Add the wire time of one packet: its last sample was taken before its first byte was sent."""
        packet_bytes = HEAD_BYTES + PACKET_SAMPLES * self.decoder.format.nbytes
        return super().delay_ns(pending_bytes + packet_bytes)

    def rows(self, columns: Sequence[Column], arrival_ns: int) -> Rows:
        """Spread the samples in time, with room for those that were lost between."""
        ticks = self._samples.ticks if self._samples else None
        delay_ns = self.delay_ns(len(self.buffer))
        times = self.times.stamp(len(columns[0]), arrival_ns, delay_ns, ticks)
        return Rows("scan", times, columns)

    @property
    def rotation_hz(self) -> float | None:
        """The rotation that the last zero packet told; None on models that do not measure it."""
        raw = self.decoder.frequency_raw
        return raw / 10 + self.model.frequency_offset_hz if raw else None

    # -- commands ------------------------------------------------------------------------------------------
    @command
    def set_frequency(self, frequency_hz: float) -> dict[str, Any]:
        """Set the rotation, in Hz, by the steps that the lidar knows; answers with the one reached."""
        low, high = self.model.rotation_hz
        if not self.model.steps:
            raise Refused(f"a {self.model.name} does not take its frequency by command", hint="turn its PWM")
        if not low <= frequency_hz <= high:
            raise InvalidInput(f"the frequency of a {self.model.name} is {low} to {high} Hz")
        return {
            "frequency_hz": round(
                self._between_scans(lambda c: c.set_frequency(frequency_hz, self._offset_hz)), 2
            )
        }

    @command
    def health(self) -> dict[str, Any]:
        """Ask the lidar how it is: ok, warning or error, with its error code."""
        return self._between_scans(lambda c: c.health())

    @command
    def rotation(self) -> dict[str, Any]:
        """Return the rotation that the lidar measured last, in Hz; null if its model does not tell."""
        return {"rotation_hz": self.rotation_hz}

    def _between_scans(self, ask: Callable[[Commands], _T]) -> _T:
        """Stop the scan, ask, and scan again: while it scans, a lidar hears only the command to stop."""
        if self.model.single_channel:
            raise Refused(f"a {self.model.name} takes no commands")
        commands = Commands(self.link)
        if not self._scanning:
            return ask(commands)
        commands.stop()
        try:
            return ask(commands)
        finally:
            self.buffer = commands.scan()
            self.decoder.lose_step()
            self.check_silence(heard=True)
