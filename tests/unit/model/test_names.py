"""The one function that lets a name become part of a path."""

import os.path
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kymograph.model.errors import InvalidInput
from kymograph.model.limits import NAME_CHARS_MAX
from kymograph.model.names import safe_name


@pytest.mark.parametrize("name", ["a", "night.h5", "2026-05-01_T03", "-x", "_", "A" * NAME_CHARS_MAX, "a..b"])
def test_good_names_pass_unchanged(name):
    assert safe_name(name) == name


BAD = [
    *["", ".", "..", ".hidden", "a/b", "a\\b", "a\0", "a\n", "ü", "a b", "%2e", "a:b"],
    "A" * (NAME_CHARS_MAX + 1),
    *[None, 3, b"a", ["a"]],
]


@pytest.mark.parametrize("name", BAD)
def test_bad_names_are_refused_with_a_reason(name):
    with pytest.raises(InvalidInput, match="recording name"):
        safe_name(name, "recording name")


@given(st.text(max_size=200))
def test_whatever_passes_stays_in_its_folder(name):
    try:
        passed = safe_name(name)
    except InvalidInput:
        return
    path = Path(os.path.normpath(f"/data/{passed}"))
    assert path.parent == Path("/data")
    assert not passed.startswith(".")
