"""The bodies of batches: JSON lines, one row a line, each checked before any of them is taken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal, Protocol, TypeVar

import msgspec

from kymograph.model.errors import InvalidInput, KymographError
from kymograph.model.limits import BATCH_ROWS_MAX, READING_BYTES_MAX
from kymograph.model.names import safe_name

READINGS: Final = "readings"
EVENTS: Final = "events"
SEGMENTS: Final = "segments"
STREAMS: Final = (READINGS, EVENTS, SEGMENTS)
Stream = Literal["readings", "events", "segments"]

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_ZERO: Final = re.compile(rb"(?:^|[^\\])(?:\\\\)*\\u0000")
_TOLD_MAX: Final = 20


class ReadingRow(msgspec.Struct, frozen=True, gc=False):
    """A row of `readings`."""

    seq: Count
    device_id: Word
    time_ns: Whole
    local_ns: Whole
    payload: msgspec.Raw


class EventRow(msgspec.Struct, frozen=True):
    """A row of `events`."""

    seq: Count
    id: Word
    time_ns: Whole
    source: Word
    kind: Word
    body: dict[str, Any] = {}
    revision: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    recording_id: Word | None = None


class SegmentRow(msgspec.Struct, frozen=True):
    """A row of `segments`; what else it says is kept as it is."""

    seq: Count
    recording_id: Word
    filename: Word
    sha256: Sha256
    size_bytes: Count
    first_ns: Whole | None = None
    last_ns: Whole | None = None


class _Row(Protocol):
    @property
    def seq(self) -> int: ...


RowT = TypeVar("RowT", bound=_Row)

_READINGS: Final = msgspec.json.Decoder(ReadingRow)
_EVENTS: Final = msgspec.json.Decoder(EventRow)
_SEGMENTS: Final = msgspec.json.Decoder(SegmentRow)
_PLAIN: Final = msgspec.json.Decoder()


def payload_fault(payload: bytes) -> str:
    """Return what is wrong with a reading's payload, "" if nothing."""
    if payload[:1] != b"{":
        return "its payload is no JSON object"
    if len(payload) > READING_BYTES_MAX:
        return f"its payload is larger than {READING_BYTES_MAX} bytes"
    if b"\\u0000" in payload and _ZERO.search(payload):
        return "its payload has a text with a zero byte in it"
    return ""


def readings_of(body: bytes, first: int, last: int) -> list[ReadingRow]:
    """Return the readings of a batch.

    Raises:
        InvalidInput: what is wrong, and in which line.
    """
    rows = _rows(_READINGS, body, first, last)
    for row in rows:
        if wrong := payload_fault(bytes(row.payload)):
            raise InvalidInput(f"row {row.seq}: {wrong}")
    return rows


def events_of(body: bytes, first: int, last: int) -> list[EventRow]:
    """Return the events of a batch; see `readings_of`."""
    _check_text(body)
    return _rows(_EVENTS, body, first, last)


def segments_of(body: bytes, first: int, last: int) -> list[tuple[SegmentRow, dict[str, Any]]]:
    """Return the segments of a batch, each also as it came; see `readings_of`."""
    _check_text(body)
    rows = _rows(_SEGMENTS, body, first, last)
    for row in rows:
        try:
            safe_name(row.filename, "file name")
            safe_name(row.recording_id, "recording's id")
        except KymographError as error:
            raise InvalidInput(f"row {row.seq}: {error.message}") from None
    return list(zip(rows, _PLAIN.decode_lines(body), strict=True))


def _check_text(body: bytes) -> None:
    if b"\\u0000" in body and _ZERO.search(body):
        raise InvalidInput("there is a text with a zero byte in it")


def _rows(decoder: msgspec.json.Decoder[RowT], body: bytes, first: int, last: int) -> list[RowT]:
    try:
        body.decode()
        rows = decoder.decode_lines(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise InvalidInput("; ".join(_faults(decoder, body)) or "it is no JSON") from None
    if len(rows) > BATCH_ROWS_MAX:
        raise InvalidInput(f"it has more than {BATCH_ROWS_MAX} rows")
    _check_order(rows, first, last)
    return rows


def _check_order(rows: Sequence[_Row], first: int, last: int) -> None:
    before = first - 1
    for row in rows:
        if not before < row.seq <= last:
            raise InvalidInput(f"row {row.seq} does not rise, or lies outside of {first} to {last}")
        before = row.seq


def _faults(decoder: msgspec.json.Decoder[Any], body: bytes) -> Iterable[str]:
    """Yield what is wrong in the first few lines that are wrong."""
    told = 0
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            line.decode()
            decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            told += 1
            yield f"line {number}: {error}"[:200]
        if told == _TOLD_MAX:
            return
