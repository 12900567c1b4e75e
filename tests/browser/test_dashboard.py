"""The dashboard as a person meets it: a real station, a real browser."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

Look = Callable[..., Any]
"""The fixture `look`: opens a watched page of a size and a theme."""
Station = Any
PATIENCE_MS = 20_000
ROWS_ENOUGH = 20_000  # some four seconds of the demonstration station
PIXELS_LIT = """canvas => {
    const { width, height } = canvas;
    const bytes = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    let lit = 0;
    for (let i = 0; i < bytes.length; i += 4)
        lit += bytes[i + 3] > 200 && Math.max(bytes[i], bytes[i + 2]) > 120;
    return lit;
}"""


@pytest.fixture(scope="module")
def recording(station: Station) -> dict[str, Any]:
    """A recording of a few seconds of everything, made without the page."""
    started = station.post("v1/recordings", {"name": "made-before"})
    path = f"v1/recordings/{started['id']}"
    station.wait_until(lambda: station.get(path)["rows"] > ROWS_ENOUGH, "a recording that is long enough")
    return station.post(f"{path}/stop")


def wait_lit(page: Page, selector: str, at_least: int) -> None:
    handle = page.wait_for_selector(selector, state="attached", timeout=PATIENCE_MS)
    page.wait_for_function(f"canvas => ({PIXELS_LIT})(canvas) > {at_least}", arg=handle, timeout=PATIENCE_MS)


def wait_for(page: Page, is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not is_so():
        assert time.monotonic() < deadline, what
        page.wait_for_timeout(50)


def test_the_overview_shows_every_instrument_live(look: Look, station: Station) -> None:
    page = look().open()
    names = [one["name"] for one in station.get("v1/instruments")["items"] if one["name"] != "unplugged"]
    for name in names:
        card = page.get_by_role("article", name=f"Instrument {name}")
        expect(card).to_be_visible(timeout=PATIENCE_MS)
        expect(card).to_contain_text(re.compile(r"Acquiring.*Hz", re.S), timeout=PATIENCE_MS)
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    wait_lit(page, ".mini-polar", 100)
    wait_lit(page, ".mini", 100)


def test_a_fault_says_why_and_when_it_is_tried_again(look: Look) -> None:
    page = look().open()
    card = page.get_by_role("article", name="Instrument unplugged")
    expect(card).to_contain_text("Fault", timeout=PATIENCE_MS)
    expect(card.get_by_role("alert")).to_contain_text("/dev/kymograph-is-not-there")
    expect(card.get_by_role("alert")).to_contain_text(re.compile(r"Trying again in \d+"), timeout=PATIENCE_MS)


def test_a_command_is_given_and_answered(look: Look) -> None:
    page = look().open("#/instruments/lidar")
    page.locator(".command summary").filter(has_text="Ask the lidar how it is").click(timeout=PATIENCE_MS)
    page.locator(".command[open]").get_by_role("button", name="Run").click()
    expect(page.locator(".command[open] .answer")).to_contain_text("ok", timeout=PATIENCE_MS)


def test_values_of_a_card_move(look: Look) -> None:
    page = look().open()
    value = page.locator(".big__value b").first
    expect(value).not_to_have_text("–", timeout=PATIENCE_MS)
    before = value.inner_text()
    expect(value).not_to_have_text(before, timeout=PATIENCE_MS)


def test_the_polar_view_draws_a_room_and_reads_a_point(look: Look) -> None:
    page = look().open("#/instruments/lidar")
    wait_lit(page, ".polar__canvas", 400)
    expect(page.locator(".polar__facts")).to_contain_text(
        re.compile(r"[1-9]\d+ echoes a turn"), timeout=PATIENCE_MS
    )
    before = page.locator(".polar__facts").inner_text()
    page.get_by_role("button", name="Nearer").click()
    expect(page.locator(".polar__facts")).not_to_have_text(before)


def test_a_strip_chart_scrolls_holds_and_reads(look: Look) -> None:
    page = look().open("#/instruments/signals")
    wait_lit(page, ".uplot canvas", 400)
    key = page.locator(".key__value b").first
    expect(key).not_to_have_text("–", timeout=PATIENCE_MS)
    pause = page.get_by_role("button", name="Hold the chart of signals")
    pause.click()
    expect(pause).to_have_attribute("aria-pressed", "true")
    box = page.locator(".u-over").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2)
    read = key.inner_text()
    page.mouse.move(box["x"] + box["width"] * 0.97, box["y"] + box["height"] / 2)
    expect(key).not_to_have_text(read, timeout=PATIENCE_MS)


def test_channels_are_chosen(look: Look) -> None:
    page = look().open("#/instruments/signals")
    chips = page.get_by_role("group", name="Channels shown").get_by_role("button")
    expect(chips.first).to_have_attribute("aria-pressed", "true", timeout=PATIENCE_MS)
    shown = page.locator(".key").count()
    chips.first.click()
    expect(page.locator(".key")).to_have_count(shown - 1)


def test_a_recording_is_started_marked_and_stopped(look: Look, station: Station) -> None:
    page = look().open()
    page.locator("[data-test=record-name]").fill("from-the-page")
    button = page.locator("[data-test=record]")
    expect(button).to_be_enabled(timeout=PATIENCE_MS)
    button.click()
    panel = page.get_by_role("region", name="Recording from-the-page")
    expect(panel).to_be_visible(timeout=PATIENCE_MS)
    expect(panel).to_contain_text(re.compile(r"Rows lost\s*none"))
    expect(page.locator("[data-test=elapsed]")).to_have_text("00:00:02", timeout=PATIENCE_MS)
    page.locator("h1").first.focus()
    page.keyboard.press("m")
    page.locator("#mark-text").fill("someone came in")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("Marked")
    page.locator("[data-test=stop]").click()
    page.locator("[data-test=stop-yes]").click()
    expect(button).to_be_visible(timeout=PATIENCE_MS)
    kept = [one for one in station.get("v1/recordings")["items"] if one["name"] == "from-the-page"]
    assert [one["ended"] for one in kept] == ["stop"]
    assert kept[0]["rows"] > 0
    marks = station.get(f"v1/recordings/{kept[0]['id']}/events")["items"]
    assert "someone came in" in [event["body"].get("text") for event in marks if event["kind"] == "mark"]


def test_recordings_are_listed_and_filtered(look: Look, recording: dict[str, Any]) -> None:
    page = look().open("#/recordings")
    row = page.get_by_role("row").filter(has_text=recording["name"])
    expect(row).to_contain_text("complete", timeout=PATIENCE_MS)
    page.get_by_role("searchbox").fill("no such recording")
    expect(page.get_by_text("No recording fits the filter.")).to_be_visible()


def data_requests(watched: Any) -> list[str]:
    return [url for url in watched.requests if "/data?" in url and "max_points=1600" in url]


def test_the_preview_zooms_by_asking_for_less(look: Look, recording: dict[str, Any]) -> None:
    watched = look()
    page = watched.open(f"#/recordings/{recording['id']}")
    preview = page.locator("[data-test=preview]")
    expect(preview).to_have_attribute("aria-busy", "false", timeout=PATIENCE_MS)
    wait_lit(page, ".preview canvas", 200)
    box = page.locator(".preview .u-over").first.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.4, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=5)
    page.mouse.up()
    page.wait_for_function("() => !document.querySelector('[data-test=all]').disabled")
    expect(preview).to_have_attribute("aria-busy", "false", timeout=PATIENCE_MS)
    asked = data_requests(watched)[-1]
    found = re.search(r"start=(\d+).*stop=(\d+)", asked)
    assert found is not None, asked
    whole = recording["ended_ns"] - recording["started_ns"]
    part = int(found[2]) - int(found[1])
    assert 0.1 < part / whole < 0.3
    hrefs = page.locator("[data-test=downloads] a").evaluate_all("links => links.map(link => link.href)")
    formats = page.evaluate("async () => (await (await fetch('v1/formats')).json()).items.length")
    assert sum("start=" in href for href in hrefs) == formats
    page.locator(".preview .u-over").first.dblclick()
    expect(page.locator("[data-test=all]")).to_be_disabled()


def test_the_wheel_zooms(look: Look, recording: dict[str, Any]) -> None:
    watched = look()
    page = watched.open(f"#/recordings/{recording['id']}")
    wait_lit(page, ".preview canvas", 200)
    page.locator(".preview .u-over").first.hover()
    page.mouse.wheel(0, -300)
    page.wait_for_function("() => !document.querySelector('[data-test=all]').disabled")


def test_every_format_is_downloaded(look: Look, recording: dict[str, Any], tmp_path: Path) -> None:
    page = look().open(f"#/recordings/{recording['id']}")
    links = page.locator("[data-test=downloads] a")
    expect(links.first).to_be_visible(timeout=PATIENCE_MS)
    assert links.count() >= 4
    for link in links.all():
        with page.expect_download(timeout=60_000) as coming:
            link.click()
        file = tmp_path / coming.value.suggested_filename
        coming.value.save_as(file)
        assert file.stat().st_size > 100, file.name


def test_a_recorded_scan_is_looked_at_again(look: Look, recording: dict[str, Any]) -> None:
    page = look().open(f"#/recordings/{recording['id']}")
    wait_lit(page, ".polar__canvas--still", 100)


def test_verify_says_that_it_is_whole(look: Look, recording: dict[str, Any]) -> None:
    page = look().open(f"#/recordings/{recording['id']}")
    page.locator("[data-test=verify]").click()
    expect(page.locator(".verdict--good")).to_be_visible(timeout=PATIENCE_MS)


def test_notes_are_kept(look: Look, station: Station, recording: dict[str, Any]) -> None:
    page = look().open(f"#/recordings/{recording['id']}")
    page.get_by_label("Notes", exact=True).last.fill("the door was open")
    page.get_by_role("button", name="Keep notes").click()
    expect(page.locator(".toast")).to_contain_text("Notes kept")
    assert station.get(f"v1/recordings/{recording['id']}")["metadata"]["notes"] == "the door was open"


def test_a_recording_is_deleted_after_a_question(look: Look, station: Station) -> None:
    doomed = station.post("v1/recordings", {"name": "doomed"})
    station.post(f"v1/recordings/{doomed['id']}/stop")
    page = look().open("#/recordings")
    page.get_by_role("button", name="Delete doomed").click(timeout=PATIENCE_MS)
    page.locator("[data-test=confirm]").click()
    expect(page.get_by_role("row").filter(has_text="doomed")).to_have_count(0, timeout=PATIENCE_MS)
    assert "doomed" not in [one["name"] for one in station.get("v1/recordings")["items"]]


def test_an_instrument_is_stopped_and_started(look: Look) -> None:
    page = look().open("#/instruments/signals")
    page.get_by_role("button", name="Stop signals").click(timeout=PATIENCE_MS)
    expect(page.locator(".title .badge")).to_have_text("Idle", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Start signals").click()
    expect(page.locator(".title .badge")).to_have_text("Acquiring", timeout=PATIENCE_MS)


def test_settings_are_changed_through_the_form(look: Look, station: Station) -> None:
    before = station.get("v1/instruments/signals")["options"]["amplitude"]
    page = look().open("#/instruments/signals")
    field = page.locator("#settings-amplitude")
    field.fill(str(before / 2), timeout=PATIENCE_MS)
    page.get_by_role("button", name="Use these settings").click()
    expect(page.locator(".toast")).to_contain_text("in use", timeout=PATIENCE_MS)
    assert station.get("v1/instruments/signals")["options"]["amplitude"] == before / 2
    field.fill(str(before))
    page.get_by_role("button", name="Use these settings").click()
    expect(page.get_by_role("button", name="Use these settings")).to_be_disabled(timeout=PATIENCE_MS)


def test_a_refusal_is_shown_with_its_hint(look: Look, station: Station) -> None:
    watched = look()
    watched.expected = ["409 for"]
    page = watched.open()
    expect(page.locator("[data-test=record]")).to_be_enabled(timeout=PATIENCE_MS)
    page.evaluate(
        """async () => {
            const { api } = await import("./ui/station/api.js");
            const { attempt } = await import("./ui/station/state.js");
            const first = await api.record({ name: "first" });
            await attempt(api.record({ name: "second" }));
            await api.stopRecording(first.id);
        }"""
    )
    expect(page.locator(".toast--bad")).to_contain_text("being recorded already")
    expect(page.locator(".toast--bad span")).to_contain_text("stop the recording first")


def test_the_theme_is_switched_and_remembered(look: Look) -> None:
    page = look().open()
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.locator("[data-test=theme]").click()
    page.locator("[data-test=theme]").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert page.evaluate(ground) != before
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


@pytest.mark.parametrize(
    "place", ["#/", "#/instruments/lidar", "#/instruments/signals", "#/recordings", "#/settings"]
)
def test_a_phone_never_scrolls_sideways_and_targets_are_large(look: Look, place: str) -> None:
    page = look(390, 844, has_touch=True, is_mobile=True).open(place)
    page.wait_for_selector(".panel, .card", timeout=PATIENCE_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    low = page.evaluate(
        """() => [...document.querySelectorAll(".button, .room, .record__button, input, select")]
            .filter(node => node.offsetParent && node.type !== "checkbox")
            .filter(node => node.getBoundingClientRect().height < 43.5)
            .map(node => node.outerHTML.slice(0, 80))"""
    )
    assert not low


def test_a_recording_fits_a_phone(look: Look, recording: dict[str, Any]) -> None:
    page = look(390, 844, has_touch=True, is_mobile=True).open(f"#/recordings/{recording['id']}")
    wait_lit(page, ".preview canvas", 100)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_everything_is_reached_by_keyboard(look: Look) -> None:
    page = look().open()
    expect(page.locator("[data-test=record]")).to_be_enabled(timeout=PATIENCE_MS)
    reached: set[str] = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
                const node = document.activeElement;
                if (node === document.body) return ["the end", true];
                const style = getComputedStyle(node);
                const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
                const name = node.getAttribute("aria-label") || node.textContent.trim();
                return [node.dataset.test || name, ring];
            }"""
        )
        assert seen[1], f"no focus ring on {seen[0]}"
        reached.add(seen[0])
    assert {"record", "record-name", "theme", "Recordings", "Settings", "Stop lidar"} <= reached


def test_unnamed_controls_there_are_none(look: Look) -> None:
    page = look().open("#/instruments/lidar")
    page.wait_for_selector("#settings-model", timeout=PATIENCE_MS)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, a, input, select, textarea, canvas")]
            .filter(node => !node.getAttribute("aria-label") && !node.getAttribute("aria-hidden"))
            .filter(node => !node.textContent.trim() && !node.labels?.length && !node.closest("[role=img]"))
            .map(node => node.outerHTML.slice(0, 120))"""
    )
    assert not nameless


def test_the_connection_comes_back(look: Look) -> None:
    watched = look()
    page = watched.page
    page.route_web_socket("**/v1/live", lambda ws: sockets.append((ws, ws.connect_to_server())))
    sockets: list[Any] = []
    watched.open()
    expect(page.locator(".pill--live")).to_be_visible(timeout=PATIENCE_MS)
    sockets[0][0].close()
    expect(page.locator(".pill--reconnecting")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".pill--live")).to_be_visible(timeout=PATIENCE_MS)
    assert len(sockets) >= 2


def test_a_resumed_subscription_says_where_it_was(look: Look) -> None:
    watched = look()
    page = watched.page
    sent: list[dict[str, Any]] = []
    received: list[bytes] = []
    sockets: list[Any] = []

    def route(ws: Any) -> None:
        server = ws.connect_to_server()
        ws.on_message(lambda message: (sent.append(json.loads(message)), server.send(message)))
        server.on_message(lambda message: (received.append(message), ws.send(message)))
        sockets.append(ws)

    page.route_web_socket("**/v1/live", route)
    watched.open("#/instruments/signals")
    wait_for(page, lambda: sum(isinstance(one, bytes) for one in received) > 20, "live rows")
    sockets[0].close()
    expect(page.locator(".pill--reconnecting")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".pill--live")).to_be_visible(timeout=PATIENCE_MS)
    wait_for(
        page, lambda: any("signals" in (one.get("since") or {}) for one in sent), "a resumed subscription"
    )


def test_where_nothing_moves_there_is_no_stand_and_no_stop(look: Look, station: Station) -> None:
    assert station.get("v1/control")["actuators"] == []
    page = look().open()
    expect(page.get_by_role("link", name="Recordings")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("article").first).to_contain_text("Acquiring", timeout=PATIENCE_MS)
    for place in ("#/", "#/stand"):
        page.evaluate("place => { location.hash = place; }", place)
        expect(page.get_by_role("link", name="Stand")).to_have_count(0)
        expect(page.locator("[data-test=stop-all]")).to_have_count(0)
    expect(page.get_by_role("heading", name="Nothing moves here")).to_be_visible(timeout=PATIENCE_MS)
    page.keyboard.press("Control+.")
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible(timeout=PATIENCE_MS)
    assert not station.get("v1/control")["stopped"]


def test_a_locked_station_asks_for_its_key(look: Look, locked: tuple[str, str]) -> None:
    url, key = locked
    watched = look(url=url)
    watched.expected = ["401 for"]
    page = watched.open()
    expect(page.get_by_role("heading", name="This station asks for a key")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".pill--locked")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("link", name="Enter a key").click()
    page.locator("#key").fill("kym_this-is-not-one")
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator(".toast--bad")).to_contain_text("not known", timeout=PATIENCE_MS)
    page.locator("#key").fill(key)
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator(".pill--live")).to_be_visible(timeout=PATIENCE_MS)
    assert page.evaluate("Object.keys(sessionStorage).length + document.cookie.length") == 0
    watched.open()
    expect(page.get_by_role("article", name="Instrument signals")).to_be_visible(timeout=PATIENCE_MS)
    page.evaluate("location.hash = '#/settings'")
    page.get_by_role("button", name="Forget it").click()
    expect(page.locator(".pill--locked")).to_be_visible(timeout=PATIENCE_MS)
