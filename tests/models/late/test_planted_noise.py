"""Late rules on planted members: noise, ratios of signal to noise, a table of opinions."""

from __future__ import annotations

import numpy as np

from models.evaluation.ranking import auroc
from models.late.confidence import ConfidenceWeighted, inverse_variance
from models.late.mean import MeanLogit


def test_confidence_weights_lose_at_most_a_quarter_of_what_the_mean_loses_to_noise() -> None:
    """Two equal members; in half the rows the second moves, and knows it."""
    rng = np.random.default_rng(5)
    n = 20_000
    target = rng.random(n) < 0.3
    clean = np.where(target, 1.0, -1.0)[:, None] + rng.normal(size=(n, 2))
    moving = rng.random(n) < 0.5
    noisy = clean.copy()
    noisy[moving, 1] += 6.0 * rng.normal(size=int(moving.sum()))
    std = np.ones((n, 2))
    std[moving, 1] = np.sqrt(1.0 + 6.0**2)
    before = auroc(target, MeanLogit().fuse(clean).logit)
    mean_loss = before - auroc(target, MeanLogit().fuse(noisy).logit)
    fused = ConfidenceWeighted().fuse(noisy, inverse_variance(std)).logit
    assert mean_loss > 0.1
    assert before - auroc(target, fused) <= 0.25 * mean_loss
