"""Integrated gradients: complete, blind to the absent, and right about what matters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.calibration.attribution import integrated_gradients

NAMES = ("a", "b", "c")


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 1))


def logit_of(net: nn.Module) -> Callable[[dict[str, Tensor]], Tensor]:
    def logit(vectors: dict[str, Tensor]) -> Tensor:
        out: Tensor = net(torch.cat([vectors[n] for n in NAMES], dim=-1))[..., 0]
        return out

    return logit


def vectors(n: int = 64, seed: int = 1) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return {name: torch.randn(n, 4) for name in NAMES}


BASE = {name: torch.full((4,), 0.1) for name in NAMES}


def test_shares_sum_to_what_the_modalities_moved() -> None:
    f, x = logit_of(network()), vectors()
    shares = integrated_gradients(f, x, BASE)
    base = {k: BASE[k].expand(64, 4) for k in NAMES}
    torch.testing.assert_close(sum(shares.values()), f(x) - f(base), atol=1e-5, rtol=0)


def test_an_absent_modality_gets_exactly_nothing() -> None:
    x = vectors()
    x["b"] = BASE["b"].expand(64, 4).clone()
    assert not integrated_gradients(logit_of(network()), x, BASE)["b"].any()


def test_of_a_linear_model_shares_are_its_terms() -> None:
    net = nn.Linear(12, 1)
    x = vectors()
    shares = integrated_gradients(logit_of(net), x, BASE)
    for i, name in enumerate(NAMES):
        term = ((x[name] - BASE[name]) * net.weight[0, 4 * i : 4 * i + 4]).sum(dim=1)
        torch.testing.assert_close(shares[name], term, atol=1e-5, rtol=0)


def test_deleting_the_largest_share_lowers_the_logit_more_than_deleting_another() -> None:
    """The deletion test: shares name what holds the score up."""
    f, x = logit_of(network(3)), vectors(512, 4)
    shares = torch.stack([integrated_gradients(f, x, BASE)[n] for n in NAMES], dim=1)
    with torch.no_grad():
        whole = f(x)
        falls = []
        for name in NAMES:
            less = {**x, name: BASE[name].expand(512, 4)}
            falls.append(whole - f(less))
        fall = torch.stack(falls, dim=1)
    top = fall.gather(1, shares.argmax(dim=1, keepdim=True)).mean()
    bottom = fall.gather(1, shares.argmin(dim=1, keepdim=True)).mean()
    assert top > fall.mean() + 0.5 * fall.std()
    assert bottom < fall.mean() - 0.5 * fall.std()


def test_nothing_of_the_model_is_touched() -> None:
    net = network()
    integrated_gradients(logit_of(net), vectors(), BASE)
    assert all(p.grad is None for p in net.parameters())
