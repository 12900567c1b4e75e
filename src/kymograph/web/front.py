"""What every request finds in the application: the services it may call, and a few of the front's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from kymograph.config import Config
from kymograph.service.archive.archive import Archive
from kymograph.service.archive.mirrors import MirrorRegister
from kymograph.service.contract import StationService
from kymograph.web.auth import Guard
from kymograph.web.idempotency import Answers
from kymograph.web.live.hub import Hub

if TYPE_CHECKING:  # they bring SQLAlchemy, which a station without a database does without
    from kymograph.service.hub.depot import Depot
    from kymograph.service.hub.readings import Readings


@dataclass(frozen=True, slots=True)
class Front:
    """The parts of one front."""

    config: Config
    engine: StationService
    archive: Archive
    guard: Guard
    hub: Hub
    answers: Answers
    mirrors: MirrorRegister
    depot: Depot | None = None
    """Where what stations ship arrives, on a hub."""
    readings: Readings | None = None
    """What is read of the database, where a station keeps readings or takes them."""


async def front_of(connection: HTTPConnection) -> Front:
    """Return the front that a request came to."""
    return cast("Front", connection.app.state.front)


FrontDep = Annotated[Front, Depends(front_of)]
