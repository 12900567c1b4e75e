"""One live client: what it has subscribed to, and what it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kymograph.model.errors import KymographError
from kymograph.web.auth import Caller
from kymograph.web.live.groups import Tail
from kymograph.web.live.messages import write
from kymograph.web.live.outbox import Outbox, Way


class Client:
    """A connection that has said hello. `close` ends it at once, whatever it still had to be sent."""

    def __init__(
        self,
        caller: Caller,
        way: Way,
        now_s: Callable[[], float],
        close: Callable[[], None],
        binary: bool,
    ) -> None:
        self.caller = caller
        self.outbox = Outbox(way, now_s)
        self.close = close
        self.binary = binary
        self.tails: dict[str, list[Tail]] = {}
        self.statuses: dict[str, bool] = {}
        """Subscriptions to the station's status and events, each with whether it wants binary."""

    def knows(self, id: str) -> bool:
        """Return whether a subscription has that name."""
        return id in self.tails or id in self.statuses

    def tell(self, kind: str, **facts: Any) -> None:
        """Send a message in the form in which the client said hello."""
        self.outbox.put(write({"type": kind, **facts}, self.binary))

    def tell_error(self, error: KymographError, **facts: Any) -> None:
        """Send an error."""
        said = {"code": error.code, "message": error.message, "hint": error.hint, "facts": error.facts}
        self.tell("error", **said, **facts)
