"""The stand on the dashboard: two people, one stand, and a stop that is always there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.browser.people import PATIENCE_MS, all_acquire, expect_there, person, rest, take, values, valve

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

Station = Any
Look = Callable[..., Any]
"""The fixture `look`: opens a watched page of a size and a theme."""
STATION = """
[station]
name = "teststand"

[ring]
seconds = 30

[control]
armed = ["stand.IGNITION"]

[instruments.stand]
driver = "stm32"
port = "sim://stm32?rate_hz=50"
start = true

[instruments.stand.options]
rate_hz = 50

[instruments.steppers]
driver = "arduino_stepper"
port = "sim://arduino_stepper?time_scale=0.02"
start = true

[instruments.steppers.options]
time_scale = 0.02

[interlocks.pressure]
trip = "stand.P1 > 38.5"
applies_to = ["stand"]
actions = "safe"
message = "the pressure P1 is too high"
"""

FILES = {
    "sequences/slow.yaml": """
name: slow
description: The oxygen line is opened for a while.
parameters:
  hold: {type: number, default: 60, low: 1, high: 90, unit: s}
steps:
  - event: it begins
  - command: {instrument: stand, command: set_valves, arguments: {valves: [0, 1, 0, 0, 0, 0, 0, 0, 0]}}
  - wait_until: {condition: stand.P2 > 3, timeout: 60}
  - wait: ${hold}
always:
  - command: {instrument: stand, command: set_valves, arguments: {valves: [0, 0, 0, 0, 0, 0, 0, 0, 0]}}
"""
}


@pytest.fixture(autouse=True)
def at_rest(station: Station) -> None:
    """Begin every test without a stop, without a lease, with all valves closed."""
    all_acquire(station)
    rest(station)


def holder(station: Station) -> str | None:
    lease = station.get("v1/control")["lease"]
    return lease["holder"] if lease else None


def test_one_moves_the_other_is_refused_and_stops_everything(look: Look, station: Station) -> None:
    anna, ben = person(look, "anna"), person(look, "ben")
    ben.expected = ["409 for"]
    take(anna.page)
    expect(ben.page.locator("[data-test=holder]")).to_contain_text("anna", timeout=PATIENCE_MS)
    valve(anna.page, "GOX1").click()
    for page in (anna.page, ben.page):
        expect_there(page, "GOX1", 1)
        expect(page.locator("[data-test=headline]")).to_contain_text("GOX1 open")
    line = anna.page.locator("[data-test=log] li").filter(has_text="GOX1 open")
    expect(line).to_have_count(1)
    expect(line).to_contain_text("verified", timeout=PATIENCE_MS)

    valve(ben.page, "FUEL1").click()
    refusal = ben.page.locator(".schematic [data-test=refusal]")
    expect(refusal).to_contain_text("anna holds control", timeout=PATIENCE_MS)
    assert values(station)["FUEL1"] == 0

    ben.page.locator("[data-test=stop-all]").click()
    for page in (anna.page, ben.page):
        expect(page.locator("[data-test=stopped]")).to_contain_text("ben", timeout=PATIENCE_MS)
        expect_there(page, "GOX1", 0)

    ben.page.locator("[data-test=reset]").click()
    expect(ben.page.locator("[data-test=stopped]")).to_contain_text(
        "Nothing moves by it", timeout=PATIENCE_MS
    )
    assert station.get("v1/control")["stopped"]
    ben.page.locator("[data-test=reset-confirm]").click()
    for page in (anna.page, ben.page):
        expect(page.locator("[data-test=stopped]")).to_have_count(0, timeout=PATIENCE_MS)
        expect_there(page, "GOX1", 0)


def test_control_is_handed_over_given_back_and_broken(look: Look, station: Station) -> None:
    anna, ben = person(look, "anna"), person(look, "ben")
    take(anna.page)
    anna.page.locator("[data-test=handover]").click()
    anna.page.locator("[data-test=handover-to]").fill("ben")
    anna.page.locator("[data-test=handover-give]").click()
    expect(ben.page.locator("[data-test=holder]")).to_contain_text("You hold control", timeout=PATIENCE_MS)
    expect(anna.page.locator("[data-test=holder]")).to_contain_text("ben", timeout=PATIENCE_MS)
    valve(ben.page, "PURGE1").click()
    expect_there(anna.page, "PURGE1", 1)
    anna.page.locator("[data-test=break]").click()
    anna.page.locator("[data-test=break-yes]").click()
    expect(ben.page.locator("[data-test=holder]")).to_contain_text("nobody", timeout=PATIENCE_MS)
    expect_there(ben.page, "PURGE1", 0)
    assert holder(station) is None


def test_a_name_is_asked_for_once_and_what_needs_arming_is_armed(look: Look, station: Station) -> None:
    watched = person(look, "")
    watched.expected = ["409 for"]
    page = watched.page
    page.locator("[data-test=take]").click()
    page.locator("[data-test=person]").fill("clara")
    page.keyboard.press("Enter")
    expect(page.locator("[data-test=holder]")).to_contain_text("clara", timeout=PATIENCE_MS)
    assert page.evaluate("localStorage.getItem('kymograph.person')") == "clara"
    valve(page, "IGNITION").click()
    expect(page.locator(".schematic [data-test=refusal]")).to_contain_text("not armed", timeout=PATIENCE_MS)
    page.locator("[data-test=arm]").click()
    expect(page.locator("[data-test=armed]")).to_contain_text("stand.IGNITION", timeout=PATIENCE_MS)
    expect(page.locator("[data-test=headline]")).to_contain_text("ARMED")
    page.locator("[data-test=execute]").click()
    expect_there(page, "IGNITION", 1)
    expect(page.locator("[data-test=armed]")).to_have_count(0, timeout=PATIENCE_MS)
    at = next(one["value"] for one in station.get("v1/control")["actuators"] if one["name"] == "motor1")
    page.get_by_role("button", name="Turn motor1 by 90").click()
    there = f"{at + 90:.1f}°".replace("-", "−")
    expect(page.locator("[data-motor=motor1] .stepper__at")).to_have_text(there, timeout=PATIENCE_MS)
    page.locator("[data-test=release]").click()
    expect_there(page, "IGNITION", 0)


def test_a_scenario_runs_before_everyones_eyes(look: Look, station: Station) -> None:
    anna, ben = person(look, "anna"), person(look, "ben")
    take(anna.page)
    anna.page.get_by_role("group", name="Sequences").get_by_role("button", name="slow").click()
    expect(anna.page.locator("[data-sequence=slow] [data-step]").first).to_be_visible(timeout=PATIENCE_MS)
    anna.page.get_by_role("button", name="Start slow").click()
    for page in (anna.page, ben.page):
        run = page.locator("[data-test=run]")
        expect(run).to_have_attribute("data-state", "running", timeout=PATIENCE_MS)
        expect(run.locator("[data-step=done]").first).to_be_visible(timeout=PATIENCE_MS)
    expect(ben.page.locator("[data-test=headline]")).to_contain_text("slow")
    anna.page.locator("[data-test=pause]").click()
    expect(ben.page.locator("[data-test=run]")).to_have_attribute("data-state", "paused", timeout=PATIENCE_MS)
    anna.page.locator("[data-test=resume]").click()
    expect(ben.page.locator("[data-test=run]")).to_have_attribute(
        "data-state", "running", timeout=PATIENCE_MS
    )
    anna.page.locator("[data-test=abort]").click()
    anna.page.get_by_role("textbox", name="Why").fill("enough seen")
    anna.page.locator("[data-test=abort-yes]").click()
    for page in (anna.page, ben.page):
        last = page.locator("[data-test=run-over]").first
        expect(last).to_have_attribute("data-state", "aborted", timeout=PATIENCE_MS)
        expect(last).to_contain_text("enough seen")


def test_the_stop_is_above_a_dialog_and_reached_by_its_key(look: Look, station: Station) -> None:
    kept = station.post("v1/recordings", {"name": "kept"})
    station.post(f"v1/recordings/{kept['id']}/stop")
    page = person(look, "anna").page
    take(page)
    valve(page, "GOX1").click()
    expect_there(page, "GOX1", 1)
    page.evaluate("location.hash = '#/recordings'")
    page.get_by_role("button", name="Delete kept").click(timeout=PATIENCE_MS)
    expect(page.get_by_role("dialog")).to_be_visible()
    reached = [page.evaluate("document.activeElement.dataset.test ?? ''")]
    for _ in range(3):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.test ?? ''"))
    assert "stop-all" in reached, "Tab does not lead from the dialog to STOP ALL"
    page.locator("[data-test=stop-all]").click()
    station.wait_until(lambda: station.get("v1/control")["stopped"], "a stop")
    station.wait_until(lambda: values(station)["GOX1"] == 0, "a closed valve")
    expect(page.locator("[data-test=stopped]")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    rest(station)
    expect(page.locator("[data-test=stopped]")).to_have_count(0, timeout=PATIENCE_MS)
    page.keyboard.press("Control+.")
    station.wait_until(lambda: station.get("v1/control")["stopped"], "a stop by the key")


def test_a_stop_that_does_not_arrive_says_so_and_is_sent_again(look: Look, station: Station) -> None:
    watched = person(look, "anna")
    page = watched.page
    cut = True

    def stop(route: Route) -> None:
        if cut:
            route.abort()
        else:
            route.continue_()

    page.route("**/v1/control/stop", stop)
    page.locator("[data-test=stop-all]").click()
    alarm = page.locator("[data-test=not-sent]")
    expect(alarm).to_contain_text("NOT SENT – use the hardware stop", timeout=PATIENCE_MS)
    expect(page.locator("[data-test=stop-all]")).to_have_text("NOT SENT")
    assert not station.get("v1/control")["stopped"]
    cut = False
    expect(page.locator("[data-test=stopped]")).to_contain_text("anna", timeout=PATIENCE_MS)
    expect(alarm).to_have_count(0, timeout=PATIENCE_MS)
    assert station.get("v1/control")["stopped"]


def test_a_mark_by_one_key_is_in_the_recording(look: Look, station: Station) -> None:
    page = person(look, "anna").page
    page.locator("[data-test=record]").click()
    expect(page.get_by_role("button", name="End recording")).to_be_visible(timeout=PATIENCE_MS)
    page.locator("h1").first.focus()
    page.keyboard.press("m")
    page.locator("#mark-text").fill("frost on the line")
    page.keyboard.press("Enter")
    expect(page.locator("[data-test=log]")).to_contain_text("frost on the line", timeout=PATIENCE_MS)
    page.get_by_role("button", name="End recording").click()
    expect(page.locator("[data-test=record]")).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.parametrize(("width", "height", "theme"), [(1024, 768, "light"), (390, 844, "dark")])
def test_it_fits_tablets_and_phones(look: Look, width: int, height: int, theme: str) -> None:
    page = person(look, "anna", width, height, theme=theme, has_touch=True).page
    expect(page.locator(".lane__plot").first).to_be_attached(timeout=PATIENCE_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    low = page.evaluate(
        """() => [...document.querySelectorAll("button, .room, input, select, summary")]
            .filter(node => node.offsetParent && node.type !== "checkbox")
            .map(node => [node, node.getBoundingClientRect()])
            .filter(([, box]) => box.height < 43.5 || box.width < 43.5)
            .map(([node]) => node.outerHTML.slice(0, 80))"""
    )
    assert not low
    box = page.locator("[data-test=stop-all]").bounding_box()
    assert box is not None
    assert box["width"] >= 160
    assert box["height"] >= 56
    overlapped = page.evaluate(
        """() => {
            const boxes = [...document.querySelectorAll("[data-valve]")].map(n => n.getBoundingClientRect());
            return boxes.some((a, i) => boxes.some((b, j) => i < j &&
                Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 &&
                Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2));
        }"""
    )
    assert not overlapped, "valves lie on each other"


def test_words_can_be_read(look: Look) -> None:
    """Texts have a contrast of 4.5 at least, in both themes."""
    page = person(look, "anna").page
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)
        poor = page.evaluate(CONTRAST)
        assert not poor, f"too little contrast ({theme})"


CONTRAST = """() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgb = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => {
        const linear = (v) => (v <= 10 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4);
        const [x, y, z] = [r, g, b].map(linear);
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const ground = (node) => {
        for (let at = node; at; at = at.parentElement) {
            const colour = rgb(getComputedStyle(at).backgroundColor);
            if (colour[3] > 200) return colour;
        }
        return rgb(getComputedStyle(document.body).backgroundColor);
    };
    const poor = [];
    for (const node of document.querySelectorAll("main *, .stopall *")) {
        const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
        if (!own || !node.offsetParent || node.closest(":disabled, svg, .unseen")) continue;
        const [a, b] = [light(rgb(getComputedStyle(node).color)), light(ground(node))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) poor.push([ratio.toFixed(2), node.className, node.textContent.trim()].join(" "));
    }
    return [...new Set(poor)].slice(0, 12);
}"""


def test_no_dialog_of_the_page_is_above_everything() -> None:
    """A modal `<dialog>` would lie over STOP ALL and make it inert, whatever its place."""
    from tests.browser.conftest import ROOT

    pages = (ROOT / "src/kymograph/web/ui").rglob("*.js")
    code = [re.sub(r"//.*", "", path.read_text()) for path in pages if "vendor" not in path.parts]
    assert not [text for text in code if "showModal" in text or "requestFullscreen" in text]
