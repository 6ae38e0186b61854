"""Discrete-time hazards: logistic regression at K = 1, and planted survival recovered."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from models.evaluation.survival import concordance, integrated_brier, kaplan_meier
from models.heads.event import cumulative
from models.heads.hazard import HazardHead, HazardLoss, event_by, hazards
from models.losses import WeightedBCE
from models.tensors import Target


def test_with_one_interval_head_and_loss_are_logistic_regression() -> None:
    raw = torch.linspace(-40.0, 40.0, 81)[:, None]
    assert torch.equal(event_by(raw), raw)
    target = Target((torch.arange(81) % 3 == 0).float()[:, None], torch.rand(81, 1))
    assert torch.equal(HazardLoss()(raw, target), WeightedBCE()(raw, target))


def test_the_event_is_never_less_likely_by_a_later_end() -> None:
    torch.manual_seed(0)
    logit = event_by(8.0 * torch.randn(500, 6))
    assert torch.isfinite(logit).all()
    assert (logit.diff(dim=-1) >= 0).all()


def test_hazards_are_the_inverse() -> None:
    torch.manual_seed(0)
    raw = 2.0 * torch.randn(200, 5).double()
    torch.testing.assert_close(hazards(event_by(raw)), raw, atol=1e-8, rtol=0)


def test_survival_is_the_product_of_surviving_each_interval() -> None:
    raw = torch.randn(50, 4, generator=torch.Generator().manual_seed(1)).double()
    survived = torch.cumprod(1.0 - torch.sigmoid(raw), dim=-1)
    torch.testing.assert_close(1.0 - torch.sigmoid(event_by(raw)), survived)


def test_the_loss_is_the_likelihood_of_what_was_seen() -> None:
    """Event in interval 2: -log h2 - log(1-h1); censored after 1: -log(1-h1)."""
    raw = torch.tensor([[0.2, -0.4, 1.0], [0.2, -0.4, 1.0]])
    target = Target(
        torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]),
        torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]),
    )
    h = torch.sigmoid(raw[0])
    likelihood = -torch.log(1 - h[0]) - torch.log(h[1]) - torch.log(1 - h[0])
    torch.testing.assert_close(HazardLoss()(event_by(raw), target), likelihood / 3)


def test_logits_of_another_head_have_hazards_too() -> None:
    logit = cumulative(torch.tensor([[-2.0, 0.3, -5.0]]))
    torch.testing.assert_close(event_by(hazards(logit)), logit, atol=1e-4, rtol=0)


def survivors(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Exponential times whose rate depends on two of three inputs; a third are censored."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    risk = x @ np.array([0.9, -0.6, 0.0])
    time = rng.exponential(np.exp(-risk) * 6.0)
    seen_until = rng.exponential(12.0, n)
    return x, risk, np.minimum(time, seen_until), time <= seen_until


def as_target(time: np.ndarray, event: np.ndarray, ends: np.ndarray) -> Target:
    by = event[:, None] & (time[:, None] <= ends)
    known = by | (time[:, None] > ends)
    return Target(torch.from_numpy(by).float(), torch.from_numpy(known).float())


def test_planted_survival_is_recovered() -> None:
    ends = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    x, _, time, event = survivors(4000, 1)
    torch.manual_seed(0)
    head = HazardHead(3, len(ends), hidden=16)
    descent = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(250):
        descent.zero_grad()
        HazardLoss()(head(torch.from_numpy(x).float()), as_target(time, event, ends)).backward()
        descent.step()
    x, risk, time, event = survivors(4000, 2)
    with torch.no_grad():
        prob = torch.sigmoid(head(torch.from_numpy(x).float())).double().numpy()
    best = concordance(time, event, risk)
    assert concordance(time, event, prob[:, 2]) > best - 0.005
    nobody = np.broadcast_to(1.0 - kaplan_meier(time, event, ends), prob.shape)
    truth = 1.0 - np.exp(-ends / 6.0 * np.exp(risk)[:, None])
    score, null, ideal = (integrated_brier(time, event, p, ends) for p in (prob, nobody, truth))
    assert score < null - 0.03
    assert score < ideal + 0.003


def test_a_gradient_reaches_every_parameter() -> None:
    head = HazardHead(4, 3, hidden=8)
    target = Target(torch.ones(6, 3), torch.ones(6, 3))
    target.label[:, 0] = 0.0
    HazardLoss()(head(torch.randn(6, 4)), target).backward()
    assert isinstance(head, nn.Module)
    assert all(p.grad is not None and p.grad.any() for p in head.parameters())
