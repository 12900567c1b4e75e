"""The file formats a recording can be sealed and exported in, by name; each is imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from kymograph.model.errors import InvalidInput
from kymograph.model.recording import Recording
from kymograph.store.formats.base import Format

OURS: Final = {
    "csv": "kymograph.store.formats.csv:Csv",
    "hdf5": "kymograph.store.formats.hdf5:Hdf5",
    "jsonl": "kymograph.store.formats.jsonl:Jsonl",
    "parquet": "kymograph.store.formats.parquet:Parquet",
}


def names() -> list[str]:
    """Return the names of all formats."""
    return sorted(OURS)


def find(name: str, **options: Any) -> Format:
    """Import a format and return it, set to write with those options (see each format's fields).

    Raises:
        InvalidInput: there is no such format, or it has no such option.
    """
    target = OURS.get(name)
    if target is None:
        raise InvalidInput(f"there is no format called {name}", hint=f"formats are: {', '.join(names())}")
    module, _, attribute = target.partition(":")
    kind: type[Format] = getattr(import_module(module), attribute)
    unknown = sorted(options.keys() - getattr(kind, "__dataclass_fields__", {}).keys())
    if unknown:
        raise InvalidInput(f"format {name} has no option {', '.join(unknown)}")
    return kind(**options)


def of(recording: Recording) -> Format:
    """Return a recording's format, set to spell what it writes as the recording says."""
    return find(recording.format, **recording.format_options)
