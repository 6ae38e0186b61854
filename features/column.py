"""One feature of many windows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Column(NamedTuple):
    """One feature of all rows; `value` is looked at only where `reason` says there is one."""

    value: NDArray[np.float64]
    quality: NDArray[np.float64]
    coverage: NDArray[np.float64]
    n: NDArray[np.int64]
    reason: NDArray[np.uint8]
