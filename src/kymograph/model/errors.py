"""The one tree of errors.

Each error carries what a person needs: a sentence, a hint that says what to do, and the facts in machine
form. Its `code` is stable: it is the `code` of a problem+json body and travels across the link unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class KymographError(Exception):
    """An error with a stable code, a sentence for a person, a hint, and facts."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts: dict[str, Any] = facts

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def to_dict(self) -> dict[str, Any]:
        """Return the error as plain data, the inverse of `error_from_dict`."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "facts": self.facts}


class ConfigError(KymographError):
    """The configuration cannot be used as it stands."""

    code = "config"


class InvalidInput(KymographError):
    """A value from a caller is malformed or out of range."""

    code = "invalid_input"


class NotFound(KymographError):
    """The named thing does not exist."""

    code = "not_found"


class Conflict(KymographError):
    """The request contradicts the present state; the facts say who or what holds it."""

    code = "conflict"


class Refused(KymographError):
    """A command was refused before anything moved: not open, interlocked, or held by another."""

    code = "refused"


class Forbidden(KymographError):
    """The caller's key does not carry the scope that this needs."""

    code = "forbidden"


class KeyNeeded(KymographError):
    """The caller has shown no key, or one that is not known."""

    code = "key_needed"


class TooMany(KymographError):
    """The caller asks more often than allowed; the facts say when to come back."""

    code = "too_many"


class TimedOut(KymographError):
    """An answer did not come in time."""

    code = "timed_out"


class Unavailable(KymographError):
    """A part of the system that this needs is not running; trying again later may work."""

    code = "unavailable"


class DeviceError(KymographError):
    """A device or its link failed."""

    code = "device"


class PortError(DeviceError):
    """A port cannot be opened, or went away."""

    code = "port"


class DeviceSilent(DeviceError):
    """The link is open but the device sends nothing that makes sense."""

    code = "device_silent"


class StorageError(KymographError):
    """The data folder cannot do what was asked."""

    code = "storage"


class DiskFull(StorageError):
    """There is no room left; live view and control go on."""

    code = "disk_full"


class DiskFailed(StorageError):
    """The disk returned an error; what it held unsynced must be taken as lost."""

    code = "disk_failed"


class FolderLocked(StorageError):
    """Another process owns the data folder."""

    code = "folder_locked"


class Corrupt(StorageError):
    """Stored bytes fail their checksum or their format."""

    code = "corrupt"


def tree(root: type[KymographError] = KymographError) -> Mapping[str, type[KymographError]]:
    """Return the errors of this tree by their code; what others derive from them is not of it."""
    found = {root.code: root}
    for child in root.__subclasses__():
        if child.__module__ == __name__:
            found.update(tree(child))
    return found


def error_from_dict(data: Mapping[str, Any]) -> KymographError:
    """Make the error again that `to_dict` took apart; an unknown code gives the root of the tree."""
    kind = tree().get(str(data.get("code")), KymographError)
    return kind(str(data.get("message", "")), hint=str(data.get("hint", "")), **dict(data.get("facts") or {}))
