"""The shapes of `/v1`, for whoever reads `/docs`, and for checking what a client sends.

What is answered may carry more fields than are written here, never fewer.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from kymograph.model.errors import KymographError
from kymograph.model.limits import (
    CHANNELS_MAX,
    COMMAND_LATE_S_MAX,
    COMMAND_LATE_S_MIN,
    METADATA_BYTES_MAX,
    NAME_CHARS_MAX,
    PRE_TRIGGER_S_MAX,
    SEGMENT_INTERVAL_S_MIN,
)
from kymograph.model.names import safe_name
from kymograph.web.problems import encode

T = TypeVar("T")


def _name(value: str) -> str:
    try:
        return safe_name(value)
    except KymographError as error:
        raise ValueError(str(error)) from None


def _small(value: dict[str, Any]) -> dict[str, Any]:
    if len(encode(value)) > METADATA_BYTES_MAX:
        raise ValueError(f"larger than {METADATA_BYTES_MAX} bytes of JSON")
    return value


Name = Annotated[str, Field(max_length=NAME_CHARS_MAX, pattern="^[A-Za-z0-9_-]"), AfterValidator(_name)]
Notes = Annotated[dict[str, Any], AfterValidator(_small)]
Words = Annotated[str, Field(max_length=NAME_CHARS_MAX)]


class Answer(BaseModel):
    """Anything that is answered."""

    model_config = ConfigDict(extra="allow")


class Wish(BaseModel):
    """Anything that is asked for; unknown fields are refused, so that a typing error is noticed."""

    model_config = ConfigDict(extra="forbid")


class Problem(Answer):
    """Why something could not be done."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    """Stable; see `model/errors.py`."""
    detail: str
    hint: str
    facts: dict[str, Any]


class Page(BaseModel, Generic[T]):
    """A part of a list; `next`, given as `cursor`, asks for the following part."""

    items: list[T]
    next: str | None = None


class Disk(Answer):
    """The disk that holds the data folder."""

    state: str
    free_bytes: int
    total_bytes: int


class StationOut(Answer):
    """Who this is."""

    name: str
    id: str
    version: str
    started_ns: int
    started: str
    now_ns: int
    now: str
    simulated: bool
    disk: Disk
    clock: dict[str, Any]
    readings: dict[str, Any] | None = None
    """What is composed each interval, and the newest; null where nothing is."""
    features: list[str] = []
    """What else there is here: `fleet` on a hub, `readings` and `retention` where readings are kept."""


class HealthOut(Answer):
    """Counters of an instrument's link."""

    bytes_received: int
    frames_good: int
    frames_bad: int
    resyncs: int
    reopens: int
    rows: int
    rate_hz: float
    age_s: float | None


class InstrumentOut(Answer):
    """What an instrument is doing."""

    name: str
    driver: str
    state: Literal["closed", "idle", "acquiring", "fault"]
    health: HealthOut
    streams: list[str]
    port: str
    device: dict[str, Any]
    error: str
    retry_in_s: float | None
    simulated: bool
    paused: bool = False
    activity: str = ""
    """What its driver is doing this second, if that takes long."""


class Command(Answer):
    """Something that a driver can be told to do."""

    name: str
    description: str = ""
    arguments: dict[str, Any] = {}


class InstrumentDetail(InstrumentOut):
    """An instrument with its options, their JSON schema, and its commands."""

    options: dict[str, Any]
    options_schema: dict[str, Any]
    commands: list[Command]


class Settings(Wish):
    """Options to change; the others stay as they are."""

    options: Notes = {}
    port: Annotated[str | None, Field(max_length=256)] = None
    """Where the device is from now on: `serial:///dev/ttyUSB0?baud=9600`, `tcp://host:number`."""


class Arguments(Wish):
    """What a command is given, and, of what moves something, by whom and under which lease."""

    arguments: Notes = {}
    by: Words = ""
    fence: int | None = None
    late_s: Annotated[float | None, Field(ge=COMMAND_LATE_S_MIN, le=COMMAND_LATE_S_MAX)] = None
    """How long it may wait to be sent; what is later than that never goes. Of what moves, 2 s if left out."""


class ChannelOut(Answer):
    """One measured quantity."""

    name: str
    dtype: str
    unit: str
    """A UCUM code; "" is dimensionless."""
    description: str
    low: float | None
    high: float | None
    labels: list[str] = []
    """Words for the values 0, 1, 2, …"""


class StreamOut(Answer):
    """Channels that share a clock, and what memory holds of them."""

    name: str
    rate_hz: float
    description: str
    channels: list[ChannelOut]


class LiveStreamOut(StreamOut):
    """A stream with its place: the next row is `next_seq` of `epoch`."""

    instrument: str
    epoch: int
    next_seq: int
    ring: dict[str, Any]


class LatestOut(Answer):
    """The newest row of a stream."""

    stream: str
    epoch: int
    seq: int
    time_ns: int
    time: str
    values: dict[str, float | int | None]


class Peaks(BaseModel):
    """The least and greatest values of a channel, one pair a point."""

    min: list[float | int | None]
    max: list[float | int | None]


class DataOut(Answer):
    """Rows (`raw`), or their peaks (`minmax`) if there are more rows than points were asked for."""

    stream: str
    mode: Literal["raw", "minmax"]
    rows: int
    time_ns: list[int]
    columns: dict[str, list[float | int | None] | Peaks]


class EventOut(Answer):
    """One thing that happened."""

    id: str
    time_ns: int
    time: str
    source: str
    kind: str
    body: dict[str, Any]
    revision: int


class RecordingIn(Wish):
    """What to record. Nothing named is everything."""

    name: Name
    streams: Annotated[list[Words], Field(max_length=CHANNELS_MAX)] | None = None
    instruments: Annotated[list[Words], Field(max_length=CHANNELS_MAX)] | None = None
    format: Words | None = None
    segment_interval_s: Annotated[float, Field(ge=SEGMENT_INTERVAL_S_MIN, le=86_400)] | None = None
    metadata: Notes = {}
    merge: bool = False
    """Whether to make one file of all segments once it has ended."""
    pre_s: Annotated[float, Field(ge=0, le=PRE_TRIGGER_S_MAX)] = 0.0
    """Begin with what the rings hold of so many last seconds; `metadata.pre_s_given` says how many."""


class PromoteIn(Wish):
    """What of the past to keep. Nothing named is everything."""

    name: Name
    seconds: Annotated[float, Field(gt=0, le=PRE_TRIGGER_S_MAX)]
    """How far back; `metadata.promoted_s_given` says how far the rings went."""
    streams: Annotated[list[Words], Field(max_length=CHANNELS_MAX)] | None = None
    instruments: Annotated[list[Words], Field(max_length=CHANNELS_MAX)] | None = None
    format: Words | None = None
    metadata: Notes = {}


class RecordingOut(Answer):
    """A recording, running or ended."""

    id: str
    name: str
    streams: list[StreamOut]
    format: str
    segment_interval_s: float
    started_ns: int
    started: str
    ended_ns: int | None
    ended_at: str | None
    ended: str
    """`recording`, or how it ended: `stop`, `crash`, `disk full`, `disk failed`."""
    running: bool
    rows: int
    size_bytes: int
    segments: int
    merge: bool
    metadata: dict[str, Any]
    origin: dict[str, Any]
    pinned: bool = False
    """Whether retention leaves it alone."""


class MetadataIn(Wish):
    """What to change of a recording."""

    metadata: Notes = Field(default_factory=dict)
    """Notes to add; a key set to null is removed."""
    pinned: bool | None = None
    """Keep retention from it, or no more."""


class DriverOut(Answer):
    """A kind of instrument that can be configured."""

    name: str
    description: str
    options_schema: dict[str, Any]


class FormatOut(Answer):
    """A file format for recordings and exports."""

    name: str
    suffix: str
    media_type: str


class SessionIn(Wish):
    """A key to begin a session with."""

    key: Annotated[str, Field(max_length=128)]


class SessionOut(Answer):
    """Who the station takes the caller for."""

    name: str
    scopes: list[str]
    key_needed: bool
    """Whether a key would open more."""
