"""Thresholds and sets come from patients that trained nothing, and err on the quiet side."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.utility import best_threshold, normalised, patient_utility, row_utility
from service.training.operating import cautious_threshold, conformal, halfwidth, watched_of
from tests.service.training.made_up import stays


def _scored(seed: int = 0):  # type: ignore[no-untyped-def]
    own = stays(seed=seed)
    noise = np.random.default_rng(seed).standard_normal(len(own.label))
    return own, own.label + 0.7 * noise, row_utility(own.label, own.lengths)


def test_the_cautious_threshold_gives_away_no_more_than_its_slack() -> None:
    own, score, worth = _scored()
    best = normalised(patient_utility(score >= best_threshold(score, worth), worth, own.lengths))
    for slack in (0.0, 0.01, 0.05):
        threshold = cautious_threshold(score, worth, slack)
        found = normalised(patient_utility(score >= threshold, worth, own.lengths))
        assert best - slack - 1e-9 <= found <= best + 1e-9


@given(st.integers(0, 50))
def test_more_slack_never_means_more_alarms(seed: int) -> None:
    _, score, worth = _scored(seed)
    thresholds = [cautious_threshold(score, worth, slack) for slack in (0.0, 0.005, 0.02)]
    assert thresholds == sorted(thresholds)


def test_scores_that_help_nobody_never_alarm() -> None:
    own = stays()
    worth = row_utility(np.zeros_like(own.label), own.lengths)
    assert cautious_threshold(np.arange(len(own.label)) * 1.0, worth) == np.inf


def test_each_class_is_in_its_conformal_set_nine_times_in_ten() -> None:
    random = np.random.default_rng(0)
    label = random.random(40_000) < 0.03
    prob = 1 / (1 + np.exp(-(random.standard_normal(40_000) + 1.5 * label - 3)))
    fitted, other = np.arange(40_000) < 20_000, np.arange(40_000) >= 20_000
    bounds = conformal(label[fitted], prob[fitted])
    no, yes = prob[other & ~label], prob[other & label]
    assert abs((no <= bounds["no_up_to"][0]).mean() - 0.9) < 0.02
    assert abs((yes >= bounds["yes_from"][0]).mean() - 0.9) < 0.03


def test_the_interval_is_narrow_where_probabilities_are_right_and_wide_where_not() -> None:
    random = np.random.default_rng(0)
    logit = random.normal(-2, 1, 60_000)
    label = random.random(60_000) < 1 / (1 + np.exp(-logit))
    fold = np.arange(60_000) % 5
    right, wrong = halfwidth(label, logit, fold), halfwidth(label, logit + 1, fold)
    assert right < 0.35
    assert 0.8 < wrong < 1.4


def test_onset_is_six_hours_after_the_first_label() -> None:
    own = stays(40)
    watched = watched_of(own, np.ones(40, bool))
    hour = np.arange(len(own.label)) - np.repeat(own.starts, own.lengths)
    for row, lead in zip(watched.row, watched.lead_h, strict=True):
        if own.label[row] and (row == 0 or hour[row] == 0 or not own.label[row - 1]):
            assert lead == 6.0
