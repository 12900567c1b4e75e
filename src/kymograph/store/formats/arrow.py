"""Between NumPy and Arrow without copying.

By way of buffers: `pyarrow.array` and `to_numpy` import pandas wherever they find it, a second and 80 MB.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from kymograph.model.block import Column


def wrap(column: Column, kind: Any) -> Any:
    """Return a NumPy array as an Arrow array of a type of the same size."""
    pa: Any = import_module("pyarrow")
    return pa.Array.from_buffers(kind, len(column), [None, pa.py_buffer(np.ascontiguousarray(column))])


def unwrap(array: Any, dtype: np.dtype[Any]) -> Column:
    """Return an Arrow array of numbers or times as a NumPy array.

    Raises:
        ValueError: it has missing values, or its items are not of that size.
    """
    if array.null_count or array.type.bit_width != 8 * dtype.itemsize:
        raise ValueError(f"a column of {array.type} with {array.null_count} missing is not whole {dtype}")
    if not len(array):
        return np.empty(0, dtype)
    return np.frombuffer(array.buffers()[1], dtype, len(array), array.offset * dtype.itemsize)
