"""What is held and what is missing, as the dashboard says it: at the source, and of a mirror's folder."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
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
STATION = """
[station]
name = "vehicle"

[instruments.sensor]
driver = "qseries"
port = "sim://qseries?time_scale=0.02&averaging=12"

[instruments.sensor.options]
time_scale = 0.02
"""
LARGE_ENOUGH = """() => [...document.querySelectorAll("a, button, input, select, textarea, summary")]
    .filter(node => node.offsetParent && !node.closest("p, small, .skip"))
    .map(node => [node, node.getBoundingClientRect()])
    .filter(([, box]) => box.height < 43.5 || box.width < 43.5)
    .map(([node, { width, height }]) => `${width} x ${height} ${node.outerHTML.slice(0, 90)}`)"""
CONTRAST = """() => {
    const parts = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => [r, g, b]
        .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (node) => {
        for (let at = node; at; at = at.parentElement) {
            const color = parts(getComputedStyle(at).backgroundColor);
            if (color.length === 3 || color[3] === 1) return color;
        }
        return [0, 0, 0];
    };
    const own = (node) => [...node.childNodes].some(one => one.nodeType === 3 && one.textContent.trim());
    return [...document.querySelectorAll("main *")]
        .filter(node => own(node) && node.offsetParent && !node.closest(":disabled, [aria-pressed=false]"))
        .map(node => {
            const [a, b] = [light(parts(getComputedStyle(node).color)), light(ground(node))];
            return [node, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
        })
        .filter(([, ratio]) => ratio < 4.5)
        .map(([node, ratio]) => `${ratio} ${node.className} ${node.textContent.trim().slice(0, 40)}`);
}"""


@pytest.fixture(scope="module")
def recording(station: Station) -> dict[str, Any]:
    """A recording of several files with a pause in it, that was stopped."""
    begun = station.post("v1/recordings", {"name": "dive", "segment_interval_s": 1})
    path = f"v1/recordings/{begun['id']}"
    station.wait_until(lambda: station.get(path)["segments"] >= 2, "two sealed files")
    station.post("v1/instruments/sensor/pause")
    station.post("v1/instruments/sensor/resume")
    station.wait_until(lambda: station.get(path)["segments"] >= 5, "five sealed files")
    return station.post(f"{path}/stop")


@pytest.fixture(scope="module")
def mirror(
    station: Station, recording: dict[str, Any], view: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """A mirror of the recording from which two files have gone and one has changed, in a dashboard."""
    folder = tmp_path_factory.mktemp("dives") / "mirror"
    command = [sys.executable, "-m", "kymograph", "mirror", station.url, str(folder), "--once"]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    (held,) = (one for one in (folder / "recordings").iterdir() if "_dive_" in one.name)
    files = sorted(held.glob("sensor_*.parquet"))
    for file in files[1:3]:
        file.unlink()
    with view(folder) as url:
        yield url, held


def ledger_of(page: Page) -> Any:
    panel = page.locator("[data-test=ledger]")
    expect(panel).to_be_visible(timeout=PATIENCE_MS)
    return panel


def test_a_whole_recording_says_so_in_a_sentence(
    look: Look, station: Station, recording: dict[str, Any]
) -> None:
    page = look().open(f"#/recordings/{recording['id']}")
    panel = ledger_of(page)
    told = station.get(f"v1/recordings/{recording['id']}/completeness")
    expect(panel.locator("[data-test=summary]")).to_have_text(told["summary"])
    expect(panel.locator(".badge").first).to_have_text("complete")
    expect(panel.locator("[data-test=expected]")).to_contain_text(str(told["expected"]["segments"]))
    expect(panel.locator("[data-test=root-hash]")).to_have_text(told["root_hash"])
    bar = panel.get_by_role("img")
    expect(bar).to_have_attribute("aria-label", re.compile(r"held .*nothing was sent"))
    expect(panel.locator("[data-test=missing]")).to_have_count(0)
    panel.locator("[data-test=silences] summary").click()
    expect(panel.locator("[data-test=silences]")).to_contain_text("paused")
    panel.locator("[data-test=silences] button.plain").first.click()
    page.wait_for_function("() => !document.querySelector('[data-test=all]').disabled", timeout=PATIENCE_MS)


def test_every_byte_is_verified(look: Look, station: Station, recording: dict[str, Any]) -> None:
    page = look().open(f"#/recordings/{recording['id']}")
    panel = ledger_of(page)
    panel.locator("[data-test=verify]").click()
    expect(panel.locator(".verdict--good")).to_be_visible(timeout=PATIENCE_MS)
    told = station.get(f"v1/recordings/{recording['id']}/completeness")
    assert told["verified"]["segments"] == told["expected"]["segments"]
    expect(page.locator("[data-test=files] tbody tr").first).to_contain_text("verified")
    expect(panel.get_by_role("img")).to_have_attribute("aria-label", re.compile(r"verified"))
    panel.locator("[data-test=verify]").click()
    expect(panel.locator(".verdict--good")).to_be_visible(timeout=PATIENCE_MS)


def test_the_root_hash_is_copied(look: Look, recording: dict[str, Any]) -> None:
    watched = look()
    watched.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = watched.open(f"#/recordings/{recording['id']}")
    panel = ledger_of(page)
    panel.get_by_role("button", name="Copy the root hash").click()
    expect(page.locator(".toast")).to_contain_text("copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == panel.locator("[data-test=root-hash]").inner_text()


def test_mirrors_of_a_recording_are_told(look: Look, station: Station, recording: dict[str, Any]) -> None:
    page = look().open(f"#/recordings/{recording['id']}")
    told = {"state": "running", "expected": 6, "held": 4, "rows": 1234, "tail_bytes": 0}
    request = urllib.request.Request(
        f"{station.url}v1/recordings/{recording['id']}/mirrors/surface",
        json.dumps(told).encode(),
        {"content-type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=10).close()
    panel = page.locator("[data-test=mirrors]")
    expect(panel).to_contain_text("surface", timeout=PATIENCE_MS)
    expect(panel).to_contain_text("4 of 6 files")
    expect(panel).to_contain_text("ago")


def test_a_mirror_says_what_never_came(look: Look, mirror: tuple[str, Path]) -> None:
    url, held = mirror
    watched = look(url=url)
    watched.expected = ["500 for", "404 for"]  # of the preview, which needs the files that are gone
    page = watched.open("#/recordings")
    row = page.get_by_role("row").filter(has_text="dive")
    expect(row).to_contain_text("incomplete", timeout=PATIENCE_MS)
    row.get_by_role("link", name="dive").click()
    panel = ledger_of(page)
    expect(panel.locator("[data-test=source]")).to_contain_text("vehicle")
    expect(panel.locator("[data-test=source]")).to_contain_text(re.compile(r"\d+.s ago"))
    missing = panel.locator("[data-test=missing]")
    expect(missing).to_contain_text("never fetched")
    expect(missing).to_contain_text("sensor_00001.parquet")
    expect(panel.get_by_role("img")).to_have_attribute("aria-label", re.compile("missing"))
    assert panel.locator(".line__missing").count() >= 1
    gone = page.locator("[data-test=files] tbody tr").filter(has_text="sensor_00002")
    expect(gone).to_contain_text("missing")
    expect(gone.get_by_role("link")).to_have_count(0)
    sums = hashlib.sha256((held / "SHA256SUMS").read_bytes()).hexdigest()
    expect(panel.locator("[data-test=root-hash]")).to_have_text(sums)


def test_a_changed_file_is_damage_when_it_is_read(look: Look, mirror: tuple[str, Path]) -> None:
    url, held = mirror
    changed = held / "sensor_00003.parquet"
    before = changed.read_bytes()
    changed.write_bytes(before[:400] + bytes([before[400] ^ 1]) + before[401:])
    try:
        watched = look(url=url)
        watched.expected = ["500 for", "404 for"]
        page = watched.open("#/completeness")
        page.locator("[data-test=check] a").first.click()
        panel = ledger_of(page)
        panel.locator("[data-test=verify]").click()
        expect(panel.locator(".verdict--bad")).to_contain_text("sensor_00003", timeout=PATIENCE_MS)
        expect(panel.locator(".badge").first).to_have_text("damaged")
    finally:
        changed.write_bytes(before)


def test_all_recordings_are_on_one_page(look: Look, recording: dict[str, Any]) -> None:
    watched = look()
    page = watched.open("#/")
    page.get_by_role("link", name="Completeness").click()
    row = page.locator("[data-test=check]").filter(has_text="dive")
    expect(row).to_contain_text("complete", timeout=PATIENCE_MS)
    expect(row).to_contain_text("nothing missing")
    expect(page.locator("[data-test=headline]")).to_contain_text("Nothing missing")
    expect(page.locator("[data-test=held-mirrors]")).to_have_count(0)


def test_a_folder_that_is_viewed_shows_its_mirrors(look: Look, mirror: tuple[str, Path]) -> None:
    watched = look(url=mirror[0])
    page = watched.open("#/completeness")
    expect(page.locator("[data-test=headline]")).to_contain_text("not complete", timeout=PATIENCE_MS)
    held = page.locator("[data-test=held-mirrors]")
    expect(held).to_contain_text("vehicle")
    expect(held).to_contain_text("not all yet")


def test_all_of_them_are_verified(look: Look, station: Station, recording: dict[str, Any]) -> None:
    page = look().open("#/completeness")
    page.locator("[data-test=verify-all]").click(timeout=PATIENCE_MS)
    row = page.locator("[data-test=check]").filter(has_text="dive")
    files = recording["segments"]
    expect(row).to_contain_text(f"{files} of {files} files verified", timeout=PATIENCE_MS)
    expect(page.locator("[data-test=verify-all]")).to_be_visible(timeout=PATIENCE_MS)


def test_a_folder_without_instruments_leads_to_what_is_in_it(look: Look, mirror: tuple[str, Path]) -> None:
    page = look(url=mirror[0]).open()
    expect(page.locator("[data-test=record]")).to_have_count(0, timeout=PATIENCE_MS)
    page.get_by_role("link", name="Is everything here?").click()
    expect(page.locator("[data-test=check]")).to_have_count(1, timeout=PATIENCE_MS)


def test_only_recordings_in_view_are_asked_for(look: Look, station: Station) -> None:
    made: list[dict[str, Any]] = []
    for n in range(14):
        one = station.post("v1/recordings", {"name": f"short-{n}"})
        made.append(station.post(f"v1/recordings/{one['id']}/stop"))
    watched = look(900, 320)
    page = watched.open("#/recordings")
    expect(page.locator("[data-state=complete]").first).to_be_visible(timeout=PATIENCE_MS)
    oldest = f"{made[0]['id']}/completeness"
    assert not [url for url in watched.requests if oldest in url]
    page.get_by_role("row").filter(has_text="short-0").scroll_into_view_if_needed()
    station.wait_until(
        lambda: page.wait_for_timeout(50) or any(oldest in url for url in watched.requests), "asking"
    )


PLACES = ["#/", "#/instruments/sensor", "#/recordings", "#/completeness", "#/settings", "recording"]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("place", PLACES)
def test_a_phone_has_large_targets_and_clear_text(
    look: Look, recording: dict[str, Any], place: str, theme: str
) -> None:
    where = f"#/recordings/{recording['id']}" if place == "recording" else place
    page = look(390, 844, theme=theme, has_touch=True, is_mobile=True).open(where)
    page.wait_for_selector(".panel, .card", timeout=PATIENCE_MS)
    if place == "recording":
        ledger_of(page)
        expect(page.locator("[data-test=preview]")).to_have_attribute(
            "aria-busy", "false", timeout=PATIENCE_MS
        )
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not page.evaluate(LARGE_ENOUGH)
    assert not page.evaluate(CONTRAST)


def lying(answer: Any) -> Callable[[Any], None]:
    """Answer a request in the station's place."""
    body = json.dumps(answer)
    return lambda route: route.fulfill(status=200, content_type="application/json", body=body)


def test_ten_thousand_files_do_not_hold_the_page_up(
    look: Look, station: Station, recording: dict[str, Any]
) -> None:
    path = f"v1/recordings/{recording['id']}"
    told = station.get(f"{path}/completeness")
    begun, step = recording["started_ns"], (recording["ended_ns"] - recording["started_ns"]) // 10_000
    segments = [
        {"stream": "sensor", "index": n, "filename": f"sensor_{n:05}.parquet", "rows": 60, "size_bytes": 6000,
         "sha256": f"{n:064x}", "first_ns": begun + n * step, "last_ns": begun + (n + 1) * step - 1,
         "runs": [[0, 1, n * 60 + n // 50]]}
        for n in range(10_000)
    ]  # fmt: skip
    lost = {"epoch": 1, "rows": 1, "from_ns": None, "until_ns": None, "reason": "overflow", "files": []}
    seqs = [n * 60 + n // 50 - 1 for n in range(50, 10_000, 50)]
    told["streams"][0]["missing"] = [{**lost, "from_seq": seq, "to_seq": seq + 1} for seq in seqs]
    told["files"] = [{**segment, "state": "held"} for segment in segments]
    watched = look()
    page = watched.page
    page.route("**/segments", lying({"items": segments, "next": None}))
    page.route("**/completeness", lying({**told, "state": "incomplete"}))
    watched.open(f"#/recordings/{recording['id']}")
    panel = ledger_of(page)
    expect(panel.locator("[data-test=missing]")).to_contain_text("Show more of 199")
    assert panel.locator(".line__bar rect").count() < 1000
    red = panel.locator(".line__missing").evaluate_all(
        "nodes => nodes.reduce((sum, node) => sum + node.width.baseVal.value, 0)"
    )
    assert 0 < red < 300, "of a thousand: few rows are missing, so little is red"
    assert page.locator("[data-test=files] tbody tr").count() < 20
    page.get_by_role("button", name="Show more of 10").click()
    expect(page.locator("[data-test=files] tbody tr")).to_have_count(208)


def test_a_page_without_https_copies_too(look: Look, recording: dict[str, Any]) -> None:
    watched = look()
    watched.page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page = watched.open(f"#/recordings/{recording['id']}")
    ledger_of(page).get_by_role("button", name="Copy the root hash").click()
    expect(page.locator(".toast")).to_contain_text("copied")
