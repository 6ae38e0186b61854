"""The calibration line: monotone, never flat, the same in torch and NumPy."""

from __future__ import annotations

import numpy as np
import torch

from models.calibration.knots import Knots, fit
from models.evaluation.calibration import ece


def _scores(n: int = 40_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    logit = random.normal(-1.0, 1.5, n)
    true = 1 / (1 + np.exp(-(0.6 * logit - 2.5)))
    return random.random(n) < true, logit


def test_scores_of_other_patients_become_probabilities() -> None:
    line = fit(*_scores(seed=0), 24)
    label, logit = _scores(seed=1)
    assert ece(label, 1 / (1 + np.exp(-logit))) > 0.1
    assert ece(label, 1 / (1 + np.exp(-line.at(logit)))) < 0.006


def test_different_scores_stay_different_and_in_order() -> None:
    line = fit(*_scores(), 24)
    assert (np.diff(line.at(np.linspace(-12, 12, 5001))) > 0).all()


def test_the_network_gives_the_numbers_of_the_line() -> None:
    line = fit(*_scores(), 24)
    knots = Knots(24)
    knots.take(line)
    logit = np.linspace(-12, 12, 999)
    found = knots(torch.from_numpy(logit.astype(np.float32))).numpy()
    np.testing.assert_allclose(found, line.at(logit), atol=2e-5)


def test_before_it_is_fitted_it_changes_nothing() -> None:
    x = torch.linspace(-5, 5, 11)
    torch.testing.assert_close(Knots(4)(x), x)


def test_few_scores_are_enough_to_be_fitted() -> None:
    label = np.array([False, True, False, True])
    line = fit(label, np.array([0.0, 1.0, 2.0, 3.0]), 24)
    assert len(line.raw) == 24
    assert (np.diff(line.calibrated) > 0).all()


def test_scores_that_float32_cannot_tell_apart_are_one_knot() -> None:
    logit = np.repeat([0.3, 0.3 + 1e-12, 0.7, 1.5], 50)
    label = np.arange(len(logit)) % 7 == 0
    line = fit(label, logit, 24)
    assert (np.diff(line.raw.astype(np.float32)) > 0).all()
    knots = Knots(24)
    knots.take(line)
    assert torch.isfinite(knots(torch.tensor([0.0, 0.3, 0.5, 2.0]))).all()
