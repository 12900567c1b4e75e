"""The options of the driver `stm32`, and the arithmetic of what they put on the link."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, model_validator

from kymograph.drivers import stm32_frames as frames
from kymograph.drivers.base import DriverOptions, LinkLoad
from kymograph.drivers.ports import parse_port
from kymograph.drivers.stm32_channels import NAMES, stream
from kymograph.drivers.stm32_text import LINE_BYTES
from kymograph.model.limits import LINK_LOAD_MAX

USB_BYTES_PER_S: Final = 1_150_000
"""What USB full speed carries to a host that reads fast, as measured; its bound is 1.216 MB/s."""
RATE_HZ_MIN: Final = 16.0
"""Of frames: they tell the period in 16 bits of microseconds."""


class Stm32Options(DriverOptions):
    """Options of the driver `stm32`."""

    protocol: Literal["text", "frames"] = "text"
    rate_hz: float = Field(default=50.0, gt=0, le=1_000_000)
    channels: tuple[str, ...] = Field(default=NAMES, min_length=1, max_length=frames.CHANNELS_MAX)
    scale: dict[str, float] = Field(default={})
    offset: dict[str, float] = Field(default={})
    batch: int = Field(default=10, ge=1, le=255)
    link: Literal["uart", "usb"] = "uart"
    link_bytes_per_s: float | None = Field(default=None, gt=0)
    """What the link carries, where neither its baud rate nor USB full speed say it."""
    acknowledges: bool = True
    ack_timeout_s: float = Field(default=1.0, ge=0.05, le=10)
    heart_beat_s: float = Field(default=0.5, ge=0, le=10)
    """Seconds between two signs of life in frames; 0 gives none."""
    heart_beat_timeout_s: float = Field(default=2.0, ge=0.1, le=60)
    """After so long without one the device takes its safe state."""
    device: str = ""
    safe: str = Field(default="000000000", pattern="^[01]{9}$")
    block_s: float | None = Field(default=None, ge=0.001, le=0.1)
    """Rows travel in blocks of so long; shorter is sooner, longer is less work. Else it goes by the rate."""
    silence_s: float = Field(default=5.0, ge=0.5, le=60)
    stuck_s: float = Field(default=0.0, ge=0, le=3600)
    """Of frames: with every count the same for longer than this, that is counted and told; 0 never."""

    @model_validator(mode="after")
    def _fits(self) -> Stm32Options:
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("channels: a name is there twice")
        stream(self.channels, self.rate_hz)
        own = self.channels != NAMES or self.device or self.scale or self.offset or self.stuck_s
        if self.protocol == "text" and own:
            raise ValueError('channels, scale, offset, device and stuck_s are for protocol = "frames"')
        if self.protocol == "frames" and self.rate_hz < RATE_HZ_MIN:
            raise ValueError(f"rate_hz of frames is at least {RATE_HZ_MIN:g}")
        if unknown := sorted((self.scale.keys() | self.offset.keys()) - set(self.channels)):
            raise ValueError(f"scale and offset name what is no channel: {', '.join(unknown)}")
        if self.heart_beat_s * 2 > self.heart_beat_timeout_s:
            raise ValueError("heart_beat_timeout_s must be at least twice heart_beat_s")
        return self


def link_load(o: Stm32Options, port: str, baud: int) -> LinkLoad | None:
    """Return what the samples put on the link; a network port has no rate to compare with."""
    address = parse_port(port) if port else None
    if address is not None and address.kind != "serial" and o.link_bytes_per_s is None:
        return None
    if o.link_bytes_per_s is not None:
        carried, link = o.link_bytes_per_s, f"the link carries {o.link_bytes_per_s:.0f}"
    elif o.link == "usb":
        carried, link = float(USB_BYTES_PER_S), f"USB full speed carries {USB_BYTES_PER_S}"
    else:
        baud = (address.baud if address else 0) or baud
        carried = baud / (address.bits_per_byte if address else 10)
        link = f"{baud} baud carry {carried:.0f}"
    text = o.protocol == "text"
    each = float(LINE_BYTES) if text else frames.sample_bytes(len(o.channels), o.batch)
    needed = o.rate_hz * each
    what = "text" if text else f"{len(o.channels)} channels in frames of {o.batch}"
    arithmetic = (
        f"{o.rate_hz:g} samples/s of {each:.4g} bytes ({what}) are {needed:.0f} bytes/s, {link}; "
        f"at most {int(carried * LINK_LOAD_MAX / each)} samples/s fit"
    )
    return LinkLoad(needed, carried, arithmetic)


def rate_warning(options: Stm32Options, rate_hz: object) -> str:
    """Return what to say if the device sends at another rate than is configured, "" if it does not."""
    if isinstance(rate_hz, float) and abs(rate_hz / options.rate_hz - 1) > 0.01:
        return f"configured for {options.rate_hz:g} Hz, the device sends {rate_hz:g} Hz"
    return ""
