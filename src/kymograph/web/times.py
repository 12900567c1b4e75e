"""Times as clients write and read them: RFC 3339 text or whole nanoseconds since 1970, always UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from kymograph.model.errors import InvalidInput

_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+ -]\d\d:\d\d)?", re.ASCII
)
_NS_MAX: Final = 2**63 - 1


def rfc3339(time_ns: int) -> str:
    """Return a time as text with all nine digits of its nanoseconds."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    return f"{moment.isoformat()}.{nanoseconds:09d}Z"


def parse_time(text: str, what: str) -> int:
    """Return nanoseconds since 1970; text without a zone is UTC.

    Raises:
        InvalidInput: it is neither RFC 3339 nor a whole number.
    """
    if re.fullmatch(r"-?\d{1,19}", text, re.ASCII) and abs(int(text)) <= _NS_MAX:
        return int(text)
    match = _RFC3339.fullmatch(text)
    if match is not None:
        date, clock, fraction, zone = match.groups()
        try:
            # A plus that a client forgot to escape arrives as a space.
            offset = "+00:00" if zone is None or zone in "Zz" else zone.replace(" ", "+")
            moment = datetime.fromisoformat(f"{date}T{clock}{offset}")
            time_ns = int(moment.timestamp()) * 1_000_000_000 + int((fraction or "").ljust(9, "0") or 0)
        except (ValueError, OverflowError):
            time_ns = _NS_MAX + 1
        if abs(time_ns) <= _NS_MAX:
            return time_ns
    raise InvalidInput(
        f"{what} is not a time", hint="give RFC 3339, as 2026-01-31T12:00:00Z, or nanoseconds since 1970"
    )


def parse_optional(text: str | None, what: str) -> int | None:
    """Return nanoseconds since 1970, or None if there is no text.

    Raises:
        InvalidInput: see `parse_time`.
    """
    return None if text is None or text == "" else parse_time(text, what)
