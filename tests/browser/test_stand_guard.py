"""What guards a stand, on the dashboard: a trip and its reset, triggers, the stop on every page, the past."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.people import (
    PATIENCE_MS,
    Look,
    Station,
    all_acquire,
    expect_there,
    person,
    rest,
    take,
    values,
    valve,
)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

STATION = """
[station]
name = "teststand"

[ring]
seconds = 60

[instruments.stand]
driver = "stm32"
port = "sim://stm32?rate_hz=50"

[instruments.stand.options]
rate_hz = 50

[dashboard.stand.places]
P3 = "oxygen line"
P8 = "chamber"

[interlocks.line]
trip = "stand.P3 > 6"
applies_to = ["stand"]
actions = "safe"
message = "the oxygen line has too much pressure"

[triggers.ignition]
when = "stand.thrust > 5000"
pre_s = 0.5
post_s = 0.5
rearm_s = 0.5
record = "burn"
"""
FILES = {
    "sequences/waiting.yaml": """
name: waiting
description: Waits.
parameters:
  hold: {type: number, default: 60, low: 0, high: 90, unit: s}
steps:
  - event: it begins
  - group:
      name: in between
      steps:
        - command: {instrument: stand, command: set_valves, arguments: {valves: [0, 1, 0, 0, 0, 0, 0, 0, 0]}}
        - wait: ${hold}
always:
  - command: {instrument: stand, command: set_valves, arguments: {valves: [0, 0, 0, 0, 0, 0, 0, 0, 0]}}
"""
}
PAGES = ["#/", "#/stand", "#/instruments/stand", "#/recordings", "#/completeness", "#/settings", "#/nowhere"]
SIZES = [(1440, 900), (1024, 768), (700, 900), (390, 844)]
IS_ON_TOP = """(selector) => {
    const box = document.querySelector(selector).getBoundingClientRect();
    const at = [[0.1, 0.5], [0.5, 0.2], [0.5, 0.8], [0.9, 0.5]].map(([x, y]) =>
        document.elementFromPoint(box.x + box.width * x, box.y + box.height * y));
    return at.every(node => node?.closest(selector));
}"""
"""Whether an element is whole on the screen, and nothing lies over it."""


@pytest.fixture(autouse=True)
def at_rest(station: Station) -> None:
    """Begin every test as a stand at rest, with nothing tripped, on which nothing is recorded."""
    all_acquire(station)
    rest(station)
    for one in station.get("v1/recordings")["items"]:
        if one["running"]:
            station.post(f"v1/recordings/{one['id']}/stop")
    if station.get("v1/control")["interlocks"][0]["state"] == "tripped":
        station.post("v1/control/interlocks/line/reset", {"by": "test"})


def lock(page: Page) -> Any:
    return page.locator("[data-lock=line]")


def trigger(station: Station) -> dict[str, Any]:
    return station.get("v1/triggers")["items"][0]


def test_a_pressure_that_leaves_its_band_trips_and_is_reset(look: Look, station: Station) -> None:
    anna, ben = person(look, "anna"), person(look, "ben")
    anna.expected = ["409 for"]
    page = anna.page
    expect(lock(page)).to_have_attribute("data-state", "clear", timeout=PATIENCE_MS)
    expect(lock(page)).to_contain_text(re.compile(r"stand\.P3 is .* below 6"))
    assert int(lock(page).get_by_role("meter").get_attribute("aria-valuenow") or 0) < 95
    take(page)
    valve(page, "PURGE1").click()  # nitrogen into the line: ten bar, were it left open
    for one in (page, ben.page):
        expect(lock(one)).to_have_attribute("data-state", re.compile("tripped|latched"), timeout=PATIENCE_MS)
        expect(lock(one)).to_contain_text("the oxygen line has too much pressure")
        expect(one.locator("[data-test=headline]")).to_contain_text("TRIPPED", timeout=PATIENCE_MS)
        expect_there(one, "PURGE1", 0)
    expect(lock(page)).to_have_attribute("data-state", "latched", timeout=PATIENCE_MS)
    expect(lock(page)).to_contain_text(re.compile(r"tripped at: stand\.P3"))
    expect(page.locator("[data-test=log]")).to_contain_text("interlock line: tripped", timeout=PATIENCE_MS)

    valve(page, "GOX1").click()
    refusal = page.locator(".schematic [data-test=refusal]")
    expect(refusal).to_contain_text("line", timeout=PATIENCE_MS)
    assert values(station)["GOX1"] == 0

    page.locator("[data-test=reset-lock]").click()
    for one in (page, ben.page):
        expect(lock(one)).to_have_attribute("data-state", "clear", timeout=PATIENCE_MS)
        expect(one.locator("[data-test=headline]")).to_contain_text("SAFE", timeout=PATIENCE_MS)
        expect_there(one, "PURGE1", 0)
    valve(page, "GOX1").click()
    expect_there(page, "GOX1", 1)


def test_a_trigger_is_switched_off_and_on_and_fired(look: Look, station: Station) -> None:
    page = person(look, "anna").page
    line = page.locator("[data-trigger=ignition]")
    expect(line).to_contain_text("armed", timeout=PATIENCE_MS)
    line.get_by_role("button", name="Switch off").click()
    expect(line).to_contain_text("off", timeout=PATIENCE_MS)
    station.wait_until(lambda: trigger(station)["state"] == "off", "a trigger that is off")
    line.get_by_role("button", name="Switch on").click()
    station.wait_until(lambda: trigger(station)["state"] == "armed", "a trigger that is armed")
    expect(line.get_by_role("button", name="Switch off")).to_be_visible(timeout=PATIENCE_MS)
    line.get_by_role("button", name="Fire").click()
    expect(line).to_contain_text(", last ", timeout=PATIENCE_MS)

    def kept() -> bool:
        return [one["running"] for one in station.get("v1/recordings")["items"] if one["name"] == "burn"] == [
            False
        ]

    station.wait_until(kept, "a recording that the trigger has begun and ended")


def test_the_stop_and_what_is_simulated_are_seen_on_every_page(look: Look) -> None:
    page = person(look, "anna").page
    for place in PAGES:
        page.evaluate("place => { location.hash = place; }", place)
        page.wait_for_selector("main > *")
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate("scrollTo(0, 1e6)")
            for selector in ("[data-test=stop-all]", ".header .tag"):
                page.wait_for_function(IS_ON_TOP, arg=selector, timeout=PATIENCE_MS)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (place, width)


def test_pressures_without_a_place_stand_beside_the_drawing(look: Look) -> None:
    page = person(look, "anna").page
    beside = page.locator("[data-test=beside]")
    expect(beside).to_contain_text("P1", timeout=PATIENCE_MS)
    assert beside.locator("dt").all_inner_texts() == ["P1", "P2", "P4", "P5", "P6", "P7"]
    expect(beside.locator("dd").first).to_contain_text(re.compile(r"3\d\.\d bar"), timeout=PATIENCE_MS)
    assert set(page.locator(".lines__back .vessel__unit").all_text_contents()) == {"P3 bar", "P8 bar"}


def test_the_steps_follow_what_is_typed(look: Look) -> None:
    page = person(look, "anna").page
    page.get_by_role("group", name="Sequences").get_by_role("button", name="waiting").click()
    end = page.locator("[data-test=preview-steps] li").last
    expect(end).to_contain_text("1:00", timeout=PATIENCE_MS)
    page.locator("#sequence-hold").fill("12")
    expect(end).to_contain_text("12 s", timeout=PATIENCE_MS)
    page.locator("#sequence-hold").fill("120")
    expect(page.locator("[data-problem=hold]")).to_contain_text("at most 90", timeout=PATIENCE_MS)
    expect(end).to_contain_text("12 s")
    page.locator("#sequence-hold").fill("30")
    expect(page.locator("[data-problem=hold]")).to_have_count(0, timeout=PATIENCE_MS)
    expect(end).to_contain_text("30 s", timeout=PATIENCE_MS)


def test_a_recording_begins_in_the_past_and_shows_the_run(look: Look, station: Station) -> None:
    page = person(look, "anna").page
    page.evaluate("location.hash = '#/'")
    page.locator("[data-test=record-name]").fill("with-past")
    page.get_by_text("What and how").click()
    expect(page.get_by_text(re.compile("The station still has .* of what was before"))).to_be_visible()
    page.locator("[data-test=record-pre]").fill("-1")
    expect(page.locator("[data-test=record]")).to_be_disabled()
    page.locator("[data-test=record-pre]").fill("2")
    page.locator("[data-test=record]").click()
    expect(page.locator("[data-test=stop]")).to_be_visible(timeout=PATIENCE_MS)
    [made] = [one for one in station.get("v1/recordings")["items"] if one["name"] == "with-past"]
    assert made["metadata"]["pre_s"] == 2
    assert made["metadata"]["pre_s_given"] > 0

    run = station.post("v1/runs", {"sequence": "waiting", "by": "anna", "parameters": {"hold": 0.2}})
    station.wait_until(lambda: station.get(f"v1/runs/{run['id']}")["ended_ns"] is not None, "a run's end")
    assert station.get(f"v1/runs/{run['id']}")["state"] == "done"
    station.post(f"v1/recordings/{made['id']}/stop")
    page.evaluate("id => { location.hash = `#/recordings/${id}`; }", made["id"])
    expect(page.locator("[data-test=preview] .lane__plot").first).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_function("() => document.querySelector('.u-over')?.offsetTop > 40")
    told = page.evaluate(
        """async id => {
            const { momentsOf } = await import(new URL("ui/recording/moments.js", document.baseURI).href);
            const answer = await fetch(new URL(`v1/recordings/${id}/events`, document.baseURI));
            return momentsOf((await answer.json()).items).map(({ text }) => text);
        }""",
        made["id"],
    )
    turns = [text for text in told if "waiting" in text]
    assert (turns[0], turns[-1]) == ("waiting begins", "waiting is done")
    assert told.count("it begins") == 1
    assert [text for text in told if "GOX1" in text or "all closed" in text] == ["GOX1 open", "all closed"]


def test_what_has_just_happened_is_kept_from_the_overview(look: Look, station: Station) -> None:
    page = look().open()
    page.locator("[data-test=keep-past]").click()
    expect(page.get_by_text("The last 30 s are kept")).to_be_visible(timeout=PATIENCE_MS)

    def kept() -> bool:
        names = [one["name"] for one in station.get("v1/recordings")["items"] if not one["running"]]
        return any(name.endswith("-kept") for name in names)

    station.wait_until(kept, "a recording of what had been")
