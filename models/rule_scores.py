"""Rule scores of aligned rows by name, as numbers: inputs of models. Torch-free."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from features.align import AlignedBatch
from models.news2 import news2, news2_inputs
from models.rule_inputs import select
from models.rule_tables import TABLES

if TYPE_CHECKING:
    from models.rule_scorer import RuleScorer

Floats = NDArray[np.float64]


def total(rule: str, batch: AlignedBatch) -> Floats:
    """Points [N] of the inputs at hand; NaN where there is none at all."""
    return _TOTALS[rule](batch)


def _news2(batch: AlignedBatch) -> Floats:
    inputs = select(batch)
    some = np.isfinite(inputs.value).any(axis=1)
    return np.where(some, news2(news2_inputs(inputs)).lower.astype(np.float64), np.nan)


def _tabled(name: str) -> Callable[[AlignedBatch], Floats]:
    """Totals of a table; its scorer is made when first asked."""

    def totals(batch: AlignedBatch) -> Floats:
        return _scorer(name).totals(batch)

    return totals


@lru_cache
def _scorer(name: str) -> RuleScorer:
    from models.rule_scorer import RuleScorer  # it reads inputs, which may be rule scores

    return RuleScorer(name)


_TOTALS: Final[dict[str, Callable[[AlignedBatch], Floats]]] = {
    "news2": _news2,
    **{name: _tabled(name) for name in TABLES},
}
