"""The audit: who did what, appended for ever, each line bound to the one before it.

    {"hash":"<64 hex>","seq":0,"prev":"<64 hex>","time_ns":…,"who":"anna","what":"command","body":{…}}

`hash` is the SHA-256 of the line's bytes from `"seq"` to the closing brace. `prev` is the hash of the line
before; of the first line, 64 zeros. So every byte is covered, and any tool that can hash can check it. A
line is on the disk when `append` returns.

Lines cut off at the very end leave a whole shorter chain: whoever wants to notice that too keeps the hash
of the last line elsewhere (`head`), and gives it to `verify`. The chain shows what was changed; it does not
hinder somebody who may write the file from making all of it anew, which a kept head shows as well.

A half line at the end is what a crash leaves. It was never acknowledged; the next start cuts it, and says so
in a line of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from kymograph.model.errors import InvalidInput, NotFound
from kymograph.model.limits import AUDIT_BREAKS_MAX, METADATA_BYTES_MAX
from kymograph.store.durable import fsync_folder, storage_error

FILENAME: Final = "audit.jsonl"
NO_HASH: Final = "0" * 64
"""The `prev` of the first line."""
RECOVERED: Final = "recovered"
"""What the line says that follows a half one."""

_HEAD: Final = b'{"hash":"'
_NECK: Final = b'",'
_BODY_AT: Final = len(_HEAD) + 64 + len(_NECK)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit."""

    seq: int
    time_ns: int
    who: str
    what: str
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    prev: str = NO_HASH
    hash: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as plain data."""
        return {
            "seq": self.seq, "time_ns": self.time_ns, "who": self.who, "what": self.what,
            "body": dict(self.body), "prev": self.prev, "hash": self.hash,
        }  # fmt: skip


class Break(NamedTuple):
    """A place where the chain does not hold: the line counted from 1, its first byte, and what is wrong."""

    line: int
    offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """What `verify` found."""

    entries: int
    """Lines that are whole and bound to the one before."""
    head: str
    """The hash of the last line."""
    breaks: tuple[Break, ...] = ()
    torn_bytes: int = 0
    """Bytes of a half line at the end; the next start of the station cuts it and says so."""

    @property
    def ok(self) -> bool:
        """Whether every byte is as it was written."""
        return not self.breaks and not self.torn_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return the check as plain data."""
        return {
            "ok": self.ok, "entries": self.entries, "head": self.head,
            "breaks": [place._asdict() for place in self.breaks], "torn_bytes": self.torn_bytes,
        }  # fmt: skip


class Audit:
    """The audit file of a station. Any thread may append; only the process that owns the folder does."""

    def __init__(self, path: Path, time_ns: int) -> None:
        """Open the file for appending, after cutting a half line. `time_ns` (UTC) dates the note of that.

        A chain that is broken already is gone on with: a station must start, and `verify` tells.

        Raises:
            StorageError: the disk does not let us.
        """
        self.path = path
        self._guard = threading.Lock()
        self._fd = -1
        self._dirty = False
        try:
            torn = self._open()
        except OSError as error:
            self.close()
            raise storage_error(error, path) from error
        if torn:
            self.append(time_ns, "engine", RECOVERED, {"cut_bytes": torn})

    @property
    def head(self) -> str:
        """The hash of the last line: written down elsewhere, it proves all that came before."""
        return self._head

    def append(self, time_ns: int, who: str, what: str, body: Mapping[str, Any] | None = None) -> Entry:
        """Write one line, durable on return. `time_ns` is UTC.

        Raises:
            InvalidInput: the body is no JSON, or too long.
            StorageError: the disk does not take it; it is not there then.
        """
        with self._guard:
            entry = Entry(self._seq, time_ns, who, what, dict(body or {}), self._head)
            line, entry_hash = _line(entry)
            try:
                self._write(line)
            except OSError as error:
                raise storage_error(error, self.path) from error
            self._seq, self._head = entry.seq + 1, entry_hash
        return Entry(entry.seq, time_ns, who, what, entry.body, entry.prev, entry_hash)

    def close(self) -> None:
        """Close the file; nothing can be appended afterwards."""
        with self._guard:
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.close(fd)

    def _open(self) -> int:
        """Open the file at its last whole line and return how many bytes were cut behind it."""
        new = not self.path.exists()
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        if new:
            fsync_folder(self.path.parent)
        self._size = os.fstat(self._fd).st_size
        self._seq, self._head = 0, NO_HASH
        start, end = _last_line(self._fd, self._size)
        torn = self._size - end
        if torn:
            os.ftruncate(self._fd, end)
            os.fsync(self._fd)
            self._size = end
        if end:
            self._continue(os.pread(self._fd, end - 1 - start, start))
        return torn

    def _continue(self, last: bytes) -> None:
        parsed = _parse(last)
        if isinstance(parsed, Entry):
            self._seq, self._head = parsed.seq + 1, parsed.hash
            return
        # The last line is damaged. Its own bytes are what the next one is bound to.
        self._head = hashlib.sha256(last[_BODY_AT:]).hexdigest()
        with self.path.open("rb") as file:
            self._seq = sum(1 for _ in file)

    def _write(self, line: bytes) -> None:
        try:
            if self._dirty:
                os.ftruncate(self._fd, self._size)
                self._dirty = False
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            os.fdatasync(self._fd)
        except OSError:
            self._dirty = True  # a part of the line may be there; the next one must not be joined to it
            raise
        self._size += len(line)


def read(path: Path) -> Iterator[Entry]:
    """Yield the entries, oldest first, also while the station appends. Damaged lines are left out.

    Raises:
        NotFound: there is no audit.
        StorageError: it cannot be read.
    """
    for _, _, parsed, _ in _lines(path):
        if isinstance(parsed, Entry):
            yield parsed


def verify(path: Path, head: str = "") -> AuditCheck:
    """Check every byte of an audit and say exactly where it does not hold.

    `head` is a hash that was kept elsewhere: the line of that hash must be there.

    Raises:
        NotFound: there is no audit.
        StorageError: it cannot be read.
    """
    breaks: list[Break] = []
    before: Entry | None = None
    entries = line = torn = damaged = 0
    found = head in ("", NO_HASH)
    for line, offset, parsed, size in _lines(path):
        if isinstance(parsed, str):
            torn = size if parsed == _TORN else 0
            damaged += 1
            wrong = "" if torn else parsed
        else:
            wrong = _unbound(parsed, before, damaged)
            entries += not wrong
            before, damaged, found = parsed, 0, found or parsed.hash == head
        if wrong:
            breaks.append(Break(line, offset, wrong))
    if not found:
        breaks.append(Break(line, path.stat().st_size, f"no line has the hash {head}: lines were cut"))
    last = before.hash if before is not None else NO_HASH
    return AuditCheck(entries, last, tuple(breaks[:AUDIT_BREAKS_MAX]), torn)


_TORN: Final = "half a line"


def _unbound(entry: Entry, before: Entry | None, damaged: int) -> str:
    """Return why an entry does not follow the one before and the damaged lines between them, or ""."""
    seq, prev = (0, NO_HASH) if before is None else (before.seq + 1, before.hash)
    seq += damaged
    if entry.seq > seq:
        return f"{entry.seq - seq} lines before it are missing: it is number {entry.seq}, not {seq}"
    if entry.seq < seq:
        return f"it is number {entry.seq} and stands where {seq} belongs"
    return "" if damaged or entry.prev == prev else "it is bound to another line than the one before it"


def _lines(path: Path) -> Iterator[tuple[int, int, Entry | str, int]]:
    """Yield number, offset, entry (or what is wrong with it) and size of each line."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise NotFound(f"there is no audit at {path}", hint="give a station's data folder") from None
    except OSError as error:
        raise storage_error(error, path) from error
    offset = 0
    with file:
        for number, line in enumerate(file, 1):
            whole = line.endswith(b"\n")
            yield number, offset, _parse(line[:-1]) if whole else _TORN, len(line)
            offset += len(line)


def _line(entry: Entry) -> tuple[bytes, str]:
    plain = {
        "seq": entry.seq, "prev": entry.prev, "time_ns": entry.time_ns, "who": entry.who, "what": entry.what,
        "body": entry.body,
    }  # fmt: skip
    try:
        rest = json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()[1:]
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the body of an audit entry is no JSON: {error}") from None
    if len(rest) > METADATA_BYTES_MAX:
        raise InvalidInput(f"an audit entry of {len(rest)} bytes", hint=f"at most {METADATA_BYTES_MAX}")
    digest = hashlib.sha256(rest).hexdigest()
    return _HEAD + digest.encode() + _NECK + rest + b"\n", digest


def _parse(line: bytes) -> Entry | str:
    """Return the entry of a line without its end, or what is wrong with it."""
    if not line.startswith(_HEAD) or line[_BODY_AT - len(_NECK) : _BODY_AT] != _NECK:
        return "it does not begin with its hash"
    if line[len(_HEAD) : len(_HEAD) + 64] != hashlib.sha256(line[_BODY_AT:]).hexdigest().encode():
        return "it was changed: its bytes do not have its hash"
    try:
        return _entry(json.loads(line))
    except (ValueError, KeyError, TypeError, RecursionError):
        return "it is no entry"


def _entry(plain: Any) -> Entry:
    seq, time_ns = plain["seq"], plain["time_ns"]
    who, what, body, prev = plain["who"], plain["what"], plain["body"], plain["prev"]
    numbers, words = (seq, time_ns), (who, what, prev)
    if not all(isinstance(n, int) for n in numbers) or not all(isinstance(word, str) for word in words):
        raise TypeError("fields of other types")
    return Entry(seq, time_ns, who, what, dict(body), prev, plain["hash"])


def _last_line(fd: int, size: int) -> tuple[int, int]:
    """Return where the last whole line begins, and where it ends."""
    end = _after_newline(fd, size)
    return (_after_newline(fd, end - 1), end) if end else (0, 0)


def _after_newline(fd: int, before: int) -> int:
    """Return the place behind the last newline before a place, or 0."""
    step = 64 * 1024
    while before > 0:
        start = max(0, before - step)
        found = os.pread(fd, before - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        before = start
    return 0
