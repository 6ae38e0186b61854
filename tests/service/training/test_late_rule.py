"""Rules fitted on what members say of patients they never saw."""

from __future__ import annotations

import numpy as np
import pytest

from models.late.mean import MeanLogit
from models.late.rules import check_rule
from service.training.late_rule import fitted_rule

FITTED = ("late.vote", "late.weighted", "late.dempster_shafer", "late.stack", "late.vcdn")


def rows(n: int = 2000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A member that knows, one that guesses, one that is absent every other time."""
    random = np.random.default_rng(0)
    label = random.random(n) < 0.3
    logit = random.standard_normal((n, 3))
    logit[:, 0] += 4.0 * label
    logit[:, 2] += 1.0 * label
    logit[::2, 2] = np.nan
    return logit, label, np.repeat(np.arange(n // 10), 10)


@pytest.mark.parametrize("model", FITTED)
def test_a_rule_follows_the_member_that_knows(model: str) -> None:
    logit, label, patient = rows()
    rule = fitted_rule(model, logit, label, patient)
    check_rule(rule, 3)
    said = rule.fuse(logit).logit
    assert np.isfinite(said).all()
    assert said[label].mean() > said[~label].mean() + 0.5


def test_weights_and_reliabilities_are_largest_where_most_is_known() -> None:
    logit, label, patient = rows()
    weight = fitted_rule("late.weighted", logit, label, patient).weight
    reliability = fitted_rule("late.dempster_shafer", logit, label, patient).reliability
    for figure in (weight, reliability):
        assert figure[0] > figure[2] > figure[1]


@pytest.mark.parametrize("model", FITTED)
def test_where_nothing_happened_nothing_is_learned(model: str) -> None:
    logit, label, patient = rows(100)
    assert fitted_rule(model, logit, np.zeros_like(label), patient) == MeanLogit()


def test_a_member_that_is_never_there_counts_for_nothing() -> None:
    logit, label, patient = rows()
    logit[:, 1] = np.nan
    assert fitted_rule("late.dempster_shafer", logit, label, patient).reliability[1] == 0.0
