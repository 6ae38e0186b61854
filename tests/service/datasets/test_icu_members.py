"""Inputs and members that tell death in hospital: known answers, no look at what is not known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("lightgbm")

from benchmarks._icu_clinical import clinical_features
from benchmarks._icu_collapse import SHARED, apart, collapse_odds, ends_badly, windows
from benchmarks._icu_members import CUT_H, CUT_SHARES, FUSED, MEMBERS, cut
from benchmarks._kernel_logistic import fit
from benchmarks.bench_cinc2012 import best_threshold, standardised
from models.evaluation.ranking import auroc
from service.datasets import cinc2012, cinc2019

Floats = NDArray[np.float64]
AGE, WEIGHT = (cinc2012.STATIC.index(name) for name in ("Age", "Weight"))


def stays(*rows: tuple[int, int, str, float], count: int = 2) -> cinc2012.Stays:
    """Stays of 60-year-old people of 80 kg with events (stay, minute, variable, value)."""
    static = np.full((count, len(cinc2012.STATIC)), np.nan)
    static[:, AGE], static[:, WEIGHT] = 60.0, 80.0
    stay, minute, name, value = zip(*sorted(rows, key=lambda row: row[:2]), strict=True)
    return cinc2012.Stays(
        tuple(map(str, range(count))),
        static,
        np.zeros(count, bool),
        np.array(stay, np.int64),
        np.array(minute, np.int64),
        np.array([cinc2012.VARIABLES.index(each) for each in name], np.int64),
        np.array(value, np.float64),
    )


def clinical(given: cinc2012.Stays) -> dict[str, Floats]:
    names, x = clinical_features(given)
    return dict(zip(names, x.T, strict=True))


def others(lengths: tuple[int, ...], **columns: list[float]) -> cinc2019.Stays:
    """Stays of 2019 whose named columns are given hour by hour, all else is not known."""
    hours = sum(lengths)
    value = {
        modality: np.full((hours, len(names)), np.nan, np.float32)
        for modality, names in cinc2019.MODALITIES.items()
    }
    for name, given in columns.items():
        modality = next(m for m, names in cinc2019.MODALITIES.items() if name in names)
        value[modality][:, list(cinc2019.MODALITIES[modality]).index(name)] = given
    return cinc2019.Stays(
        tuple(map(str, range(len(lengths)))),
        np.array(lengths, np.int64),
        value,
        np.zeros(hours, bool),
        np.zeros(len(lengths), np.int64),
        np.concatenate([np.arange(1, n + 1) for n in lengths]),
    )


def many(seed: int = 0) -> cinc2019.Stays:
    """400 stays of 40 hours; of every other one pressure sinks from the start and collapses."""
    rng = np.random.default_rng(seed)
    pressure, rate = np.full((400, 40), 85.0), np.full((400, 40), 80.0)
    pressure[::2] -= np.arange(40) * 0.8
    pressure[::2, -2:] = 40.0
    rate[::2, -2:] = 30.0
    pressure += rng.normal(0, 1, pressure.shape)
    glucose, cells = (rng.uniform(90, 200, pressure.shape) for _ in range(2))
    return others(
        (40,) * 400,
        MAP=list(pressure.ravel()),
        HR=list(rate.ravel()),
        Glucose=list(glucose.ravel()),
        Platelets=list(cells.ravel()),
    )


def twins(values: list[float], age: float = 60.4) -> list[bool]:
    """Whether stays of 2019 with these glucose values and age are none of 2012."""
    given = stays(*[(0, 60 * at, "Glucose", 101.0 + at) for at in range(6)], count=1)
    given.static[:, 1] = 1.0
    same = others((8,), Glucose=values, Age=[age] * 8, Gender=[1.0] * 8)
    return list(apart(given, same).tolist())


def test_a_stay_that_may_be_in_both_sets_does_not_teach() -> None:
    own = [101.0, 102.0, 103.0, 104.0, np.nan, 180.0, 190.0, 170.0]
    other = [111.0, 112.0, 113.0, 104.0, np.nan, 180.0, 190.0, 170.0]
    assert twins(own) == [False]
    assert twins(other) == [True]
    assert twins(own, age=70.0) == [True]
    assert twins(own, age=np.nan) == [False]


def test_a_stay_of_which_too_little_is_known_does_not_teach() -> None:
    assert twins([111.0, 112.0, 113.0, *[np.nan] * 5]) == [False]


def test_the_ratio_of_oxygen_takes_the_fraction_that_was_set_before() -> None:
    row = clinical(stays((0, 60, "FiO2", 0.5), (0, 600, "PaO2", 80.0)))
    assert row["pf_end"][0] == pytest.approx(160.0)
    assert row["sofa_pf_day0"][0] == 3
    assert np.isnan(row["pf_end"][1])


def test_points_of_the_second_day_are_of_what_is_still_held() -> None:
    row = clinical(stays((0, 60, "GCS", 5.0), (0, 1800, "GCS", 14.0)))
    assert row["sofa_gcs_day0"][0] == 4
    assert row["sofa_gcs_day1"][0] == 4  # until it was charted anew in hour 30
    assert row["sofa_end"][0] == 1
    assert row["gcs_least_0"][0] == 5
    assert np.isnan(row["gcs_least_1"][0])


def test_urine_is_per_kilogram_and_hour_and_hours_beyond_a_limit_are_counted() -> None:
    events = [(0, 60 * hour, "Urine", 80.0) for hour in range(48)]
    row = clinical(stays(*events, (0, 38 * 60, "MAP", 60.0), (0, 45 * 60, "MAP", 80.0)))
    assert row["urine_kg_24h"][0] == pytest.approx(1.0)
    assert row["urine_kg_poorest"][0] == pytest.approx(1.0)
    assert row["map<65_all"][0] == 7
    assert np.isnan(row["map<65_all"][1])


def test_the_cuff_is_read_where_there_is_no_line() -> None:
    row = clinical(stays((0, 60, "NIMAP", 70.0), (1, 60, "MAP", 75.0), (1, 65, "NIMAP", 90.0)))
    assert row["map_end"].tolist() == [70.0, 75.0]


def test_a_cut_stay_forgets_its_last_hours_and_ends_at_hour_48() -> None:
    given = stays((0, 60, "HR", 70.0), (0, 35 * 60, "HR", 80.0), (0, 37 * 60, "HR", 90.0))
    known = cut(given, 12)
    assert known.value.tolist() == [70.0, 80.0]
    assert known.minute.tolist() == [13 * 60, 47 * 60]
    assert np.array_equal(cut(given, 0).minute, given.minute)


def test_two_signs_at_the_end_are_a_collapse_and_one_or_earlier_ones_are_not() -> None:
    calm, low = [80.0] * 20, [80.0] * 18 + [30.0] * 2
    early = [80.0] * 10 + [30.0] * 2 + [80.0] * 8
    given = others((20, 20, 20), MAP=low + low + early, HR=low + calm + early)
    assert ends_badly(given, 4).tolist() == [True, False, False]
    assert ends_badly(given, 10).tolist() == [True, False, True]


def test_windows_end_hours_before_the_stay_does_and_short_stays_have_none() -> None:
    stay, end = windows(np.array([15, 16, 40]))
    assert list(zip(stay.tolist(), end.tolist(), strict=True)) == [(1, 10), (2, 34), (2, 22)]


def test_who_sinks_is_told_from_who_does_not_without_any_outcome() -> None:
    sinking = [(0, 60 * hour, "MAP", 85.0 - 0.6 * hour) for hour in range(48)]
    steady = [(1, 60 * hour, "NIMAP", 85.0) for hour in range(48)]
    given = stays(*sinking, *steady)
    odds = collapse_odds(given, many())
    assert odds[0] > odds[1]
    told = given._replace(died=np.array([False, True]))
    assert np.array_equal(odds, collapse_odds(told, many()))


def test_the_hours_of_the_end_are_not_looked_at_before_it() -> None:
    given = stays(*[(i, 60 * h, "MAP", 85.0 - i * h) for i in range(2) for h in range(48)])
    learned = many()
    hidden = many()
    at = list(cinc2019.VITALS).index("MAP")
    vitals = hidden.value["vitals"].reshape(400, 40, -1)
    vitals[1::2, -4:, at] += 5.0  # no sign of collapse, so labels stay
    for hours in (4, 12):
        assert np.array_equal(ends_badly(learned, hours), ends_badly(hidden, hours))
    assert np.array_equal(collapse_odds(given, learned), collapse_odds(given, hidden))


def test_both_sets_chart_what_is_shared() -> None:
    charted = {name for names in cinc2019.MODALITIES.values() for name in names}
    assert set(SHARED) <= charted
    assert set(SHARED.values()) <= set(cinc2012.VARIABLES)


def ring(seed: int, n: int = 400) -> tuple[Floats, NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (n, 3))
    inside = x[:, 0] ** 2 + x[:, 1] ** 2 < 1.2
    x[rng.random(x.shape) < 0.1] = np.nan
    x = np.concatenate([x, np.abs(x[:, :2])], axis=1)
    return x, inside


def test_a_kernel_separates_a_ring_that_no_line_does() -> None:
    x, y = ring(0)
    unseen, truth = ring(1)
    assert auroc(truth, fit((x,), y, (1.0,)).logit(unseen)) > 0.9


def test_a_view_that_weighs_nothing_changes_nothing() -> None:
    x, y = ring(0)
    one = fit((x,), y, (1.0,)).logit(x)
    two = fit((x, x[::-1]), y, (1.0, 0.0)).logit(x)
    assert np.allclose(one, two, atol=1e-4)


def test_a_column_with_too_few_known_values_is_left_out() -> None:
    x, y = ring(0)
    rare = np.full((len(x), 1), np.nan)
    rare[:20] = y[:20, None]
    one = fit((x,), y, (1.0,)).logit(x)
    wider = np.concatenate([x, rare], axis=1)
    two = fit((wider,), y, (1.0,)).logit(wider)
    assert np.array_equal(one, two)


def test_a_fold_is_standardised_by_the_others() -> None:
    score, fold = np.array([1.0, 3.0, 7.0, 9.0]), np.array([0, 0, 1, 1])
    own = standardised(score, fold)
    assert own.tolist() == [-7.0, -5.0, 5.0, 7.0]


def test_the_threshold_makes_the_lesser_of_sensitivity_and_ppv_most() -> None:
    score = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    assert best_threshold(score, np.array([True, False, True, False, False])) == 3.0
    assert best_threshold(score, np.array([True, False, False, False, True])) == 5.0
    assert best_threshold(score, np.array([True, True, True, False, False])) == 3.0


def test_shares_of_cuts_add_to_one_and_only_members_are_fused() -> None:
    assert len(CUT_H) == len(CUT_SHARES)
    assert sum(CUT_SHARES) == pytest.approx(1.0)
    assert set(FUSED) <= set(MEMBERS)
