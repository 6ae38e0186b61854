"""Planted members: what each knows is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from models.late.out_of_fold import StackedRows, folds_of

Planted = tuple[StackedRows, np.ndarray]


@pytest.fixture(scope="session")
def planted() -> Callable[..., Planted]:
    """Rows of members whose z-scores carry the target at a known signal-to-noise ratio."""

    def make(snr: tuple[float, ...], n: int = 4000, seed: int = 0, missing: float = 0.0) -> Planted:
        rng = np.random.default_rng(seed)
        target = (rng.random(n) < 0.3).astype(np.float64)
        side = (target - 0.5)[:, None] * np.array(snr)
        logit = side + rng.normal(size=(n, len(snr)))
        logit[rng.random(logit.shape) < missing] = np.nan
        group = np.arange(n)
        return StackedRows(logit, folds_of(group, 5), group), target

    return make
