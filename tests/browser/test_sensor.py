"""A light sensor on the dashboard: under control, its present value, and its recording as files close."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

Station = Any
Look = Callable[..., Any]
"""The fixture `look`: opens a watched page of a size and a theme."""
PATIENCE_MS = 20_000
STATION = """
[station]
name = "vehicle"

[instruments.sensor]
driver = "qseries"
port = "sim://qseries?time_scale=0.02&averaging=12"
start = false

[instruments.sensor.options]
time_scale = 0.02

[instruments.bare]
driver = "qseries"
port = "sim://qseries?time_scale=0.1&averaging=60&temperature=0&mode=polled"
start = true

[instruments.bare.options]
time_scale = 0.1
poll_hz = 5

[instruments.slow]
driver = "qseries"
port = "sim://qseries?time_scale=0.5&averaging=12"
start = false

[instruments.slow.options]
averaging = 25
time_scale = 0.5
"""


def act(station: Station, name: str, action: str) -> None:
    """Bring an instrument to where a test begins."""
    station.post(f"v1/instruments/{name}/{action}")


def expect_enabled(page: Page, actions: set[str]) -> None:
    """Wait until just these actions can be pressed: a button rests until its own request is answered."""
    page.wait_for_function(
        """wanted => {
            const buttons = document.querySelectorAll(".controls [data-action]:enabled");
            return [...buttons].map(button => button.dataset.action).sort().join() === wanted;
        }""",
        arg=",".join(sorted(actions)),
        timeout=PATIENCE_MS,
    )


def press(page: Page, action: str) -> None:
    page.locator(f".controls [data-action={action}]").click(timeout=PATIENCE_MS)


def expect_badge(page: Page, word: str) -> None:
    expect(page.locator(".title .badge")).to_have_text(word, timeout=PATIENCE_MS)


def test_every_action_is_offered_where_it_makes_sense(look: Look, station: Station) -> None:
    act(station, "sensor", "close")
    page = look().open("#/instruments/sensor")
    expect_badge(page, "Closed")
    expect_enabled(page, {"open", "start"})
    press(page, "open")
    expect_badge(page, "Idle")
    expect_enabled(page, {"start", "close"})
    press(page, "start")
    expect_badge(page, "Acquiring")
    expect_enabled(page, {"pause", "stop", "close"})
    press(page, "pause")
    expect_badge(page, "Paused")
    expect_enabled(page, {"resume", "stop", "close"})
    expect(page.locator("[data-test=doing]")).to_contain_text("Paused")
    press(page, "resume")
    expect_badge(page, "Acquiring")
    press(page, "stop")
    expect_badge(page, "Idle")
    press(page, "close")
    expect_badge(page, "Closed")
    assert station.get("v1/instruments/sensor")["state"] == "closed"


def test_what_somebody_else_does_is_seen(look: Look, station: Station) -> None:
    act(station, "sensor", "start")
    page = look().open("#/instruments/sensor")
    expect_badge(page, "Acquiring")
    act(station, "sensor", "pause")
    expect_badge(page, "Paused")
    page.evaluate("location.hash = '#/'")
    card = page.get_by_role("article", name="Instrument sensor")
    expect(card).to_contain_text("Paused", timeout=PATIENCE_MS)
    card.get_by_role("button", name="Resume sensor").click()
    expect(card).to_contain_text("Acquiring", timeout=PATIENCE_MS)


def test_what_it_does_this_second_is_said(look: Look, station: Station) -> None:
    act(station, "slow", "close")
    page = look().open("#/instruments/slow")
    expect_badge(page, "Closed")
    page.evaluate(
        """() => {
            const line = document.querySelector("[data-test=doing]");
            window.said = [];
            new MutationObserver(() => window.said.push(line.textContent.trim()))
                .observe(line, { subtree: true, childList: true, characterData: true });
        }"""
    )
    press(page, "start")
    button = page.locator(".controls [data-action=start]")
    expect(button).to_have_attribute("aria-busy", "true")
    expect(page.locator(".controls [data-action=close]")).to_be_enabled()
    expect_badge(page, "Acquiring")
    said = page.evaluate("window.said")
    assert any("averaging" in line for line in said), said


def test_the_present_value_is_large_and_has_an_age(look: Look, station: Station) -> None:
    act(station, "sensor", "start")
    page = look(1920, 1080).open("#/instruments/sensor")
    value = page.locator("[data-test=present] b")
    expect(value).to_have_text(re.compile(r"^\d+\.\d+$"), timeout=PATIENCE_MS)
    before = value.inner_text()
    expect(value).not_to_have_text(before, timeout=PATIENCE_MS)
    assert float(value.evaluate("node => parseFloat(getComputedStyle(node).fontSize)")) > 100
    expect(page.locator("[data-test=age]")).to_contain_text("ago")
    others = page.locator(".present__others")
    expect(others).to_contain_text("°C")
    expect(others).to_contain_text("V")
    device = page.locator("[data-test=device]")
    for word in ("Q12345", "4.003", "125 Hz", "freerun"):
        expect(device).to_contain_text(word.replace(" Hz", "\u00a0Hz"))


def test_what_is_not_sent_says_so_and_words_stand_for_numbers(look: Look) -> None:
    page = look().open("#/instruments/bare")
    temperature = page.locator("[data-channel=temperature]")
    expect(temperature).to_contain_text("not sent", timeout=PATIENCE_MS)
    expect(temperature).to_contain_text("—")
    expect(page.locator("[data-channel=voltage]")).not_to_contain_text("not sent")
    expect(page.locator("[data-channel=mode] dd")).to_have_text("polled")
    lane = page.locator(".key").filter(has_text="temperature")
    expect(lane).to_contain_text("not sent", timeout=PATIENCE_MS)
    page.get_by_role("group", name="Channels shown").get_by_role("button", name="mode").click()
    expect(page.locator(".key").filter(has_text="mode")).to_contain_text("polled", timeout=PATIENCE_MS)


def test_settings_show_what_the_sensor_has_and_change_it(look: Look, station: Station) -> None:
    act(station, "sensor", "start")
    page = look().open("#/instruments/sensor")
    field = page.locator("#settings-averaging")
    expect(field).to_have_attribute("placeholder", re.compile(r"as it is: \d+"), timeout=PATIENCE_MS)
    field.fill("24")
    page.get_by_role("button", name="Use these settings").click()
    expect(page.locator(".toast")).to_contain_text("in use", timeout=PATIENCE_MS)
    expect(page.locator("[data-test=device]")).to_contain_text(re.compile(r"Averaging\s*24"))
    expect_badge(page, "Acquiring")
    assert station.get("v1/instruments/sensor")["device"]["averaging"] == 24


def test_files_appear_as_they_close_and_the_newest_is_marked(look: Look, station: Station) -> None:
    act(station, "sensor", "start")
    wish = {"name": "dive", "instruments": ["sensor"], "segment_interval_s": 1}
    begun = station.post("v1/recordings", wish)
    watched = look()
    page = watched.open(f"#/recordings/{begun['id']}")
    files = page.locator("[data-test=files] tbody tr")
    expect(files.first).to_be_visible(timeout=PATIENCE_MS)
    newest = page.locator("[data-test=files] tr:has([data-test=newest])")
    expect(newest).to_have_count(1)
    first = newest.locator("th").inner_text()
    expect(newest.locator("th")).not_to_have_text(re.compile(re.escape(first)), timeout=PATIENCE_MS)
    assert files.first.locator("[data-test=newest]").count() == 1
    assert sum(url == watched.url for url in watched.requests) == 1, "the page was loaded again"
    station.post(f"v1/recordings/{begun['id']}/stop")
    expect(page.locator("[data-test=newest]")).to_have_count(0, timeout=PATIENCE_MS)
    expect(page.locator("[data-test=ledger] .badge").first).to_have_text("complete", timeout=PATIENCE_MS)


def test_controls_are_reached_by_keyboard(look: Look, station: Station) -> None:
    act(station, "sensor", "start")
    page = look().open("#/instruments/sensor")
    expect_badge(page, "Acquiring")
    page.locator(".controls [data-action=pause]").focus()
    page.keyboard.press("Enter")
    expect_badge(page, "Paused")
    page.locator(".controls [data-action=resume]").focus()
    page.keyboard.press("Space")
    expect_badge(page, "Acquiring")
