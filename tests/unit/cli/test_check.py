"""`kymograph check`: what a station would start, and what it may not."""

import json
from pathlib import Path

import pytest

from kymograph.acquire.ring import Ring
from kymograph.cli import plan
from kymograph.cli.app import run
from kymograph.cli.serve import DEMO, load
from kymograph.model.errors import ConfigError

STATIONS = sorted((Path(__file__).parents[3] / "stations").glob("*.toml"))


def plan_of(tmp_path, text, *settings):
    path = tmp_path / "station.toml"
    path.write_text(text, "utf-8")
    return plan.make(load(path, "", None, None, settings))


def test_there_are_stations():
    assert {"demo.toml", "lidar.toml"} <= {path.name for path in STATIONS}


@pytest.mark.parametrize("path", STATIONS, ids=lambda path: path.name)
def test_every_station_that_is_shipped_can_start_as_it_is(path, capsys):
    assert run(["check", str(path)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("path", STATIONS, ids=lambda path: path.name)
def test_every_station_that_is_shipped_runs_on_simulators_and_on_this_computer_only(path):
    config = load(path, "", None, None, [])
    assert config.web.host == "127.0.0.1"
    for table in config.instruments.values():
        assert table.port == "" or table.port.startswith("sim://")


def test_the_demo_in_stations_is_the_one_in_the_package():
    assert (STATIONS[0].parent / "demo.toml").resolve() == DEMO.resolve()


def test_the_demo_can_be_printed_to_begin_a_station(capsys, tmp_path):
    assert run(["demo", "--print"]) == 0
    text = capsys.readouterr().out
    assert text.strip() == DEMO.read_text("utf-8").strip()
    assert {i.name for i in plan_of(tmp_path, text).instruments} == {"lidar", "signals"}


SINE = '[instruments.a]\ndriver = "sine"\n[instruments.a.options]\nrate_hz = 1000\nchannels = 4\n'


def test_streams_are_named_as_the_station_will_name_them(tmp_path):
    [instrument] = plan_of(tmp_path, SINE).instruments
    assert [s.stream.name for s in instrument.streams] == ["a"]


def test_the_ring_is_counted_as_it_will_be_made(tmp_path):
    [instrument] = plan_of(tmp_path, SINE + "[ring]\nseconds = 10\n").instruments
    [stream] = instrument.streams
    ring = Ring(stream.stream, stream.ring_rows)
    try:
        assert stream.ring_rows == 10_000
        assert stream.ring_bytes == ring.size_bytes
    finally:
        ring.close()


def test_memory_and_rate_add_up(tmp_path):
    made = plan_of(tmp_path, SINE + SINE.replace("instruments.a", "instruments.b"))
    assert made.bytes_per_s == 2 * 1000 * (8 + 4 * 4)
    told = made.to_dict()
    parts = {k: v for k, v in told["memory"].items() if k not in ("total", "installed")}
    assert sum(parts.values()) == told["memory"]["total"]
    assert parts["rings"] == sum(s["ring"]["bytes"] for i in told["instruments"] for s in i["streams"])


def test_a_station_without_a_front_needs_none_of_its_memory(tmp_path):
    memory = plan_of(tmp_path, SINE + "[web]\nenabled = false\n").memory()
    assert memory["front"] == memory["link queue"] == 0


LIDAR = '[instruments.l]\ndriver = "ydlidar"\nport = "serial:///dev/ttyUSB0"\n'


def test_the_load_of_a_link_is_shown_with_its_arithmetic(tmp_path):
    [instrument] = plan_of(tmp_path, LIDAR).instruments
    assert instrument.load is not None
    assert 0 < instrument.load_share <= 0.9
    assert "128000" in instrument.load.arithmetic


def test_a_rate_that_the_link_cannot_carry_is_refused_with_the_arithmetic(tmp_path):
    with pytest.raises(ConfigError, match=r"instruments\.l: the link cannot carry .*9600") as caught:
        plan_of(tmp_path, LIDAR.replace("USB0", "USB0?baud=9600"))
    assert caught.value.facts["needed_bytes_per_s"] > caught.value.facts["carried_bytes_per_s"]


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("instruments.l.port=sim://toaster", "toaster"),
        ("instruments.l.port=sim://ydlidar?model=X99", "X99"),
        ("recording.format=xls", "xls"),
        ("instruments.l.driver=toaster", "toaster"),
    ],
)
def test_what_cannot_start_is_refused(tmp_path, setting, word):
    with pytest.raises(ConfigError, match=word):
        plan_of(tmp_path, LIDAR, setting)


def test_json_has_a_stable_shape(tmp_path, capsys):
    (tmp_path / "s.toml").write_text(LIDAR, "utf-8")
    assert run(["check", str(tmp_path / "s.toml"), "--data", str(tmp_path / "data"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {
        "name", "data", "web", "recording", "environment", "instruments", "bytes_per_s", "memory", "disk",
        "sequences",
    }  # fmt: skip
    [instrument] = told["instruments"]
    assert set(instrument) == {"name", "driver", "port", "start", "simulated", "link_load", "streams"}
    assert set(instrument["link_load"]) == {
        "needed_bytes_per_s",
        "carried_bytes_per_s",
        "share",
        "arithmetic",
    }
    assert told["data"] == str(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_what_the_environment_says_is_shown(tmp_path, capsys, monkeypatch):
    table = '[environment]\nAPI_PORT = "web.port"\nLOG_LEVEL = "station.log_level"\n'
    (tmp_path / "s.toml").write_text(SINE + table, "utf-8")
    monkeypatch.setenv("API_PORT", "9150")
    monkeypatch.delenv("LOG_LEVEL", raising=False)
    assert run(["check", str(tmp_path / "s.toml")]) == 0
    said = capsys.readouterr().out
    assert "From the environment: web.port = 9150 (API_PORT)" in said
    assert "http://127.0.0.1:9150" in said
    assert "LOG_LEVEL" not in said
    assert run(["check", str(tmp_path / "s.toml"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["environment"] == [{"variable": "API_PORT", "key": "web.port", "text": "9150"}]


def test_serve_can_check_too(tmp_path, capsys):
    (tmp_path / "s.toml").write_text(SINE, "utf-8")
    assert run(["serve", str(tmp_path / "s.toml"), "--port", "8123", "--check"]) == 0
    assert "http://127.0.0.1:8123" in capsys.readouterr().out


def test_a_port_of_the_wrong_kind_is_refused(tmp_path):
    from kymograph.model.errors import KymographError

    with pytest.raises(KymographError, match="port"):
        plan_of(tmp_path, LIDAR, "instruments.l.port=usb:0")


def test_more_memory_than_there_is_is_a_warning(tmp_path, capsys):
    (tmp_path / "s.toml").write_text(SINE, "utf-8")
    huge = ["--set", "ring.seconds=1e9", "--set", "ring.bytes_max=100000000000000"]
    assert run(["check", str(tmp_path / "s.toml"), *huge]) == 0
    assert "warning: that is more than this computer has" in capsys.readouterr().err


STAND = '[instruments.stand]\ndriver = "stm32"\nport = "sim://stm32?rate_hz=50"\n'


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('[interlocks.high]\ntrip = "stand.P11 > 3"\n', ["interlocks.high.trip", "stand.P11", "stand.P1"]),
        ('[interlocks.high]\ntrip = "stand.P1 >"\n', ["interlocks.high.trip"]),
        ('[interlocks.high]\ntrip = "stand.P1 > 3"\napplies_to = ["stand.FUEL"]\n', ["stand.FUEL1"]),
        ('[interlocks.p]\npermit = "stand.state == 3 and stand.FUEL9 == 0"\n', ["stand.FUEL9"]),
        ('[control]\narmed = ["stand.IGNITON"]\n', ["control.armed", "stand.IGNITON", "stand.IGNITION"]),
    ],
)
def test_what_is_wrong_with_control_is_told_with_file_and_name(tmp_path, capsys, table, words):
    path = tmp_path / "station.toml"
    path.write_text(STAND + table)
    assert run(["check", str(path)]) == 2
    told = capsys.readouterr().err
    for word in [str(path), *words]:
        assert word in told


def test_it_says_what_stops_and_what_is_to_be_armed(tmp_path, capsys):
    path = tmp_path / "station.toml"
    purge = '[interlocks.purge]\npermit = \'stand.FUEL1 == "closed"\'\napplies_to = ["stand.PURGE1"]\n'
    path.write_text(STAND + purge + '[control]\narmed = ["stand.IGNITION"]\n')
    assert run(["check", str(path)]) == 0
    told = capsys.readouterr().out
    assert 'Interlock purge: permit stand.FUEL1 == "closed" (of stand.PURGE1)' in told
    assert "To be armed first: stand.IGNITION" in told


def test_a_trigger_of_what_is_not_there_is_refused(tmp_path):
    sine = '[instruments.gen]\ndriver = "sine"\n[triggers.high]\n'
    assert plan_of(tmp_path, sine + 'when = "gen.ch0 > 2"\n')
    with pytest.raises(ConfigError, match=r"triggers\.high\.when: there is no gen\.none"):
        plan_of(tmp_path, sine + 'when = "gen.none > 2"\n')


STAND = '[instruments.stand]\ndriver = "stm32"\nport = "sim://stm32"\n'
GOOD = """name: open
steps:
  - command: {instrument: stand, command: set_valves, arguments: {valves: [%s]}}
"""


@pytest.fixture
def stand(tmp_path):
    """A station file and what writes a sequence beside it."""
    (tmp_path / "stand.toml").write_text(STAND, "utf-8")
    (tmp_path / "sequences").mkdir()

    def write(name, text):
        (tmp_path / "sequences" / f"{name}.yaml").write_text(text, "utf-8")

    return tmp_path / "stand.toml", write


def test_its_sequences_are_checked_with_it(stand, capsys):
    path, write = stand
    write("open", GOOD % ", ".join("0" * 9))
    assert run(["check", str(path)]) == 0
    assert "Sequences: open" in capsys.readouterr().out
    assert run(["check", str(path), "--json"]) == 0
    [sequence] = json.loads(capsys.readouterr().out)["sequences"]
    assert sequence["name"] == "open" and sequence["file"].endswith("sequences/open.yaml")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (GOOD % "0, 0", 3, "valves"),
        (GOOD.replace("stand", "stan") % "0", 3, "there is no instrument stan"),
        ("name: open\nsteps:\n  - wait_until: {condition: stand.P33 > 1, timeout: 1}\n", 3, "stand.P33"),
        ("name: open\nsteps:\n  - wiat: 2\n", 3, "wiat"),
        ("name: open\nsteps: [\n", 3, ""),
        ("name: shut\nsteps: [wait: 1]\n", 1, "call them the same"),
    ],
)
def test_what_is_wrong_in_a_sequence_is_told_with_file_line_and_reason(stand, capsys, text, line, words):
    path, write = stand
    write("fine", GOOD.replace("open", "fine") % ", ".join("0" * 9))
    write("open", text)
    assert run(["check", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"open.yaml:{line}: " in said.err and words in said.err


def test_every_fault_in_every_sequence_is_told(stand, capsys):
    path, write = stand
    write("one", "name: one\nsteps:\n  - wiat: 2\n")
    write("two", "name: two\nsteps:\n  - wait: -1\n  - wiat: 3\n")
    assert run(["check", str(path), "--json"]) == 2
    faults = json.loads(capsys.readouterr().err)["error"]["facts"]["faults"]
    assert [(Path(one["file"]).name, one["line"]) for one in faults] == [
        ("one.yaml", 3), ("two.yaml", 3), ("two.yaml", 4)
    ]  # fmt: skip


READINGS = '[readings]\ninstruments = ["{name}"]\n[destinations.hub]\nurl = "https://hub.example.org"\n'


def test_what_is_composed_kept_and_shipped_is_said(tmp_path, capsys):
    path = tmp_path / "station.toml"
    path.write_text(READINGS.format(name="a") + SINE)
    assert run(["check", str(path)]) == 0
    said = capsys.readouterr().out
    assert "Readings: every 1 min 00 s, of a\nDatabase: SQLite\n" in said
    assert "Ships to hub: readings, events, segments to https://hub.example.org\n" in said
    assert "keeper 100.0 MB" in said


def test_readings_of_an_instrument_that_is_not_there_are_refused(tmp_path, capsys):
    path = tmp_path / "station.toml"
    path.write_text(READINGS.format(name="roof") + SINE)
    assert run(["check", str(path)]) == 2
    assert "there is no instrument roof" in capsys.readouterr().err
