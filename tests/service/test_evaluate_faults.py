"""Faults that are made up change inputs as they say, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.evaluate_data import Cohort
from service.evaluate_faults import DRIFT, FAULTS, drifting, noisy, rarer, skewed, told_twice
from service.evaluate_readers import cohort_of
from tests.service.test_evaluate_data import write_2019


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return cohort_of(f"cinc2019:{write_2019(tmp_path / 'set.npz', 200)}")


def pulse(cohort: Cohort) -> np.ndarray:
    """Heart rate, a row a patient; measured in even hours as 80 + hour."""
    vitals = cohort.inputs["vitals"]
    return vitals.value[:, vitals.names.index("hr")].reshape(-1, 20)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_outcomes_and_static_facts_are_never_touched(cohort: Cohort, fault) -> None:  # type: ignore[no-untyped-def]
    spoilt = fault(cohort)
    assert not np.array_equal(pulse(spoilt), pulse(cohort), equal_nan=True)
    assert spoilt.inputs["static"] is cohort.inputs["static"]
    assert np.array_equal(spoilt.label, cohort.label)
    assert np.array_equal(spoilt.event_h, cohort.event_h)
    again = fault(cohort)
    assert np.array_equal(pulse(again), pulse(spoilt), equal_nan=True)


def test_a_clock_that_is_behind_tells_everything_an_hour_later(cohort: Cohort) -> None:
    hr = pulse(skewed(cohort))
    moved = np.isnan(hr[:, 0])
    assert 0.4 < moved.mean() < 0.6
    assert hr[moved, 1].tolist() == [80.0] * int(moved.sum())
    assert np.array_equal(hr[~moved], pulse(cohort)[~moved], equal_nan=True)


def test_what_is_told_twice_fills_the_next_hour_and_no_other_patient(cohort: Cohort) -> None:
    hr = pulse(told_twice(cohort))
    assert hr[:, 1].tolist() == [80.0] * 200
    assert hr[:, 2].tolist() == [82.0] * 200
    assert not np.isnan(hr).any()


def test_half_of_the_values_are_lost_and_none_is_made(cohort: Cohort) -> None:
    before, after = pulse(cohort), pulse(rarer(cohort))
    kept = ~np.isnan(after)
    assert 0.45 < kept.sum() / (~np.isnan(before)).sum() < 0.55
    assert np.array_equal(after[kept], before[kept])


def test_noise_and_drift_are_in_proportion(cohort: Cohort) -> None:
    before = pulse(cohort)
    known = ~np.isnan(before)
    ratio = pulse(noisy(cohort))[known] / before[known]
    assert np.std(ratio) == pytest.approx(0.05, abs=0.005)
    grown = pulse(drifting(cohort)) / before
    assert grown[:, 18] == pytest.approx(1 + DRIFT * 18 / 24, abs=1e-5)
