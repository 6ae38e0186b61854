"""Batches hold every history once; modality dropout never leaves a patient with nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.testbed.planted import plant, redundant
from models.training.batches import bucketed, drop_modalities
from models.training.recipe import Recipe, rate_at

HISTORIES = plant(redundant, patients=300, steps=6, seed=2).histories
NAMES = ["a", "b"]


def dropped(rate: float, seed: int = 0) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    seq = drop_modalities(HISTORIES.seq, rate, draw, NAMES)
    return {name: torch.isnan(x) for name, x in seq.value.items()}


def test_every_history_is_in_exactly_one_batch() -> None:
    lengths = np.random.default_rng(0).integers(1, 300, 1001)
    batches = bucketed(lengths, 64, seed=3)
    assert sorted(np.concatenate(batches).tolist()) == list(range(1001))
    assert max(map(len, batches)) == 64


def test_bucketing_leaves_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(1, 300, 6400)
    batches = bucketed(lengths, 64, seed=3)
    padded = sum(lengths[rows].max() * len(rows) for rows in batches)
    assert padded < 1.1 * lengths.sum()


def test_another_seed_gives_other_batches() -> None:
    lengths = np.full(100, 7)
    one, other = bucketed(lengths, 10, seed=0), bucketed(lengths, 10, seed=1)
    assert any(a.tolist() != b.tolist() for a, b in zip(one, other, strict=True))
    assert all(
        a.tolist() == b.tolist() for a, b in zip(one, bucketed(lengths, 10, seed=0), strict=True)
    )


def test_a_batch_is_cut_to_its_longest_history() -> None:
    seq = HISTORIES.seq._replace(length=torch.arange(300) % 5 + 1)
    got, target = HISTORIES._replace(seq=seq).batch(np.array([0, 1, 5]))
    assert got.value["a"].shape == (3, 2, 2)
    assert target.label.shape == (3, 2, 1)
    assert torch.equal(got.value["b"], HISTORIES.seq.value["b"][[0, 1, 5], :2])


@pytest.mark.parametrize("rate", [0.15, 0.95])
def test_no_history_loses_every_modality(rate: float) -> None:
    gone = dropped(rate)
    assert not (gone["a"].all(dim=(1, 2)) & gone["b"].all(dim=(1, 2))).any()


def test_a_modality_goes_whole_and_about_as_often_as_asked() -> None:
    gone = dropped(0.15)["a"]
    whole = gone.all(dim=(1, 2))
    assert torch.equal(whole, gone.any(dim=(1, 2)))
    assert 0.08 < whole.float().mean() < 0.22


def test_the_histories_themselves_are_not_changed() -> None:
    before = HISTORIES.seq.value["a"].clone()
    dropped(0.9)
    assert torch.equal(HISTORIES.seq.value["a"], before)


def test_rate_zero_takes_nothing() -> None:
    assert not dropped(0.0)["a"].any()


def test_the_rate_rises_to_its_peak_and_falls_to_nearly_nothing() -> None:
    recipe = Recipe(learning_rate=0.01, warm_up=0.25)
    rates = [rate_at(step, 201, recipe) for step in range(201)]
    assert np.argmax(rates) == 50
    assert rates[50] == pytest.approx(0.01)
    assert np.all(np.diff(rates[:51]) > 0)
    assert np.all(np.diff(rates[50:]) < 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", 0), ("learning_rate", 0.0), ("warm_up", 1.0), ("modality_dropout", -0.1)],
)
def test_an_impossible_recipe_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"training.{field}"):
        Recipe(**{field: value})
