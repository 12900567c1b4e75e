"""What a live client may say, checked as it is read."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from kymograph.model.errors import InvalidInput
from kymograph.model.limits import LIVE_RATE_HZ_MAX, NAME_CHARS_MAX

Mode = Literal["raw", "minmax", "latest"]
Encoding = Literal["json", "msgpack", "arrow"]

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Rate = Annotated[float, msgspec.Meta(gt=0, le=LIVE_RATE_HZ_MAX)]


class Hello(msgspec.Struct, tag="hello"):
    """The first message: who is there."""

    token: Annotated[str, msgspec.Meta(max_length=128)] | None = None


class Subscribe(msgspec.Struct, tag="subscribe"):
    """Ask for streams, for the status and the events of the station, or for both."""

    id: Id
    streams: Annotated[list[Name], msgspec.Meta(max_length=64)] = []
    channels: Annotated[list[Name], msgspec.Meta(min_length=1, max_length=1024)] | None = None
    since: dict[Name, tuple[Count, Count]] | None = None
    max_rate_hz: Rate | None = None
    mode: Mode = "raw"
    encoding: Encoding | None = None
    status: bool = False


class Unsubscribe(msgspec.Struct, tag="unsubscribe"):
    """Ask for no more of a subscription."""

    id: Id


Request = Hello | Subscribe | Unsubscribe

_TEXT: Final = msgspec.json.Decoder(Request)
_BINARY: Final = msgspec.msgpack.Decoder(Request)
T = TypeVar("T")


def read(message: str | bytes) -> Request:
    """Return what a client said: text is JSON, binary is msgpack.

    Raises:
        InvalidInput: with what is wrong.
    """
    try:
        return _TEXT.decode(message) if isinstance(message, str) else _BINARY.decode(message)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"this message is not understood: {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        kind = "JSON" if isinstance(message, str) else "msgpack"
        raise InvalidInput(f"this message is not {kind}") from None


def write(message: dict[str, Any], binary: bool) -> str | bytes:
    """Return a message as it is sent: binary msgpack, or text JSON."""
    if binary:
        return msgspec.msgpack.encode(message)
    return msgspec.json.encode(message).decode()
