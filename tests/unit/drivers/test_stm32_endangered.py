"""Which valves an order would not leave safe: what interlocks are asked about."""

import pytest

from kymograph.drivers.stm32_channels import VALVES, actuators, endangered
from kymograph.drivers.stm32_options import Stm32Options

CLOSED = [0] * 9


@pytest.fixture
def valves():
    return actuators(Stm32Options().safe)


def told(*opened):
    return {name: float(name in opened) for name in VALVES}


def order(*opened):
    return {"valves": [int(name in opened) for name in VALVES]}


@pytest.mark.parametrize(
    ("command", "arguments", "now", "wanted"),
    [
        ("set_valves", order("GOX1", "FUEL1"), told(), ["GOX1", "FUEL1"]),
        ("set_valves", order("GOX1", "FUEL1"), told("GOX1"), ["FUEL1"]),
        ("set_valves", order(), told("GOX1"), []),
        ("set_valves", order("GOX1"), {}, ["GOX1"]),
        ("set_valves", {"valves": [1, 0]}, told(), list(VALVES)),
        ("set_valves", {"valves": "111111111"}, told(), list(VALVES)),
        ("set_valves", {}, told(), list(VALVES)),
        ("scenario", {"name": "burning"}, told(), list(VALVES)),
        ("emergency", {}, told("GOX1"), []),
    ],
)
def test_what_is_endangered(valves, command, arguments, now, wanted):
    assert endangered(command, arguments, valves, now) == wanted
