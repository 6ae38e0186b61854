"""Losses: utility decides by expected worth, ranking puts the ill first."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.evaluation.triage import ndcg
from models.losses import WeightedBCE
from models.parts import Loss
from models.registry import load, names
from models.tensors import Target
from models.training.losses import ExpectedUtility, Ranking, utility_target


def test_the_sign_of_the_best_logit_is_the_better_decision() -> None:
    """Half the hours an alarm is worth 1, half it costs 0.05: on average alarm."""
    label, weight = utility_target(np.array([[1.0], [-0.05]]))
    target = Target(torch.from_numpy(label), torch.from_numpy(weight))
    grid = torch.linspace(-6, 6, 1201, dtype=torch.float64)
    losses = [WeightedBCE()(z.expand(2, 1), target) for z in grid]
    best = grid[int(torch.stack(losses).argmin())]
    assert best == pytest.approx(np.log(1.001 / 0.051), abs=0.01)


def test_expected_utility_is_the_utility_of_alarms_drawn_by_probability() -> None:
    gain = np.array([[2.0], [-1.0], [0.5]])
    label, weight = utility_target(gain)
    target = Target(torch.from_numpy(label), torch.from_numpy(weight))
    logit = torch.tensor([[0.3], [-2.0], [1.0]], dtype=torch.float64)
    signed = weight * (2 * label - 1)
    expected = -(signed * torch.sigmoid(logit).numpy()).sum() / weight.sum()
    assert ExpectedUtility(share=1.0)(logit, target).item() == pytest.approx(expected)


def test_ranking_counts_pairs_of_one_step_only() -> None:
    logit = torch.tensor([[[1.0], [5.0]], [[0.0], [9.0]]])  # [B=2, T=2, 1]
    label = torch.tensor([[[1.0], [0.0]], [[0.0], [0.0]]])
    found = Ranking(share=1.0)(logit, Target(label, torch.ones_like(label)))
    assert found.item() == pytest.approx(np.log1p(np.exp(-1.0)))  # the second step has no pair


def test_ranking_without_a_pair_is_nought_not_nan() -> None:
    logit, label = torch.zeros(2, 1, 1), torch.zeros(2, 1, 1)
    assert Ranking(share=1.0)(logit, Target(label, torch.ones_like(label))).item() == 0.0


def test_ranking_brings_who_needs_somebody_to_the_top_of_the_ward() -> None:
    """What orders a ward is quiet; what changes from hour to hour for everybody is loud."""
    rng = np.random.default_rng(0)
    level, own = rng.normal(size=(1, 200, 1)), rng.normal(size=(64, 200, 1))
    label = (own + 3.0 * level + 0.5 * rng.normal(size=own.shape) > 3.0).astype(np.float32)
    x = torch.from_numpy(np.concatenate([own, level + 0 * own], axis=2)).float()
    target = Target(torch.from_numpy(label), torch.ones(64, 200, 1))

    def fitted(loss: Loss) -> np.ndarray:
        w = torch.zeros(2, 1, requires_grad=True)
        descent = torch.optim.Adam([w], lr=0.1)
        for _ in range(40):
            descent.zero_grad()
            loss(x @ w, target).backward()
            descent.step()
        return (x @ w).detach().numpy()[..., 0].astype(float)

    score = fitted(Ranking(share=1.0))
    steps = [t for t in range(200) if 0 < label[:, t].sum() < 64]
    found = np.mean([ndcg(label[:, t, 0].astype(float), score[:, t]) for t in steps])
    chance = np.mean([ndcg(label[:, t, 0].astype(float), rng.random(64)) for t in steps])
    assert found > 0.9
    assert found > chance + 0.3


@pytest.mark.parametrize("loss", [ExpectedUtility(), Ranking()])
def test_weight_nought_does_not_count(loss: Loss) -> None:
    torch.manual_seed(0)
    logit, label = torch.randn(4, 5, 1), (torch.rand(4, 5, 1) < 0.4).float()
    weight = torch.ones_like(label)
    weight[:, 3:] = 0.0
    one = loss(logit, Target(label, weight))
    logit[:, 3:] = 99.0
    assert torch.equal(one, loss(logit, Target(1.0 - weight + weight * label, weight)))


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    for make in (ExpectedUtility, Ranking):
        with pytest.raises(ValueError, match="0 to 1"):
            make(share=share)


def test_every_loss_is_had_by_its_name() -> None:
    target = Target(torch.ones(2, 3, 1), torch.ones(2, 3, 1))
    assert {"bce", "hazard", "ranking", "utility"} <= set(names("losses"))
    for name in names("losses"):
        assert torch.isfinite(load("losses", name)()(torch.zeros(2, 3, 1), target))
