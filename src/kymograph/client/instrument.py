"""Instruments of a station: what they are doing, and having them do something."""

from __future__ import annotations

from typing import Any, Final

from kymograph.client.connection import Connection, Plain, Request
from kymograph.model.names import safe_name
from kymograph.model.status import Health

PATIENCE_S: Final = 90.0
"""How long an action may take: some devices are configured in a dialogue of half a minute."""


class Instrument:
    """One instrument of a station, as it was when it was last asked; `refresh` asks again.

    Actions wait until they are done, at most 90 s, and raise what the device or the station said.
    """

    def __init__(self, connection: Connection, told: Plain) -> None:
        """Use `Client.instrument`."""
        self._connection = connection
        self._told = told

    def __repr__(self) -> str:
        return f"<Instrument {self.name}: {self.state}>"

    # -- what it is ----------------------------------------------------------------------------------------
    @property
    def name(self) -> str:
        """Its name in the station file."""
        return self._told["name"]

    @property
    def driver(self) -> str:
        """What kind of instrument it is."""
        return self._told["driver"]

    @property
    def state(self) -> str:
        """`closed`, `idle`, `acquiring` or `fault`."""
        return self._told["state"]

    @property
    def paused(self) -> bool:
        """Whether it was paused and waits for `resume`."""
        return bool(self._told.get("paused", False))

    @property
    def activity(self) -> str:
        """What it was doing at that moment beyond its state, "" if nothing special."""
        return str(self._told.get("activity", ""))

    @property
    def error(self) -> str:
        """Why it is in `fault`, in a sentence."""
        return self._told["error"]

    @property
    def port(self) -> str:
        """Where it is connected."""
        return self._told["port"]

    @property
    def simulated(self) -> bool:
        """Whether a simulator plays it."""
        return self._told["simulated"]

    @property
    def device(self) -> dict[str, Any]:
        """What the device says of itself: model, firmware, serial number."""
        return self._told["device"]

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of its streams."""
        return tuple(self._told["streams"])

    @property
    def health(self) -> Health:
        """The counters of its link."""
        known = {key: value for key, value in self._told["health"].items() if key in Health.__annotations__}
        return Health(**known)

    @property
    def options(self) -> dict[str, Any]:
        """How it is configured."""
        return self._detail("options")

    @property
    def options_schema(self) -> dict[str, Any]:
        """The JSON schema of its options, with bounds and descriptions."""
        return self._detail("options_schema")

    @property
    def commands(self) -> list[dict[str, Any]]:
        """What it can be told to do: `name`, `description` and the schema of the `arguments` of each."""
        return self._detail("commands")

    def _detail(self, key: str) -> Any:
        if key not in self._told:
            self.refresh()
        return self._told[key]

    @property
    def _path(self) -> str:
        return f"/instruments/{safe_name(self.name, 'name of an instrument')}"

    def refresh(self) -> Instrument:
        """Ask the station how it is now."""
        self._told = self._connection.get(self._path)
        return self

    # -- what it does --------------------------------------------------------------------------------------
    def open(self) -> Instrument:
        """Open its port and make it ready."""
        return self._act("open")

    def start(self) -> Instrument:
        """Have it acquire; opened first if need be."""
        return self._act("start")

    def stop(self) -> Instrument:
        """Have it acquire no more; it stays open."""
        return self._act("stop")

    def pause(self) -> Instrument:
        """Stop it until `resume`."""
        return self._act("pause")

    def resume(self) -> Instrument:
        """Go on after `pause`."""
        return self._act("resume")

    def close(self) -> Instrument:
        """Close its port."""
        return self._act("close")

    def configure(self, *, port: str | None = None, **options: Any) -> Instrument:
        """Change some options; the others stay, and it goes back to what it was doing.

        `port` changes where it is connected.
        """
        body: Plain = {"options": options}
        if port is not None:
            body["port"] = port
        self._told = self._ask("PATCH", "/settings", body, again=True)
        return self

    def command(self, name: str, /, *, late_s: float | None = None, **arguments: Any) -> Any:
        """Have its driver do something and return what that says; refused at once if it is not open.

        `late_s` is how long it may wait to be sent, 0.01 to 5 s; later it never goes, and `TimedOut` is
        raised. Left out, that is 2 s for an instrument that moves something.
        """
        body: Plain = {"arguments": arguments}
        if late_s is not None:
            body["late_s"] = late_s
        return self._ask("POST", f"/commands/{safe_name(name, 'name of a command')}", body, again=False)

    def _act(self, action: str) -> Instrument:
        # They name a state to be in, so that asking twice does no harm; but who is not paused cannot resume.
        told = self._ask("POST", f"/{action}", None, again=action != "resume")
        self._told = {**self._told, **told}
        return self

    def _ask(self, method: str, path: str, body: Any, again: bool) -> Any:
        return self._connection.ask(Request(method, self._path + path, None, body, again, PATIENCE_S))
