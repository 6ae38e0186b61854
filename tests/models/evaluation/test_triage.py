"""NDCG against scikit-learn, ties included."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.triage import ndcg

metrics = pytest.importorskip("sklearn.metrics")


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("k", [None, 3])
def test_it_equals_scikit_learns(seed: int, k: int | None) -> None:
    rng = np.random.default_rng(seed)
    gain, score = rng.integers(0, 4, 30).astype(float), np.round(rng.random(30), 1)
    assert ndcg(gain, score, k) == pytest.approx(metrics.ndcg_score([gain], [score], k=k))


def test_a_ward_where_nobody_needs_anybody_has_none() -> None:
    assert np.isnan(ndcg(np.zeros(3), np.arange(3.0)))
