"""The station file is checked whole, and says which key is wrong."""

import re
import tomllib
from pathlib import Path

import pytest

from kymograph.config import keeping, load, parse, shipping, station_file
from kymograph.model.errors import ConfigError

LIDAR = '[instruments.lidar]\ndriver = "ydlidar"\nport = "sim://ydlidar?model=X4"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "station.toml"
    path.write_text(text, "utf-8")
    return path


def refusal(text, tmp_path, settings=()):
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text), settings)
    return caught.value


def test_an_empty_file_is_a_station_with_safe_defaults(tmp_path):
    config = load(written(tmp_path, ""))
    assert (config.web.host, config.web.port, config.web.open) == ("127.0.0.1", 8000, False)
    assert config.recording.flush_interval_s == 1.0
    assert config.instruments == {}


def test_the_example_in_the_documentation_of_the_module_is_a_station():
    text = station_file.__doc__.partition("\n\n")[2]
    config = parse(tomllib.loads(text))
    assert config.station.name == "roof"
    assert config.instruments["lidar"].port == "serial:///dev/ttyUSB0"


@pytest.mark.parametrize("module", [keeping, shipping])
def test_the_examples_beside_it_are_tables_of_one(module):
    parse(tomllib.loads(module.__doc__.partition("\n\n")[2]))


def test_a_database_has_one_address_however_it_is_spelled(tmp_path):
    def address(**database):
        return parse({"station": {"data": str(tmp_path)}, "database": database}).database_url

    assert address() == f"sqlite:///{tmp_path}/kymograph.db"
    assert address(url="postgresql://ana@db/weather") == "postgresql+psycopg://ana@db/weather"
    parts = {"host": "db", "name": "weather", "user": "ana", "password": "p@ss/word"}
    assert address(**parts) == "postgresql+psycopg://ana:p%40ss%2Fword@db:5432/weather"


def test_an_instruments_options_are_those_of_its_driver(tmp_path):
    config = load(written(tmp_path, LIDAR + '[instruments.lidar.options]\nmodel = "G4"\n'))
    assert config.driver_options("lidar").model == "G4"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[station]\nnmae = 'x'", "station.nmae"),
        ("[station]\nname = '../x'", "station.name"),
        ("[web]\nport = 65536", "web.port"),
        ("[web]\nport = 'x'", "web.port"),
        ("[recording]\nflush_interval_s = 0.05", "recording.flush_interval_s"),
        ("[recording]\nflush_interval_s = 61", "recording.flush_interval_s"),
        ("[recording]\nsegment_interval_s = 0.5", "recording.segment_interval_s"),
        ("[recording]\nafter_crash = 'pray'", "recording.after_crash"),
        ("[ring]\nseconds = 0", "ring.seconds"),
        ("[dashboard.stand.places]\nP1 = 'the roof'", "dashboard.stand.places.P1"),
        ("[dashboard.stand.places]\nP1 = 'chamber'\nP2 = 'chamber'", "dashboard.stand.places"),
        ("[instruments.a]\nport = ''", "instruments.a.driver"),
        ("[instruments.a]\ndriver = 'nothing'", "instruments.a"),
        ("[instruments.'a/b']\ndriver = 'ydlidar'", "instruments"),
        (LIDAR + "[instruments.lidar.options]\nmodle = 'X4'", "instruments.lidar"),
        (LIDAR + "[instruments.lidar.options]\nmodel = 'X99'", "instruments.lidar"),
        ("colour = 'red'", "colour"),
    ],
)
def test_a_wrong_key_is_named(text, key, tmp_path):
    assert key in refusal(text, tmp_path).message


def test_an_unknown_driver_is_answered_with_those_there_are(tmp_path):
    assert "ydlidar" in refusal("[instruments.a]\ndriver = 'nothing'", tmp_path).hint


def test_a_file_that_is_not_there_or_not_toml_is_said_to_be_so(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path / "nothing.toml")
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path)
    assert "not TOML" in refusal("station = [", tmp_path).message
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe4'")
    with pytest.raises(ConfigError, match="not TOML"):
        load(tmp_path / "latin.toml")


def test_settings_are_laid_over_the_file_as_toml_values(tmp_path):
    path = written(tmp_path, "[web]\nport = 1\n" + LIDAR)
    config = load(
        path,
        [
            "web.port=8080",
            'web.host="::1"',
            "web.open=true",
            'web.faces=["lidar"]',
            "station.data=/srv/data",
            "instruments.lidar.port=serial:///dev/ttyUSB0",
            "instruments.lidar.options.model=G4",
        ],
    )
    assert (config.web.port, config.web.host, config.web.open) == (8080, "::1", True)
    assert config.web.faces == ("lidar",)
    assert config.station.data == Path("/srv/data")
    assert config.instruments["lidar"].port == "serial:///dev/ttyUSB0"
    assert config.driver_options("lidar").model == "G4"


def test_the_last_setting_of_a_key_counts(tmp_path):
    assert load(written(tmp_path, ""), ["web.port=1", "web.port=2"]).web.port == 2


def test_a_value_may_have_an_equals_sign(tmp_path):
    config = load(written(tmp_path, LIDAR), ["instruments.lidar.port=sim://ydlidar?model=G4"])
    assert config.instruments["lidar"].port == "sim://ydlidar?model=G4"


@pytest.mark.parametrize("setting", ["web.port", "=3", ""])
def test_a_setting_without_key_and_value_is_refused(setting, tmp_path):
    assert "key=value" in refusal("", tmp_path, [setting]).message


def test_a_setting_cannot_go_into_a_value(tmp_path):
    assert re.search("port is not a table", refusal("[web]\nport = 1", tmp_path, ["web.port.x=1"]).message)


def test_a_setting_is_checked_like_the_file(tmp_path):
    assert "web.port" in refusal("", tmp_path, ["web.port=99999"]).message


def test_a_station_cannot_be_changed_once_it_is_read(tmp_path):
    config = load(written(tmp_path, ""))
    with pytest.raises(ValueError, match="frozen"):
        config.web.port = 1


ENVIRONMENT = """
[environment]
SERIAL_BAUD = "instruments.lidar.port?baud"
SERIAL_PORT = "instruments.lidar.port"
API_PORT = "web.port"
DATA_PATH = "station.data"
LOG_LEVEL = "station.log_level"
MODEL = "instruments.lidar.options.model"
"""


def test_the_environment_counts_more_than_the_file(tmp_path):
    environ = {
        "API_PORT": "9150", "DATA_PATH": "/data/q", "SERIAL_PORT": "/dev/ttyUSB1", "SERIAL_BAUD": "19200",
        "LOG_LEVEL": "WARNING", "MODEL": "G4", "HOME": "/root",
    }  # fmt: skip
    config = load(written(tmp_path, LIDAR + ENVIRONMENT), environ=environ)
    assert config.web.port == 9150
    assert config.station.data == Path("/data/q")
    assert config.station.log_level == "warning"
    assert config.instruments["lidar"].port == "serial:///dev/ttyUSB1?baud=19200"
    assert config.driver_options("lidar").model == "G4"
    assert ("API_PORT", "web.port", "9150") in config.overrides
    assert len(config.overrides) == 6


def test_what_is_not_set_or_empty_leaves_the_file_as_it_is(tmp_path):
    config = load(written(tmp_path, LIDAR + ENVIRONMENT), environ={"API_PORT": ""})
    assert config.overrides == ()
    assert config.web.port == 8000
    assert config.instruments["lidar"].port == "sim://ydlidar?model=X4"


def test_a_parameter_is_set_in_the_address_that_is_there(tmp_path):
    text = (
        LIDAR.replace("sim://ydlidar?model=X4", "serial:///dev/ttyUSB0?baud=9600&parity=even") + ENVIRONMENT
    )
    config = load(written(tmp_path, text), environ={"SERIAL_BAUD": "115200"})
    assert config.instruments["lidar"].port == "serial:///dev/ttyUSB0?baud=115200&parity=even"


def test_a_parameter_needs_an_address(tmp_path):
    with pytest.raises(ConfigError, match="environment variable BAUD"):
        load(written(tmp_path, '[environment]\nBAUD = "web.host?baud"\n'), environ={"BAUD": "1"})


def test_a_setting_counts_more_than_the_environment(tmp_path):
    config = load(written(tmp_path, ENVIRONMENT), ["web.port=1"], {"API_PORT": "2", "LOG_LEVEL": "debug"})
    assert config.web.port == 1
    assert [one.variable for one in config.overrides] == ["LOG_LEVEL"]


@pytest.mark.parametrize(
    ("environ", "key", "variable"),
    [
        ({"API_PORT": "many"}, "web.port", "API_PORT"),
        ({"LOG_LEVEL": "chatty"}, "station.log_level", "LOG_LEVEL"),
        ({"MODEL": "X99", "API_PORT": "1"}, "instruments.lidar", "MODEL"),
    ],
)
def test_a_wrong_value_is_blamed_on_its_variable(environ, key, variable, tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, LIDAR + ENVIRONMENT), environ=environ)
    assert key in caught.value.message
    assert f"it was set by {variable} in the environment" in caught.value.hint


def test_an_error_of_the_file_is_not_blamed_on_the_environment(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, "[web]\nhots = 1\n" + ENVIRONMENT), environ={"API_PORT": "1"})
    assert "API_PORT" not in caught.value.hint


@pytest.mark.parametrize(
    "line", ["'a b' = 'web.port'", "A = 'port'", "A = ''", "A = 3", "A = 'environment.B'", "A = 'web..port'"]
)
def test_an_environment_table_that_makes_no_sense_is_refused(line, tmp_path):
    with pytest.raises(ConfigError, match="environment"):
        load(written(tmp_path, f"[environment]\n{line}\n"), environ={"A": "1"})


def test_the_path_of_a_device_is_an_address(tmp_path):
    config = load(written(tmp_path, LIDAR.replace("sim://ydlidar?model=X4", "/dev/ttyUSB0")))
    assert config.instruments["lidar"].port == "serial:///dev/ttyUSB0"
