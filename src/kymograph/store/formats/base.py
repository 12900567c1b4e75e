"""What every format is: it turns blocks of one stream into a file, and the file back into rows.

Formats are pure translation. They never fsync, rename or hash: whoever seals or exports does that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from kymograph.model.block import Block, Rows
from kymograph.model.channel import Stream


@dataclass(frozen=True, slots=True)
class Header:
    """What a file should say of itself besides its rows.

    `attributes` are further facts as text or numbers (station, recording name and id, instrument, driver,
    metadata as JSON); a format writes them where its readers look for such things.
    """

    stream: Stream
    started_ns: int
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Format(ABC):
    """One file format. Instances have no state."""

    name: ClassVar[str]
    suffix: ClassVar[str]
    """With the dot."""
    media_type: ClassVar[str]
    streamable: ClassVar[bool]
    """Whether `write` only ever appends, so that its output can be sent while it is made."""

    @abstractmethod
    def write(self, file: BinaryIO, header: Header, blocks: Iterable[Block]) -> None:
        """Write all blocks to a file open for writing (and reading and seeking, unless `streamable`).

        Memory is bounded whatever the number of blocks. No blocks at all makes a valid empty file. Every
        value comes back from `read` bit for bit, but for the payload of a NaN.
        """

    @abstractmethod
    def read(self, path: Path, stream: Stream) -> Iterator[Rows]:
        """Give back what was written, in pieces of bounded size.

        Raises:
            Corrupt: the file fails its checksums or is not of this format.
        """
