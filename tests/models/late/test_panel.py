"""A panel of scorers: members stay as they are, strangers are refused, silence is heard."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
import torch

from features.align import AlignedBatch
from models.artifact import decode as decode_artifact
from models.late.confidence import ConfidenceWeighted, DempsterShafer
from models.late.mean import MeanLogit, Vote
from models.late.panel import Panel, PanelScorer, Seat, decode, encode
from models.late.stack import LogisticStack
from models.late.vcdn import Vcdn
from models.late.weighted import WeightedLogit
from models.limits import LimitsScorer
from models.news2 import News2Scorer
from models.registry import family
from models.score import Score
from models.testbed.planted import spec_of
from models.weights import files_of
from streams.errors import CheckpointMismatch, ConfigError

Aligned = Callable[..., AlignedBatch]
SICK = (
    {"resp_rate_per_min": (26.2, 0.9), "spo2_mean_pct": 92.6, "ecg_hr_bpm": 118.4},
    {"sbp": (98.0, 1800.0), "consciousness": 0.0, "oxygen": 1.0, "temp": 38.2},
)
WELL = ({"resp_rate_per_min": (14.0, 0.9), "spo2_mean_pct": 98.0, "ecg_hr_bpm": 70.0}, {})
SILENT: tuple[dict[str, object], dict[str, object]] = ({}, {})

NEWS = Seat("news2", "news2/1", probability=False, slope=0.4, bias=-5.0)
LIMITS = Seat("limits", "limits/1", probability=False, slope=1.0, bias=-4.0)


def panel(rule: object = MeanLogit(), *seats: Seat) -> Panel:
    return Panel("both", "1", 43_200.0, seats or (NEWS, LIMITS), rule)  # type: ignore[arg-type]


class Told:
    """A scorer that says what it is told, once per row."""

    def __init__(self, name: str, values: list[float | None], std: float | None = None) -> None:
        self.name, self.model = name, f"{name}/1/abc"
        self._values, self._std = values, std

    def score(self, batch: AlignedBatch) -> list[Score]:
        plain = News2Scorer().score(batch)
        return [
            msgspec.structs.replace(s, value=v, std=self._std, news2=None, evidence=())
            for s, v in zip(plain, self._values, strict=True)
        ]


def test_rule_scores_of_two_kinds_are_one_probability(aligned: Aligned) -> None:
    scorer = PanelScorer(panel(), [LimitsScorer(), News2Scorer()])
    sick, well = scorer.score(aligned(SICK, WELL))
    assert sick.value == pytest.approx(1 / (1 + np.exp(-(-0.2 - 1.0) / 2)), abs=1e-4)
    assert well.value is not None
    assert well.value < 0.02
    assert sick.news2 is not None
    assert sick.news2.total == 12


def test_parts_are_the_members_and_sum_to_the_logit(aligned: Aligned) -> None:
    score = PanelScorer(panel(), [LimitsScorer(), News2Scorer()]).score(aligned(SICK))[0]
    assert set(score.share) == set(score.present) == {"news2", "limits"}
    assert score.value is not None
    logit = np.log(score.value / (1 - score.value))
    assert sum(score.share.values()) == pytest.approx(logit, abs=1e-3)


def test_where_nobody_speaks_there_is_no_score(aligned: Aligned) -> None:
    score = PanelScorer(panel(), [LimitsScorer(), News2Scorer()]).score(aligned(SILENT))[0]
    assert score.value is None
    assert score.completeness == 0.0
    assert not any(score.present.values())


def test_a_silent_member_leaves_the_word_to_the_other(aligned: Aligned) -> None:
    seats = (Seat("a", "a/1/abc"), Seat("b", "b/1/abc"))
    members = [Told("a", [0.8, None]), Told("b", [0.8, 0.2])]
    both, one = PanelScorer(panel(MeanLogit(), *seats), members).score(aligned(SICK, WELL))
    assert (both.value, one.value) == (0.8, 0.2)
    assert one.present == {"a": False, "b": True}


def test_a_member_unsure_of_itself_is_heard_less(aligned: Aligned) -> None:
    seats = (Seat("a", "a/1/abc"), Seat("b", "b/1/abc"))
    members = [Told("a", [0.9], std=0.01), Told("b", [0.1], std=0.2)]
    sure = PanelScorer(panel(ConfidenceWeighted(), *seats), members).score(aligned(SICK))[0]
    plain = PanelScorer(panel(MeanLogit(), *seats), members).score(aligned(SICK))[0]
    assert sure.value is not None
    assert plain.value == 0.5
    assert sure.value > 0.88


def test_a_row_is_the_same_in_any_company(aligned: Aligned) -> None:
    scorer = PanelScorer(panel(), [LimitsScorer(), News2Scorer()])
    rows = scorer.score(aligned(SICK, WELL, SILENT))
    for i, case in enumerate((SICK, WELL, SILENT)):
        alone = scorer.score(aligned(case))[0]
        assert (alone.value, alone.share) == (rows[i].value, rows[i].share)


def test_another_build_of_a_member_and_a_missing_one_are_refused() -> None:
    other = msgspec.structs.replace(NEWS, model="news2/2")
    with pytest.raises(CheckpointMismatch, match="news2/2"):
        PanelScorer(panel(MeanLogit(), other), [News2Scorer()])
    with pytest.raises(ConfigError, match="limits"):
        PanelScorer(panel(), [News2Scorer()])


@pytest.mark.parametrize("data", [b"", b"{}", b'{"name": 1}', b"\xff", b'{"seats": []}'])
def test_bytes_that_are_no_panel_are_refused(data: bytes) -> None:
    with pytest.raises(CheckpointMismatch, match="no panel"):
        decode(data)


def test_a_hostile_panel_is_refused() -> None:
    twice = encode(panel()).replace(b'"limits"', b'"news2"')
    with pytest.raises(CheckpointMismatch, match="different names"):
        decode(twice)
    backwards = encode(panel()).replace(b"0.4", b"-0.4")
    with pytest.raises(CheckpointMismatch, match="at least 0"):
        decode(backwards)


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        (Vote(1, (0.0,)), "threshold"),
        (WeightedLogit((0.5, 0.3, 0.2)), "weight"),
        (DempsterShafer((0.5,)), "reliability"),
        (LogisticStack((1.0, 1.0), (0.0,), 0.0), "missing"),
        (Vcdn(((0.0,) * 9, (0.0,) * 8), (0.0, 0.0), (0.0, 0.0), 0.0), "hidden"),
        (Vcdn(((0.0,) * 9,), (0.0, 0.0), (0.0,), 0.0), "hidden_bias"),
    ],
)
def test_a_rule_for_other_members_is_refused_before_it_scores(rule: object, what: str) -> None:
    with pytest.raises(ValueError, match=f"rule.{what}"):
        panel(rule)
    plain = encode(panel()).replace(b'{\n  "type": "mean"\n }', msgspec.json.encode(rule))
    with pytest.raises(CheckpointMismatch, match=f"rule.{what}"):
        decode(plain)


@pytest.mark.parametrize("rule", [MeanLogit(), Vote(1, (0.0, 0.0)), WeightedLogit((0.5, 0.5))])
def test_a_panel_survives_json(rule: object) -> None:
    assert decode(encode(panel(rule))) == panel(rule)


def test_a_third_member_changes_the_panel_and_no_byte_of_the_others() -> None:
    def artifact(name: str) -> dict[str, bytes]:
        torch.manual_seed(len(name))
        model = family("linear").build(spec_of("linear", {name: 2}))
        return files_of(model)

    def seat(name: str) -> Seat:
        return Seat(name, f"{name}/1/{decode_artifact(artifacts[name]).digest}")

    artifacts = {"vitals": artifact("vitals"), "labs": artifact("labs")}
    before = {name: dict(files) for name, files in artifacts.items()}
    two = panel(WeightedLogit((0.5, 0.5)), seat("vitals"), seat("labs"))
    artifacts["notes"] = artifact("notes")
    three = panel(WeightedLogit((0.4, 0.4, 0.2)), seat("vitals"), seat("labs"), seat("notes"))
    assert {name: artifacts[name] for name in before} == before
    assert three.seats[:2] == two.seats
    assert encode(three) != encode(two)
