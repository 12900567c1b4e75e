"""What a mirror needs of the other side, whichever program that is."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from kymograph.model.errors import KymographError, NotFound
from kymograph.model.names import safe_name
from kymograph.model.recording import Recording, Segment
from kymograph.sync.transfer import Away, Pieces, Transfer


@dataclass(frozen=True, slots=True)
class Offer:
    """A recording as its source has it now."""

    recording: Recording
    running: bool
    segments: tuple[Segment, ...]
    deleted: tuple[Segment, ...] = ()
    """What it had, and has deleted to make room."""

    @property
    def id(self) -> str:
        """The recording's id."""
        return self.recording.id


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file of a recording that is not sealed: a journal, events, an attachment."""

    filename: str
    kind: str
    size_bytes: int


class Source(Protocol):
    """One station to be mirrored. Every method may raise `Away`."""

    kind: str
    url: str
    station: str
    station_id: str

    def ids(self, wanted: Collection[str], known: Collection[str]) -> list[str]:
        """Return the recordings to look at: by name or id those `wanted`, or all; `known` ones are held in
        part already."""
        ...

    def offer(self, id: str) -> Offer:
        """Return a recording with its sealed files.

        Raises:
            NotFound: the source has it no more.
        """
        ...

    def open_files(self, id: str) -> list[OpenFile]:
        """Return its other files."""
        ...

    def small(self, id: str, filename: str) -> bytes:
        """Return a small file."""
        ...

    def fetch(self, id: str, filename: str, offset: int, tag: str) -> AbstractContextManager[Pieces | None]:
        """Give a file's bytes, see `Transfer.open`."""
        ...

    def report(self, id: str, told: Mapping[str, Any]) -> None:
        """Tell the source how far this mirror of a recording is, if it wants to know."""
        ...


@contextmanager
def readable(url: str) -> Generator[None]:
    """Say of an answer that is not what the interface promises who gave it."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise KymographError(
            f"{url} answered something that cannot be read ({type(error).__name__}: {error})",
            hint="is it another version, or another program?",
        ) from None


def find(transfer: Transfer) -> Source:
    """Ask a server what it is, and return it as a source.

    Raises:
        Away: it is.
        KymographError: it is none that can be mirrored.
    """
    from kymograph.sync.native import Native
    from kymograph.sync.radiometer import Radiometer

    try:
        told = transfer.get("/v1/station").json()
        return Native(transfer, safe_name(told["name"]), safe_name(told["id"]))
    except (NotFound, KeyError, TypeError):
        pass
    try:
        transfer.get("/record/status").json()
    except NotFound:
        raise KymographError(
            f"{transfer.url} is no station that can be mirrored", hint="give the address of its dashboard"
        ) from None
    except Away:
        raise
    except KymographError:
        pass  # it answers, if only to say that nothing is recorded
    return Radiometer(transfer)
