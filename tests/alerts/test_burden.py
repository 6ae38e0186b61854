"""The burden of alerts on the fixed synthetic ward must not rise."""

from __future__ import annotations

import numpy as np
import pytest

from alerts.policy import Policy, default_policy_text, parse_policy
from benchmarks.policy_burden import RAMP_STEPS, ROWS, SEED, STEPS, burden, policy_text, ward

ROW = dict(ROWS)


def test_the_ward_is_the_same_for_the_same_seed_and_two_thirds_are_stable() -> None:
    first, again, other = ward(6, SEED), ward(6, SEED), ward(6, SEED + 1)
    assert np.array_equal(first.scores, again.scores)
    assert not np.array_equal(first.scores, other.scores)
    assert (first.event_step >= 0).sum() == 2
    assert first.scores.shape == (6, STEPS)
    assert first.scores.min() >= 0
    assert first.scores.max() <= 1
    assert first.event_step.max() >= RAMP_STEPS


@pytest.mark.slow
def test_hysteresis_for_and_keep_hold_the_burden_down_and_lose_few() -> None:
    """Of 90 patients; `python -m benchmarks.policy_burden` has all 600 and every row."""
    default = burden(_policy("hysteresis, for 2, keep 10"), ward(90, SEED))
    naive = burden(_policy("naive threshold"), ward(15, SEED))
    assert default.false_per_day <= 0.25
    assert default.caught >= 0.85  # of 30: one patient is 0.03
    assert naive.false_per_day > 20 * default.false_per_day
    assert default.lead_min > 120


def _policy(row: str) -> Policy:
    return parse_policy(policy_text(**ROW[row]), default_policy_text())
