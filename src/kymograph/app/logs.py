"""Where engine, front and keeper say what happens: standard error, which systemd puts into its journal, and a
file, if the station file names one."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path
from typing import Final

from kymograph.config import StationTable
from kymograph.model.errors import ConfigError
from kymograph.model.limits import LOG_FILE_BYTES_MAX, LOG_FILES_MAX

LOG_FORMAT: Final = "%(asctime)s - %(levelname)s - %(message)s"


def begin_log(station: StationTable, rotates: bool = False) -> None:
    """Say from now on what is at least of the station's level.

    One process, the engine, `rotates` the file; the others follow it.

    Raises:
        ConfigError: the log file cannot be written.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if station.log_file is not None:
        handlers.append(_file_handler(station.data / station.log_file, rotates))
    logging.basicConfig(level=station.log_level.upper(), format=LOG_FORMAT, handlers=handlers)


def _file_handler(path: Path, rotates: bool) -> logging.Handler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not rotates:
            return logging.handlers.WatchedFileHandler(path, encoding="utf-8")
        return logging.handlers.RotatingFileHandler(
            path, maxBytes=LOG_FILE_BYTES_MAX, backupCount=LOG_FILES_MAX - 1, encoding="utf-8"
        )
    except OSError as error:
        raise ConfigError(
            f"the log file {path} cannot be written: {error.strerror}", hint="see [station] log_file"
        ) from None
