"""The decision curve's fixed points."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.net_benefit import net_benefit


def test_a_perfect_model_is_worth_the_prevalence_at_every_threshold() -> None:
    label = np.arange(100) < 7
    got = net_benefit(label, label.astype(float), replicates=0)
    assert got.model == pytest.approx(0.07)


def test_acting_on_everybody_is_the_model_that_says_one() -> None:
    label = np.arange(100) < 7
    got = net_benefit(label, np.ones(100), replicates=0)
    assert got.model == pytest.approx(got.everybody)
    assert got.everybody[6] == pytest.approx(0.0)  # at the prevalence nobody gains


def test_never_acting_is_worth_nothing() -> None:
    assert (net_benefit(np.arange(9) < 3, np.zeros(9), replicates=0).model == 0).all()


def test_the_formula_by_hand() -> None:
    label = np.array([True, True, False, False, False])
    prob = np.array([0.3, 0.1, 0.3, 0.0, 0.0])
    got = net_benefit(label, prob, threshold=np.array([0.2]), replicates=0)
    assert got.model[0] == pytest.approx(1 / 5 - 1 / 5 * 0.25)


def test_intervals_hold_the_value() -> None:
    random = np.random.default_rng(5)
    prob = random.random(400) * 0.4
    label = random.random(400) < prob
    got = net_benefit(label, prob, np.arange(400) // 4, replicates=200)
    assert (got.low <= got.model).all()
    assert (got.model <= got.high).all()
