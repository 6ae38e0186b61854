"""Arrays as bytes that compress well: first bytes of all numbers, then all second bytes, ..."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray


def planes(values: NDArray[Any]) -> bytes:
    """Bytes of an array, plane by plane.

    Examples
    --------
    >>> list(planes(np.array([1, 2, 259], "<i2")))
    [1, 2, 3, 0, 0, 1]
    """
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.itemsize == 1:
        return flat.tobytes()
    return flat.view(np.uint8).reshape(flat.size, flat.itemsize).T.tobytes()


def unplaned(packed: bytes, dtype: npt.DTypeLike) -> NDArray[Any]:
    """What gave `planes`, flat; ValueError if it is no whole number of values.

    Examples
    --------
    >>> unplaned(planes(np.array([1, 2, 259], "<i2")), "<i2").tolist()
    [1, 2, 259]
    """
    size = np.dtype(dtype).itemsize
    table = np.frombuffer(packed, np.uint8).reshape(size, -1)
    return np.ascontiguousarray(table.T).reshape(-1).view(dtype)
