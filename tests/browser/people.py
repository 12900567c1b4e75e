"""People at a stand, as tests of the page need them, and bringing the stand back to rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

PATIENCE_MS = 20_000
VALVES = ["RELIEF1", "GOX1", "PURGE1", "PURGE2", "FUEL1", "RELIEF2", "GOX2", "FUEL2", "IGNITION"]
Station = Any
Look = Callable[..., Any]
"""The fixture `look`: opens a watched page of a size and a theme."""


def all_acquire(station: Station) -> None:
    """Wait until every instrument acquires."""

    def ready() -> bool:
        return {one["state"] for one in station.get("v1/instruments")["items"]} == {"acquiring"}

    station.wait_until(ready, "instruments that acquire")


def rest(station: Station) -> None:
    for run in station.get("v1/runs")["items"]:
        if run["state"] in ("running", "paused", "ending"):
            station.post(f"v1/runs/{run['id']}/abort", {"by": "test", "reason": "the test is over"})
    if station.get("v1/control")["stopped"]:
        asked = station.post("v1/control/stop/reset", {"by": "test"})
        station.post("v1/control/stop/reset", {"by": "test", "confirm": asked["confirm"]})
    station.post("v1/control/lease/break", {"by": "test"})
    station.wait_until(lambda: values(station) == dict.fromkeys(VALVES, 0.0), "valves that are closed")


def values(station: Station) -> dict[str, float | None]:
    actuators = station.get("v1/control")["actuators"]
    return {one["name"]: one["value"] for one in actuators if one["instrument"] == "stand"}


def person(look: Look, name: str, width: int = 1440, height: int = 1000, **options: Any) -> Any:
    """Open the stand as somebody who has said their name before."""
    watched = look(width, height, **options)
    watched.page.add_init_script(
        f"localStorage.getItem('kymograph.person') || localStorage.setItem('kymograph.person', '{name}')"
    )
    watched.open("#/stand")
    expect(valve(watched.page, "GOX1")).to_have_attribute("data-value", "0", timeout=PATIENCE_MS)
    expect(watched.page.locator(".pill--live")).to_be_attached(timeout=PATIENCE_MS)
    return watched


def valve(page: Page, name: str) -> Any:
    return page.locator(f"[data-valve={name}]")


def take(page: Page) -> None:
    page.locator("[data-test=take]").click()
    expect(page.locator("[data-test=handover]")).to_be_visible(timeout=PATIENCE_MS)


def expect_there(page: Page, name: str, value: int) -> None:
    """Wait until the device says that a valve is where it was told to be."""
    expect(valve(page, name)).to_have_attribute("data-value", str(value), timeout=PATIENCE_MS)
    expect(valve(page, name)).to_have_attribute("data-standing", "there", timeout=PATIENCE_MS)
