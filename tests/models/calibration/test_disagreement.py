"""A swapped sensor contradicts the laboratory; two honest views rarely do."""

from __future__ import annotations

import numpy as np
import pytest

from models.calibration.disagreement import contradicts, disagreement
from models.late.fused import sigmoid


def test_it_is_zero_in_agreement_one_bit_at_most_and_symmetric() -> None:
    logit = np.random.default_rng(0).normal(size=(200, 3)) * 5
    found = disagreement(logit)
    assert np.all((found >= 0) & (found <= 1))
    assert np.allclose(found, disagreement(logit[:, ::-1]))
    assert np.allclose(disagreement(np.repeat(logit[:, :1], 3, axis=1)), 0.0, atol=1e-12)


def test_it_agrees_with_the_definition_for_two() -> None:
    p, q = 0.9, 0.2
    m = (p + q) / 2

    def kl(a: float, b: float) -> float:
        return a * np.log2(a / b) + (1 - a) * np.log2((1 - a) / (1 - b))

    logit = np.log([[p / (1 - p), q / (1 - q)]])
    assert disagreement(logit)[0] == pytest.approx((kl(p, m) + kl(q, m)) / 2)


def test_one_voice_has_nobody_to_disagree_with() -> None:
    assert np.isnan(disagreement(np.array([[1.0, np.nan], [np.nan, np.nan]]))).all()


def ward(seed: int) -> np.ndarray:
    """Two heads of 400 patients over 24 hours, calibrated views of one slow state."""
    rng = np.random.default_rng(seed)
    state = rng.normal(0, 2.5, (400, 1)) + 0.5 * rng.normal(size=(400, 24)).cumsum(axis=1) / 3
    return state[..., None] + 0.7 * rng.normal(size=(400, 24, 2))


def test_a_swapped_patients_stream_is_flagged_within_hours_and_others_are_not() -> None:
    heads = ward(0)
    limit = float(np.quantile(disagreement(heads.reshape(-1, 2)), 0.95))
    healthy = ward(1)
    false = np.mean([contradicts(patient, limit, rows=3).any() for patient in healthy])
    p = sigmoid(healthy[:, 12:, 0].mean(axis=1))
    well, ill = np.argsort(p)[:40], np.argsort(p)[-40:]
    swapped = healthy.copy()
    swapped[well, 12:, 0] = healthy[ill, 12:, 0]  # the wearable of somebody very ill
    caught = [contradicts(swapped[i], limit, rows=3)[12:18].any() for i in well]
    assert np.mean(caught) > 0.95
    assert false < 0.05


def test_one_odd_hour_is_no_contradiction() -> None:
    heads = np.zeros((6, 2))
    heads[2] = [9.0, -9.0]
    assert not contradicts(heads, 0.1, rows=2).any()
    heads[3] = [9.0, -9.0]
    assert contradicts(heads, 0.1, rows=2).tolist() == [False] * 3 + [True] + [False] * 2
