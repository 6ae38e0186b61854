"""Care that explains a change: which, of what, for how long; and that no rule score reads it."""

from __future__ import annotations

import numpy as np
import pytest

from features.align import AlignedBatch
from features.concepts import INDEX
from features.effects import EFFECT, EFFECTS, at_work, effects_of, explanations
from models.limits import LimitsScorer
from models.news2 import News2Scorer
from models.score import Evidence
from tests.models.conftest import END_US, Case, _batch

S = 1_000_000


def given(code: str, age_s: float, value: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Columns of one row with one dose."""
    values, times = np.full((1, len(EFFECTS)), np.nan), np.zeros((1, len(EFFECTS)), np.int64)
    values[0, EFFECT[code]], times[0, EFFECT[code]] = value, END_US - round(age_s * S)
    return values, times


def treated(case: Case, code: str, age_s: float, value: float = 1.0) -> AlignedBatch:
    values, times = given(code, age_s, value)
    return _batch([case])._replace(effect_value=values, effect_time_us=times)


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.code)
def test_an_effect_moves_known_signs_for_a_time_and_names_its_source(effect: object) -> None:
    moved = effect.moves  # type: ignore[attr-defined]
    assert moved
    assert set(moved) <= set(INDEX)
    assert set(moved.values()) <= {-1, 1}
    assert 0 <= effect.from_s < effect.until_s <= 86_400  # type: ignore[attr-defined]
    assert effect.source  # type: ignore[attr-defined]
    assert effect.checked  # type: ignore[attr-defined]


def test_names_are_single_words_in_lower_case_and_mean_one_effect() -> None:
    names = [name for effect in EFFECTS for name in effect.names]
    assert all(name.isalnum() and name == name.lower() for name in names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Acetaminophen 650mg PO", "antipyretic"),
        ("METOPROLOL TARTRATE", "beta_blocker"),
        ("Insulin - Regular", "insulin"),
        ("insulin_bolus", "insulin"),
        ("HYDROmorphone (Dilaudid)", "opioid"),
        ("Packed RBC's", "transfusion"),
        ("norepinephrine", "vasopressor"),
    ],
)
def test_drugs_are_known_by_the_names_charts_use(text: str, code: str) -> None:
    assert effects_of(text) == (EFFECT[code],)


def test_part_of_a_word_names_nothing() -> None:
    assert effects_of("paracetamolx") == effects_of("Insulinoma workup") == ()


def test_an_effect_counts_at_both_ends_of_its_window_and_not_beyond() -> None:
    until_s = EFFECTS[EFFECT["antipyretic"]].until_s
    end_us = np.array([END_US])
    for age_s, expected in ((0, True), (until_s, True), (until_s + 1e-6, False), (-1e-6, False)):
        assert at_work(*given("antipyretic", age_s), end_us)[0, EFFECT["antipyretic"]] == expected


def test_a_stop_ends_it() -> None:
    assert not at_work(*given("vasopressor", 60, value=0.0), np.array([END_US])).any()


def test_without_columns_nothing_is_explained() -> None:
    assert explanations(np.empty((0, 0)), np.empty((0, 0), np.int64), np.zeros(3)) == [{}] * 3


def evidence(batch: AlignedBatch, code: str) -> Evidence:
    (score,) = News2Scorer().score(batch)
    return next(item for item in score.evidence if item.code == code)


def test_a_temperature_after_paracetamol_says_so() -> None:
    fell = evidence(treated(Case({}, {"temp": (36.9, 600.0)}), "antipyretic", 5400), "temp")
    assert fell.explained_by == ("antipyretic 90 min before may lower it",)


def test_what_was_measured_before_the_drug_is_not_explained_by_it() -> None:
    before = evidence(treated(Case({}, {"temp": (39.5, 7200.0)}), "antipyretic", 5400), "temp")
    assert not isinstance(before.explained_by, tuple)


def test_the_heart_rate_of_a_wearable_is_explained_like_a_charted_one() -> None:
    slow = evidence(treated(Case({"ecg_hr_bpm": 58.0}, {}), "beta_blocker", 3600), "ecg_hr_bpm")
    assert slow.explained_by == ("beta blocker 60 min before may lower it",)


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.code)
def test_no_effect_changes_a_rule_score(effect: object) -> None:
    case = Case(
        {"ecg_hr_bpm": 112.0, "spo2_mean_pct": 93.0},
        {"sbp": 98.0, "temp": 39.2, "consciousness": 1.0, "resp_rate": 22.0},
    )
    for scorer in (News2Scorer(), LimitsScorer()):
        (plain,) = scorer.score(_batch([case]))
        (score,) = scorer.score(treated(case, effect.code, 3600.0))  # type: ignore[attr-defined]
        told = [(item.code, item.value, item.points) for item in score.evidence]
        assert told == [(item.code, item.value, item.points) for item in plain.evidence]
        assert (score.value, score.lower, score.upper, score.news2) == (
            plain.value,
            plain.lower,
            plain.upper,
            plain.news2,
        )
