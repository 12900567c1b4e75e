"""Lines of the test stand's controller: by key, quoted or not, damaged in every way."""

from __future__ import annotations

import math
import random
import time

import numpy as np
import pytest

from kymograph.drivers.base import Counters
from kymograph.drivers.stm32_channels import NAMES
from kymograph.drivers.stm32_orders import Answer
from kymograph.drivers.stm32_text import LINE_BYTES, TextWire
from kymograph.model.clock import Clock

LINE = (
    "P1: 12.5 | P2: 15.3 | P3: 18.2 | P4: 20.1 | P5: 22.5 | P6: 25.0 | P7: 28.3 | P8: 30.1 | T1: 25.0"
    " | T2: 27.5 | T3: 30.0 | T4: 32.5 | T5: 35.0 | T6: 37.5 | Tbogaz1: 1200.5 | THRUST: 1250.5 | ISP: 285.3"
    " | Tbogaz2: 1300.2 | D1: 15.5 | D2: 12.3 | IMPULSE: 50000.0 | VELOCITY: 2500.0"
)
VALUES = {
    **{f"P{i}": v for i, v in enumerate((12.5, 15.3, 18.2, 20.1, 22.5, 25.0, 28.3, 30.1), 1)},
    **{f"T{i}": v for i, v in enumerate((25.0, 27.5, 30.0, 32.5, 35.0, 37.5), 1)},
    "Tbogaz1": 1200.5, "Tbogaz2": 1300.2, "thrust": 1250.5, "isp": 285.3, "oxygen_consumption": 15.5,
    "fuel_consumption": 12.3, "total_impulse": 50000.0, "exhaust_velocity": 2500.0,
}  # fmt: skip


class Reader:
    """A wire that has already seen the end of a line, and what it makes of text."""

    def __init__(self) -> None:
        self.wire = TextWire(Clock(time.monotonic_ns, time.time_ns), Counters(), 50.0)
        self.wire.take(b"|half a line\n", time.monotonic_ns())

    def rows(self, text: str | bytes) -> list[dict[str, float]]:
        data = text.encode() if isinstance(text, str) else text
        found: list[dict[str, float]] = []
        for batch in self.wire.take(data, time.monotonic_ns()):
            columns = [np.asarray(column).tolist() for column in batch.columns]
            found += [dict(zip(NAMES, row, strict=True)) for row in zip(*columns, strict=True)]
        return found

    def row(self, line: str) -> dict[str, float]:
        [row] = self.rows(line + "\n")
        return row


def good(row: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in row.items() if not math.isnan(value)}


def assert_values(row: dict[str, float], without: tuple[str, ...] = ()) -> None:
    wanted = {key: value for key, value in VALUES.items() if key not in without}
    assert good(row) == pytest.approx(wanted, rel=1e-6)


def test_the_reference_line():
    assert len(LINE) + 2 == LINE_BYTES
    reader = Reader()
    assert_values(reader.row(LINE))
    assert reader.wire.counters == Counters(frames_good=1)


@pytest.mark.parametrize(
    "line",
    [
        LINE + "\r",
        LINE.replace(": ", ':"').replace(" |", '" |') + '"',
        LINE.replace(" | ", "|").replace(": ", ":"),
        LINE.upper(),
        " | ".join(reversed(LINE.split(" | "))) + "\n" + " | ".join(reversed(LINE.split(" | "))),
    ],
    ids=["crlf", "quoted", "narrow", "capitals", "another order"],
)
def test_other_ways_to_write_it(line):
    assert_values(Reader().rows(line + "\n")[-1])


def test_negative_values():
    row = Reader().row(LINE.replace("T1: 25.0", "T1: -12.5"))
    assert row["T1"] == -12.5


def test_whole_numbers_where_all_are_whole():
    line = " | ".join(f"{field.partition(':')[0]}: 7" for field in LINE.split(" | "))
    assert set(good(Reader().row(line)).values()) == {7.0}


def test_many_lines_at_once_in_pieces_of_any_size():
    data = b"".join(LINE.replace("12.5", f"{i}.5", 1).encode() + b"\r\n" for i in range(40))
    for size in (1, 100, 279, 5000, 100_000):
        reader, rows = Reader(), []
        for at in range(0, len(data), size):
            rows += reader.rows(data[at : at + size])
        assert [row["P1"] for row in rows] == [i + 0.5 for i in range(40)]
        assert reader.wire.counters.frames_bad == 0


@pytest.mark.parametrize(
    "junk", ["1x.5", "nan", "inf", "1_0.5", "1e5", "", "12.", "0x1p3", "--1.0", "1.5.2", "15"]
)
def test_a_damaged_value_is_missing_and_counted(junk):
    reader = Reader()
    assert_values(reader.row(LINE.replace("15.3", junk)), without=("P2",))
    assert (reader.wire.counters.frames_bad, reader.wire.values_missing) == (1, 1)


def test_a_key_that_is_gone_takes_the_value_before_with_it():
    reader = Reader()
    row = reader.row(LINE.replace("25.0 | T2: 27.5", "27.5"))
    assert_values(row, without=("T1", "T2"))
    assert reader.wire.values_missing == 2


def test_a_joined_line_gives_nothing_that_is_there_twice():
    reader = Reader()
    row = reader.rows(LINE + LINE + "\n")
    assert all(not good(one) for one in row)


def test_a_device_that_lacks_a_sensor_is_learnt():
    reader = Reader()
    line = LINE.replace("P8: 30.1 | ", "")
    assert_values(reader.row(line), without=("P7", "P8"))
    for _ in range(3):
        assert_values(reader.row(line), without=("P8",))
    assert reader.wire.counters.frames_bad == 1


def test_half_of_the_keys_are_no_line():
    reader = Reader()
    assert reader.rows(" | ".join(LINE.split(" | ")[:9]) + "\n") == []
    assert reader.wire.counters.frames_bad == 1


def test_another_device_that_repeats_itself_is_never_learnt():
    reader = Reader()
    for line in ("Hello there", "P1: 12.5", "a: 1.0 | b: 2.0 | c: 3.0 | d: 4.0 | P1: 5.0"):
        assert reader.rows(f"{line}\n" * 5) == []
    assert_values(reader.row(LINE))


def test_answers_between_lines():
    reader = Reader()
    rows = reader.rows(f"{LINE}\nACK: Valves:010010110\r\n{LINE}\nNACK: valve 3 is jammed\nACK: burning\n")
    assert len(rows) == 2
    assert reader.wire.answers == [
        Answer("ack", "Valves:010010110", "010010110", "Valves:010010110"),
        Answer("nack", None, text="valve 3 is jammed"),
        Answer("ack", "burning", None, "burning"),
    ]
    assert reader.wire.counters.frames_bad == 0


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ("ACK: Valves:010010110", True), ("ACK: Valves", True), ("ack: valves", True),
        ("ACK: Valves:010010111", False), ("ACK: burning", False), ("NACK: no", True),
    ],
)  # fmt: skip
def test_which_answer_is_whose(said, fits):
    reader = Reader()
    reader.rows(said + "\n")
    assert reader.wire.answers[0].fits(reader.wire.valves("010010110")) is fits


def test_orders_as_they_go_out():
    wire = Reader().wire
    assert wire.valves("010010110").data == b"Valves:010010110\n"
    assert wire.scenario("o2cleaning").data == b"o2cleaning\n"
    assert wire.emergency().data == b"emergency\n"


def test_noise_without_end_is_bounded():
    reader = Reader()
    for _ in range(10):
        reader.rows(b"\x55" * 3000)
    assert len(reader.wire._rest) <= 4096 and reader.wire.counters.resyncs >= 1
    assert len(reader.rows(f"\n{LINE}\n")) == 1


def test_the_first_half_line_is_left_out():
    wire = TextWire(Clock(time.monotonic_ns, time.time_ns), Counters(), 50.0)
    rows = wire.take(f"{LINE[3:]}\n{LINE}\n".encode(), time.monotonic_ns())
    assert len(rows[0].time_ns) == 1 and wire.counters.frames_bad == 0


@pytest.mark.parametrize("seed", range(30))
def test_cuts_leave_out_and_never_mix(seed):
    """Bytes that are lost within a line cost values; no value is made of two numbers."""
    rng = random.Random(seed)
    reader = Reader()
    for _ in range(40):
        start = rng.randrange(1, len(LINE) - 30)
        length = rng.randrange(6, 30)
        for row in reader.rows(LINE[:start] + LINE[start + length :] + "\n" + LINE + "\n"):
            for key, value in good(row).items():
                assert value == pytest.approx(VALUES[key], rel=1e-6), LINE[start : start + length]


@pytest.mark.parametrize("seed", range(10))
def test_any_damage_is_survived(seed):
    rng = random.Random(seed)
    data = bytearray((LINE + "\n").encode() * 50)
    for _ in range(200):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    reader = Reader()
    reader.rows(bytes(data))
    assert reader.wire.counters.frames_bad > 0
    assert len(reader.rows(f"\n{LINE}\n")) >= 1
