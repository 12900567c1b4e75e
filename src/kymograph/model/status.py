"""What is going on this second: of an instrument, a stream, a running recording, a station."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

CLOSED: Final = "closed"
IDLE: Final = "idle"
ACQUIRING: Final = "acquiring"
FAULT: Final = "fault"
STATES: Final = (CLOSED, IDLE, ACQUIRING, FAULT)
"""The states of an instrument: closed → idle → acquiring, and fault from any with re-opening."""


@dataclass(frozen=True, slots=True)
class Health:
    """Counters of one instrument's link since it was made; plural, outcome last."""

    bytes_received: int = 0
    frames_good: int = 0
    frames_bad: int = 0
    resyncs: int = 0
    reopens: int = 0
    rows: int = 0
    rate_hz: float = 0.0
    """Rows a second over the last seconds."""
    age_s: float | None = None
    """Since the last row; None before the first."""


@dataclass(frozen=True, slots=True)
class InstrumentStatus:
    """One instrument as anyone may see it."""

    name: str
    driver: str
    state: str
    health: Health
    streams: tuple[str, ...]
    port: str = ""
    device: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the device says of itself: model, firmware, serial number."""
    error: str = ""
    """Why it is in `fault`, in a sentence."""
    retry_in_s: float | None = None
    simulated: bool = False
    paused: bool = False
    """Whether it was acquiring and was told to rest; `resume` goes on."""
    activity: str = ""
    """What its driver is doing this second, if that takes long."""

    def to_dict(self) -> dict[str, Any]:
        """Return the status as plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class StreamDurability:
    """How far one stream of a running recording has got; `durable_seq` is the first row not yet safe."""

    stream: str
    epoch: int
    next_seq: int
    durable_seq: int
    rows: int
    rows_lost: int


@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """A running recording."""

    recording_id: str
    name: str
    started_ns: int
    rows: int
    rows_lost: int
    size_bytes: int
    segments: int
    queue_bytes: int
    streams: tuple[StreamDurability, ...] = ()
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the status as plain data."""
        return asdict(self)
