"""Control in many random histories: what must hold in fifty must hold in thousands."""

import importlib

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

MACHINES = [
    ("test_authority", "OneHolder"),
    ("test_arming", "Armings"),
    ("test_stop_latch", "Latch"),
    ("test_command_life", "Lives"),
    ("test_interlock", "NeverOkOnStaleData"),
]


def play(module, name, histories, steps):
    machine = getattr(importlib.import_module(f"tests.unit.control.{module}"), name)
    run_state_machine_as_test(
        machine, settings=settings(max_examples=histories, stateful_step_count=steps, deadline=None)
    )


@pytest.mark.parametrize(("module", "name"), MACHINES)
def test_a_thousand_histories(module, name):
    play(module, name, 1000, 15)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("module", "name"), MACHINES)
def test_ten_thousand_long_histories(module, name):
    play(module, name, 10_000, 60)
