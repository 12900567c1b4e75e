from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import Corrupt
from kymograph.store.formats.hdf5 import Hdf5

STREAM = Stream("s", (Channel("a", "float64"),))


def test_a_link_to_another_file_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["a"] = np.arange(3.0)
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file["time_ns"] = np.arange(3)
        file["a"] = h5py.ExternalLink(str(secret), "/a")
    with pytest.raises(Corrupt):
        list(Hdf5().read(path, STREAM))


def test_bytes_of_another_file_are_not_read_as_a_dataset(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(24))
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("time_ns", (3,), "<i8", chunks=(3,), maxshape=(None,))
        file.create_dataset("a", (3,), "<f8", external=[(str(secret), 0, 24)])
    with pytest.raises(Corrupt):
        list(Hdf5().read(path, STREAM))


@pytest.mark.parametrize("rows,dtype", [(2, "<f8"), (3, "<f4")])
def test_a_column_that_does_not_fit_is_corrupt(tmp_path: Path, rows: int, dtype: str) -> None:
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("time_ns", (3,), "<i8", chunks=(3,), maxshape=(None,))
        file.create_dataset("a", (rows,), dtype)
    with pytest.raises(Corrupt):
        list(Hdf5().read(path, STREAM))
