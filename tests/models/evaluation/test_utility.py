"""The utility is the official one, and its threshold is the best of all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.evaluation.utility import (
    best_threshold,
    normalised,
    patient_utility,
    row_utility,
    utility,
)


def labels(*hours: int) -> np.ndarray:
    return np.array(hours, bool)


@pytest.mark.data
def test_every_golden_case_of_the_official_script_agrees(archive: Callable[[str], Path]) -> None:
    path = archive("cinc2019_setA") / "cinc2019_sepsis" / "golden_utility.json"
    cases = json.loads(path.read_text())["utility"]
    assert len(cases) == 300
    label = np.concatenate([np.array(case["labels"], bool) for case in cases])
    alarm = np.concatenate([np.array(case["pred"], bool) for case in cases])
    lengths = np.array([len(case["labels"]) for case in cases])
    worth = row_utility(label, lengths)
    observed = patient_utility(alarm, worth, lengths).observed
    assert np.abs(observed - [case["utility"] for case in cases]).max() < 1e-9


def test_an_alarm_six_hours_before_onset_is_worth_one() -> None:
    label = np.arange(30) >= 14  # onset at hour 20
    worth = row_utility(label, np.array([30]))
    assert worth.alarm[14] == pytest.approx(1.0)
    assert worth.alarm[8] == pytest.approx(0.0)
    assert worth.alarm[7] == pytest.approx(-0.05)
    assert worth.quiet[14] == 0
    assert worth.quiet[23] == pytest.approx(-2.0)
    assert worth.alarm[23] == pytest.approx(0.0)
    assert worth.alarm[24] == worth.quiet[24] == 0


def test_a_stay_without_sepsis_loses_by_every_alarm() -> None:
    worth = row_utility(np.zeros(5, bool), np.array([5]))
    assert worth.alarm.tolist() == [-0.05] * 5
    assert worth.quiet.tolist() == [0] * 5


def test_never_alarming_is_zero_and_the_best_is_one() -> None:
    label = np.concatenate([np.arange(40) >= 20, np.zeros(20, bool)])
    lengths = np.array([40, 20])
    worth = row_utility(label, lengths)
    assert utility(label, np.zeros(60, bool), lengths) == 0
    assert utility(label, worth.wanted, lengths) == pytest.approx(1)


def test_patients_do_not_see_each_other() -> None:
    random = np.random.default_rng(1)
    lengths = np.array([9, 30, 0, 17])
    label = random.random(56) > 0.9
    together = row_utility(label, lengths)
    ends = np.cumsum(lengths)
    for end, length in zip(ends, lengths, strict=True):
        rows = slice(end - length, end)
        alone = row_utility(label[rows], np.array([length]))
        assert np.array_equal(together.alarm[rows], alone.alarm)


def test_the_threshold_is_the_best_of_all_thresholds() -> None:
    random = np.random.default_rng(2)
    lengths = np.full(40, 24)
    label = np.tile(np.arange(24) >= 15, 40) & np.repeat(random.random(40) < 0.3, 24)
    score = np.round(random.normal(size=960) + label, 1)
    worth = row_utility(label, lengths)

    def at(threshold: float) -> float:
        return normalised(patient_utility(score >= threshold, worth, lengths))

    best = max(at(t) for t in [*np.unique(score), np.inf])
    assert at(best_threshold(score, worth)) == pytest.approx(best, abs=1e-12)


def test_scores_that_help_nobody_never_alarm() -> None:
    worth = row_utility(np.zeros(6, bool), np.array([6]))
    assert best_threshold(np.arange(6.0), worth) == np.inf
    assert best_threshold(np.full(6, np.nan), worth) == np.inf


def test_a_row_without_a_score_never_alarms() -> None:
    label = np.array([False] * 5 + [True] * 3)
    score = np.array([np.nan, np.nan, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9])
    threshold = best_threshold(score, row_utility(label, np.array([8])))
    assert threshold == pytest.approx(0.5) or threshold == pytest.approx(0.1)


def test_lengths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="lengths sum to 3, but there are 4 rows"):
        row_utility(labels(0, 0, 1, 1), np.array([3]))
