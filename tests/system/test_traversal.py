"""Every path parameter of every route against names that want to be paths: nothing outside is answered."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest

from tests.running import RunningStation, until

SECRET = b"a secret that lies beside the data folder"
CORPUS = [
    "..", "../secret", "../../secret", "../../../secret", "....//secret", "..\\secret", "..%2fsecret",
    "..%2Fsecret", "%2e%2e/secret", "%2e%2e%2fsecret", "%2E%2E%2F%2E%2E%2Fsecret", "%252e%252e%252fsecret",
    "..%252fsecret", "..%5csecret", "..%c0%afsecret", "%c0%ae%c0%ae%c0%afsecret", "secret%00.jsonl",
    "chunk_00000.jsonl%00../../secret", "%00", "{secret}", "%2f{secret}", "%252f{secret}",
    "file:%2f%2f{secret}",
    "/etc/passwd", "%2fetc%2fpasswd", "link.jsonl", "link/secret", "./chunk_00000.jsonl", ".", "",
    "chunk_00000.jsonl/..", "chunk_00000.jsonl/../../../secret", "~", "~root", "CON",
    "\u202e",
    "a" * 5000,
]  # fmt: skip
TABLES = '[web]\nfaces = ["radiometer", "lidar"]\n'
SENSOR = """
[instruments.sensor]
driver = "qseries"
port = "sim://qseries?time_scale=0.02&averaging=12"
[instruments.sensor.options]
time_scale = 0.02
[instruments.lidar]
driver = "ydlidar"
port = "sim://ydlidar?model=X4"
start = false
"""


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    folder = tmp_path_factory.mktemp("traversal")
    with RunningStation(folder, SENSOR, TABLES) as station:
        (folder / "secret").write_bytes(SECRET)
        begun = station.call("POST", "/record/start", {"chunk_interval_s": 1})
        station.id = begun["session_id"]
        until(
            lambda: station.call("GET", f"/v1/recordings/{station.id}/manifest")["segments"], what="a chunk"
        )
        station.call("POST", "/record/stop", {"session_id": station.id})
        [recording] = (station.data / "recordings").iterdir()
        (recording / "link.jsonl").symlink_to(folder / "secret")
        (recording / "link").symlink_to(folder, target_is_directory=True)
        (station.data / "recordings" / "linked").symlink_to(folder, target_is_directory=True)
        station.secret = str(folder / "secret")
        yield station


def routes(station):
    described = station.call("GET", "/openapi.json")["paths"]
    for path, methods in described.items():
        if "{" in path:
            yield from ((method.upper(), path) for method in methods if method in METHODS)
    yield from (("GET", path) for path in UNDESCRIBED)


METHODS = {"get", "put", "post", "delete", "patch", "head"}
UNDESCRIBED = ["/files/{session_id}/{filename}", "/assets/{path}", "/lidar/files/{filename}", "/{anything}"]


def ask(station, method, target):
    connection = http.client.HTTPConnection(urlsplit(station.url).netloc, timeout=20)
    # Raw: nothing between this text and the server puts it in order.
    connection._validate_path = lambda url: None
    connection._encode_request = lambda request: request.encode("latin-1")
    connection.putrequest(method, target, skip_accept_encoding=True)
    body = b"{}" if method in ("POST", "PUT", "PATCH") else b""
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data


def test_no_name_is_a_path(station):
    tried = 0
    for method, path in routes(station):
        pieces = path.split("{")
        for place in range(1, len(pieces)):
            for name in CORPUS:
                target = filled(station, pieces, place, name.replace("{secret}", station.secret))
                status, data = ask(station, method, target)
                assert SECRET not in data and b"root:" not in data, (method, target)
                assert status < 500, (method, target, status, data[:200])
                tried += 1
    assert tried > 1000
    assert (station.data.parent / "secret").read_bytes() == SECRET
    assert len(list((station.data / "recordings").glob("*_session-*"))) == 1


def filled(station, pieces, place, name):
    made = pieces[0]
    for index, piece in enumerate(pieces[1:], 1):
        wanted, _, rest = piece.partition("}")
        good = station.id if "id" in wanted else "chunk_00000.jsonl"
        made += (name if index == place else good) + rest
    return made.encode("utf-8", "surrogateescape").decode("latin-1").replace(" ", "%20")


def test_a_link_is_no_file_of_a_recording(station):
    for path in (f"/files/{station.id}/link.jsonl", f"/v1/recordings/{station.id}/files/link.jsonl"):
        status, data = ask(station, "GET", path)
        assert status in (403, 404) and SECRET not in data
    listed = station.call("GET", f"/v1/recordings/{station.id}/files")["items"]
    assert "link.jsonl" not in {one["filename"] for one in listed}
    assert [one["id"] for one in station.call("GET", "/v1/recordings")["items"]] == [station.id]


@pytest.mark.parametrize("name", ["../secret", "%2e%2e%2fsecret", "..%2f..%2fsecret", "%00", "%252e%252e"])
def test_the_old_interface_says_403(station, name):
    for path in (f"/files/{station.id}/{name}", f"/files/{name}/chunk_00000.jsonl"):
        status, data = ask(station, "GET", path)
        assert status == 403, (path, status)
        assert json.loads(data)["status"] == 403
