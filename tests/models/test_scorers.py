"""The rule scorers: records, shares, presence, and rows that never influence each other."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.align import AlignedBatch
from models.limits import LimitsScorer
from models.news2 import News2Scorer
from models.score import Score, Scorer

Aligned = Callable[..., AlignedBatch]
SCORERS: list[Scorer] = [News2Scorer(), LimitsScorer()]

SICK = (
    {"resp_rate_per_min": (26.2, 0.9), "spo2_mean_pct": 92.6, "ecg_hr_bpm": 118.4},
    {"sbp": (98.0, 1800.0), "consciousness": 0.0, "oxygen": 1.0, "temp": 38.2},
)


def news2(batch: AlignedBatch) -> Score:
    return News2Scorer().score(batch)[0]


def limits(batch: AlignedBatch) -> Score:
    return LimitsScorer().score(batch)[0]


def test_news2_of_a_sick_patient_names_every_part(aligned: Aligned) -> None:
    score = news2(aligned(SICK))
    assert (score.value, score.lower, score.upper) == (12.0, 12.0, 12.0)
    assert score.news2 is not None
    assert score.news2.points == {
        "resp_rate": 3,
        "spo2": 2,
        "oxygen": 2,
        "sbp": 2,
        "pulse": 2,
        "consciousness": 0,
        "temp": 1,
    }
    assert score.news2.single3
    assert score.news2.missing == ()
    assert score.completeness == 1.0
    assert score.share == {"wearable": 7.0, "vital": 5.0}
    assert score.present == {"wearable": True, "vital": True}
    assert (score.patient_id, score.scorer, score.model) == ("p0", "news2", "news2/1")


def test_news2_from_wearables_alone_leaves_the_rest_open(aligned: Aligned) -> None:
    score = news2(aligned((SICK[0], {})))
    assert (score.value, score.upper) == (7.0, 18.0)
    assert score.news2 is not None
    assert score.news2.missing == ("oxygen", "sbp", "consciousness", "temp")
    assert score.completeness == round(3 / 7, 4)
    assert score.present == {"wearable": True, "vital": False}


def test_nothing_at_all_is_no_value_and_not_zero(aligned: Aligned) -> None:
    score = news2(aligned(({}, {})))
    assert (score.value, score.lower, score.upper) == (None, 0.0, 20.0)
    assert score.news2 is not None
    assert len(score.news2.missing) == 7
    assert (score.completeness, score.evidence) == (0.0, ())
    silent = limits(aligned(({}, {})))
    assert (silent.value, silent.lower, silent.upper) == (None, 0.0, 3.0)


def test_the_scale_is_a_prescription(aligned: Aligned) -> None:
    low = {"spo2_mean_pct": 90.0}
    assert news2(aligned((low, {}))).value == 3.0
    assert news2(aligned((low, {"spo2_scale": 2.0}))).value == 0.0
    over = aligned(({"spo2_mean_pct": 97.0}, {"spo2_scale": 2.0, "oxygen": 1.0}))
    assert news2(over).value == 5.0


def test_limits_are_the_worst_single_parameter_with_its_side(aligned: Aligned) -> None:
    score = limits(aligned(SICK))
    assert (score.value, score.lower, score.upper) == (3.0, 3.0, 3.0)
    assert [(e.label, e.points) for e in score.evidence] == [
        ("Respiration rate: high", 3.0),
        ("SpO2: low", 2.0),
        ("Systolic blood pressure: low", 2.0),
        ("Heart rate (ECG): high", 2.0),
        ("Temperature: high", 1.0),
    ]
    assert score.share == {"wearable": 3.0, "vital": 0.0}
    assert score.news2 is None


@pytest.mark.parametrize(
    ("facts", "label"),
    [
        ({"hr": 35.0}, "Heart rate: low"),
        ({"hr": 140.0}, "Heart rate: high"),
        ({"resp_rate": 7.0}, "Respiration rate: low"),
        ({"sbp": 225.0}, "Systolic blood pressure: high"),
        ({"temp": 34.5}, "Temperature: low"),
        ({"spo2": 97.0, "spo2_scale": 2.0, "oxygen": 1.0}, "SpO2: high"),
        ({"spo2": 83.0, "spo2_scale": 2.0, "oxygen": 1.0}, "SpO2: low"),
    ],
)
def test_each_side_of_each_limit_is_named(
    aligned: Aligned, facts: dict[str, float], label: str
) -> None:
    score = limits(aligned(({}, facts)))
    assert score.value == 3.0
    assert score.evidence[0].label == label


def test_a_patient_within_limits_scores_zero_with_what_is_missing_open(aligned: Aligned) -> None:
    score = limits(aligned(({"ecg_hr_bpm": 70.0}, {"sbp": 120.0})))
    assert (score.value, score.upper, score.completeness) == (0.0, 3.0, 0.4)
    assert [e.label for e in score.evidence] == ["Systolic blood pressure", "Heart rate (ECG)"]


_CASES = st.tuples(
    st.dictionaries(
        st.sampled_from(
            ["resp_rate_per_min", "spo2_mean_pct", "ecg_hr_bpm", "hr_mean_bpm", "temp_mean_c"]
        ),
        st.floats(20, 140),
        max_size=5,
    ),
    st.dictionaries(
        st.sampled_from(["sbp", "hr", "oxygen", "o2_flow", "consciousness", "spo2_scale", "temp"]),
        st.sampled_from([0.0, 1.0, 2.0, 35.0, 95.0]),
        max_size=6,
    ),
)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
@given(cases=st.lists(_CASES, min_size=1, max_size=6))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_row_scores_the_same_alone_and_in_company(
    aligned: Aligned, scorer: Scorer, cases: list[tuple[dict[str, float], dict[str, float]]]
) -> None:
    together = scorer.score(aligned(*cases))
    for case, score in zip(cases, together, strict=True):
        alone = scorer.score(aligned(case))[0]
        named = msgspec.structs.replace(score, patient_id=alone.patient_id, revision=alone.revision)
        assert msgspec.json.encode(named) == msgspec.json.encode(alone)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
@given(case=_CASES)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_shares_sum_to_the_value_and_bounds_hold_it(
    aligned: Aligned, scorer: Scorer, case: tuple[dict[str, float], dict[str, float]]
) -> None:
    score = scorer.score(aligned(case))[0]
    assert sum(score.share.values()) == (score.value or 0.0)
    assert score.lower is not None
    assert score.upper is not None
    assert score.lower <= (score.value or 0.0) <= score.upper
    assert (score.value is None) == (not score.evidence)
    assert set(score.present) == set(score.share)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
def test_scoring_leaves_the_batch_untouched(aligned: Aligned, scorer: Scorer) -> None:
    batch, copy = aligned(SICK), aligned(SICK)
    scorer.score(batch)
    np.testing.assert_array_equal(batch.features.value, copy.features.value)
    np.testing.assert_array_equal(batch.concept_value, copy.concept_value)


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda s: s.name)
def test_an_empty_batch_gives_no_scores(aligned: Aligned, scorer: Scorer) -> None:
    assert scorer.score(aligned()) == []
