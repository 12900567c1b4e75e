"""Control in many random histories: what must hold in fifty must hold in thousands.

The whole engine side of a stand goes through a thousand of them each time; its parts alone, which have fifty
each in their own tests, go through ten thousand long ones before a release.
"""

import importlib

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

WHOLE = ("service.test_controls_histories", "Stand")
PARTS = [
    ("control.test_authority", "OneHolder"),
    ("control.test_arming", "Armings"),
    ("control.test_stop_latch", "Latch"),
    ("control.test_command_life", "Lives"),
    ("control.test_interlock", "NeverOkOnStaleData"),
]


def play(module, name, histories, steps):
    machine = getattr(importlib.import_module(f"tests.unit.{module}"), name)
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=histories, stateful_step_count=steps, deadline=None),
    )


def test_a_thousand_histories():
    play(*WHOLE, 1000, 15)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("module", "name"), [WHOLE, *PARTS])
def test_ten_thousand_long_histories(module, name):
    play(module, name, 10_000, 60)
