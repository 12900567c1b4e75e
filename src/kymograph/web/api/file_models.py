"""The shapes of `/v1` for a recording's files: what there is, how complete it is, and who has a copy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from kymograph.web.api.models import Answer, Wish


class SegmentOut(Answer):
    """A sealed file."""

    stream: str
    index: int
    filename: str
    rows: int
    size_bytes: int
    sha256: str
    first_ns: int
    last_ns: int
    sealed_ns: int
    runs: list[list[int]]
    """`[row, epoch, seq]` of each unbroken run: the row in this file that it begins with, and its number."""


class ManifestOut(Answer):
    """The sealed files of a recording, as `manifest.json` lists them."""

    recording_id: str
    segments: list[SegmentOut]


class FileOut(Answer):
    """A file of a recording."""

    filename: str
    kind: Literal["sealed", "journal", "events", "description", "sums", "attachment"]
    size_bytes: int
    sha256: str | None


class AmountOut(Answer):
    """So many files, rows and bytes."""

    segments: int
    rows: int
    size_bytes: int


class VerifiedOut(AmountOut):
    """What was hashed to what was sealed, and has not changed since."""

    at_ns: int | None


class MissingOut(Answer):
    """Rows that are missing, `to_seq` exclusive; null is what nobody can know."""

    epoch: int
    from_seq: int
    to_seq: int | None
    rows: int | None
    from_ns: int | None
    until_ns: int | None
    reason: str
    files: list[str]


class StreamLedgerOut(Answer):
    """The completeness of one stream."""

    stream: str
    epochs: int
    expected_rows: int
    held_rows: int
    verified_rows: int
    tail_rows: int
    first_ns: int | None
    last_ns: int | None
    missing: list[MissingOut]


class FileLedgerOut(Answer):
    """A sealed file, and whether it is there as it was sealed."""

    filename: str
    stream: str
    index: int
    rows: int
    size_bytes: int
    sha256: str
    state: Literal["verified", "held", "missing", "differs"]


class LedgerOut(Answer):
    """The completeness of a recording."""

    recording_id: str
    name: str
    folder: str
    side: Literal["source", "mirror"]
    source: dict[str, Any] | None
    running: bool
    state: Literal["complete", "incomplete", "running", "damaged"]
    complete: bool
    summary: str
    expected: AmountOut
    held: AmountOut
    verified: VerifiedOut
    streams: list[StreamLedgerOut]
    root_hash: str
    """SHA-256 of the file SHA256SUMS: what `sha256sum SHA256SUMS` says."""
    files: list[FileLedgerOut]
    checked_ns: int


class HeldMirrorOut(Answer):
    """A recording of another station that is mirrored here."""

    recording_id: str
    name: str
    station: str
    url: str
    state: Literal["running", "partial", "whole"]
    held: int
    expected: int
    """Sealed files."""
    last_contact_ns: int
    last_contact: str
    error: str


class MirrorIn(Wish):
    """How far a mirror has got with a recording."""

    state: Literal["running", "partial", "whole"]
    expected: Annotated[int, Field(ge=0)]
    held: Annotated[int, Field(ge=0)]
    """Sealed files."""
    rows: Annotated[int, Field(ge=0)]
    """In the sealed files that are held."""
    tail_bytes: Annotated[int, Field(ge=0)] = 0


class MirrorOut(Answer):
    """A mirror of one of our recordings, by its own word."""

    name: str
    state: Literal["running", "partial", "whole"]
    expected: int
    held: int
    rows: int
    tail_bytes: int
    heard_ns: int
    heard: str
