"""What the routes of `/v1` have in common: what they say can go wrong, and how a list is cut into pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Annotated, Any, Final

from fastapi import Query

from kymograph.model.errors import InvalidInput
from kymograph.model.limits import PAGE_ITEMS_MAX
from kymograph.web.problems import MEDIA_TYPE
from kymograph.web.times import rfc3339

Limit = Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX, description="Items in this page at most.")]
CursorText = Annotated[str | None, Query(max_length=400, description="`next` of the page before.")]

_SAYS: Final = {
    400: "The request is malformed.",
    401: "A key is needed, or the key is not known.",
    403: "The key does not carry the scope, or another site's page asked.",
    404: "There is nothing of that name.",
    409: "The present state does not allow it; the facts say who or what holds it.",
    416: "The range lies outside the file.",
    422: "A value is malformed or out of range.",
    429: "Too many wrong keys.",
    502: "The device failed.",
    503: "The engine is not running.",
    504: "No answer in time.",
    507: "The disk is full.",
}
_ALWAYS: Final = (401, 403, 422, 429, 503, 504)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of a route's errors: these, and those that every route can have."""
    content: dict[str, Any] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    every = sorted({*statuses, *_ALWAYS})
    return {status: {"description": _SAYS[status], "content": content} for status in every}


def encode_cursor(text: str) -> str:
    """Return an opaque page mark; what it holds is our business."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(mark: str | None) -> str | None:
    """Return what a page mark holds, None for the first page.

    Raises:
        InvalidInput: it is none of ours.
    """
    if not mark:
        return None
    try:
        return base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4)).decode()
    except (binascii.Error, ValueError):
        raise InvalidInput("this cursor is none of ours", hint="give `next` of the page before") from None


def with_times(item: dict[str, Any], **names: str) -> dict[str, Any]:
    """Return an answer with RFC 3339 text beside its nanoseconds: `started="started_ns"`."""
    said = dict(item)
    for name, of in names.items():
        value = item.get(of)
        said[name] = None if value is None else rfc3339(value)
    return said


def event_out(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as it is answered."""
    return with_times(event, time="time_ns")


def events_out(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events as they are answered."""
    return [event_out(event) for event in events]


def control_out(status: dict[str, Any]) -> dict[str, Any]:
    """Return who may move what as it is answered."""
    return {**status, "commands": [with_times(one, time="time_ns") for one in status["commands"]]}
