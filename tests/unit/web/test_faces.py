"""Faces: which there are, and what they refuse to be."""

from __future__ import annotations

from typing import Any

import pytest

from kymograph.config import Config, parse
from kymograph.model.errors import ConfigError, InvalidInput
from kymograph.web import faces
from kymograph.web.faces.lidar import instrument_of, recording_name

LIDAR = {"driver": "ydlidar", "port": "sim://ydlidar", "options": {"model": "X4"}}


def config(instruments: dict[str, Any], **lidar: Any) -> Config:
    return parse({"instruments": instruments, "faces": {"lidar": lidar}, "web": {"faces": ["lidar"]}})


def test_every_face_can_be_found() -> None:
    assert "lidar" in faces.names()
    for name in faces.names():
        assert callable(faces.find(name))
    with pytest.raises(ConfigError, match="lidar"):
        faces.find("nope")


def test_faces_are_shown_once_each() -> None:
    given = config({"front": LIDAR})
    twice = given.model_copy(update={"web": given.web.model_copy(update={"faces": ("lidar", "lidar")})})
    assert len(faces.routers(twice)) == 1
    assert faces.routers(Config()) == []


def test_which_instrument_is_the_lidar() -> None:
    other = {"driver": "sine"}
    assert instrument_of(config({"front": LIDAR, "gen": other})) == "front"
    assert instrument_of(config({"a": LIDAR, "b": LIDAR}, instrument="b")) == "b"
    assert instrument_of(config({"gen": other}, instrument="gen")) == "gen"


@pytest.mark.parametrize(
    ("instruments", "table"),
    [
        ({}, {}),
        ({"a": LIDAR, "b": LIDAR}, {}),
        ({"a": LIDAR}, {"instrument": "b"}),
        ({"a": LIDAR}, {"port": 1}),
    ],
)
def test_when_it_is_not_clear(instruments: Any, table: Any) -> None:
    with pytest.raises(ConfigError, match="lidar"):
        faces.routers(config(instruments, **table))


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("night.h5", "night"),
        ("night", "night"),
        ("a.b.h5", "a.b"),
        ("night.h5.h5", "night.h5"),
        ("x" * 128, "x" * 128),
    ],
)
def test_names(filename: str, name: str) -> None:
    assert recording_name(filename) == name


@pytest.mark.parametrize(
    "filename",
    [
        None,
        "",
        7,
        [],
        {},
        True,
        ".h5",
        "..",
        "a..b",
        "../a",
        "a/b",
        "a\\b",
        ".a",
        "a\0",
        "x" * 129,
        "a b",
        "é",
        "a\n",
    ],
)
def test_what_is_no_name(filename: object) -> None:
    with pytest.raises(InvalidInput):
        recording_name(filename)
