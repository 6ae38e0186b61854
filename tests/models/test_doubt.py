"""What a published score leaves open: sets with a promised coverage, modalities that contradict."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import numpy as np
import pytest
import torch
from msgspec import UNSET

from alerts.policy import default_policy_text, parse_policy
from alerts.reading import value_of
from features.align import AlignedBatch
from models.artifact import decode
from models.calibration.disagreement import disagreement
from models.doubt import Doubt, disagreement_limit
from models.fusion_scorer import FusionScorer, Opened
from models.linear import build
from models.open import open_blocks
from models.score import Score
from models.spec import CalibrationSpec
from models.weights import files_of
from streams.windows import Window
from tests.models.conftest import END_US
from tests.service import model_kit

Aligned = Callable[..., AlignedBatch]
GRID_US = END_US // 30_000_000 * 30_000_000
BOUNDS: dict[str, tuple[float, ...]] = {"no_up_to": (0.6,), "yes_from": (0.4,)}


def opened(values: Mapping[str, tuple[float, ...]]) -> Opened:
    """The small model, with these bounds declared."""
    torch.manual_seed(3)
    model = build(model_kit.spec()).eval()
    spread = np.array([[-10.0, -5.0], [0.0, 0.0], [10.0, 5.0]])
    usual = {"vitals": np.array([80.0, 96.0]), "labs": np.array([2.0, 110.0])}
    model.fit_inputs({name: center + spread for name, center in usual.items()})
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4.0)
    spec = msgspec.structs.replace(
        model.spec, calibration=CalibrationSpec("temperature", 0.0, 0.9, dict(values))
    )
    held = decode(files_of(model, spec))
    return Opened("risk", held.ref, held.spec, open_blocks(held))


def said(scorer: FusionScorer, aligned: Aligned, at_us: int = GRID_US) -> list[Score]:
    """Words on five people: two with both modalities, two with one, one with nothing."""
    batch = aligned(
        ({"ecg_hr_bpm": 60.0, "spo2_mean_pct": 99.0}, {"lactate": 9.0, "sbp": 70.0}),
        ({"ecg_hr_bpm": 140.0, "spo2_mean_pct": 85.0}, {"lactate": 1.0, "sbp": 130.0}),
        ({"ecg_hr_bpm": 140.0}, {}),
        ({}, {"lactate": 9.0}),
        ({}, {}),
    )
    windows = tuple(
        Window(f"p{i}", "60s", at_us - 60_000_000, at_us, at_us + 5, 0) for i in range(5)
    )
    times = np.where(batch.concept_time_us > 0, at_us, 0)
    batch = batch._replace(features=batch.features._replace(windows=windows), concept_time_us=times)
    return [word.score for word in scorer.words(batch)]


def test_a_score_says_which_outcomes_are_left_and_abstains_between_them(aligned: Aligned) -> None:
    for score in said(FusionScorer(opened(BOUNDS)), aligned)[:4]:
        assert score.value is not None
        left = (["no_event"] if score.value <= 0.6 else []) + (
            ["event"] if score.value >= 0.4 else []
        )
        assert score.outcomes == tuple(left)
        assert score.abstains == (len(left) != 1)


@pytest.mark.parametrize(
    ("prob", "left"),
    [(0.1, ("no_event",)), (0.4, ("no_event", "event")), (0.6, ("no_event", "event"))],
)
def test_bounds_belong_to_the_set(prob: float, left: tuple[str, ...]) -> None:
    spec = msgspec.structs.replace(
        model_kit.spec(), calibration=CalibrationSpec("isotonic", 0.0, 0.9, BOUNDS)
    )
    assert Doubt.of(spec).outcomes(prob) == left


def test_an_empty_set_is_an_abstention_too(aligned: Aligned) -> None:
    apart = {"no_up_to": (0.0,), "yes_from": (1.0,)}
    score = said(FusionScorer(opened(apart)), aligned)[0]
    assert score.outcomes == ()
    assert score.abstains is True


def test_what_is_not_declared_is_not_said(aligned: Aligned) -> None:
    for score in said(FusionScorer(opened({})), aligned):
        assert (score.outcomes, score.abstains) == (UNSET, UNSET)
        assert (score.disagreement, score.contradicts) == (UNSET, UNSET)
        assert b"abstains" not in msgspec.json.encode(score)


def test_without_a_value_nothing_is_left_open(aligned: Aligned) -> None:
    nothing = said(FusionScorer(opened({**BOUNDS, "disagree_above": (0.1,)})), aligned)[4]
    assert nothing.value is None
    assert nothing.outcomes is UNSET
    assert nothing.disagreement is UNSET


def test_disagreement_is_that_of_the_modalities_asked_alone(aligned: Aligned) -> None:
    scores = said(FusionScorer(opened({"disagree_above": (0.0,)})), aligned)
    vitals_batch = aligned(({"ecg_hr_bpm": 60.0, "spo2_mean_pct": 99.0}, {}))
    labs_batch = aligned(({}, {"lactate": 9.0, "sbp": 70.0}))
    alone = []
    for batch in (vitals_batch, labs_batch):
        window = Window("p0", "60s", GRID_US - 60_000_000, GRID_US, GRID_US + 5, 0)
        times = np.where(batch.concept_time_us > 0, GRID_US, 0)
        one = batch._replace(
            features=batch.features._replace(windows=(window,)), concept_time_us=times
        )
        value = FusionScorer(opened({})).words(one)[0].score.value
        assert value is not None
        alone.append(np.log(value / (1 - value)))
    expected = disagreement(np.array([alone]))[0]
    assert scores[0].disagreement == pytest.approx(expected, abs=2e-3)
    assert expected > 0.01
    assert scores[0].contradicts is True


def test_one_modality_has_nobody_to_contradict(aligned: Aligned) -> None:
    scores = said(FusionScorer(opened({"disagree_above": (0.0,)})), aligned)
    assert [s.disagreement is UNSET for s in scores] == [False, False, True, True, True]


def test_between_the_grid_only_rows_near_alerting_are_compared(aligned: Aligned) -> None:
    model = opened({"disagree_above": (0.2,)})
    scorer = FusionScorer(model)
    said(scorer, aligned)
    for score in said(scorer, aligned, GRID_US + 10_000_000)[:2]:
        assert score.value is not None
        assert (score.disagreement is not UNSET) == (score.value >= 0.5)


def test_company_changes_no_doubt(aligned: Aligned) -> None:
    values = {**BOUNDS, "disagree_above": (0.2,)}
    together = said(FusionScorer(opened(values)), aligned)
    again = said(FusionScorer(opened(values)), aligned)
    assert together == again


def test_the_limit_is_what_one_row_in_a_hundred_passes() -> None:
    logit = np.random.default_rng(0).normal(size=(5_000, 2))
    limit = disagreement_limit(logit)
    assert (disagreement(logit) > limit).mean() == pytest.approx(0.01, abs=0.001)
    assert disagreement_limit(np.full((3, 2), np.nan)) == 1.0


def test_a_policy_may_watch_for_disagreement(aligned: Aligned) -> None:
    text = """
[policy]
id = "look"
version = "1"
[condition.contradiction]
display = "Modalities contradict"
label = "Disagreement"
source = "risk.disagreement"
levels = [{ priority = "low", hi = 0.2, lo = 0.1 }]
"""
    policy = parse_policy(text, default_policy_text())
    (spec,) = policy.conditions.values()
    scores = said(FusionScorer(opened({"disagree_above": (0.0,)})), aligned)
    assert value_of(scores[0], spec) == scores[0].disagreement
    assert value_of(scores[2], spec) is None
