"""Actuators survive being taken apart, and refuse what they cannot do."""

import math

import pytest

from kymograph.model.actuator import Actuator, actuator_from_dict
from kymograph.model.errors import InvalidInput


def test_an_actuator_survives_being_plain_data():
    valve = Actuator("GOX1", labels=("closed", "open"), safe=0.0, description="oxygen")
    motor = Actuator("motor1", "deg", -1727.5, 1727.5)
    for actuator in (valve, motor):
        assert actuator_from_dict({**actuator.to_dict(), "colour": "red"}) == actuator
    assert motor.safe is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "../x"},
        {"low": 1.0},
        {"low": math.nan},
        {"high": math.inf},
        {"safe": 2.0},
        {"safe": math.nan},
    ],
)
def test_what_cannot_be_one_is_refused(wrong):
    with pytest.raises(InvalidInput):
        Actuator(**{"name": "GOX1", **wrong})


def test_a_value_is_within_its_bounds():
    motor = Actuator("motor1", "deg", -10, 10)
    assert motor.check(10) == 10.0
    for value in (10.1, -11, math.nan, math.inf):
        with pytest.raises(InvalidInput, match="-10 to 10 deg"):
            motor.check(value)
