"""Which fusion captures what, on patients whose truth is planted.

    planted            early  joint (gated)  late
    the same in both     +         +           +
    in one only          +         +           +
    XOR of both          +         +           -     each member alone knows nothing
    cause, hours ago     -         +           +     early fusion has statistics, no memory
    a small difference   +         +           -     and an order of fusion helps
    a delay of a pulse   +(conv)               -

Every figure is an AUROC on patients that trained nothing; each model trains for seconds.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch

from models.fusion_model import ComposedModel
from models.testbed.planted import MAKERS, Planted, only, plant, spec_of
from models.testbed.pulses import pulse_arrival, stacked_arrival, wave_spec
from models.testbed.trial import SMALL, area, parameters, shares, trained
from models.training.recipe import Recipe

pytestmark = pytest.mark.slow

LATE = {"width": 16, "dropout": 0.0, "rule": {"type": "mean"}}
CONFIG: dict[str, dict[str, object]] = {
    "fusion.early": {"hidden": 32, "dropout": [0.0, 0.0]},
    "fusion.gated": SMALL,
    "fusion.concat": SMALL,
    "fusion.progressive": {**SMALL, "order": [["a", "b"], ["c"]], "node_width": 32},
    "late.mean": LATE,
}


@cache
def patients(kind: str) -> tuple[Planted, Planted]:
    return plant(MAKERS[kind], seed=1), plant(MAKERS[kind], seed=2)


@cache
def model(kind: str, family: str) -> ComposedModel:
    train, _ = patients(kind)
    sizes = {name: x.shape[-1] for name, x in train.histories.seq.value.items()}
    return trained(spec_of(family, sizes, CONFIG[family]), train)


@cache
def specialist(kind: str, modality: str) -> float:
    train, test = (only(planted, modality) for planted in patients(kind))
    return area(trained(spec_of("fusion.gated", {modality: 2}, SMALL), train), test)


def judged(kind: str, family: str, absent: str | None = None) -> float:
    return area(model(kind, family), patients(kind)[1], absent)


def test_late_fusion_knows_nothing_of_a_synergy_and_joint_fusion_all_of_it() -> None:
    assert abs(judged("synergistic", "late.mean") - 0.5) < 0.03
    assert judged("synergistic", "fusion.gated") >= 0.95
    assert judged("synergistic", "fusion.early") >= 0.95


def test_a_synergy_is_lost_whole_when_one_half_is_absent() -> None:
    assert abs(judged("synergistic", "fusion.gated", "a") - 0.5) < 0.03


@pytest.mark.parametrize("family", ["fusion.early", "fusion.gated", "late.mean"])
def test_what_both_modalities_show_is_seen_better_together(family: str) -> None:
    assert judged("redundant", family) > specialist("redundant", "a") + 0.005


@pytest.mark.parametrize(("absent", "left"), [("a", "b"), ("b", "a")])
def test_without_either_modality_the_joint_model_is_as_good_as_the_others_specialist(
    absent: str, left: str
) -> None:
    found = judged("redundant", "fusion.gated", absent)
    assert found >= specialist("redundant", left) - 0.01


def test_a_useless_modality_costs_nothing_and_carries_little() -> None:
    assert judged("unique", "fusion.gated") >= specialist("unique", "a") - 0.005
    assert judged("unique", "fusion.gated", "b") >= specialist("unique", "a") - 0.005


@pytest.mark.parametrize("family", ["fusion.early", "fusion.gated"])
def test_shares_lie_on_the_planted_modality(family: str) -> None:
    assert shares(model("unique", family), patients("unique")[1])["a"] >= 0.8


def test_taking_away_what_has_the_larger_share_costs_more() -> None:
    """Deletion: the named modality is the one that holds the score up."""
    assert judged("unique", "fusion.gated", "a") < 0.6
    assert judged("unique", "fusion.gated", "b") > 0.94


def test_a_cause_hours_ago_needs_a_memory() -> None:
    assert judged("lagged", "fusion.gated") >= 0.95
    assert judged("lagged", "fusion.early") < 0.8


def test_a_shared_factor_behind_private_ones_is_seen_better_by_both() -> None:
    best = max(specialist("shared_private", "a"), specialist("shared_private", "b"))
    assert judged("shared_private", "fusion.gated") > best + 0.03


def test_progressive_fusion_of_a_close_pair_beats_flat_fusion_of_no_fewer_parameters() -> None:
    flat, ordered = (model("close_pair", f"fusion.{name}") for name in ("gated", "progressive"))
    assert parameters(ordered) <= parameters(flat)
    assert judged("close_pair", "fusion.progressive") >= judged("close_pair", "fusion.gated")
    assert judged("close_pair", "fusion.progressive") > judged("close_pair", "late.mean") + 0.15


def test_stacked_waveforms_see_a_delay_that_late_fusion_cannot() -> None:
    recipe = Recipe(epochs=12, batch=32, learning_rate=5e-3, modality_dropout=0.0)
    sizes = {"width": 16, "hidden": 16, "dropout": [0.0, 0.0]}
    early = trained(
        wave_spec("fusion.conv", {"waves": ("ecg", "ppg")}, sizes),
        plant(stacked_arrival, 1000, 1, seed=1),
        recipe,
    )
    late = trained(
        wave_spec("late.mean", {"a": ("ecg",), "b": ("ppg",)}, {**LATE}),
        plant(pulse_arrival, 1000, 1, seed=1),
        recipe,
    )
    seen_early = area(early, plant(stacked_arrival, 600, 1, seed=2))
    seen_late = area(late, plant(pulse_arrival, 600, 1, seed=2))
    assert seen_early >= seen_late + 0.10
    assert seen_early > 0.95


def test_the_bed_gives_the_same_bits_for_the_same_seed() -> None:
    one, other = plant(MAKERS["lagged"], 8, 5, seed=4), plant(MAKERS["lagged"], 8, 5, seed=4)
    assert torch.equal(one.histories.seq.value["a"], other.histories.seq.value["a"])
    assert (one.label == other.label).all()
