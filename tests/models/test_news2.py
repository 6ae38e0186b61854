"""NEWS2 against the printed chart: every edge, both SpO2 scales, every subset of inputs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.news2 import MISSING, News2Inputs, News2Result, chart_round, news2
from models.rule_inputs import PARAMETERS

NORMAL = {
    "resp_rate": 16.0,
    "spo2": 97.0,
    "oxygen": 0.0,
    "sbp": 120.0,
    "pulse": 70.0,
    "consciousness": 0.0,
    "temp": 37.0,
}
NAN = float("nan")


def score(scale: float = NAN, **changes: float) -> News2Result:
    values = {**NORMAL, **changes}
    return news2(
        News2Inputs(*(np.array([values[p]]) for p in PARAMETERS), spo2_scale=np.array([scale]))
    )


def points(parameter: str, result: News2Result) -> int:
    return int(result.points[0, PARAMETERS.index(parameter)])


# The chart as printed: last value of each row, points of the row.
RESP = [(8, 3), (11, 1), (20, 0), (24, 2), (150, 3)]
SPO2_1 = [(91, 3), (93, 2), (95, 1), (100, 0)]
SPO2_2_AIR = [(83, 3), (85, 2), (87, 1), (100, 0)]
SPO2_2_O2 = [(83, 3), (85, 2), (87, 1), (92, 0), (94, 1), (96, 2), (100, 3)]
SBP = [(90, 3), (100, 2), (110, 1), (219, 0), (300, 3)]
PULSE = [(40, 3), (50, 1), (90, 0), (110, 1), (130, 2), (300, 3)]
TEMP = [(35.0, 3), (36.0, 1), (38.0, 0), (39.0, 1), (45.0, 2)]


def expected(chart: list[tuple[float, int]], value: float) -> int:
    return next(n for edge, n in chart if value <= edge)


@pytest.mark.parametrize(
    ("parameter", "chart"), [("resp_rate", RESP), ("sbp", SBP), ("pulse", PULSE)]
)
def test_every_whole_number_scores_as_the_chart_says(
    parameter: str, chart: list[tuple[float, int]]
) -> None:
    for value in range(int(chart[-1][0]) + 1):
        assert points(parameter, score(**{parameter: float(value)})) == expected(chart, value)


@pytest.mark.parametrize(
    ("scale", "oxygen", "chart"),
    [
        (1.0, 0.0, SPO2_1),
        (1.0, 1.0, SPO2_1),
        (NAN, 0.0, SPO2_1),
        (NAN, 1.0, SPO2_1),
        (2.0, 0.0, SPO2_2_AIR),
        (2.0, 1.0, SPO2_2_O2),
    ],
)
def test_every_saturation_scores_as_its_scale_says(
    scale: float, oxygen: float, chart: list[tuple[float, int]]
) -> None:
    for value in range(101):
        result = score(scale, spo2=float(value), oxygen=oxygen)
        assert points("spo2", result) == expected(chart, value)
        assert result.scale[0] == (2 if scale == 2 else 1)


def test_every_tenth_of_a_degree_scores_as_the_chart_says() -> None:
    for tenths in range(300, 451):
        assert points("temp", score(temp=tenths / 10)) == expected(TEMP, tenths / 10)


@pytest.mark.parametrize(
    ("parameter", "edge", "below", "at", "above"),
    [
        ("resp_rate", 9, 3, 1, 1),
        ("resp_rate", 12, 1, 0, 0),
        ("resp_rate", 20, 0, 0, 2),
        ("resp_rate", 24, 2, 2, 3),
        ("sbp", 90, 3, 3, 2),
        ("sbp", 100, 2, 2, 1),
        ("sbp", 110, 1, 1, 0),
        ("sbp", 219, 0, 0, 3),
        ("pulse", 40, 3, 3, 1),
        ("pulse", 50, 1, 1, 0),
        ("pulse", 90, 0, 0, 1),
        ("pulse", 110, 1, 1, 2),
        ("pulse", 130, 2, 2, 3),
        ("spo2", 91, 3, 3, 2),
        ("spo2", 93, 2, 2, 1),
        ("spo2", 95, 1, 1, 0),
    ],
)
def test_a_band_edge_and_one_unit_either_side(
    parameter: str, edge: int, below: int, at: int, above: int
) -> None:
    found = [points(parameter, score(**{parameter: float(edge + d)})) for d in (-1, 0, 1)]
    assert found == [below, at, above]


@pytest.mark.parametrize(("value", "expected_points"), [(0, 0), (1, 3), (2, 3), (3, 3), (4, 3)])
def test_anything_but_alert_scores_three_new_confusion_too(
    value: int, expected_points: int
) -> None:
    result = score(consciousness=float(value))
    assert points("consciousness", result) == expected_points
    assert bool(result.single3[0]) == (value > 0)


def test_oxygen_scores_two_and_is_no_single_three() -> None:
    result = score(oxygen=1.0)
    assert (points("oxygen", result), int(result.lower[0])) == (2, 2)
    assert not result.single3[0]


def test_the_normal_patient_scores_zero_and_the_worst_twenty() -> None:
    assert score().lower[0] == score().upper[0] == 0
    worst = score(
        resp_rate=30.0, spo2=80.0, oxygen=1.0, sbp=70.0, pulse=150.0, consciousness=4.0, temp=34.0
    )
    assert worst.lower[0] == worst.upper[0] == 20


@pytest.mark.parametrize(
    ("parameter", "value", "expected_points"),
    [
        ("temp", 36.05, 0),  # 36.1, though its binary value is below 36.05
        ("temp", 36.049, 1),
        ("temp", 38.05, 1),  # 38.1
        ("temp", 38.049, 0),
        ("temp", 35.05, 1),
        ("temp", 39.05, 2),
        ("spo2", 91.5, 2),  # 92
        ("spo2", 91.499, 3),
        ("spo2", 95.5, 0),
        ("resp_rate", 8.5, 1),
        ("resp_rate", 20.5, 2),
        ("resp_rate", 24.5, 3),
        ("sbp", 90.5, 2),
        ("sbp", 219.5, 3),
        ("pulse", 90.5, 1),
        ("pulse", 130.4999, 2),
        ("pulse", 130.49999999999997, 3),  # binary noise around 130.5
        ("temp", 38.04999999999999, 1),  # a mean of samples of 38.05
    ],
)
def test_fractions_are_rounded_half_up_to_the_chart_before_scoring(
    parameter: str, value: float, expected_points: int
) -> None:
    assert points(parameter, score(**{parameter: value})) == expected_points


@given(st.integers(0, 3000))
@settings(deadline=None)
def test_half_a_chart_unit_always_rounds_up(tenths: int) -> None:
    half = np.array([float(f"{tenths / 10:.1f}5")])
    assert chart_round(half, per_unit=10)[0] == tenths + 1
    assert chart_round(np.array([tenths + 0.5]))[0] == tenths + 1


# -- missing inputs ---------------------------------------------------------------------------

SUBSETS = list(itertools.product((False, True), repeat=len(PARAMETERS)))

patients = st.fixed_dictionaries(
    {
        "resp_rate": st.integers(4, 40).map(float),
        "spo2": st.integers(78, 100).map(float),
        "oxygen": st.sampled_from([0.0, 1.0]),
        "sbp": st.integers(60, 240).map(float),
        "pulse": st.integers(30, 160).map(float),
        "consciousness": st.integers(0, 4).map(float),
        "temp": st.integers(340, 400).map(lambda tenths: tenths / 10),
    }
)


def _subset_batch(patient: dict[str, float], scale: float) -> News2Inputs:
    """One row per subset of missing inputs."""
    columns = [
        np.array([NAN if gone[i] else patient[p] for gone in SUBSETS])
        for i, p in enumerate(PARAMETERS)
    ]
    return News2Inputs(*columns, spo2_scale=np.full(len(SUBSETS), scale))


@given(patients, st.sampled_from([1.0, 2.0]))
@settings(deadline=None)
def test_the_bounds_of_every_subset_contain_the_full_score(
    patient: dict[str, float], scale: float
) -> None:
    result = news2(_subset_batch(patient, scale))
    full = score(scale, **patient)
    assert full.lower[0] == full.upper[0]
    assert (result.lower <= full.lower[0]).all()
    assert (result.upper >= full.lower[0]).all()


@given(patients, st.sampled_from([1.0, 2.0]))
@settings(deadline=None)
def test_the_bounds_are_reached_by_some_completion(patient: dict[str, float], scale: float) -> None:
    """Tight: trying every points-distinct value of the missing inputs gives exactly the bounds."""
    grid = {
        "resp_rate": [16.0, 30.0],
        "spo2": [80.0, 90.0, 97.0],
        "oxygen": [0.0, 1.0],
        "sbp": [120.0, 80.0],
        "pulse": [70.0, 140.0],
        "consciousness": [0.0, 2.0],
        "temp": [37.0, 34.0],
    }
    result = news2(_subset_batch(patient, scale))
    for row, gone in enumerate(SUBSETS):
        if sum(gone) > 2:
            continue
        options = [grid[p] if gone[i] else [patient[p]] for i, p in enumerate(PARAMETERS)]
        rows = np.array(list(itertools.product(*options))).T
        totals = news2(News2Inputs(*rows, spo2_scale=np.full(rows.shape[1], scale))).lower
        assert (totals.min(), totals.max()) == (result.lower[row], result.upper[row])


def test_a_missing_input_adds_its_maximum_to_the_upper_bound_only() -> None:
    for parameter in PARAMETERS:
        result = score(**{parameter: NAN})
        assert points(parameter, result) == MISSING
        assert result.lower[0] == 0
        assert result.upper[0] == (2 if parameter == "oxygen" else 3)


def test_nothing_at_all_leaves_everything_open() -> None:
    result = score(**dict.fromkeys(PARAMETERS, NAN))
    assert (result.lower[0], result.upper[0]) == (0, 20)
    assert not result.single3[0]


@pytest.mark.parametrize(
    ("spo2", "lower", "upper"),
    [(90.0, 0, 2), (93.0, 0, 3), (95.0, 0, 4), (97.0, 0, 5), (86.0, 1, 3), (80.0, 3, 5)],
)
def test_on_scale_two_unknown_oxygen_is_tried_both_ways(
    spo2: float, lower: int, upper: int
) -> None:
    result = score(2.0, spo2=spo2, oxygen=NAN)
    assert (result.lower[0], result.upper[0]) == (lower, upper)


def test_an_infinite_value_counts_as_missing() -> None:
    assert points("pulse", score(pulse=float("inf"))) == MISSING


@given(st.lists(st.tuples(patients, st.sampled_from([1.0, 2.0, NAN])), min_size=1, max_size=9))
@settings(deadline=None)
def test_a_batch_scores_as_one_by_one(rows: list[tuple[dict[str, float], float]]) -> None:
    columns = [np.array([patient[p] for patient, _ in rows]) for p in PARAMETERS]
    batch = news2(News2Inputs(*columns, spo2_scale=np.array([scale for _, scale in rows])))
    for i, (patient, scale) in enumerate(rows):
        for together, alone in zip(batch, score(scale, **patient), strict=True):
            np.testing.assert_array_equal(together[i], alone[0])


def test_an_empty_batch_scores_nothing() -> None:
    result = news2(News2Inputs(*(np.empty(0) for _ in range(8))))
    assert result.lower.shape == (0,)
    assert result.points.shape == (0, 7)
