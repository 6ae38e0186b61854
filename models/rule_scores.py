"""Rule scores of aligned rows by name, as numbers: inputs of models. Torch-free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.align import AlignedBatch
from models.news2 import news2, news2_inputs
from models.rule_inputs import select

Floats = NDArray[np.float64]


def total(rule: str, batch: AlignedBatch) -> Floats:
    """Points [N] of the inputs at hand; NaN where there is none at all."""
    return _TOTALS[rule](batch)


def _news2(batch: AlignedBatch) -> Floats:
    inputs = select(batch)
    some = np.isfinite(inputs.value).any(axis=1)
    return np.where(some, news2(news2_inputs(inputs)).lower.astype(np.float64), np.nan)


_TOTALS: Final[dict[str, Callable[[AlignedBatch], Floats]]] = {
    "news2": _news2,
}
