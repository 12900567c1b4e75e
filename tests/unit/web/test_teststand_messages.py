"""The test stand's messages, byte for byte where their bytes are known, and what a slow client loses."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from websockets.frames import Frame
from websockets.streams import StreamReader

from kymograph.config import Config
from kymograph.config import parse as parse_config
from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import ConfigError, Conflict, InvalidInput, Refused, TimedOut, Unavailable
from kymograph.web import faces
from kymograph.web.auth import Caller
from kymograph.web.faces.teststand import messages, names_of
from kymograph.web.faces.teststand.formulas import Formulas, parse
from kymograph.web.faces.teststand.samples import Bundle, Standing, Writer, bundle
from kymograph.web.faces.teststand.stand import check_valves, status_of
from kymograph.web.faces.teststand.viewer import SAMPLES_WAITING_MAX, View, Viewer
from kymograph.web.live.wire import framed

VALVE_RESPONSE = bytes.fromhex(
    "83a474797065ae76616c76655f726573706f6e7365a773756363657373c3a676616c76657399000100000100010100"
)
STEP_RESPONSE = bytes.fromhex(
    "85a474797065b3737465705f6d6f746f725f726573706f6e7365a773756363657373c3a86d6f746f725f696401"
    "a5616e676c65cb4056800000000000a8726573706f6e7365a24f4b"
)
STREAM = Stream("stand", (Channel("P1"), Channel("thrust")))
STAND = {"driver": "stm32", "port": "sim://stm32"}
STEPPERS = {"driver": "arduino_stepper", "port": "sim://arduino_stepper"}


def block(rows: int, seq: int = 0) -> Block:
    values = np.arange(seq, seq + rows, dtype=np.float32)
    times = np.arange(seq, seq + rows, dtype=np.int64) * 1_000_000_000
    return Block.pack(STREAM, 1, seq, Rows("stand", times, [values, values * 2]))


def test_answers_byte_for_byte() -> None:
    valves = [0, 1, 0, 0, 1, 0, 1, 1, 0]
    assert messages.write(messages.valve_response(True, valves), binary=True) == VALVE_RESPONSE
    assert messages.write(messages.step_motor_response(True, 1, 90.0, "OK"), binary=True) == STEP_RESPONSE


def test_a_refusal_names_its_reason() -> None:
    said = messages.valve_response(False, [0] * 9, "Ana holds control")
    assert list(said) == ["type", "success", "valves", "error"] and said["error"] == "Ana holds control"


def test_a_sample_has_the_contracts_shape() -> None:
    data = messages.sensors(
        {"P1": 1.5, "T6": 20.0, "Tbogaz2": 900.0, "thrust": 5.0}, 2_500_000_000, [1] * 9, []
    )
    said = msgspec.msgpack.decode(messages.sample(data, binary=True))
    assert said["type"] == "sensor_data" and list(said) == ["type", "data"]
    assert list(said["data"]) == [
        "pressures", "temperatures", "debis", "adiabatic_temperature", "thrust", "isp", "p_chamber",
        "oxygen_consumption", "fuel_consumption", "total_impulse", "exhaust_velocity", "deltap2",
        "kutlesel_debi", "timestamp", "errors", "valves",
    ]  # fmt: skip
    assert [len(said["data"][key]) for key in ("pressures", "temperatures", "debis", "valves")] == [
        8,
        8,
        2,
        9,
    ]
    assert (said["data"]["pressures"][0], said["data"]["temperatures"][5]) == (1.5, 20.0)
    assert (said["data"]["temperatures"][7], said["data"]["timestamp"]) == (900.0, 2.5)
    assert math.isnan(said["data"]["isp"])
    assert json.loads(messages.sample(data, binary=False))["data"]["isp"] is None


@pytest.mark.parametrize("binary", [True, False])
def test_a_loss_is_told_in_the_next_message(binary: bool) -> None:
    said = messages.with_dropped(messages.write({"type": "x", "data": {}}, binary), 70_000)
    told: Any = msgspec.msgpack.decode(said) if isinstance(said, bytes) else json.loads(said)
    assert told == {"type": "x", "data": {}, "dropped": 70_000}


def test_batches_take_every_so_manieth_row_wherever_blocks_begin() -> None:
    said, rows = messages.batch([block(5), block(5, 5)], 3, binary=False)
    told = json.loads(said)
    assert rows == told["rows"] == 4
    assert told["columns"] == {"timestamp": [0, 3, 6, 9], "P1": [0, 3, 6, 9], "thrust": [0, 6, 12, 18]}
    packed = msgspec.msgpack.decode(messages.batch([block(4)], 1, binary=True)[0])["columns"]["P1"]
    assert np.frombuffer(packed["data"], packed["dtype"]).tolist() == [0, 1, 2, 3]


def test_messages_are_json_or_msgpack() -> None:
    wish = {"type": "get_sensors"}
    assert messages.read('{"type":"get_sensors"}') == messages.read(msgspec.msgpack.encode(wish)) == wish
    for wrong in ("", "[]", "{", '{"type":1}', b"\xc1", b"\x01", "[" * 5000):
        with pytest.raises(InvalidInput):
            messages.read(wrong)


def test_valves_are_never_cut_and_never_filled_up() -> None:
    check_valves([0, 1] * 4 + [0])
    for wrong in (
        None,
        "010101010",
        [0] * 8,
        [0] * 10,
        [0] * 8 + [2],
        [0] * 8 + [True],
        [0.0] * 9,
        [None] * 9,
    ):
        with pytest.raises(InvalidInput):
            check_valves(wrong)


def test_the_status_of_what_fails() -> None:
    assert [status_of(one) for one in (InvalidInput("x"), Conflict("x"), Refused("x"))] == [422, 409, 409]
    assert [status_of(one) for one in (TimedOut("x"), Unavailable("x"))] == [500, 500]
    assert status_of(Refused("stand is fault", state="fault")) == 500


class Way:
    """The far end of a viewer: keeps what was sent; there may be no room at once, or for a while."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.room = asyncio.Event()

    def write_now(self, frames: bytes) -> bool:
        if self.room.is_set():
            self.messages += unframed(frames)
        return self.room.is_set()

    async def write(self, frames: bytes) -> None:
        await self.room.wait()
        self.messages += unframed(frames)


def unframed(frames: bytes) -> list[bytes]:
    """Return the messages of a server's frames, by the library that clients use."""
    decoder = StreamReader()
    decoder.feed_data(frames)
    found: list[bytes] = []
    while decoder.buffer:
        parsing = Frame.parse(decoder.read_exact, mask=False)
        with pytest.raises(StopIteration) as done:
            next(parsing)
        found.append(bytes(done.value.value.data))
    return found


def number(n: int) -> Bundle:
    return bundle([messages.write({"type": "sensor_data", "data": n}, binary=True)], 1)


def test_a_slow_client_loses_its_oldest_samples_and_is_told_how_many() -> None:
    asyncio.run(_slow_client())


async def _slow_client() -> None:
    way = Way()
    slow = Viewer(View(), Caller("", frozenset()), "me", way)
    for n in range(SAMPLES_WAITING_MAX + 10):
        slow.put(number(n))
    slow.tell({"type": "valve_response"})
    assert slow.samples_dropped == 10
    way.room.set()
    slow.put(number(SAMPLES_WAITING_MAX + 10))  # there is room, but others were first
    sending = asyncio.ensure_future(slow.run())
    while len(way.messages) < SAMPLES_WAITING_MAX + 1:
        await asyncio.sleep(0)
    slow.put(number(-1))  # and now it is alone
    sending.cancel()
    told = [msgspec.msgpack.decode(one) for one in way.messages]
    assert told[0] == {"type": "valve_response"}  # an answer waits for no sample
    assert told[1] == {"type": "sensor_data", "data": 11, "dropped": 11}
    assert [one["data"] for one in told[2:]] == [*range(12, SAMPLES_WAITING_MAX + 11), -1]


def test_what_is_under_way_is_not_overtaken() -> None:
    asyncio.run(_under_way())


async def _under_way() -> None:
    way = Way()
    slow = Viewer(View(), Caller("", frozenset()), "me", way)
    sending = asyncio.ensure_future(slow.run())
    slow.put(number(0))
    await asyncio.sleep(0)
    way.room.set()  # the first is still in the hands of the task that waits
    slow.put(number(1))
    while len(way.messages) < 2:
        await asyncio.sleep(0)
    sending.cancel()
    assert [msgspec.msgpack.decode(one)["data"] for one in way.messages] == [0, 1]


@pytest.mark.parametrize("every", [1, 3, 7])
def test_a_block_at_once_is_the_same_as_row_by_row(every: int) -> None:
    names = ["T2", "P1", "nobody_asked", "thrust", "P3", "P4"]
    stream = Stream("stand", tuple(Channel(name) for name in names))
    rows = 3000
    values = np.random.default_rng(1).normal(size=(len(names), rows)).astype(np.float32)
    values[1, 10] = np.nan
    times = 1_790_000_000_000_000_000 + np.arange(rows, dtype=np.int64) * 100_000
    made = Block.pack(stream, 1, 5, Rows("stand", times, list(values)))
    formulas = Formulas({"deltap2": parse("P3 - P4"), "p_chamber": parse("P1"), "isp": parse("P9")})
    standing = Standing((0, 1, None, 0, 0, 0, 0, 0, 1), ("too hot",))
    expected: list[bytes] = []
    for i in range(-5 % every, rows, every):
        row = {name: float(values[n, i]) for n, name in enumerate(names)}
        row |= {"deltap2": row["P3"] - row["P4"], "p_chamber": row["P1"]}
        data = messages.sensors(row, int(times[i]), standing.valves, standing.errors)
        expected.append(messages.write({"type": "sensor_data", "data": data}, binary=True))  # type: ignore[arg-type]
    for binary in (True, False):
        bundles = list(Writer(every, binary, formulas).write(made, standing))
        said = [message for one in bundles for message in unframed(one.frames)]
        assert sum(one.samples for one in bundles) == len(said) == len(expected)
        if binary:
            assert said == expected
        else:
            assert [as_plain(json.loads(a)) for a in said] == [as_plain(told(b)) for b in expected]


def told(message: bytes) -> Any:
    return json.loads(msgspec.json.encode(msgspec.msgpack.decode(message)))


def as_plain(message: Any) -> str:
    return json.dumps(message, sort_keys=True)


def test_frames_of_every_length_are_what_clients_read() -> None:
    for size in (0, 1, 125, 126, 65_535, 65_536, 70_000):
        assert unframed(framed(b"x" * size)) == [b"x" * size]
    assert framed("ü")[0] == 0x81 and unframed(framed("ü")) == ["ü".encode()]


def test_formulas() -> None:
    made = Formulas(
        {"deltap2": parse(" P3 -P4"), "kutlesel_debi": parse("a+b - c"), "p_chamber": parse("P9")}
    )
    assert made.channels == {"P3", "P4", "P9", "a", "b", "c"}
    assert made.of({"P3": 3.0, "P4": 1.0, "a": 1, "b": 2, "c": 3}) == {"deltap2": 2.0, "kutlesel_debi": 0.0}
    for wrong in ("", "P1 *2", "-P1", "P1 P2", "P1 +", "3", "P1 + 3"):
        with pytest.raises(ConfigError):
            parse(wrong)


def config(instruments: dict[str, Any], **table: Any) -> Config:
    return parse_config(
        {"instruments": instruments, "faces": {"teststand": table}, "web": {"faces": ["teststand"]}}
    )


def test_which_instruments_are_meant() -> None:
    assert names_of(config({"a": STAND})) == ("a", "")
    assert names_of(config({"a": STAND, "m": STEPPERS})) == ("a", "m")
    assert names_of(config({"a": STAND, "b": STAND, "m": STEPPERS}, stand="b")) == ("b", "m")


@pytest.mark.parametrize(
    ("instruments", "table"),
    [
        ({}, {}),
        ({"a": STAND, "b": STAND}, {}),
        ({"a": STAND, "m": STEPPERS, "n": STEPPERS}, {}),
        ({"a": STAND}, {"stand": "b"}),
        ({"a": STAND}, {"steppers": "b"}),
        ({"a": STAND}, {"port": 1}),
        ({"a": STAND}, {"p_chamber": "2 * P1"}),
    ],
)
def test_when_it_is_not_clear(instruments: Any, table: Any) -> None:
    with pytest.raises(ConfigError, match="teststand"):
        faces.routers(config(instruments, **table))
