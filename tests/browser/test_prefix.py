"""The dashboard behind a path of a reverse proxy, as BlueOS shows its extensions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.prefix import PrefixProxy

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

PATIENCE_MS = 20_000
PREFIX = "/extensionv2/kymographlight"
STATION = """
[station]
name = "vehicle"

[web]
faces = ["radiometer"]
origins = ["http://blueos.local"]

[instruments.sensor]
driver = "qseries"
port = "sim://qseries?time_scale=0.02&averaging=12"

[instruments.sensor.options]
time_scale = 0.02
"""


@pytest.fixture
def proxy(station: Any):
    with PrefixProxy(int(station.url.rstrip("/").rpartition(":")[2]), PREFIX) as proxy:
        yield proxy


def test_every_page_lives_under_a_prefix(proxy: PrefixProxy, station: Any, look: Callable[..., Any]) -> None:
    """Nothing is asked for outside it: pages, live rows, commands, files, the pages of the interface."""
    began = station.post("record/start", {"chunk_interval_s": 1})
    page = look(url=proxy.url).page
    page.goto(f"{proxy.url}#/instruments/sensor")
    value = page.locator("[data-test=present]").first
    expect(value).to_have_text(re.compile(r"\d"), timeout=PATIENCE_MS)
    before = value.inner_text()
    station.wait_until(lambda: value.inner_text() != before, "a live value through the proxy")
    page.goto(f"{proxy.url}#/recordings/{began['session_id']}")
    expect(page.get_by_text(re.compile(r"^chunk_\d+\.jsonl$")).first).to_be_visible(timeout=PATIENCE_MS)
    page.goto(f"{proxy.url}#/completeness")
    expect(page.locator("main")).to_contain_text("session-", timeout=PATIENCE_MS)
    station.post("record/stop", {"session_id": began["session_id"]})
    page.goto(f"{proxy.url}docs")
    expect(page.locator("body")).to_contain_text("/v1/recordings", timeout=PATIENCE_MS)
    assert proxy.outside == []


def test_a_button_works_through_a_proxy(proxy: PrefixProxy, station: Any, look: Callable[..., Any]) -> None:
    station.post("v1/instruments/sensor/start")
    page = look(url=proxy.url).page
    page.goto(f"{proxy.url}#/instruments/sensor")
    page.locator(".controls [data-action=stop]:enabled").click(timeout=PATIENCE_MS)
    station.wait_until(
        lambda: station.get("v1/instruments/sensor")["state"] == "idle", "the sensor's stop through the proxy"
    )
    station.post("v1/instruments/sensor/start")


def test_it_shows_inside_a_page_of_the_same_address(proxy: PrefixProxy, look: Callable[..., Any]) -> None:
    page = look(url=proxy.url).page
    page.goto(f"{proxy.url}healthz")
    page.evaluate(
        "url => { const f = document.createElement('iframe'); f.src = url; document.body.append(f) }",
        proxy.url,
    )
    inside = page.frame_locator("iframe")
    expect(inside.locator("main")).to_contain_text("sensor", timeout=PATIENCE_MS)


def test_a_proxy_that_says_another_host(station: Any) -> None:
    """As proxies do that were told nothing: the page's origin then has to be listed."""
    port = int(station.url.rstrip("/").rpartition(":")[2])
    with PrefixProxy(port, PREFIX, host=f"127.0.0.1:{port}") as proxy:
        for origin, status in (("http://blueos.local", 200), ("http://elsewhere.example", 403)):
            answer = httpx.post(f"{proxy.url}v1/instruments/sensor/start", headers={"origin": origin})
            assert answer.status_code in (status, 409 if status == 200 else status), answer.text
