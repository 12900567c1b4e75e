"""The older hub's contract against the real program, on either database; keys made by the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import httpx

from kymograph.service.keys import ADMIN, KeyStore
from tests.running import RunningStation

TRANSCRIPT = tomllib.loads(Path(__file__).with_name("transcripts").joinpath("readings.toml").read_text())[
    "step"
]
HUB = '[web]\nhost = "0.0.0.0"\nfaces = ["readings"]\n[hub]\n[database]\nurl = "{url}"\n'


def make_key(folder: Path, station: str) -> str:
    """Make a station's key as a person does."""
    command = [
        sys.executable,
        "-m",
        "kymograph",
        "hub",
        "keys",
        "make",
        station,
        "--hub",
        str(folder / "station.toml"),
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def fits(step: dict[str, Any], answer: httpx.Response) -> str:
    """Return what is wrong with an answer, "" if nothing."""
    if answer.status_code != step["status"]:
        return f"status {answer.status_code}: {answer.text[:200]}"
    body = answer.json()
    if "list" in step and [one["ts_utc"] for one in body] != step["list"]:
        return str(body)
    if step.get("error") and not body.get("detail"):
        return str(body)
    if "bad" in step and [one["index"] for one in body["facts"]["bad"]] != step["bad"]:
        return str(body)
    wrong = {
        name: body.get(name) for name, value in step.get("answer", {}).items() if body.get(name) != value
    }
    return str(wrong) if wrong else ""


def test_the_transcript(tmp_path: Path, database_url: str) -> None:
    with RunningStation(tmp_path, "", HUB.format(url=database_url)) as station:
        keys = {"roof": make_key(tmp_path, "roof"), "": ""}
        keys["admin"] = KeyStore(station.data / "keys.json").create("admin", [ADMIN])
        for number, step in enumerate(TRANSCRIPT):
            method, path = step["ask"].split(" ")
            key = keys[step.get("key", "roof")]
            headers = {step["by"]: key} if "by" in step else {"Authorization": f"Bearer {key}"} if key else {}
            sent: dict[str, Any] = (
                {"json": step["json"]} if "json" in step else {"content": step.get("body", "")}
            )
            wrong = fits(step, httpx.request(method, station.url + path, headers=headers, timeout=30, **sent))
            assert not wrong, f"step {number}, {step.get('say', '')} {step['ask']}: {wrong}"


def reading(device: str, i: int) -> dict[str, Any]:
    at = f"2026-05-01T{i // 3600:02d}:{i // 60 % 60:02d}:{i % 60:02d}"
    return {"device_id": device, "ts_utc": f"{at}Z", "ts_local": at, "payload": {"n": i}}


def test_an_open_hub_many_at_once_and_page_by_page(tmp_path: Path) -> None:
    tables = '[web]\nfaces = ["readings"]\n[hub]\nopen = true\n'
    with RunningStation(tmp_path, "", tables) as station:
        codes: list[int] = []

        def send(which: int) -> None:
            # each stretch is sent by two at the same time, cut differently
            rows = [reading(f"d{i % 3}", i) for i in range(which // 2 * 1000, which // 2 * 1000 + 1000)]
            size = 300 if which % 2 else 360
            for begin in range(0, len(rows), size):
                body = json.dumps({"readings": rows[begin : begin + size]})
                codes.append(httpx.post(f"{station.url}/readings/bulk", content=body, timeout=60).status_code)

        threads = [threading.Thread(target=send, args=(which,)) for which in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(codes) == {201}
        everything = httpx.get(f"{station.url}/readings", timeout=60).json()
        assert [one["payload"]["n"] for one in everything] == list(range(3000))
        pages, cursor = list[dict[str, Any]](), ""
        while True:
            page = httpx.get(f"{station.url}/readings?limit=700{cursor}", timeout=60)
            pages += page.json()
            if "x-next-cursor" not in page.headers:
                break
            cursor = f"&cursor={page.headers['x-next-cursor']}"
        assert pages == everything
        fleet = station.call("GET", "/v1/fleet")["items"]
        assert [one["station"] for one in fleet] == ["d0", "d1", "d2"]


def test_the_face_needs_readings(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(f'[station]\ndata = "{tmp_path / "data"}"\n[web]\nfaces = ["readings"]\n')
    done = subprocess.run(
        [sys.executable, "-m", "kymograph", "serve", str(path), "--port", "0"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0 and "[hub]" in done.stderr
