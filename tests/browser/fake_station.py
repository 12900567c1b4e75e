"""A stand-in for a station at the edge of the browser: serves the page, `/v1` and `/v1/live` with made-up data.

It exists to show states that a healthy simulated station does not reach (a fault, a crash, a full disk), so
that the pages that tell of them can be looked at: `python tests/browser/fake_station.py 8123`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocketDisconnect

UI = Path(__file__).parents[2] / "src/kymograph/web/ui"
S = 1_000_000_000
RNG = np.random.default_rng(7)
LIDAR = [("distance", "m", 0, 12), ("angle", "deg", 0, 360), ("intensity", "", 0, 255), ("scan", "", None, None)]
TANK = [("p_tank", "bar", 0, 60), ("p_chamber", "bar", 0, 40), ("t_wall", "Cel", -20, 900), ("flow", "kg/s", 0, 2)]


def stream(name: str, instrument: str, channels: list, rate: float) -> dict[str, Any]:
    return {
        "name": name, "rate_hz": rate, "description": "", "instrument": instrument, "epoch": 1, "next_seq": 0,
        "ring": {"rows": 1000, "first_ns": 0, "last_ns": 0},
        "channels": [
            {"name": n, "dtype": "float32", "unit": u, "description": "", "low": lo, "high": hi}
            for n, u, lo, hi in channels
        ],
    }  # fmt: skip


STREAMS = {s["name"]: s for s in (stream("lidar", "lidar", LIDAR, 4000), stream("tank", "tank", TANK, 1000))}
WALLS = [((-3, -2), (4, -2)), ((4, -2), (4, 3)), ((4, 3), (1, 3)), ((1, 3), (1, 4.5)), ((1, 4.5), (-3, 4.5)),
         ((-3, 4.5), (-3, -2)), ((2.2, -1.2), (3, -1.2)), ((3, -1.2), (3, -0.4)), ((2.2, -0.4), (2.2, -1.2))]  # fmt: skip


def room(angle: np.ndarray, t: float) -> np.ndarray:
    """Return the distance to the nearest wall or walker along each angle (deg, clockwise from +y)."""
    a = np.radians(angle)
    d = np.stack([np.sin(a), np.cos(a)])
    best = np.full(len(angle), 99.0)
    for (x1, y1), (x2, y2) in WALLS:
        ex, ey = x2 - x1, y2 - y1
        det = d[0] * ey - d[1] * ex
        with np.errstate(divide="ignore", invalid="ignore"):
            r = (x1 * ey - y1 * ex) / det
            u = (x1 * d[1] - y1 * d[0]) / det
        best = np.where((r > 0) & (u >= 0) & (u <= 1) & (r < best), r, best)
    px, py = 1.6 * np.cos(t * 0.4), 1.2 + 1.3 * np.sin(t * 0.6)
    along = px * d[0] + py * d[1]
    miss = np.abs(px * d[1] - py * d[0])
    hit = (along > 0) & (miss < 0.22)
    near = along - np.sqrt(np.clip(0.22**2 - miss**2, 0, None))
    return np.where(hit & (near < best), near, best)


def rows(name: str, t: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of a stream at those times (s)."""
    noise = RNG.standard_normal(len(t))
    if name == "lidar":
        turn = t * 7.0
        angle = (turn % 1) * 360
        distance = room(angle, float(t[0])) + noise * 0.012
        distance[RNG.random(len(t)) < 0.02] = 0
        return {"distance": distance, "angle": angle, "intensity": np.clip(220 - distance * 24 + noise * 9, 0, 255),
                "scan": np.floor(turn) % 65536}  # fmt: skip
    burn = np.clip(np.sin(t / 21), 0, 1) ** 0.4
    spike = (np.abs((t % 13) - 4) < 0.004) * 9.0
    return {"p_tank": 48 - 9 * burn + noise * 0.15, "p_chamber": 22 * burn + noise * 0.35 + spike,
            "t_wall": 24 + 610 * burn * (0.7 + 0.3 * np.sin(t / 9)) + noise, "flow": 1.2 * burn + noise * 0.02}  # fmt: skip


def reduced(name: str, start: float, stop: float, points: int) -> dict[str, Any]:
    n = max(2, min(int(STREAMS[name]["rate_hz"] * (stop - start)), 40_000))
    t = np.linspace(start, stop, n, endpoint=False)
    cols = rows(name, t)
    k = n // points
    if k < 2:
        return {"stream": name, "mode": "raw", "rows": n, "time_ns": (t * 1e9).astype(np.int64).tolist(),
                "columns": {c: v.round(5).tolist() for c, v in cols.items()}}  # fmt: skip
    m = n // k * k
    return {"stream": name, "mode": "minmax", "rows": n, "time_ns": (t[:m:k] * 1e9).astype(np.int64).tolist(),
            "columns": {c: {"min": v[:m].reshape(-1, k).min(1).round(5).tolist(),
                            "max": v[:m].reshape(-1, k).max(1).round(5).tolist()} for c, v in cols.items()}}  # fmt: skip


T0 = time.time()
STATE = {"lidar": "acquiring", "tank": "acquiring", "spare": "fault"}
RECORDINGS: list[dict[str, Any]] = []
EVENTS: list[dict[str, Any]] = []
SCHEMA = {
    "type": "object", "$defs": {"Model": {"enum": ["X2", "X4", "G4", "TG30"], "type": "string"}},
    "properties": {
        "model": {"$ref": "#/$defs/Model", "default": "X4", "description": "What is printed on the device."},
        "frequency_hz": {"type": "number", "minimum": 5, "maximum": 12, "default": 7, "description": "Turns a second."},
        "sample_rate_khz": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None, "title": "Sample rate"},
        "reversed": {"type": "boolean", "default": False, "description": "Mounted upside down."},
    },
}  # fmt: skip
COMMANDS = [
    {"name": "device_health", "description": "Ask the device for its health code.", "arguments": {"type": "object", "properties": {}}},
    {"name": "set_frequency", "description": "Turn the head faster or slower, in the device's own steps.",
     "arguments": {"type": "object", "properties": {"hz": {"type": "number", "minimum": 5, "maximum": 12}}, "required": ["hz"]}},
]  # fmt: skip


def instrument(name: str) -> dict[str, Any]:
    state, up = STATE[name], time.time() - T0
    on = state == "acquiring"
    rate = STREAMS[name]["rate_hz"] if name in STREAMS else 0
    return {
        "name": name, "driver": {"lidar": "ydlidar", "tank": "stm32", "spare": "qseries"}[name], "state": state,
        "health": {"bytes_received": int(up * rate * 3), "frames_good": int(up * rate / 40), "frames_bad": 3 if name == "lidar" else 0,
                   "resyncs": 1 if name == "lidar" else 0, "reopens": 4 if state == "fault" else 0, "rows": int(up * rate),
                   "rate_hz": rate * 0.998 if on else 0.0, "age_s": 0.012 if on else (None if name == "spare" else 41.0)},
        "streams": [name] if name in STREAMS else [], "port": f"sim://{name}" if name != "spare" else "serial:///dev/ttyUSB3",
        "device": {"model": "X4", "firmware": "1.10", "serial": "2020081500000074"} if name == "lidar" else {},
        "error": "the port /dev/ttyUSB3 cannot be opened: no such device" if state == "fault" else "",
        "retry_in_s": 32 - up % 32 if state == "fault" else None, "simulated": name != "spare",
    }  # fmt: skip


def rfc(ns: int | None) -> str | None:
    return None if ns is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ns / 1e9))


def make_recording(name: str, streams: list[str], fmt: str, started: float, ended: float | None, how: str, meta: dict) -> dict:
    return {
        "id": hashlib.md5(f"{name}{started}".encode()).hexdigest(), "name": name, "format": fmt, "segment_interval_s": 60.0,
        "streams": [{k: v for k, v in STREAMS[s].items() if k in ("name", "channels", "rate_hz", "description")} for s in streams],
        "started_ns": int(started * S), "ended_ns": None if ended is None else int(ended * S), "ended": how, "merge": False,
        "metadata": meta, "origin": {"version": "0.1.0", "host": "test-stand-pi"},
    }  # fmt: skip


def answered(r: dict[str, Any]) -> dict[str, Any]:
    seconds = (r["ended_ns"] or time.time_ns()) / S - r["started_ns"] / S
    n = int(seconds * sum(s["rate_hz"] for s in r["streams"]))
    return {**r, "started": rfc(r["started_ns"]), "ended_at": rfc(r["ended_ns"]), "rows": n, "size_bytes": n * 11,
            "segments": int(seconds // 60) + 1, "running": r["ended"] == "recording", "durable": True}  # fmt: skip


def recorder(r: dict[str, Any]) -> dict[str, Any]:
    a = answered(r)
    streams = [
        {"stream": s["name"], "epoch": 1, "next_seq": 10**6, "durable_seq": 10**6 - int(s["rate_hz"] * 0.42),
         "rows": a["rows"], "rows_lost": 0} for s in r["streams"]
    ]  # fmt: skip
    return {"recording_id": r["id"], "name": r["name"], "started_ns": r["started_ns"], "rows": a["rows"], "rows_lost": 0,
            "size_bytes": a["size_bytes"], "segments": a["segments"], "queue_bytes": 4096, "streams": streams, "error": ""}  # fmt: skip


def recorders() -> list[dict[str, Any]]:
    return [recorder(r) for r in RECORDINGS if r["ended"] == "recording"]


def event(kind: str, source: str, body: dict[str, Any], at: float | None = None) -> dict[str, Any]:
    ns = int((at or time.time()) * S)
    e = {"id": str(ns), "time_ns": ns, "source": source, "kind": kind, "body": body, "revision": 0}
    EVENTS.insert(0, e)
    return e


def problem(status: int, code: str, detail: str, hint: str = "") -> JSONResponse:
    return JSONResponse({"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail, "hint": hint,
                         "facts": {}}, status, media_type="application/problem+json")  # fmt: skip


def find(request) -> dict[str, Any]:
    return next(r for r in RECORDINGS if r["id"] == request.path_params["id"])


def items(values: list) -> JSONResponse:
    return JSONResponse({"items": values, "next": None})


async def station(_):
    return JSONResponse({"name": "hall-2", "id": "7d1f", "version": "0.1.0", "started_ns": int(T0 * S), "now_ns": time.time_ns(),
                         "simulated": True, "disk": {"state": "ok", "free_bytes": 21_400_000_000, "total_bytes": 63_000_000_000},
                         "clock": {"offset_ns": 0, "generation": 1}})  # fmt: skip


async def instruments(_):
    return items([instrument(n) for n in STATE])


async def one_instrument(request):
    name = request.path_params["name"]
    if name not in STATE:
        return problem(404, "not_found", f"there is no instrument {name}", "see /v1/instruments")
    extra = {"options": {"model": "X4", "frequency_hz": 7.0, "sample_rate_khz": None, "reversed": False},
             "options_schema": SCHEMA, "commands": COMMANDS if name == "lidar" else []}  # fmt: skip
    return JSONResponse({**instrument(name), **extra})


async def act(request):
    name, action = request.path_params["name"], request.path_params["action"]
    if name == "spare" and action != "close":
        return problem(502, "device", "the port /dev/ttyUSB3 cannot be opened", "plug the device in, or name its port")
    STATE[name] = {"open": "idle", "start": "acquiring", "stop": "idle", "close": "closed"}[action]
    event("state", f"instrument/{name}", {"state": STATE[name]})
    return JSONResponse(instrument(name))


async def command(request):
    return JSONResponse({"result": {"health": "good", "code": 0}})


async def settings(request):
    return await one_instrument(request)


async def streams(_):
    return items(list(STREAMS.values()))


async def latest(request):
    name = request.path_params["name"]
    now = time.time()
    values = {c: float(v[0]) for c, v in rows(name, np.array([now])).items()}
    return JSONResponse({"stream": name, "epoch": 1, "seq": 1, "time_ns": int(now * S), "time": rfc(int(now * S)), "values": values})


def query_time(q, key: str, default: float) -> float:
    return int(q[key]) / S if key in q else default


async def stream_data(request):
    q, now = request.query_params, time.time()
    stop = query_time(q, "stop", now)
    start = query_time(q, "start", stop - float(q.get("seconds", 60)))
    return JSONResponse(reduced(request.path_params["name"], start, stop, int(q.get("max_points", 2000))))


async def recordings(request):
    if request.method == "GET":
        return items([answered(r) for r in sorted(RECORDINGS, key=lambda r: -r["started_ns"])])
    body = await request.json()
    names = body.get("streams") or body.get("instruments") or list(STREAMS)
    if recorders():
        return problem(409, "conflict", f"{recorders()[0]['name']} is already recording lidar", "stop it first")
    r = make_recording(body["name"], [n for n in names if n in STREAMS], body.get("format", "parquet"), time.time(), None,
                       "recording", body.get("metadata") or {})  # fmt: skip
    RECORDINGS.append(r)
    return JSONResponse(answered(r), 201)


async def one_recording(request):
    r = find(request)
    if request.method == "DELETE":
        RECORDINGS.remove(r)
        return Response(status_code=204)
    if request.method == "PATCH":
        r["metadata"] = {k: v for k, v in {**r["metadata"], **(await request.json())["metadata"]}.items() if v is not None}
    return JSONResponse(answered(r))


async def stop(request):
    r = find(request)
    r["ended"], r["ended_ns"] = "stop", time.time_ns()
    return JSONResponse(answered(r))


async def recording_data(request):
    r, q = find(request), request.query_params
    first, last = r["started_ns"] / S, (r["ended_ns"] or time.time_ns()) / S
    await asyncio.sleep(0.15)
    start, end = query_time(q, "start", first), query_time(q, "stop", last)
    return JSONResponse(reduced(q["stream"], max(start, first), min(end, last), int(q.get("max_points", 2000))))


async def recording_events(request):
    r = find(request)
    if request.method == "POST":
        body = await request.json()
        e = event("mark", "user", body)
        r.setdefault("_", None)
        r.pop("_")
        MARKS.setdefault(r["id"], []).append(e)
        return JSONResponse(e, 201)
    return items(MARKS.get(r["id"], []))


async def segments(request):
    r = answered(find(request))
    out = []
    for s in r["streams"]:
        for i in range(min(r["segments"], 40)):
            sha = hashlib.sha256(f"{s['name']}{i}".encode()).hexdigest()
            n = int(60 * s["rate_hz"])
            lost = 4120 if (r["ended"] == "crash" and i >= 3) else 0
            out.append({"stream": s["name"], "index": i, "filename": f"{s['name']}_{i:05d}.{r['format']}", "rows": n,
                        "size_bytes": n * 11, "sha256": sha, "first_ns": r["started_ns"] + i * 60 * S,
                        "last_ns": r["started_ns"] + (i + 1) * 60 * S - 1, "sealed_ns": 0, "runs": [[0, 1, i * n + lost]]})  # fmt: skip
    return items(out)


async def verify(request):
    await asyncio.sleep(0.8)
    r = answered(find(request))
    return JSONResponse({"recording_id": r["id"], "ok": r["ended"] != "crash", "rows": r["rows"], "segments": r["segments"],
                         "problems": [] if r["ended"] != "crash" else ["lidar: rows 720000 to 724120 are missing (killed)"]})  # fmt: skip


async def export(request):
    return PlainTextResponse("time_ns,distance\n1,2\n", headers={"content-disposition": 'attachment; filename="x.csv"'})


async def formats(_):
    return items([{"name": n, "suffix": "." + n} for n in ("csv", "hdf5", "parquet", "jsonl")])


async def events(_):
    return items(EVENTS[:50])


async def session(_):
    return JSONResponse({"name": "local", "scopes": ["read", "record", "control", "admin"], "key_needed": False})


MARKS: dict[str, list] = {}


def pack(cols: dict[str, Any], binary: bool) -> dict[str, Any]:
    def one(v: Any) -> Any:
        if isinstance(v, dict):
            return {k: one(x) for k, x in v.items()}
        if not binary:
            return v.tolist()
        v = v if v.dtype == np.int64 else v.astype("<f4")
        return {"dtype": v.dtype.str, "data": v.tobytes()}

    return {k: one(v) for k, v in cols.items()}


async def feed(ws, sub: dict[str, Any], seq: int = 0) -> None:
    """Send what one subscription asked for until it is cancelled."""
    binary = sub.get("encoding") == "msgpack"

    async def send(message: dict[str, Any]) -> None:
        if binary:
            await ws.send_bytes(msgspec.msgpack.encode(message))
        else:
            await ws.send_text(json.dumps(message))

    if sub.get("status"):
        while True:
            await send({"type": "status", "instruments": [instrument(n) for n in STATE], "recorders": recorders()})
            await asyncio.sleep(1)
    for name in sub["streams"]:
        await send({"type": "schema", "id": sub["id"], "stream": name, "channels": STREAMS[name]["channels"],
                    "rate_hz": STREAMS[name]["rate_hz"]})  # fmt: skip
    last = {name: time.time() for name in sub["streams"]}
    while True:
        await asyncio.sleep(1 / min(sub.get("max_rate_hz") or 30, 30))
        for name in sub["streams"]:
            now, rate = time.time(), STREAMS[name]["rate_hz"]
            if STATE[STREAMS[name]["instrument"]] != "acquiring":
                last[name] = now
                continue
            t = np.arange(np.ceil(last[name] * rate), np.ceil(now * rate)) / rate
            last[name] = now
            if not len(t):
                continue
            cols, mode = rows(name, t), sub.get("mode", "raw")
            if mode == "latest":
                t, cols = t[-1:], {k: v[-1:] for k, v in cols.items()}
            if mode == "minmax":
                t, cols = t[-1:], {k: {"min": v.min(keepdims=True), "max": v.max(keepdims=True)} for k, v in cols.items()}
            wanted = sub.get("channels")
            cols = {"time_ns": (t * 1e9).astype(np.int64), **{k: v for k, v in cols.items() if not wanted or k in wanted}}
            await send({"type": "data", "id": sub["id"], "stream": name, "epoch": 1, "seq_from": seq, "seq_to": seq + len(t),
                        "dropped": 0, "columns": pack(cols, binary)})  # fmt: skip
            seq += len(t)


async def live(ws) -> None:
    await ws.accept()
    tasks: dict[str, asyncio.Task] = {}
    try:
        while True:
            m = json.loads(await ws.receive_text())
            if m["type"] == "hello":
                await ws.send_text(json.dumps({"type": "welcome", "station": "hall-2", "version": "0", "now_ns": time.time_ns()}))
            elif m["type"] == "subscribe":
                tasks[m["id"]] = asyncio.create_task(feed(ws, m))
            elif m["type"] == "unsubscribe" and m["id"] in tasks:
                tasks.pop(m["id"]).cancel()
    except WebSocketDisconnect:
        pass
    finally:
        for task in tasks.values():
            task.cancel()


def seed() -> None:
    day = 86400
    for name, streams_, fmt, ago, length, how, meta in (
        ("night-watch", ["lidar"], "parquet", 9 * 3600, 7.5 * 3600, "stop", {"operator": "Anna", "notes": "Empty hall, doors shut."}),
        ("hot-fire-07", ["tank"], "hdf5", 1 * day, 640, "stop", {"nozzle": "B2", "notes": "Second ignition after 4 s."}),
        ("overnight-2", ["lidar", "tank"], "parquet", 2 * day, 3900, "crash", {}),
        ("cold-flow", ["tank"], "csv", 3 * day, 1900, "disk full", {}),
    ):
        r = make_recording(name, streams_, fmt, T0 - ago, T0 - ago + length, how, meta)
        RECORDINGS.append(r)
        MARKS[r["id"]] = [
            {"id": f"{name}{i}", "time_ns": int((T0 - ago + length * f) * S), "source": src, "kind": kind, "body": body, "revision": 0}
            for i, (f, src, kind, body) in enumerate([
                (0.12, "user/anna", "mark", {"text": "door opened"}),
                (0.55, "recorder", "gap", {"stream": streams_[0], "from_seq": 720000, "to_seq": 724120, "reason": "killed"}),
                (0.8, "user/anna", "mark", {"text": "someone walks through"}),
            ])
        ]  # fmt: skip
    event("clock", "clock", {"old_offset_ns": 0, "new_offset_ns": 1_200_000, "source": "ntp"}, T0 - 400)
    event("state", "instrument/spare", {"state": "fault", "reason": "no such device"}, T0 - 60)


async def csp(scope, receive, send) -> None:
    async def with_policy(message):
        if message["type"] == "http.response.start":
            message["headers"].append((b"content-security-policy", b"default-src 'self'"))
        await send(message)

    await router(scope, receive, with_policy if scope["type"] == "http" else send)


R = "/v1/recordings/{id}"
router = Starlette(routes=[
    Route("/v1/station", station), Route("/v1/instruments", instruments), Route("/v1/instruments/{name}", one_instrument),
    Route("/v1/instruments/{name}/settings", settings, methods=["PATCH"]),
    Route("/v1/instruments/{name}/commands/{command}", command, methods=["POST"]),
    Route("/v1/instruments/{name}/{action}", act, methods=["POST"]), Route("/v1/streams", streams),
    Route("/v1/streams/{name}/latest", latest), Route("/v1/streams/{name}/data", stream_data),
    Route("/v1/recordings", recordings, methods=["GET", "POST"]),
    Route(R, one_recording, methods=["GET", "PATCH", "DELETE"]), Route(R + "/stop", stop, methods=["POST"]),
    Route(R + "/data", recording_data), Route(R + "/events", recording_events, methods=["GET", "POST"]),
    Route(R + "/segments", segments), Route(R + "/verify", verify), Route(R + "/export", export),
    Route("/v1/session", session), Route("/v1/formats", formats), Route("/v1/events", events), WebSocketRoute("/v1/live", live),
    Route("/", lambda _: FileResponse(UI / "index.html")), Mount("/ui", StaticFiles(directory=UI)),
])  # fmt: skip

if __name__ == "__main__":
    seed()
    uvicorn.run(csp, port=int(sys.argv[1]), log_level="warning", ws="websockets-sansio")
