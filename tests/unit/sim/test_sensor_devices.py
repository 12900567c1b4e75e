"""The simulated chip by its registers, the weather, and what their addresses may say."""

import pytest

from kymograph.model.errors import ConfigError
from kymograph.sim import registry
from kymograph.sim.bme280 import CONFIG, CTRL_HUM, CTRL_MEAS, DATA, ID, RESET, STATUS, Bme280
from kymograph.sim.weather import Weather

FORCED = 0b001_001_01


def chip(**more):
    return Bme280(0x60, Weather(), **more)


def read(chip, register, count, time_s):
    chip.write(bytes([register]), time_s)
    return chip.read(count, time_s)


def test_reading_counts_up_and_writing_does_not():
    one = chip()
    one.write(bytes([CTRL_HUM, 1, CONFIG, 4]), 0.0)
    assert read(one, CTRL_HUM, 4, 0.0) == bytes([1, 0, 0, 4])
    one.write(bytes([ID, 0x12]), 0.0)
    assert read(one, ID, 1, 0.0) == b"\x60"


def test_nothing_is_measured_before_a_conversion_and_a_reset_forgets():
    one = chip()
    assert read(one, DATA, 8, 0.0).hex() == "8000008000008000"
    one.write(bytes([CTRL_HUM, 1, CTRL_MEAS, FORCED]), 0.0)
    assert read(one, DATA, 8, 1.0).hex() != "8000008000008000"
    one.write(bytes([RESET, 0xB6]), 1.0)
    assert read(one, STATUS, 1, 1.001) == b"\x01"
    assert read(one, STATUS, 1, 1.003) == b"\x00"
    assert read(one, DATA, 8, 1.003).hex() == "8000008000008000"


def test_a_conversion_takes_its_time_and_the_old_values_stay_until_then():
    one = chip()
    one.write(bytes([CTRL_HUM, 1, CTRL_MEAS, FORCED]), 0.0)
    assert read(one, STATUS, 1, 0.007) == b"\x08"
    assert read(one, DATA, 3, 0.007).hex() == "800000"
    assert read(one, STATUS, 1, 0.009) == b"\x00"
    assert read(one, CTRL_MEAS, 1, 0.009) == bytes([FORCED & 0xFC])
    assert one.conversions == 1


def test_the_setting_of_humidity_counts_from_the_next_ctrl_meas_on():
    one = chip()
    one.write(bytes([CTRL_MEAS, FORCED, CTRL_HUM, 1]), 0.0)
    assert read(one, DATA + 6, 2, 0.1).hex() == "8000"
    one.write(bytes([CTRL_MEAS, FORCED]), 0.1)
    assert read(one, DATA + 6, 2, 0.2).hex() != "8000"


def test_a_stuck_conversion_and_a_brownout():
    one = chip()
    assert one.fault(["stuck", "on"])
    one.write(bytes([CTRL_MEAS, FORCED]), 0.0)
    assert read(one, STATUS, 1, 100.0) == b"\x08"
    assert one.fault(["brownout"])
    assert read(one, STATUS, 1, 100.0) == b"\x00"
    assert not one.fault(["flood"])


def test_the_filter_is_slow():
    one = chip()
    one.write(bytes([CONFIG, 4 << 2, CTRL_MEAS, FORCED]), 0.0)
    first = read(one, DATA, 6, 1.0)
    one.write(bytes([CTRL_MEAS, FORCED]), 1.0)
    far = int.from_bytes(read(one, DATA + 3, 3, 40_000.0)) - int.from_bytes(first[3:6])
    fresh = chip()
    fresh.write(bytes([CTRL_MEAS, FORCED]), 0.0)
    whole = int.from_bytes(read(fresh, DATA + 3, 3, 40_000.0)) - int.from_bytes(first[3:6])
    assert abs(far) < abs(whole) / 10


def test_weather_is_plausible_and_the_same_for_the_same_seed():
    days = [[Weather(seed).at(hour * 3600.0) for hour in range(24 * 14)] for seed in (1, 1, 2)]
    assert days[0][0] == days[1][0] != days[2][0]
    for air in days[0]:
        assert -10 < air.temperature < 40 and 970 < air.pressure < 1060 and 5 <= air.humidity <= 100
    at_15, at_3 = days[0][5], days[0][17]
    assert at_15.temperature > at_3.temperature + 5 and at_15.humidity < at_3.humidity


@pytest.mark.parametrize(
    "url",
    [
        "sim://bme280?chip=bme999", "sim://bme280?address=0x99", "sim://bme280?colour=red", "sim://bme280?seed=x",
        "sim://bme280?time_scale=0", "sim://bme280?day_s=0", "sim://text_line?template={rain}",
        "sim://text_line?template={count:q!}", "sim://text_line?lines=/none", "sim://text_line?rate_hz=0",
        "sim://text_line?end=bell", "sim://text_line?colour=red",
    ],
)  # fmt: skip
def test_addresses_that_make_no_sense(url):
    with pytest.raises(ConfigError):
        registry.make(*registry.parse_url(url))
