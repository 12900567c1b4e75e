"""Lines of any instrument: how they are read, what is refused, and what a wire does to them."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from kymograph.drivers import registry
from kymograph.drivers.text_line import TextLine, TextLineOptions
from kymograph.model.clock import Clock
from kymograph.model.errors import ConfigError, DeviceSilent
from kymograph.sim import text_line as device
from kymograph.sim.simulation import Simulation
from kymograph.sim.wire import PtyWire

T_AND_P = [{"name": "t", "unit": "Cel"}, {"name": "p", "unit": "hPa"}]


def made(port="", channels=None, **options) -> TextLine:
    given = registry.parse_options("text_line", {"channels": channels or T_AND_P, **options})
    assert isinstance(given, TextLineOptions)
    return TextLine(given, Clock(time.monotonic_ns, time.time_ns), port)


@contextmanager
def instrument(folder, parameters, **options) -> Iterator[tuple[TextLine, Simulation]]:
    with Simulation(device.make(parameters), PtyWire(folder / "line")) as simulation:
        driver = made(simulation.url, **options)
        driver.open()
        driver.start()
        yield driver, simulation
        driver.close()


def rows(driver, count):
    """Return each channel's values of at least so many rows."""
    found, until = [], time.monotonic() + 20
    while sum(len(batch.time_ns) for batch in found) < count:
        assert time.monotonic() < until
        found += driver.read(0.1)
    return [np.concatenate([batch.columns[i] for batch in found]) for i in range(len(found[0].columns))]


# -- columns -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "options", "values"),
    [
        (b"12.3,1013.2", {"separator": ","}, (12.3, 1013.2)),
        (b" -1e1 , +.5 ", {"separator": ","}, (-10.0, 0.5)),
        (b"12.3 C,1013.2hPa", {"separator": ","}, (12.3, 1013.2)),
        (b"12.3 %,5 W/m2", {"separator": ","}, (12.3, 5.0)),
        (b"12.3   1013.2\t7", {"separator": " "}, (12.3, 1013.2)),
        (b"12.3\t\t7", {"separator": "\t", "missing": "nan"}, (12.3, math.nan)),
        (b"12,3;1013,2", {"separator": ";", "decimal_comma": True}, (12.3, 1013.2)),
        (b"12.3", {"separator": ",", "missing": "nan"}, (12.3, math.nan)),
        (b"---,7", {"separator": ",", "missing": "nan"}, (math.nan, 7.0)),
        (b"NaN,7", {"separator": ",", "missing": "nan"}, (math.nan, 7.0)),
        (b"1,2", {"separator": ",", "columns": 2}, (1.0, 2.0)),
    ],
)
def test_columns(line, options, values):
    assert made(**options).parse(line) == pytest.approx(values, nan_ok=True)


@pytest.mark.parametrize(
    ("line", "options"),
    [
        (b"12.3", {"separator": ","}),
        (b"12.3,", {"separator": ","}),
        (b"12.3,2x.4", {"separator": ","}),
        (b"12.3,1_0", {"separator": ","}),
        (b"12.3,inf", {"separator": ","}),
        (b"12.3,1e999", {"separator": ","}),
        (b"12.3,0x10", {"separator": ","}),
        (b"12.3,12:30", {"separator": ","}),
        (b"12.3,2x.4", {"separator": ",", "missing": "nan"}),
        (b"nan,", {"separator": ",", "missing": "nan"}),
        (b"1,2,3", {"separator": ",", "columns": 2}),
        (b"1.234,5;1", {"separator": ";", "decimal_comma": True}),
        (b"\xff\xfe\x00", {"separator": ","}),
    ],
)
def test_columns_that_make_no_sense(line, options):
    with pytest.raises(ValueError, match=r"."):
        made(**options).parse(line)


def test_columns_by_number_and_whole_numbers():
    channels = [{"name": "n", "column": 4, "dtype": "int32"}, {"name": "t", "column": 2}]
    driver = made(channels=channels, separator=",")
    assert driver.parse(b"$W,12.5,x,7") == [7, 12.5]
    assert driver.parse(b"$W,12.5,x,7.0") == [7, 12.5]
    for bad in (b"$W,12.5,x,7.5", b"$W,12.5,x,3000000000"):
        with pytest.raises(ValueError, match=r"whole|large"):
            driver.parse(bad)


# -- pairs -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "options", "values"),
    [
        (b"t: 12.3 C, p: 1013.2 hPa", {}, (12.3, 1013.2)),
        (b"p=1013.2;x=1;t=12.3", {}, (12.3, 1013.2)),
        (b"time=12:30:00 p = 1 t = 2", {}, (2.0, 1.0)),
        (b"t=12,3 p=1013,2", {"decimal_comma": True}, (12.3, 1013.2)),
        (b"p=1", {"missing": "nan"}, (math.nan, 1.0)),
        (b"p=1 t=", {"missing": "nan"}, (math.nan, 1.0)),
    ],
)
def test_pairs(line, options, values):
    assert made(pairs=True, **options).parse(line) == pytest.approx(values, nan_ok=True)


def test_pairs_with_keys_of_several_words():
    channels = [{"name": "t", "key": "Air Temp"}, {"name": "h", "key": "Rel. Hum."}]
    driver = made(channels=channels, pairs=True, between="|")
    assert driver.parse(b"Rel. Hum.: 45 % | note | Air Temp: 12.3 C") == [12.3, 45.0]


@pytest.mark.parametrize("line", [b"t=1", b"t=1 p=2 t=3", b"hello", b"t=1 p=2x.3", b"x=1"])
def test_pairs_that_make_no_sense(line):
    with pytest.raises(ValueError, match=r"."):
        made(pairs=True).parse(line)


# -- patterns ----------------------------------------------------------------------------------------------
def test_a_pattern():
    driver = made(pattern=r"T(?P<t>[-+.\d]+)\s*P(?P<p>[.\d]+)?", missing="nan")
    assert driver.parse(b"!! T-12.5 P1013 !!") == [-12.5, 1013.0]
    assert driver.parse(b"T12 P") == pytest.approx([12.0, math.nan], nan_ok=True)
    with pytest.raises(ValueError, match="does not match"):
        driver.parse(b"P12")


def test_a_pattern_by_groups():
    channels = [{"name": "wind", "group": "speed"}]
    assert made(channels=channels, pattern=r"WIND (?P<speed>\d+)").parse(b"WIND 7") == [7.0]


def test_a_line_that_does_not_fit_costs_nothing():
    # Ten repeats that fit the same text: re alone would look for ever.
    groups = "".join(f"(?P<g{i}>[^x]*),.*" for i in range(10))
    channels = [{"name": f"g{i}"} for i in range(10)]
    driver = made(channels=channels, pattern=f"^{groups}END$")
    began = time.process_time()
    with pytest.raises(ValueError, match="does not match"):
        driver.parse(b"," * 1000)
    assert time.process_time() - began < 20


@pytest.mark.parametrize("pattern", [r"(?P<t>(\d+)+)$", r"(?:(?P<t>\d+),?)*", r"(?P<t>\d(?:ab|cd)+)(?:x*y)+"])
def test_a_repeat_inside_a_repeat_is_refused(pattern):
    with pytest.raises(ConfigError, match="inside a repeat"):
        made(channels=[{"name": "t"}], pattern=pattern)


# -- further -----------------------------------------------------------------------------------------------
def test_skipped_lines_are_not_bad():
    driver = made(separator=",", skip=["#", "Ready"])
    assert driver.parse(b"# temperature, pressure") is None
    assert driver.parse(b"Ready.") is None


def test_nmea_checksums():
    channels = [{"name": "speed", "column": 4}]
    driver = made(channels=channels, separator=",", checksum="nmea")
    assert driver.parse(b"$WIMWV,214.8,R,0.1,K,A*28") == [0.1]
    for bad in (b"$WIMWV,214.8,R,0.2,K,A*28", b"$WIMWV,214.8,R,0.1,K,A"):
        with pytest.raises(ValueError, match="checksum"):
            driver.parse(bad)


def test_latin_1():
    pattern = r"(?P<t>[.\d]+)°"
    assert made(channels=[{"name": "t"}], pattern=pattern, encoding="latin-1").parse(b"12.5\xb0") == [12.5]
    assert made(channels=[{"name": "t"}], pattern=pattern).parse("12.5°".encode()) == [12.5]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "exactly one of"),
        ({"separator": ",", "pairs": True}, "exactly one of"),
        ({"separator": ""}, "separator"),
        ({"pattern": "(?P<t>"}, "not a regular expression"),
        ({"pattern": r"(?P<t>\d+)"}, "no group called p"),
        ({"pattern": r"(?P<t>\d+)(?P<p>(?=x))"}, "look-around"),
        ({"pattern": r"(?P<t>\d+)(?P<p>x)\1"}, "backreferences"),
        ({"pattern": r"(?P<t>[[\d]+)(?P<p>x)"}, "ambiguous"),
        ({"separator": ",", "poll": "?"}, "poll needs rate_hz"),
        ({"separator": ",", "decimal_comma": True}, "decimal_comma"),
        ({"separator": ",", "between": ";"}, "between with pairs"),
        ({"separator": ",", "columns": 1}, "column 2 of 1"),
        ({"separator": ",", "channels": [{"name": "t", "key": "T"}]}, "channel t: key"),
        ({"separator": ",", "channels": []}, "channels"),
        ({"separator": ",", "channels": [{"name": "t"}, {"name": "t"}]}, "twice"),
        ({"separator": ",", "channels": [{"name": "a b/c"}]}, "channel name"),
        (
            {"separator": ",", "channels": [{"name": "n", "dtype": "int32"}], "missing": "nan"},
            "floating point",
        ),
        ({"separator": ",", "line_bytes_max": 10**6}, "line_bytes_max"),
        ({"separator": ",", "channels": [{"name": "t", "colum": 1}]}, "colum"),
    ],
)
def test_what_is_wrong_is_said_when_the_file_is_read(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        registry.parse_options("text_line", {"channels": T_AND_P, **options})


# -- on a wire ---------------------------------------------------------------------------------------------
def test_lines_of_a_device(tmp_path):
    parameters = {"template": "{count},{pressure:.1f}", "rate_hz": "200", "end": "crlf"}
    channels = [{"name": "n", "dtype": "int64"}, {"name": "p"}]
    with instrument(tmp_path, parameters, channels=channels, separator=",", rate_hz=200) as (driver, _):
        count, pressure = rows(driver, 50)
        assert (np.diff(count) == 1).all() and count.dtype == np.int64
        assert ((pressure > 900) & (pressure < 1100)).all()
        assert driver.counters.frames_bad == 0


def test_recorded_lines_played_again(tmp_path):
    (tmp_path / "recorded").write_text("{1}\n# remark\n{2}\n")
    parameters = {"lines": str(tmp_path / "recorded"), "rate_hz": "200", "end": "cr"}
    options = {"channels": [{"name": "v"}], "pattern": r"\{(?P<v>\d)\}", "skip": ["#"], "line_end": "\r"}
    with instrument(tmp_path, parameters, **options) as (driver, _):
        assert set(rows(driver, 10)[0]) == {1.0, 2.0}
        assert driver.counters.frames_bad == 0


def test_an_instrument_that_is_asked(tmp_path):
    parameters = {"template": "{count}", "poll": "READ\r"}
    options = {"channels": [{"name": "n"}], "separator": ",", "poll": "READ\r\n", "rate_hz": 100}
    with instrument(tmp_path, parameters, **options) as (driver, _):
        (count,) = rows(driver, 20)
        assert count[0] == 1 and (np.diff(count) == 1).all()


def test_it_is_told_to_begin(tmp_path):
    parameters = {"template": "{count}", "poll": "GO"}
    with instrument(tmp_path, parameters, channels=[{"name": "n"}], separator=",", begin="GO\nGO\n") as (
        d,
        _,
    ):
        # The first line is left out: it may be half of one.
        assert list(rows(d, 1)[0]) == [2.0]


def test_bad_lines_are_counted(tmp_path):
    with instrument(tmp_path, {"poll": "never"}, separator=",") as (driver, simulation):
        for line in ("first", "1,2", "1,x.2", "3,4"):
            simulation.fault(f"say {line}")
        found = rows(driver, 2)
        assert list(found[0]) == [1.0, 3.0]
        assert driver.counters.frames_bad == 1 and driver.counters.frames_good == 2


def test_silence(tmp_path):
    with instrument(tmp_path, {"poll": "never"}, separator=",", silence_s=0.2) as (driver, _):
        with pytest.raises(DeviceSilent):
            for _ in range(200):
                driver.read(0.1)


def test_how_long_silence_may_last():
    assert made(separator=",").silence_s == 60
    assert made(separator=",", rate_hz=0.1).silence_s == 50
    assert made(separator=",", rate_hz=10).silence_s == 5
    assert made(separator=",", rate_hz=10, silence_s=2).silence_s == 2


@pytest.mark.parametrize(
    "options",
    [
        {"separator": ","},
        {"pairs": True},
        {"pairs": True, "between": ";", "missing": "nan"},
        {"pattern": r"(?P<t>[^,]*),(?P<p>.*)", "missing": "nan", "decimal_comma": True},
        {"separator": " ", "checksum": "nmea", "encoding": "latin-1"},
    ],
)
def test_no_line_does_more_than_make_no_sense(options):
    chance = np.random.default_rng(5)
    driver = made(**options)
    letters = b"tp=:;, \t.-+eE0123456789$*#N%\xb0\xff\x00"
    for size in [*range(1, 40), 1000, 1024] * 10:
        line = bytes(chance.choice(list(letters), size).tolist())
        try:
            row = driver.parse(line)
        except ValueError:
            continue
        assert row is not None and len(row) == 2 and not all(math.isnan(value) for value in row)
