"""The fleet at a hub, and readings at an edge that ships to it, as the dashboard shows them."""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

Station = Any
Look = Callable[..., Any]
"""The fixture `look`: opens a watched page of a size and a theme."""
PATIENCE_MS = 20_000
EPOCH = 1_700_000_000_000_000_000
MINUTE_S = 60
DAY_S = 86_400
FILE = b"PAR1" + bytes(range(256)) * 40
STATION = """
[station]
name = "hub"

[web]
faces = ["readings"]

[hub]
open = true
"""
EDGE = """
[station]
name = "hut"

[instruments.bme280]
driver = "bme280"
port = "sim://bme280"

[instruments.gone]
driver = "bme280"
port = "i2c:///dev/i2c-kymograph-is-not-there"

[readings]
interval_s = 0.5
instruments = ["bme280", "gone"]

[destinations.hub]
url = "{hub}"

[destinations.elsewhere]
url = "http://127.0.0.1:9"
connect_timeout_s = 0.5
"""
PLACES: dict[str, tuple[str, str, float, float]] = {
    "roof": ("Institute, roof", "Göttingen", 51.5596, 9.9457),
    "harz-01": ("Brocken", "summit", 51.7991, 10.6156),
    "harz-02": ("Torfhaus", "moor", 51.8022, 10.5361),
    "harz-03": ("Wurmberg", "ski slope", 51.7560, 10.6180),
    "solling": ("Solling", "beech stand", 51.7610, 9.5800),
    "weser": ("Weser", "Hannoversch Münden", 51.4170, 9.6510),
    "kassel": ("Kassel", "Herkules", 51.3162, 9.3931),
    "leine": ("Leine", "weir", 51.6300, 9.9420),
    "eichsfeld": ("Eichsfeld", "farm", 51.3790, 10.1380),
    "hainich": ("Hainich", "canopy tower", 51.0792, 10.4530),
}
AGE_S = {"solling": 22 * MINUTE_S, "kassel": 7 * MINUTE_S, "hainich": 2 * DAY_S, "harz-03": 3 * 3600}
"""Of the newest reading; of the others half a minute."""
LARGE_ENOUGH = """() => [...document.querySelectorAll("a, button, input, select, textarea, summary")]
    .filter(node => node.offsetParent && !node.closest("p, small, .skip"))
    .map(node => [node, node.getBoundingClientRect()])
    .filter(([, box]) => box.height < 43.5 || box.width < 43.5)
    .map(([node, { width, height }]) => `${width} x ${height} ${node.outerHTML.slice(0, 90)}`)"""


class Hub:
    """Ships to a hub as stations do."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.now_s = int(time.time())

    def call(self, method: str, path: str, body: bytes, **headers: str) -> int:
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def hello(self, station: str, streams: dict[str, tuple[int, int]], **facts: Any) -> None:
        told = [
            {"stream": stream, "epoch": EPOCH, "first": first, "next": next}
            for stream, (first, next) in streams.items()
        ]
        body = {"version": "1.0", "interval_s": MINUTE_S, "streams": told, **facts}
        assert self.call("POST", f"v1/ingest/{station}/hello", json.dumps(body).encode()) == 200

    def put(self, station: str, stream: str, first: int, rows: list[dict[str, Any]]) -> int:
        lines = [json.dumps({"seq": first + n, **row}) for n, row in enumerate(rows)]
        body = "\n".join(lines).encode()
        return self.call(
            "PUT",
            f"v1/ingest/{station}/{stream}/{EPOCH}/{first}-{first + len(rows) - 1}",
            body,
            **{"X-Content-SHA256": hashlib.sha256(body).hexdigest()},
        )

    def readings(self, station: str, count: int, step_s: int) -> list[dict[str, Any]]:
        newest_s = self.now_s - AGE_S.get(station, 30)
        kind = sorted(PLACES).index(station) if station in PLACES else 7
        return [
            reading(station, newest_s - (count - 1 - n) * step_s, kind, broken=station == "weser")
            for n in range(count)
        ]


def reading(station: str, at_s: int, kind: int, broken: bool) -> dict[str, Any]:
    noise = 0.6 * math.sin(at_s * 12.9898)
    turn = 2 * math.pi * at_s / DAY_S
    celsius = round(4 + kind * 0.8 + 6 * math.sin(turn) + 1.5 * math.sin(turn / 7.3) + noise, 2)
    weather = {
        "temperature": {"c": celsius, "f": round(celsius * 1.8 + 32, 2)},
        "pressure": {"hpa": round(1004 - kind * 7 + 9 * math.sin(turn / 5.1), 2)},
        "humidity": {"rh": round(70 - 22 * math.sin(turn) - 2 * noise, 2)},
    }
    payload = {
        "bme280": {"error": "no answer at 0x77 or 0x76"} if broken else weather,
        "cpu_temp": {"c": 41.5, "f": 106.7},
        "disk_space": {"total_mb": 29_500, "used_mb": 9_000 + kind, "free_mb": 20_500 - kind},
    }
    time_ns = at_s * 1_000_000_000
    return {"device_id": station, "time_ns": time_ns, "local_ns": time_ns, "payload": payload}


def seed(hub: Hub) -> None:
    """A fleet in which every state is there, and every reason why something may be missing."""
    for station, (title, place, _, _) in PLACES.items():
        if station in ("roof", "leine"):
            continue
        rows = hub.readings(station, 120, 10 * MINUTE_S)
        owed = 840 if station == "hainich" else 35 if station == "solling" else 0
        hub.hello(station, {"readings": (0, len(rows) + owed)}, name=title, place=place)
        assert hub.put(station, "readings", 0, rows) == 201
    month = hub.readings("roof", 2880, 10 * MINUTE_S)
    hub.hello("roof", {"readings": (0, len(month)), "segments": (0, 2)}, name="Institute, roof")
    for first in range(0, len(month), 360):
        assert hub.put("roof", "readings", first, month[first : first + 360]) == 201
    ship_file(hub)
    leine = hub.readings("leine", 200, MINUTE_S)
    hub.hello("leine", {"readings": (0, 200)}, name="Leine", place="weir")
    assert hub.put("leine", "readings", 0, leine[:80]) == 201
    assert hub.put("leine", "readings", 80, [{"time_ns": "soon"}] * 10) == 422
    assert hub.put("leine", "readings", 100, leine[100:]) == 201
    hub.hello("leine", {"readings": (95, 200)})
    drifter = hub.readings("drifter", 60, MINUTE_S)
    hub.hello("drifter", {"readings": (0, 60)})
    assert hub.put("drifter", "readings", 0, drifter) == 201
    hub.hello("new-one", {"readings": (0, 0)}, name="Not yet set up")


def ship_file(hub: Hub) -> None:
    sha256 = hashlib.sha256(FILE).hexdigest()
    path = f"v1/ingest/roof/objects/{sha256}"
    headers = {"Upload-Offset": "0", "Upload-Length": str(len(FILE))}
    assert hub.call("PATCH", path, FILE, **headers) == 204
    at_ns = (hub.now_s - 3600) * 1_000_000_000
    row = {
        "recording": {"id": "r1", "name": "radiation-morning"}, "recording_id": "r1", "stream": "radiometer",
        "filename": "radiometer_00000.parquet", "sha256": sha256, "size_bytes": len(FILE), "rows": 3600,
        "first_ns": at_ns, "last_ns": at_ns + 3600 * 1_000_000_000, "format": "parquet",
    }  # fmt: skip
    assert hub.put("roof", "segments", 0, [row]) == 201


@pytest.fixture(scope="module")
def fleet(station: Station) -> Station:
    hub = Hub(station.url)
    seed(hub)
    for name, (title, place, latitude, longitude) in PLACES.items():
        said = {"title": title, "place": place, "latitude": latitude, "longitude": longitude}
        headers = {"Content-Type": "application/json"}
        assert hub.call("PATCH", f"v1/fleet/{name}", json.dumps(said).encode(), **headers) == 200
    return station


@pytest.fixture(scope="module")
def edge(station: Station, serve: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("edge")
    with serve(folder, EDGE.format(hub=station.url.rstrip("/"))) as (url, _):
        yield url


def row_of(page: Page, station: str) -> Any:
    return page.locator(f"[data-test=fleet] [data-station={station}]")


def point_of(page: Page, station: str) -> Any:
    return page.locator(f"[data-test=map] [data-station={station}]")


def history_of(page: Page, how: str) -> Any:
    """Wait until the history is drawn."""
    panel = page.locator("[data-test=history]")
    expect(panel.locator("[data-test=history-how]")).to_contain_text(re.compile(how), timeout=PATIENCE_MS)
    expect(panel).to_have_attribute("aria-busy", "false", timeout=PATIENCE_MS)
    return panel


def test_the_fleet_says_who_is_late_and_what_is_owed(look: Look, fleet: Station) -> None:
    page = look().open("#/")
    page.get_by_role("link", name="Fleet", exact=True).first.click()
    expect(row_of(page, "roof").locator("[data-state=ok]")).to_have_text("ok", timeout=PATIENCE_MS)
    expect(row_of(page, "kassel")).to_contain_text(re.compile(r"late\s*by \d+\smin"))
    expect(row_of(page, "hainich")).to_contain_text(re.compile(r"silent\s*by \d\sd"))
    expect(row_of(page, "hainich")).to_contain_text("840 readings")
    expect(row_of(page, "new-one")).to_contain_text("never heard")
    expect(row_of(page, "roof")).to_contain_text(re.compile(r"temperature\s*[−\d.]+\s*°C"))
    expect(row_of(page, "roof")).to_contain_text(re.compile(r"\d+\ss ago|\d+\smin .*ago"))
    expect(row_of(page, "weser")).to_contain_text("no answer at 0x77")
    expect(row_of(page, "leine")).to_contain_text("missing")


def test_the_list_is_filtered_sorted_and_shown_on_the_map(look: Look, fleet: Station) -> None:
    page = look().open("#/fleet")
    rows = page.locator("[data-test=fleet] tbody tr")
    expect(rows.first).to_have_attribute("data-station", "hainich", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Station", exact=True).click()
    expect(rows.first).to_have_attribute("data-station", "harz-01")
    page.get_by_role("button", name="Owed", exact=True).click()
    expect(rows.first).to_have_attribute("data-station", "hainich")
    row_of(page, "solling").get_by_role("button", name="Show").click()
    expect(point_of(page, "solling")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-test=chosen]")).to_contain_text("beech stand")
    point_of(page, "harz-01").focus()
    page.keyboard.press("Enter")
    expect(row_of(page, "harz-01")).to_have_class(re.compile("chosen"))
    expect(point_of(page, "drifter")).to_have_count(0)
    expect(page.locator("[data-test=placeless]")).to_contain_text("drifter")
    page.get_by_role("searchbox").fill("wurm")
    expect(rows).to_have_count(1)
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name=re.compile("never heard")).click()
    expect(rows).to_have_count(1)


def test_the_map_is_moved_and_zoomed(look: Look, fleet: Station) -> None:
    page = look().open("#/fleet")
    scale = page.locator(".map__scale text")
    expect(scale).to_have_text(re.compile(r"\d+ k?m"), timeout=PATIENCE_MS)
    expect(page.locator(".map__grid text").first).to_contain_text("°")
    before = scale.text_content() or ""
    for _ in range(3):
        page.get_by_role("button", name="Nearer").click()
    expect(scale).not_to_have_text(before)
    place = point_of(page, "roof").get_attribute("transform")
    page.locator(".map__box").focus()
    page.keyboard.press("ArrowRight")
    expect(point_of(page, "roof")).not_to_have_attribute("transform", place or "")
    page.get_by_role("button", name="All stations").click()
    expect(scale).to_have_text(before)


def test_a_station_is_given_a_name_and_a_place(look: Look, fleet: Station) -> None:
    page = look().open("#/fleet")
    page.locator("[data-test=placeless]").get_by_role("button", name="drifter").click(timeout=PATIENCE_MS)
    page.locator("[data-test=edit]").click()
    page.locator("[name=title]").fill("Drifter")
    page.locator("[name=latitude]").fill("500")
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    page.locator("[name=latitude]").fill("51.2")
    page.locator("[name=longitude]").fill("9.8")
    page.get_by_role("button", name="Save").click()
    expect(point_of(page, "drifter")).to_contain_text("Drifter", timeout=PATIENCE_MS)
    assert fleet.get("v1/fleet/drifter")["latitude"] == 51.2


def test_a_station_has_its_history_at_any_zoom(look: Look, fleet: Station) -> None:
    watched = look()
    page = watched.open("#/fleet/roof")
    panel = history_of(page, r"14\d readings|4\d\d readings")
    expect(panel.locator(".lane")).to_have_count(3)
    page.get_by_role("radio", name="30 d").click()
    history_of(page, "lowest and highest of each")
    expect(panel).to_have_attribute("data-span", str(30 * DAY_S))
    over = panel.locator(".u-over").first.bounding_box()
    assert over is not None
    y = over["y"] + over["height"] / 2
    page.mouse.move(over["x"] + over["width"] * 0.5, y)
    page.mouse.down()
    page.mouse.move(over["x"] + over["width"] * 0.55, y, steps=4)
    page.mouse.up()
    expect(panel).not_to_have_attribute("data-span", str(30 * DAY_S))
    history_of(page, "every reading")
    panel.locator(".u-over").first.dblclick()
    history_of(page, r"14\d readings")
    page.get_by_role("group", name="Fields shown").get_by_role("button", name="cpu temp").click()
    expect(panel.locator(".lane")).to_have_count(4)


def test_what_is_missing_has_a_reason(look: Look, fleet: Station) -> None:
    page = look().open("#/fleet/leine")
    ledger = page.locator("[data-test=ledger]")
    expect(ledger).to_contain_text("20 missing", timeout=PATIENCE_MS)
    expect(ledger).to_contain_text(re.compile(r"80 – 89\s*10 rows\s*put aside"))
    expect(ledger).to_contain_text(re.compile(r"90 – 94\s*5 rows\s*never arrived"))
    expect(ledger).to_contain_text(re.compile(r"95 – 99\s*5 rows\s*still to come"))
    rejects = page.locator("[data-test=rejects]")
    expect(rejects).to_contain_text("cannot be taken", timeout=PATIENCE_MS)
    with page.expect_download() as coming:
        rejects.get_by_role("link", name="As it came").click()
    assert "soon" in Path(coming.value.path()).read_text()


def test_a_shipped_recording_is_downloaded(look: Look, fleet: Station) -> None:
    page = look().open("#/fleet/roof")
    shipped = page.locator("[data-test=shipped]")
    shipped.locator("summary").filter(has_text="radiation-morning").click(timeout=PATIENCE_MS)
    with page.expect_download() as coming:
        shipped.get_by_role("link", name="Download").click(timeout=PATIENCE_MS)
    assert Path(coming.value.path()).read_bytes() == FILE


def test_a_key_is_shown_once_and_revoked(look: Look, fleet: Station) -> None:
    page = look().open("#/fleet/kassel")
    keys = page.locator("[data-test=keys]")
    keys.get_by_role("textbox").fill("winter")
    keys.locator("[data-test=make-key]").click()
    shown = keys.locator("[data-test=new-key] code")
    expect(shown).to_contain_text("kym_", timeout=PATIENCE_MS)
    key = shown.inner_text()
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator(".toast")).to_contain_text("copied")
    page.get_by_role("button", name="I have it").click()
    expect(page.locator("main")).not_to_contain_text(key)
    keys.locator(".fleet-line").filter(has_text="winter").get_by_role("button", name="Revoke").click()
    page.locator("[data-test=confirm]").click()
    expect(keys.locator(".fleet-line").filter(has_text="winter")).to_contain_text(
        "revoked", timeout=PATIENCE_MS
    )


def test_an_edge_shows_what_it_reads_and_what_it_owes(look: Look, edge: str) -> None:
    page = look(url=edge).open("#/")
    page.get_by_role("link", name="Readings").click()
    newest = page.locator("[data-test=newest]")
    expect(newest).to_contain_text(re.compile(r"temperature\s*[−\d.]+\s*°C"), timeout=PATIENCE_MS)
    expect(newest.locator(".fault")).to_contain_text("gone")
    history_of(page, r"\d+ readings")
    hub = page.locator("[data-destination=hub]")
    expect(hub).to_contain_text("connected", timeout=PATIENCE_MS)
    expect(hub).to_contain_text(re.compile(r"Shipped\s*[1-9]"), timeout=PATIENCE_MS)
    elsewhere = page.locator("[data-destination=elsewhere]")
    expect(elsewhere).to_contain_text("does not answer", timeout=PATIENCE_MS)
    expect(elsewhere).to_contain_text(re.compile(r"Owed\s*\d+ readings"), timeout=PATIENCE_MS)
    expect(page.locator("[data-test=retention]")).to_contain_text("of the disk is used", timeout=PATIENCE_MS)
    expect(page.locator("[data-test=next]")).to_be_visible()


def test_only_what_a_station_has_is_in_its_menu(look: Look, fleet: Station, edge: str) -> None:
    menu = look().open("#/").get_by_role("navigation", name="Pages")
    expect(menu.get_by_role("link", name="Fleet")).to_be_visible(timeout=PATIENCE_MS)
    expect(menu.get_by_role("link", name="Readings")).to_have_count(0)
    menu = look(url=edge).open("#/").get_by_role("navigation", name="Pages")
    expect(menu.get_by_role("link", name="Readings")).to_be_visible(timeout=PATIENCE_MS)
    expect(menu.get_by_role("link", name="Fleet")).to_have_count(0)


@pytest.mark.parametrize("place", ["#/fleet", "#/fleet/leine", "#/readings"])
def test_it_fits(look: Look, fleet: Station, edge: str, place: str) -> None:
    url = edge if place == "#/readings" else fleet.url
    page = look(390, 844, theme="light", url=url, has_touch=True, is_mobile=True).open(place)
    if place == "#/fleet":
        expect(row_of(page, "roof")).to_contain_text("°C", timeout=PATIENCE_MS)
    else:
        history_of(page, "readings")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not page.evaluate(LARGE_ENOUGH)
    for width in (1280, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(f"innerWidth === {width}", timeout=PATIENCE_MS)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not page.evaluate(LARGE_ENOUGH)
