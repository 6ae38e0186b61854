"""The coverage law: it holds in finite samples, whatever the model, in every stratum."""

from __future__ import annotations

import numpy as np
import pytest

from models.calibration.conformal import (
    Conformal,
    conformal_quantile,
    fit_conformal,
    fit_halfwidth,
)
from models.late.fused import sigmoid


@pytest.mark.parametrize("n", [10, 19, 57])
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_of_n_plus_one_exchangeable_patients_the_promised_share_is_covered(
    n: int, coverage: float
) -> None:
    """Exact: each patient in turn is the new one, the others calibrate."""
    strange = np.random.default_rng(n).random(n + 1)
    covered = [
        strange[i] <= conformal_quantile(np.delete(strange, i), coverage) for i in range(n + 1)
    ]
    assert np.mean(covered) >= coverage
    assert np.mean(covered) <= coverage + 1.0 / (n + 1) + 1e-12


def ward(n: int, seed: int, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    true = rng.normal(-1.0, 2.0, n)
    target = (rng.random(n) < sigmoid(true)).astype(float)
    return slope * true, target, rng.integers(0, 3, n)


def covered(sets: Conformal, seed: int, slope: float = 1.0) -> np.ndarray:
    logit, target, stratum = ward(20_000, seed, slope)
    found = sets.sets(logit, stratum)
    return np.where(target > 0.5, found.event, found.none)


@pytest.mark.parametrize("slope", [0.2, 1.0, 5.0, -1.0])
def test_coverage_holds_for_good_overconfident_and_wrong_models(slope: float) -> None:
    logit, target, stratum = ward(20_000, 1, slope)
    sets = fit_conformal(logit, target, 0.9, stratum)
    assert covered(sets, 2, slope).mean() == pytest.approx(0.9, abs=0.01)


def test_coverage_holds_among_the_events_and_in_every_stratum() -> None:
    logit, target, stratum = ward(30_000, 1)
    sets = fit_conformal(logit, target, 0.9, stratum)
    _, label, where = ward(20_000, 2)
    hit = covered(sets, 2)
    for s in range(3):
        for event in (0.0, 1.0):
            group = (where == s) & (label == event)
            assert hit[group].mean() == pytest.approx(0.9, abs=0.03)


def test_without_classes_rare_events_pay_and_with_them_they_do_not() -> None:
    rng = np.random.default_rng(3)
    true = rng.normal(-3.5, 1.0, 40_000)
    target = (rng.random(40_000) < sigmoid(true)).astype(float)
    event = target > 0.5
    alone = fit_conformal(true, target, 0.9, by_class=False).sets(true)
    classes = fit_conformal(true, target, 0.9).sets(true)
    assert alone.event[event].mean() < 0.5
    assert classes.event[event].mean() == pytest.approx(0.9, abs=0.01)


def test_it_calls_what_it_knows_and_abstains_from_the_rest() -> None:
    logit, target, _ = ward(20_000, 1)
    sets = fit_conformal(logit, target, 0.9).sets(np.array([-6.0, 0.0, 6.0, np.nan]))
    assert sets.abstain.tolist() == [False, True, False, True]
    assert sets.event.tolist() == [False, True, True, True]


def test_calls_are_right_more_often_than_forced_answers() -> None:
    logit, target, _ = ward(20_000, 1)
    sets = fit_conformal(logit, target, 0.9)
    new, label, _ = ward(20_000, 2)
    found = sets.sets(new)
    call = ~found.abstain
    forced = ((new > 0) == (label > 0.5)).mean()
    assert 0.2 < call.mean() < 0.95
    assert (found.event == (label > 0.5))[call].mean() > forced + 0.02


def test_too_few_patients_promise_nothing_and_so_exclude_nothing() -> None:
    sets = fit_conformal(np.array([1.0, -1.0]), np.array([1.0, 0.0]), 0.9)
    found = sets.sets(np.array([-20.0, 20.0]))
    assert found.none.all()
    assert found.event.all()


def test_an_unknown_stratum_gets_the_widest_sets() -> None:
    sets = Conformal(0.9, ((0.2, 0.2), (0.8, 0.9)))
    found = sets.sets(np.array([1.0, 1.0, 1.0]), np.array([0, 1, 7]))
    assert found.none.tolist() == [False, True, True]


def test_a_coverage_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        fit_conformal(np.zeros(1), np.zeros(1), 1.0)


def test_the_interval_holds_the_rate_of_new_groups() -> None:
    logit, target, _ = ward(20_000, 1)
    width = fit_halfwidth(logit + 0.3, target, 0.9, bins=40)
    new, label, _ = ward(20_000, 2)
    inside = []
    for group in np.array_split(np.argsort(new), 40):
        p = sigmoid(new[group] + 0.3).mean()
        middle = np.log(p / (1.0 - p))
        rate = (label[group].sum() + 0.5) / (len(group) + 1.0)
        inside.append(sigmoid(middle - width) <= rate <= sigmoid(middle + width))
    assert np.mean(inside) >= 0.85
    assert width < 1.0
