"""A running station, asked from the command line: over its own socket, or over the network."""

from __future__ import annotations

import getpass
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kymograph.cli.sources import Server
from kymograph.model.errors import InvalidInput

if TYPE_CHECKING:
    from kymograph.link.client import EngineClient

Plain = dict[str, Any]


class Running(Protocol):
    """What can be asked of it."""

    def start(self, wish: Plain) -> Plain:
        """Begin a recording."""
        ...

    def promote(self, wish: Plain) -> Plain:
        """Record the last seconds."""
        ...

    def stop(self, recording_id: str) -> Plain:
        """End a recording."""
        ...

    def triggers(self) -> list[Plain]:
        """Return all triggers."""
        ...

    def trigger(self, name: str, action: str) -> Plain:
        """Arm, disarm or fire one."""
        ...


class _Web:
    def __init__(self, url: str, key: str) -> None:
        self._server = Server(url, key)

    def start(self, wish: Plain) -> Plain:
        return self._server.send("/recordings", wish)

    def promote(self, wish: Plain) -> Plain:
        return self._server.send("/recordings/promote", wish)

    def stop(self, recording_id: str) -> Plain:
        return self._server.send(f"/recordings/{recording_id}/stop", {})

    def triggers(self) -> list[Plain]:
        return self._server.items("/triggers")

    def trigger(self, name: str, action: str) -> Plain:
        return self._server.send(f"/triggers/{name}/{action}", {"by": who()})


class _Link:
    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def start(self, wish: Plain) -> Plain:
        return self._engine.record_start(wish)

    def promote(self, wish: Plain) -> Plain:
        return self._engine.promote(wish)

    def stop(self, recording_id: str) -> Plain:
        return self._engine.record_stop(recording_id)

    def triggers(self) -> list[Plain]:
        return self._engine.triggers.status()

    def trigger(self, name: str, action: str) -> Plain:
        ask = {"arm": self._engine.triggers.arm, "disarm": self._engine.triggers.disarm}
        return ask.get(action, self._engine.triggers.fire)(name, who())


def who() -> str:
    """Return how somebody at this terminal is called in what is written down."""
    return f"{getpass.getuser()} (command line)"


@contextmanager
def reach(data: Path | None, url: str, key: str) -> Generator[Running]:
    """Reach the engine of a data folder, or a station at a URL.

    Raises:
        InvalidInput: neither is given, or both.
        Unavailable: nothing runs there.
    """
    by_environment = str(data) == os.environ.get("KYMOGRAPH_DATA")
    if url and data is not None and not by_environment:
        raise InvalidInput("--data and --url are both given", hint="a folder, or a running station")
    if url:
        yield _Web(url, key)
        return
    if data is None:
        raise InvalidInput(
            "where is the station?", hint="give --data FOLDER, or --url http://… of a running station"
        )
    from kymograph.link.client import EngineClient

    engine = EngineClient(data)
    try:
        yield _Link(engine)
    finally:
        engine.close()
