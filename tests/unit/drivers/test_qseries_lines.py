from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from kymograph.drivers.qseries_lines import Flags, is_talk, parse_reading

BOTH = Flags(True, True)
BURN_IN = Path(__file__).parents[2] / "data" / "radiometer" / "burn_in.csv"


@pytest.mark.parametrize(
    ("line", "preamble", "flags", "wanted"),
    [
        (b"$LITE123.456789, 21.34, 12.345", "$LITE", BOTH, (123.456789, 21.34, 12.345)),
        (b"0.010046, 27.68, 7.494", "", BOTH, (0.010046, 27.68, 7.494)),
        (b"A,0.010046, 25.19, 7.494", "", Flags(True, True, "A"), (0.010046, 25.19, 7.494)),
        (b"A,Z-1,20.5, 25.19", "Z-1,2", Flags(True, False, "A"), (0.5, 25.19, math.nan)),
        (b"-0.5, -1.25", "", Flags(True, False), (-0.5, -1.25, math.nan)),
        (b"0.5, 7.494", "", Flags(False, True), (0.5, math.nan, 7.494)),
        (b"0.12345678", "", Flags(False, False), (0.12345678, math.nan, math.nan)),
        (b"1237.5", "123", Flags(False, False), (7.5, math.nan, math.nan)),
    ],
)
def test_readings(line: bytes, preamble: str, flags: Flags, wanted: tuple[float, float, float]) -> None:
    reading = parse_reading(line, preamble, flags)
    assert reading is not None
    assert [repr(value) for value in reading] == [repr(value) for value in wanted]


@pytest.mark.parametrize(
    "line",
    [
        b"0.010046, 27.68, 7.4", b"0.010046, 27.68", b"0.010046", b"0.010046, 27.6, 7.494", b"27.68, 7.494",
        b"nan, 27.68, 7.494", b"1e5, 27.68, 7.494", b"\xff0.01, 27.68, 7.494", b"", b"A,0.01, 27.68, 7.494",
        b"0.010046, 27.68, 7.494, 1.0", b"0,010046, 27.68, 7.494", b"0.1234567890, 27.68, 7.494",
    ],
)  # fmt: skip
def test_what_is_no_reading(line: bytes) -> None:
    assert parse_reading(line, "", BOTH) is None


def test_a_poll_of_another_tag_is_not_ours() -> None:
    assert parse_reading(b"B,0.5, 21.34, 12.345", "", Flags(True, True, "A")) is None


def test_every_reading_of_a_real_sensor_is_read_as_it_was() -> None:
    rows = list(csv.DictReader(BURN_IN.open()))
    assert len(rows) > 300
    for row in rows:
        line = f"{row['value']}, {row['TempC']}, {row['Vin']}".encode()
        reading = parse_reading(line, "", BOTH)
        assert reading == (float(row["value"]), float(row["TempC"]), float(row["Vin"]))


@pytest.mark.parametrize(
    "line",
    [
        b"Unit ID Q12345",
        b"ADC OK",
        b"Biospherical Instruments Inc: Digital Engine Vers 4.003",
        b"Calling reset!",
    ],
)
def test_talk_is_not_taken_for_readings(line: bytes) -> None:
    assert is_talk(line)
    assert not is_talk(b"0.010046, 27.68, 7.494")
