"""One station, to be asked and told from a script."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self, Unpack, overload

from kymograph.client.connection import Connection, Request
from kymograph.client.frame import Batch, Gap
from kymograph.client.instrument import Instrument
from kymograph.client.live import Live, LiveOptions, OnGap
from kymograph.client.recording import Recording
from kymograph.client.recordings import PromoteOptions, RecordingOptions, Recordings
from kymograph.client.stream import LiveStream
from kymograph.model.errors import InvalidInput, NotFound
from kymograph.model.event import Event, event_from_dict
from kymograph.model.names import safe_name

URL: Final = "http://127.0.0.1:8000"
TIMEOUT_S: Final = 60.0


def connect(url: str = URL, key: str | None = None, *, timeout_s: float = TIMEOUT_S) -> Client:
    """Return a client of the station at `url`; nothing is asked yet.

    `key` is needed where the station is open to a network. No answer takes longer than `timeout_s`, but for
    those of instruments, which may take 90 s.

    Raises:
        InvalidInput: that is no address of a station.
    """
    return Client(Connection(url, key, timeout_s))


@dataclass(frozen=True, slots=True)
class Station:
    """Who a station is. `told` has all that it says of itself: clock, disk, and more."""

    name: str
    id: str
    version: str
    started_ns: int
    now_ns: int
    simulated: bool
    disk: dict[str, Any]
    told: dict[str, Any]


class Client:
    """One station. Any thread may use it, several at a time; live rows have connections of their own.

    Everything waits for its answer. Errors are those of `kymograph.model.errors`, as the station said them.
    """

    def __init__(self, connection: Connection) -> None:
        """Use `connect`."""
        self._connection = connection

    def __repr__(self) -> str:
        return f"<Client of {self.url}>"

    @property
    def url(self) -> str:
        """The station's address."""
        return self._connection.url

    def close(self) -> None:
        """Close what is open; may be called twice."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the station ---------------------------------------------------------------------------------------
    def station(self) -> Station:
        """Return who the station is, what time it has, and how its disk is."""
        told = self._connection.get("/station")
        return Station(
            told["name"], told["id"], told["version"], told["started_ns"], told["now_ns"], told["simulated"],
            told["disk"], told,
        )  # fmt: skip

    def events(self, limit: int = 100) -> list[Event]:
        """Return what happened at the station lately, newest first."""
        return [event_from_dict(one) for one in self._connection.get("/events", limit=limit)["items"]]

    def instruments(self) -> list[Instrument]:
        """Return every instrument."""
        return [Instrument(self._connection, one) for one in self._connection.items("/instruments")]

    def instrument(self, name: str) -> Instrument:
        """Return one instrument.

        Raises:
            NotFound: there is none of that name.
        """
        safe_name(name, "name of an instrument")
        return Instrument(self._connection, self._connection.get(f"/instruments/{name}"))

    def streams(self) -> list[LiveStream]:
        """Return every stream."""
        return [LiveStream(self._connection, one) for one in self._connection.items("/streams")]

    def stream(self, name: str) -> LiveStream:
        """Return one stream.

        Raises:
            NotFound: there is none of that name.
        """
        streams = self.streams()
        for stream in streams:
            if stream.name == name:
                return stream
        raise NotFound(f"there is no stream {name}", streams=[stream.name for stream in streams])

    # -- live ----------------------------------------------------------------------------------------------
    @overload
    def live(
        self, *streams: str, on_gap: Literal["yield"] = "yield", **options: Unpack[LiveOptions]
    ) -> Live[Batch | Gap]: ...

    @overload
    def live(
        self, *streams: str, on_gap: Literal["raise", "ignore"], **options: Unpack[LiveOptions]
    ) -> Live[Batch]: ...

    def live(
        self, *streams: str, on_gap: OnGap = "yield", **options: Unpack[LiveOptions]
    ) -> Live[Batch | Gap] | Live[Batch]:
        """Return live rows of some streams (none named: of all), for `for` and `async for`.

        Rows that do not come are items too: a `Gap` between the batches. With `on_gap="raise"` they are
        raised as `RowsMissing`, with `"ignore"` there are batches only. The options are those of
        `LiveOptions`: `channels`, `mode`, `since`, `max_rate_hz`, `seconds`, `timeout_s`.
        """
        names = streams or tuple(stream.name for stream in self.streams())
        if not names:
            raise InvalidInput("this station has no streams", hint="configure an instrument first")
        return Live(self._connection, tuple(dict.fromkeys(names)), on_gap, options)

    # -- recordings ----------------------------------------------------------------------------------------
    @property
    def recordings(self) -> Recordings:
        """All recordings: `recordings()` lists them, `recordings["night"]` finds one by name or id."""
        return Recordings(self._connection)

    def recording(self, name: str, **options: Unpack[RecordingOptions]) -> Recording:
        """Begin a recording and return it; in a `with` it is ended at the end of it.

        The options are those of `RecordingOptions`: `streams`, `instruments`, `metadata`, `format`,
        `segment_interval_s`, `merge`, `pre_s`.

        Raises:
            Conflict: one of the streams is being recorded already; the facts say by whom.
        """
        return self._begun("/recordings", {"name": name, **options})

    def promote(self, name: str, seconds: float, **options: Unpack[PromoteOptions]) -> Recording:
        """Keep the last seconds of what the station remembers, beside what is being recorded.

        The recording ends by itself, and its `metadata["promoted_s_given"]` says how much there was. The
        options are those of `PromoteOptions`: `streams`, `instruments`, `metadata`, `format`.

        Raises:
            Conflict: there is nothing yet.
        """
        return self._begun("/recordings/promote", {"name": name, "seconds": seconds, **options})

    def _begun(self, path: str, body: dict[str, Any]) -> Recording:
        # The same answer if the request has to be sent again because its answer was lost.
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        request = Request("POST", path, None, body, again=True, headers=headers)
        return Recording(self._connection, self._connection.ask(request))
