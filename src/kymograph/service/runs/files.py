"""The sequences of a station: the files of its own folder, and those that come with the program."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from kymograph.control.sequence.catalogue import Catalogue
from kymograph.control.sequence.model import Sequence
from kymograph.control.sequence.read import SUFFIX, Fault, built_in, load, read
from kymograph.control.sequence.timeline import timeline
from kymograph.control.sequence.validate import check
from kymograph.model.errors import InvalidInput, KymographError, NotFound
from kymograph.model.limits import SEQUENCE_BYTES_MAX, SEQUENCES_MAX
from kymograph.service.contract import Plain

log = logging.getLogger(__name__)

EMERGENCY: Final = "emergency"
"""The sequence that is run when somebody asks for an emergency."""


class Found(NamedTuple):
    """A sequence and the text that it was read from."""

    sequence: Sequence
    text: str
    built_in: bool


class SequenceFiles:
    """Reads sequences when they are asked for: a file that was changed counts from then on."""

    def __init__(self, folder: Path, catalogue: Catalogue) -> None:
        """Look in a folder, which need not be there."""
        self._folder = folder
        self.catalogue = catalogue
        self._read: dict[Path, tuple[tuple[int, int], Found]] = {}

    def paths(self) -> dict[str, Path]:
        """Return the files by name; the station's own count more than those of the program."""
        own = sorted(self._folder.glob(f"*{SUFFIX}"))[:SEQUENCES_MAX] if self._folder.is_dir() else []
        return {path.stem: path for path in (*built_in(), *own)}

    def get(self, name: str) -> Found:
        """Return a sequence by the name of its file.

        Raises:
            NotFound: there is none.
            InvalidInput: its file is wrong; `faults` says where.
        """
        paths = self.paths()
        if name not in paths:
            raise NotFound(f"there is no sequence {name[:80]}", hint=f"there are: {', '.join(sorted(paths))}")
        return self._load(paths[name])

    def emergency(self, tables: Mapping[str, Mapping[str, Any]]) -> tuple[Found, dict[str, Any]] | None:
        """Return what an emergency runs, with its parameters, or None where nothing fits this station.

        That is the station's own sequence of that name, or if it is wrong the program's. `tables` are those
        of the faces: a key of a table that is called as a parameter gives it its value.
        """
        own = self.paths().get(EMERGENCY)
        for path in dict.fromkeys((own, *(path for path in built_in() if path.stem == EMERGENCY))):
            found = None if path is None else self._fitting(path, tables)
            if found is not None:
                return found
        return None

    def _fitting(
        self, path: Path, tables: Mapping[str, Mapping[str, Any]]
    ) -> tuple[Found, dict[str, Any]] | None:
        try:
            found = self._load(path)
        except KymographError as error:
            log.error("this emergency cannot be run: %s", error)
            return None
        wanted = found.sequence.parameters
        given = {
            key: value
            for table in tables.values()
            for key, value in table.items()
            if key in wanted and value != ""
        }
        places = [given] + [{**given, "stand": one} for one in self.catalogue.commands if "stand" in wanted]
        fits = [one for one in places if not list(check(found.sequence, one, self.catalogue))]
        return (found, found.sequence.settle(fits[0])) if fits else None

    def _load(self, path: Path) -> Found:
        try:
            stat = path.stat()
            version = (stat.st_mtime_ns, stat.st_size)
            known = self._read.get(path)
            if known is not None and known[0] == version:
                return known[1]
            if stat.st_size > SEQUENCE_BYTES_MAX:
                raise InvalidInput(f"{path} has {stat.st_size} bytes; {SEQUENCE_BYTES_MAX} are read at most")
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            load(path)  # says where
            raise
        except OSError as error:
            raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
        made = Found(read(text, str(path)), text, path in set(built_in()))
        if made.sequence.name != path.stem:
            reason = f"the sequence is called {made.sequence.name}, its file {path.stem}: call them the same"
            raise InvalidInput(reason, faults=[Fault(str(path), 1, reason)._asdict()])
        self._read[path] = (version, made)
        return made

    def warn(self) -> None:
        """Say in the log which of the station's own files cannot be run, as the station starts."""
        for told in self.list():
            if told["problems"] and not told["built_in"]:
                first = told["problems"][0]
                log.warning(
                    "the sequence %s cannot be run: line %s: %s", told["name"], first["line"], first["reason"]
                )

    # -- as plain data -------------------------------------------------------------------------------------
    def list(self) -> list[Plain]:
        """Return all of them, with what is wrong with each."""
        return [self._described(name) for name in sorted(self.paths())]

    def describe(self, name: str) -> Plain:
        """Return one with its text and its timeline, which is empty if something is wrong with it.

        Raises:
            NotFound: there is none.
        """
        told = self._described(name)
        if told["problems"] and not told["sha256"]:
            return {**told, "text": _text(self.paths()[name]), "timeline": []}
        found = self.get(name)
        given = _samples(found.sequence)
        return {**told, "text": found.text, "timeline": _timeline(found.sequence, given)}

    def validate(self, name: str, given: Mapping[str, Any]) -> Plain:
        """Return `ok problems timeline` of a sequence with these parameters.

        Raises:
            NotFound: there is none.
        """
        try:
            sequence = self.get(name).sequence
        except InvalidInput as error:
            return {"ok": False, "problems": _faults(error), "timeline": []}
        problems = [fault._asdict() for fault in sorted(set(check(sequence, given, self.catalogue)))]
        return {"ok": not problems, "problems": problems, "timeline": _timeline(sequence, given)}

    def _described(self, name: str) -> Plain:
        paths = self.paths()
        mine = {path.stem for path in built_in() if paths.get(path.stem) == path}
        if name not in paths:
            self.get(name)
        said: Plain = {"name": name, "description": "", "parameters": {}, "file": str(paths[name])}
        said |= {"sha256": "", "built_in": name in mine, "problems": []}
        try:
            sequence = self.get(name).sequence
        except InvalidInput as error:
            return {**said, "problems": _faults(error)}
        # What a text stands for, an instrument perhaps, cannot be guessed.
        open_text = any(p.type == "text" and p.default is None for p in sequence.parameters.values())
        known = None if open_text else self.catalogue
        faults = sorted(set(check(sequence, _samples(sequence), known)))
        return {
            **said, "description": sequence.description, "sha256": sequence.sha256,
            "parameters": {key: one.model_dump(exclude={"line"}) for key, one in sequence.parameters.items()},
            "problems": [fault._asdict() for fault in faults],
        }  # fmt: skip


def _samples(sequence: Sequence) -> dict[str, Any]:
    """Return values for the parameters that have no default, to look at the rest of the sequence."""
    made: dict[str, Any] = {}
    for name, one in sequence.parameters.items():
        if one.default is None:
            number = one.low if one.low is not None else min(one.high or 0.0, 0.0)
            made[name] = {"text": "?", "boolean": False, "integer": int(number)}.get(one.type, number)
    return made


def _timeline(sequence: Sequence, given: Mapping[str, Any]) -> list[Plain]:
    try:
        return [moment.to_dict() for moment in timeline(sequence, given)]
    except InvalidInput:
        return []


def _faults(error: InvalidInput) -> list[Plain]:
    return list(error.facts.get("faults") or [{"file": "", "line": 0, "reason": str(error)}])


def _text(path: Path) -> str:
    try:
        with path.open("r", encoding="utf-8", errors="replace") as file:
            return file.read(SEQUENCE_BYTES_MAX)
    except OSError:
        return ""
