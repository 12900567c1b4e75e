"""Where `kymograph run` finds the runs of a station: straight at its engine, or by its interface `/v1`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kymograph.cli.sources import reached
from kymograph.model.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from kymograph.link.client import EngineClient

Plain = dict[str, Any]


class Place(Protocol):
    """The runs of one station."""

    def start(self, request: Mapping[str, Any]) -> Plain:
        """Start a run."""
        ...

    def list(self, limit: int) -> list[Plain]:
        """Return runs, newest first."""
        ...

    def get(self, run_id: str) -> Plain:
        """Return a run."""
        ...

    def act(self, run_id: str, action: str, by: str, reason: str) -> Plain:
        """Do `pause`, `resume` or `abort`."""
        ...

    def emergency(self, by: str) -> Plain:
        """Run the emergency, and return when it is over."""
        ...

    def take(self, by: str, ttl_s: float) -> int:
        """Take control, or keep it for longer; return its fence."""
        ...

    def keep(self, by: str, fence: int, ttl_s: float) -> None:
        """Give a lease more time, if it still holds."""
        ...

    def close(self) -> None:
        """Leave."""
        ...


class Engine:
    """The runs of a station on this computer: its front may be busy or dead."""

    def __init__(self, data: Path) -> None:
        from kymograph.link.client import EngineClient

        self._engine: EngineClient = EngineClient(data)

    def start(self, request: Mapping[str, Any]) -> Plain:
        """Start a run."""
        return self._engine.runs.start(request)

    def list(self, limit: int) -> list[Plain]:
        """Return runs, newest first."""
        return self._engine.runs.list(limit)

    def get(self, run_id: str) -> Plain:
        """Return a run."""
        return self._engine.runs.get(run_id)

    def act(self, run_id: str, action: str, by: str, reason: str) -> Plain:
        """Do `pause`, `resume` or `abort`."""
        runs = self._engine.runs
        if action == "abort":
            return runs.abort(run_id, by, reason)
        return runs.pause(run_id, by) if action == "pause" else runs.resume(run_id, by)

    def emergency(self, by: str) -> Plain:
        """Run the emergency, and return when it is over."""
        return self._engine.runs.emergency(by)

    def take(self, by: str, ttl_s: float) -> int:
        """Take control, or keep it for longer; return its fence."""
        return self._engine.control.take(by, ttl_s)["fence"]

    def keep(self, by: str, fence: int, ttl_s: float) -> None:
        """Give a lease more time, if it still holds."""
        lease = self._engine.control.status()["lease"]
        if lease is not None and lease["fence"] == fence:
            self._engine.control.take(lease["holder"], ttl_s)

    def close(self) -> None:
        """Leave."""
        self._engine.close()


class Server:
    """The runs of a running station, by its interface `/v1`."""

    def __init__(self, url: str, key: str = "") -> None:
        import httpx

        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(10.0, read=60.0)
        self._client = httpx.Client(base_url=url.rstrip("/") + "/v1", headers=headers, timeout=timeout)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return reached(self._client, method, path, body)

    def start(self, request: Mapping[str, Any]) -> Plain:
        """Start a run."""
        return self._ask("POST", "/runs", request)

    def list(self, limit: int) -> list[Plain]:
        """Return runs, newest first."""
        return self._ask("GET", f"/runs?limit={limit}")["items"]

    def get(self, run_id: str) -> Plain:
        """Return a run."""
        return self._ask("GET", f"/runs/{run_id}")

    def act(self, run_id: str, action: str, by: str, reason: str) -> Plain:
        """Do `pause`, `resume` or `abort`."""
        return self._ask("POST", f"/runs/{run_id}/{action}", {"by": by, "reason": reason})

    def emergency(self, by: str) -> Plain:
        """Run the emergency, and return when it is over."""
        return self._ask("POST", "/runs/emergency", {"by": by})

    def take(self, by: str, ttl_s: float) -> int:
        """Take control, or keep it for longer; return its fence."""
        return self._ask("POST", "/control/lease", {"by": by, "ttl_s": ttl_s})["fence"]

    def keep(self, by: str, fence: int, ttl_s: float) -> None:
        """Give a lease more time, if it still holds."""
        lease = self._ask("GET", "/control")["lease"]
        if lease is not None and lease["fence"] == fence:
            self._ask("POST", "/control/lease", {"by": by, "ttl_s": ttl_s})

    def close(self) -> None:
        """Leave."""
        self._client.close()


def open_place(data: Path | None, url: str, key: str) -> Place:
    """Return the runs of a station by its URL if one is given, else by its data folder.

    Raises:
        InvalidInput: neither is given, or both.
        NotFound: there is no such folder.
        Unavailable: no station runs there.
    """
    if url and data is not None and str(data) != os.environ.get("KYMOGRAPH_DATA"):
        raise InvalidInput("--data and --url are both given", hint="a folder, or a running station")
    if url:
        return Server(url, key)
    if data is None:
        raise InvalidInput(
            "where is the station?", hint="give --data FOLDER, or --url http://… of a running station"
        )
    if not data.is_dir():
        raise NotFound(f"there is no folder {data}", hint="give the station's data folder")
    return Engine(data)


def find(place: Place, which: str) -> Plain:
    """Return the run whose id begins so, or the newest one if nothing is said.

    Raises:
        NotFound: there is none.
        InvalidInput: the beginning fits several.
    """
    known = place.list(1 if not which else 1000)
    fits = [run for run in known if run["id"].startswith(which)]
    if which and len(fits) > 1:
        raise InvalidInput(f"{which} fits {len(fits)} runs", hint="give more of the id")
    if not fits:
        raise NotFound(f"there is no run {which}".rstrip(), hint="see `kymograph run ls`")
    return place.get(fits[0]["id"])
