"""Errors travel: taken apart on one side of a link, they are the same on the other."""

import json

import pytest

from kymograph.model import errors
from kymograph.model.errors import DeviceError, KymographError, error_from_dict, tree


@pytest.mark.parametrize("kind", list(tree().values()), ids=lambda kind: kind.__name__)
def test_every_error_survives_being_json(kind):
    error = kind("the disk is full", hint="free some", path="/data", free_bytes=3)
    again = error_from_dict(json.loads(json.dumps(error.to_dict())))
    assert type(again) is kind
    assert (again.message, again.hint, again.facts) == (error.message, error.hint, error.facts)


def test_codes_are_unique():
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, KymographError)]
    assert len(tree()) == len(kinds) > 10


def test_what_others_derive_does_not_take_a_codes_place():
    class Foreign(DeviceError):
        def __init__(self, only_this):
            super().__init__(only_this)

    assert type(error_from_dict(Foreign("gone").to_dict())) is DeviceError


def test_an_unknown_code_gives_the_root():
    error = error_from_dict({"code": "of tomorrow", "message": "x"})
    assert type(error) is KymographError
    assert error.message == "x"


@pytest.mark.parametrize("data", [{}, {"facts": None}, {"code": None, "message": None}])
def test_half_an_error_is_an_error_too(data):
    assert isinstance(error_from_dict(data), KymographError)


def test_the_hint_is_part_of_what_a_person_reads():
    assert str(errors.DiskFull("full", hint="free some")) == "full (free some)"
    assert str(errors.DiskFull("full")) == "full"


def test_storage_errors_can_be_caught_together():
    for kind in (errors.DiskFull, errors.DiskFailed, errors.FolderLocked, errors.Corrupt):
        assert issubclass(kind, errors.StorageError)
    assert issubclass(errors.PortError, errors.DeviceError)
