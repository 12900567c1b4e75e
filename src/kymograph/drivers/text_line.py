"""Any instrument that sends lines of text, on a serial port or in the network, without a program of its own.

    [instruments.weather]
    driver = "text_line"
    port = "serial:///dev/ttyUSB0?baud=4800"

    [instruments.weather.options]
    separator = ","                     # "12.3,1013.2,45"; or `pattern`, or `pairs`
    rate_hz = 1.0                       # 0: whenever it likes
    channels = [
      { name = "temperature", unit = "Cel" },
      { name = "pressure", unit = "hPa" },
      { name = "humidity", unit = "%", low = 0, high = 100 },
    ]

`pairs = true` takes `T: 12.3 C, P: 1013.2`, each channel by its `key`; `pattern = 'T(?P<t>[-.0-9]+)'`
takes what groups match, each channel by its `group`. Keys and groups are the channels' names unless they say
otherwise. A unit behind a number counts for nothing; what is no number makes the whole line bad.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import Field, field_validator, model_validator

from kymograph.drivers.base import DriverOptions
from kymograph.drivers.sample_clock import SampleClock
from kymograph.drivers.shapes import LineDriver
from kymograph.drivers.text_line_reading import (
    Columns,
    LineReading,
    Pairs,
    Pattern,
    check_pattern,
    to_number,
)
from kymograph.model.block import Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import DeviceError, InvalidInput
from kymograph.model.limits import CHANNELS_MAX, LINE_BYTES_MAX

SILENCE_S: Final = 60.0
"""Of an instrument that sends whenever it likes."""
SILENCE_PERIODS: Final = 5
SLOW_S: Final = 0.2
"""Of the processor's time for one line: a pattern that takes longer holds everything else up."""


class ChannelOptions(DriverOptions):
    """One channel, and where its number is in a line."""

    name: str
    unit: str = ""
    dtype: Literal["float64", "float32", "int32", "int64"] = "float64"
    description: str = ""
    low: float | None = None
    high: float | None = None
    column: int | None = Field(default=None, ge=1, le=1000)
    """With `separator`: the first is 1; its place in the list unless given."""
    key: str | None = None
    """With `pairs`: its name unless given."""
    group: str | None = None
    """With `pattern`: its name unless given."""

    def channel(self) -> Channel:
        """Return the channel."""
        return Channel(self.name, self.dtype, self.unit, self.description, self.low, self.high)


class TextLineOptions(DriverOptions):
    """Options of the driver `text_line`."""

    channels: tuple[ChannelOptions, ...] = Field(min_length=1, max_length=CHANNELS_MAX)
    separator: str | None = Field(default=None, min_length=1, max_length=16)
    """Between columns; " " stands for any white space."""
    columns: int | None = Field(default=None, ge=1, le=1000)
    """With `separator`: so many, or the line is bad."""
    pattern: str | None = Field(default=None, min_length=1, max_length=1000)
    """A regular expression with a named group for each channel, searched for in the line."""
    pairs: bool = False
    between: str = Field(default="", max_length=16)
    """With `pairs`: what separates them; commas, semicolons and white space unless given."""
    decimal_comma: bool = False
    missing: Literal["bad", "nan"] = "bad"
    """What a line without one of its numbers is: bad, or a row with NaN in its place."""
    skip: tuple[str, ...] = Field(default=(), max_length=100)
    """Lines that begin with one of these hold no values, and are not bad."""
    checksum: Literal["none", "nmea"] = "none"
    """`nmea`: the line ends with `*` and the exclusive-or of what is between `$` and it."""
    begin: str = Field(default="", max_length=1000)
    """Text to send once, so that the instrument begins."""
    poll: str = Field(default="", max_length=1000)
    """Text to send each time, `rate_hz` times a second, so that the instrument answers."""
    rate_hz: float = Field(default=0.0, ge=0, le=10_000)
    """How often lines come; 0 is irregular."""
    line_end: str = Field(default="\n", min_length=1, max_length=8)
    line_bytes_max: int = Field(default=1024, ge=8, le=LINE_BYTES_MAX)
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    silence_s: float | None = Field(default=None, gt=0, le=86_400)
    """Without a good line for so long it counts as silent; five periods, at least 5 s, or a minute."""

    @field_validator("pattern")
    @classmethod
    def _usable(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            check_pattern(pattern)
        return pattern

    @model_validator(mode="after")
    def _consistent(self) -> TextLineOptions:
        try:
            Stream("line", tuple(channel.channel() for channel in self.channels))
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        chosen = [self.separator is not None, self.pattern is not None, self.pairs]
        if sum(chosen) != 1:
            raise ValueError("give exactly one of separator, pattern and pairs = true")
        self._check_places()
        if self.poll and not self.rate_hz:
            raise ValueError("poll needs rate_hz: how often to ask")
        if self.decimal_comma and "," in (self.separator, self.between):
            raise ValueError("with decimal_comma a comma cannot separate values too")
        whole = [channel.name for channel in self.channels if "int" in channel.dtype]
        if self.missing == "nan" and whole:
            raise ValueError(f"missing = 'nan' needs channels of floating point: {', '.join(whole)}")
        return self

    def _check_places(self) -> None:
        mode = "column" if self.separator is not None else "key" if self.pairs else "group"
        for channel in self.channels:
            strange = {"column", "key", "group"} - {mode}
            if given := sorted(name for name in strange if getattr(channel, name) is not None):
                raise ValueError(f"channel {channel.name}: {given[0]} does not go with this kind of line")
        if (self.columns is not None and mode != "column") or (self.between and mode != "key"):
            raise ValueError("columns goes with separator, and between with pairs")
        if self.columns is not None and max(self.column_numbers()) > self.columns:
            raise ValueError(f"a channel is in column {max(self.column_numbers())} of {self.columns}")
        if self.pattern is not None:
            there = set(check_pattern(self.pattern).groupindex)
            if lacking := [group for group in self.group_names() if group not in there]:
                raise ValueError(f"the pattern has no group called {lacking[0]}: write (?P<{lacking[0]}>…)")

    def column_numbers(self) -> list[int]:
        """Return the column of each channel."""
        return [channel.column or i for i, channel in enumerate(self.channels, 1)]

    def group_names(self) -> list[str]:
        """Return the group of each channel."""
        return [channel.group or channel.name for channel in self.channels]

    def reading(self) -> LineReading:
        """Return how a line is to be taken apart."""
        if self.separator is not None:
            return Columns(self.separator, self.column_numbers(), self.columns)
        if self.pattern is not None:
            return Pattern(self.pattern, self.group_names())
        keys = [channel.key or channel.name for channel in self.channels]
        return Pairs(keys, self.between, self.decimal_comma)


class TextLine(LineDriver[TextLineOptions]):
    """Any instrument that sends lines of text."""

    Options = TextLineOptions

    def __init__(self, options: TextLineOptions, clock: Clock, port: str = "") -> None:
        super().__init__(options, clock, port)
        self.terminator = options.line_end.encode(options.encoding)
        self.line_bytes_max = options.line_bytes_max
        self.skip_first = not options.poll
        regular_s = max(5.0, SILENCE_PERIODS / options.rate_hz) if options.rate_hz else SILENCE_S
        self.silence_s = options.silence_s or regular_s
        self._reading = options.reading()
        self._poll_at_ns = 0
        if options.poll:
            # An answer is taken when it comes, however evenly it is asked for.
            self._times = SampleClock(clock, 0.0)

    def streams(self) -> Sequence[Stream]:
        """Return the one stream."""
        channels = tuple(channel.channel() for channel in self.options.channels)
        return [Stream("line", channels, self.options.rate_hz, "lines of text")]

    def start(self) -> None:
        """Tell the instrument to begin, if it has to be told."""
        super().start()
        self._poll_at_ns = self.clock.monotonic_ns()
        if self.options.begin:
            self.link.write(self.options.begin.encode(self.options.encoding))

    def read(self, timeout_s: float) -> Sequence[Rows]:
        """Ask when it is time to, and return the rows of the lines that have arrived whole."""
        if self.options.poll:
            timeout_s = self._ask(timeout_s)
        return super().read(timeout_s)

    def _ask(self, timeout_s: float) -> float:
        """Send what asks if that is due, and return how long to wait for an answer."""
        now_ns, period_ns = self.clock.monotonic_ns(), 1e9 / self.options.rate_hz
        if now_ns >= self._poll_at_ns:
            self.link.write(self.options.poll.encode(self.options.encoding))
            behind = math.floor((now_ns - self._poll_at_ns) / period_ns)
            self._poll_at_ns += int((behind + 1) * period_ns)
        return min(timeout_s, (self._poll_at_ns - now_ns) / 1e9)

    def parse(self, line: bytes) -> Sequence[float] | None:
        """Return the numbers of a line; None for one that is skipped.

        Raises:
            ValueError: the line makes no sense.
            DeviceError: the pattern takes too long for it.
        """
        options = self.options
        text = line.decode(options.encoding, "replace")
        if text.startswith(options.skip):
            return None
        if options.checksum == "nmea":
            text = _checked(line).decode(options.encoding, "replace")
        began_s = time.thread_time()
        fields = self._reading.fields(text)
        if time.thread_time() - began_s > SLOW_S:
            raise DeviceError(
                f"the pattern takes {time.thread_time() - began_s:.1f} s for one line",
                hint="make it simpler: [^,]* instead of .*, and no parts that fit the same text",
            )
        return self._numbers(fields)

    def _numbers(self, fields: Sequence[str | None]) -> list[float]:
        options = self.options
        numbers: list[float] = []
        for channel, field in zip(options.channels, fields, strict=True):
            number = None if field is None else to_number(field, channel.dtype, options.decimal_comma)
            if number is None and options.missing == "bad":
                raise ValueError(f"{channel.name} is missing")
            numbers.append(math.nan if number is None else number)
        if all(math.isnan(number) for number in numbers):
            raise ValueError("every number is missing")
        return numbers


def _checked(line: bytes) -> bytes:
    """Return what stands between `$` (or `!`) and `*` where the checksum behind that is right (NMEA 0183)."""
    body, star, said = line.lstrip(b"$!").rpartition(b"*")
    exclusive_or = 0
    for byte in body:
        exclusive_or ^= byte
    if not star or said.strip().upper() != b"%02X" % exclusive_or:
        raise ValueError("the checksum is wrong")
    return body
