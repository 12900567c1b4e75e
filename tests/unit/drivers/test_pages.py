"""Each driver has a page, and what page and module show can be put into a station file as it stands."""

import re
import time
import tomllib
from inspect import getmodule
from pathlib import Path
from textwrap import dedent

import pytest

from kymograph.config import parse
from kymograph.drivers import registry
from kymograph.model.clock import Clock

PAGES = Path(__file__).parents[3] / "docs" / "drivers"
FENCED = re.compile(r"^```toml\n(.*?)^```", re.M | re.S)
INDENTED = re.compile(r"^    \[instruments.*?(?=^\S|\Z)", re.M | re.S)


def accepted(text, name):
    """Make the drivers of a station file, and return what they are called."""
    config = parse(tomllib.loads(text))
    for instrument, table in config.instruments.items():
        options = config.driver_options(instrument)
        driver = registry.find(table.driver)(options, Clock(time.monotonic_ns, time.time_ns), table.port)
        assert driver.streams()
    return {table.driver for table in config.instruments.values()} == {name}


@pytest.mark.parametrize("name", sorted(registry.OURS))
def test_what_a_page_shows_is_accepted(name):
    shown = FENCED.findall((PAGES / f"{name}.md").read_text("utf-8"))
    assert shown
    assert accepted(shown[0], name)


@pytest.mark.parametrize("name", sorted(registry.OURS))
def test_what_a_module_shows_is_accepted(name):
    module = getmodule(registry.find(name))
    assert module is not None and module.__doc__
    shown = INDENTED.search(module.__doc__)
    assert shown is not None
    assert accepted(dedent(shown[0]), name)


@pytest.mark.parametrize("name", ["bme280", "cpu_temp", "disk_space", "text_line"])
def test_a_page_names_every_option(name):
    page = (PAGES / f"{name}.md").read_text("utf-8")
    options = set(registry.find(name).Options.model_fields) - {"channels", "time_scale"}
    assert [option for option in sorted(options) if f"`{option}" not in page] == []
