"""The page that `kymograph plot` makes, opened from a file without any network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from kymograph.cli.app import run
from kymograph.model.event import Event
from tests.running import until
from tests.unit.plot.made import T0, recording, tell


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plot")
    made = recording(folder)
    tell(made, Event("a", T0 + 20_000_000_000, "user/anna", "mark", {"text": "tank <b>open</b>"}))
    out = folder / "firing.html"
    assert run(["plot", str(made), "-o", str(out), "--title", "A firing"]) == 0
    return out


@pytest.fixture
def page(browser: Browser, page_file: Path) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1200, "height": 800}, offline=True)
    opened = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    opened.on("request", lambda one: asked.append(one.url))
    opened.on("console", lambda one: complaints.append(one.text))
    opened.on("pageerror", lambda one: complaints.append(str(one)))
    opened.add_init_script(COLOURED)
    opened.goto(page_file.as_uri())
    expect(opened.locator("#panels canvas")).to_have_count(2)
    yield opened
    context.close()
    assert asked == [page_file.as_uri()]
    assert complaints == []


COLOURED = """
  window.coloured = (at) => {
    const canvas = document.querySelectorAll("#panels canvas")[at];
    const copy = new OffscreenCanvas(canvas.width, canvas.height);
    const pen = copy.getContext("2d", { willReadFrequently: true });
    pen.drawImage(canvas, 0, 0);
    const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
    const wanted = colour("trace-1").match(/\\w\\w/g).map((part) => parseInt(part, 16));
    let found = 0;
    for (let i = 0; i < data.length; i += 4)
      found += wanted.every((value, k) => Math.abs(data[i + k] - value) < 30);
    return found;
  };
"""
"""Counts the pixels of a panel that are of its first line's colour, as it is now."""


def drag(page: Page, start: float, stop: float) -> None:
    area = page.locator(".u-over").first.bounding_box()
    assert area is not None
    page.mouse.move(area["x"] + area["width"] * start, area["y"] + 50)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * stop, area["y"] + 60, steps=5)
    page.mouse.up()


def shown(page: Page) -> list[float]:
    return page.evaluate("plots.map(({ plot }) => plot.scales.x.max - plot.scales.x.min)")


def test_it_says_what_it_is_and_draws_every_panel(page: Page) -> None:
    expect(page.locator("h1")).to_have_text("A firing")
    expect(page.locator("#subtitle")).to_contain_text(
        "40\u202f000 rows, each point the lowest and highest of"
    )
    expect(page.locator("#note")).to_have_text("Without values: T1")
    expect(page.locator("#moments li")).to_have_text("tank <b>open</b>")
    expect(page.locator("h2").first).to_have_text("P1bar")
    until(lambda: page.evaluate("coloured(0) > 200 && coloured(1) > 200"))
    assert page.evaluate("[tick(2.5, 2.5), tick(-1500, 500), tick(0.3, 0.05), tick(1e-7, 1e-7)]") == [
        "2.5", "\u22121\u202f500", "0.30", "0.0000001",
    ]  # fmt: skip


def test_dragging_zooms_all_panels_and_a_double_click_shows_all(page: Page) -> None:
    whole = shown(page)[0]
    drag(page, 0.5, 0.6)
    until(lambda: all(seconds < whole * 0.2 for seconds in shown(page)))
    assert len(set(shown(page))) == 1
    page.locator(".u-over").first.dblclick()
    until(lambda: set(shown(page)) == {whole})
    page.get_by_role("button", name="Zoom in").click()
    until(lambda: all(seconds < whole for seconds in shown(page)))
    page.keyboard.press("Escape")
    until(lambda: set(shown(page)) == {whole})


def test_the_pointer_reads_values_and_a_click_hides_a_line(page: Page) -> None:
    area = page.locator(".u-over").first
    area.hover(position={"x": 100, "y": 40})
    expect(page.locator("#clock")).to_contain_text("2026-02-02 02:40:0")
    expect(page.get_by_role("button", name="P1")).to_contain_text("…")
    expect(page.get_by_role("button", name="valve")).to_contain_text("shut")
    page.get_by_role("button", name="P1").click()
    until(lambda: page.evaluate("plots[0].plot.series.slice(1).every(({ show }) => !show)"))
    until(lambda: page.evaluate("coloured(1) > 200"))


def test_it_is_dark_or_light_as_the_reader_is(page: Page) -> None:
    body = page.locator("body")
    page.emulate_media(color_scheme="dark")
    expect(body).to_have_css("background-color", "rgb(20, 18, 16)")
    until(lambda: page.evaluate("coloured(0) > 200"))
    page.emulate_media(color_scheme="light")
    expect(body).to_have_css("background-color", "rgb(247, 244, 238)")
    until(lambda: page.evaluate("coloured(0) > 200"))
