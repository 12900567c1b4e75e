"""A real station on simulators, and a headless Chromium that looks at it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, expect, sync_playwright

ROOT = Path(__file__).parents[2]
START_S = 30.0
UNPLUGGED = """
[faces.lidar]
instrument = "lidar"

[instruments.unplugged]
driver = "ydlidar"
port = "serial:///dev/kymograph-is-not-there"

[instruments.unplugged.options]
model = "X4"
"""
LOCKED = """
[station]
name = "locked"

[web]
host = "0.0.0.0"
hosts = ["127.0.0.1"]

[instruments.signals]
driver = "sine"
"""
STOP_S = 15.0
expect.set_options(timeout=20_000)  # a busy machine draws late; what is wrong is wrong after that, too
CHROMIUM_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def wait_until(is_so: Callable[[], bool], what: str, within_s: float = START_S) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {within_s:g} s")
        time.sleep(0.05)


@dataclass
class Station:
    """Where the station is, and a way to ask it without a browser."""

    url: str

    @staticmethod
    def wait_until(is_so: Callable[[], bool], what: str) -> None:
        wait_until(is_so, what)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = json.dumps(body or {}).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@contextmanager
def served(folder: Path, config: str, *options: str) -> Iterator[tuple[str, Path]]:
    """Run a station of this configuration on a free port; gives its address and the file of what it says."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    file = folder / "station.toml"
    file.write_text(config)
    said = folder / "said.log"
    command = [sys.executable, "-m", "kymograph", "serve", str(file), "--port", str(port)]
    with said.open("wb") as log:
        process = subprocess.Popen(
            [*command, "--data", str(folder / "data"), *options], stdout=log, stderr=log, cwd=ROOT
        )
        try:
            wait_until(
                lambda: process.poll() is not None or answers(url + "healthz"), "a station that answers"
            )
            assert process.poll() is None, said.read_text()
            yield url, said
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            finally:
                process.kill()


@pytest.fixture(scope="module")
def station(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """The station that the file of tests describes in `STATION`, with data in a folder of the test; `FILES`
    are texts by their path beside the station file.

    Where it describes none: the demonstration station and an instrument that is not there.
    """
    own: str | None = getattr(request.module, "STATION", None)
    if own is not None:
        folder = tmp_path_factory.mktemp("station")
        for path, text in getattr(request.module, "FILES", {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        with served(folder, own) as (url, _):
            yield Station(url)
        return
    given = os.environ.get("KYMOGRAPH_BROWSER_TEST_URL")
    if given:
        yield Station(given)
        return
    config = (ROOT / "stations/demo.toml").read_text() + UNPLUGGED
    with served(tmp_path_factory.mktemp("station"), config) as (url, _):
        yield Station(url)


@pytest.fixture(scope="module")
def serve() -> Callable[..., AbstractContextManager[tuple[str, Path]]]:
    """Runs another station, see `served`."""
    return served


@pytest.fixture(scope="module")
def view() -> Callable[[Path], AbstractContextManager[str]]:
    """Runs `kymograph view` of a folder, and gives the address."""
    return viewed


@contextmanager
def viewed(folder: Path) -> Iterator[str]:
    """Show a folder of recordings on a free port; gives its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-m", "kymograph", "view", str(folder), "--port", str(port)]
    with folder.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
        try:
            wait_until(lambda: answers(url + "healthz"), "a view that answers")
            yield url
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            finally:
                process.kill()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A station that wants a key: its address, and the key."""
    with served(tmp_path, LOCKED) as (url, said):
        key = re.compile(r"kym_[A-Za-z0-9_-]+")
        wait_until(lambda: key.search(said.read_text()) is not None, "a first key")
        found = key.search(said.read_text())
        assert found is not None
        yield url, found[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a file of tests; Playwright keeps an event loop running that others must not meet."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here; `make test` installs one")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        yield running
        running.close()


@dataclass
class Watched:
    """A page, everything it asked for, and everything it complained of."""

    page: Page
    url: str
    requests: list[str] = field(default_factory=list[str])
    complaints: list[str] = field(default_factory=list[str])
    expected: list[str] = field(default_factory=list[str])
    """Parts of complaints that the test provokes."""

    def watch(self) -> None:
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} for {response.url}")

    def _said(self, message: ConsoleMessage) -> None:
        of_the_test = ("Failed to load resource", "willReadFrequently")
        if message.type in ("error", "warning") and not any(part in message.text for part in of_the_test):
            self.complaints.append(f"console {message.type}: {message.text}")

    def open(self, place: str = "#/") -> Page:
        self.page.goto(self.url + place)
        self.page.wait_for_selector("main > *")
        return self.page

    def check(self) -> None:
        unexpected = [c for c in self.complaints if not any(e in c for e in self.expected)]
        assert not unexpected, "the page complained"
        foreign = [url for url in self.requests if not url.startswith((self.url, "data:", "blob:"))]
        assert not foreign, "a request left the station"


@pytest.fixture
def look(browser: Browser, station: Station) -> Iterator[Callable[..., Watched]]:
    """Opens pages; at the end none of them may have complained or asked anyone but the station."""
    opened: list[Watched] = []

    def make(
        width: int = 1440, height: int = 900, theme: Any = "dark", url: str = station.url, **options: Any
    ) -> Watched:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, accept_downloads=True, **options
        )
        watched = Watched(context.new_page(), url)
        watched.watch()
        opened.append(watched)
        return watched

    yield make
    for watched in opened:
        watched.page.context.close()
    for watched in opened:
        watched.check()
