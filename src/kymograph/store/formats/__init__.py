"""The file formats a recording can be sealed and exported in, by name; each is imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from kymograph.model.errors import InvalidInput
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


def find(name: str) -> Format:
    """Import a format and return it.

    Raises:
        InvalidInput: there is no such format.
    """
    target = OURS.get(name)
    if target is None:
        raise InvalidInput(f"there is no format called {name}", hint=f"formats are: {', '.join(names())}")
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)()
