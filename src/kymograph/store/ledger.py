"""The completeness ledger of a recording: expected, held, verified, and which rows are missing and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from kymograph.store.gaps import DELETED

VERIFIED, HELD, MISSING, DIFFERS = "verified", "held", "missing", "differs"
"""States of a file: hashed and unchanged since, there with the right size, not there, not what was sealed."""
QUIET: Final = frozenset({"device silent", "paused", "stopped", "epoch"})
"""Reasons of silences: no row was made, so none is missing."""


@dataclass(frozen=True, slots=True)
class MissingRows:
    """Rows that are missing, `to_seq` exclusive; numbers and times are None where nobody can know."""

    epoch: int
    from_seq: int
    to_seq: int | None
    rows: int | None
    from_ns: int | None
    until_ns: int | None
    reason: str
    files: tuple[str, ...] = ()

    @property
    def quiet(self) -> bool:
        """Whether it is a silence."""
        return self.reason in QUIET


@dataclass(frozen=True, slots=True)
class StreamLedger:
    """One stream of a recording."""

    stream: str
    epochs: int
    expected_rows: int
    held_rows: int
    verified_rows: int
    tail_rows: int
    """In journals that are not sealed yet; they count as held."""
    first_ns: int | None
    last_ns: int | None
    missing: tuple[MissingRows, ...]


@dataclass(frozen=True, slots=True)
class FileLedger:
    """One sealed file."""

    filename: str
    stream: str
    index: int
    rows: int
    size_bytes: int
    sha256: str
    state: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is known of one recording's completeness."""

    recording_id: str
    name: str
    folder: str
    running: bool
    source: Mapping[str, Any] | None
    """Of a mirror: where it comes from, and when that was last heard."""
    streams: tuple[StreamLedger, ...]
    files: tuple[FileLedger, ...]
    root_hash: str
    """SHA-256 of the file SHA256SUMS."""
    verified_ns: int | None
    checked_ns: int

    @property
    def complete(self) -> bool:
        """Whether every row that is known to have existed is there."""
        return self.fetched and all(missing.quiet for missing in self.missing)

    @property
    def fetched(self) -> bool:
        """Whether a mirror has all that its source has."""
        return all(file.state in (VERIFIED, HELD) for file in self.files)

    @property
    def missing(self) -> list[MissingRows]:
        """What is missing of all streams."""
        return [missing for stream in self.streams for missing in stream.missing]

    @property
    def state(self) -> str:
        """`damaged`, `running`, `complete` or `incomplete`."""
        if any(file.state == DIFFERS for file in self.files):
            return "damaged"
        if self.running:
            return "running"
        return "complete" if self.complete else "incomplete"

    @property
    def summary(self) -> str:
        """The whole in a sentence."""
        held = [file for file in self.files if file.state in (VERIFIED, HELD)]
        rows = sum(stream.held_rows for stream in self.streams)
        text = f"{_spaced(len(held))} of {_spaced(len(self.files))} files, {_spaced(rows)} rows"
        lost = [missing for missing in self.missing if not missing.quiet]
        quiet = len(self.missing) - len(lost)
        deleted = [missing.rows or 0 for missing in lost if missing.reason == DELETED]
        lost = [missing for missing in lost if missing.reason != DELETED]
        known = [missing.rows for missing in lost if missing.rows is not None]
        unknown = [missing for missing in lost if missing.rows is None]
        if known:
            text += f", {_spaced(sum(known))} rows missing in {_count(len(known), 'place')}"
        elif not unknown:
            text += ", nothing missing" if self.fetched else ", files missing or changed"
        if unknown:
            reasons = ", ".join(dict.fromkeys(missing.reason for missing in unknown))
            text += f", rows of unknown number missing in {_count(len(unknown), 'place')} ({reasons})"
        text += f"; {_spaced(sum(deleted))} rows deleted by retention" if deleted else ""
        text += f"; {_count(quiet, 'silence')}" if quiet else ""
        return text + ("; still running" if self.running else "")

    def to_dict(self, files: bool = True) -> dict[str, Any]:
        """Return the ledger as plain data, without its list of `files` if it is long and not wanted."""
        held = [file for file in self.files if file.state in (VERIFIED, HELD)]
        sure = [file for file in self.files if file.state == VERIFIED]
        tail_rows = sum(stream.tail_rows for stream in self.streams)
        return {
            "recording_id": self.recording_id, "name": self.name, "folder": self.folder,
            "side": "source" if self.source is None else "mirror",
            "source": None if self.source is None else dict(self.source),
            "running": self.running, "state": self.state, "complete": self.complete, "summary": self.summary,
            "expected": _sum(self.files, tail_rows), "held": _sum(held, tail_rows),
            "verified": {**_sum(sure, 0), "at_ns": self.verified_ns},
            "streams": [asdict(stream) for stream in self.streams],
            "root_hash": self.root_hash, "files": [file.to_dict() for file in self.files] if files else [],
            "checked_ns": self.checked_ns,
        }  # fmt: skip


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _sum(files: Sequence[FileLedger], tail_rows: int) -> dict[str, int]:
    return {
        "segments": len(files),
        "rows": sum(file.rows for file in files) + tail_rows,
        "size_bytes": sum(file.size_bytes for file in files),
    }
