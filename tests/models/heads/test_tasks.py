"""Tasks share a layer and nothing else."""

from __future__ import annotations

import torch

from models.heads.event import EventHead
from models.heads.tasks import TaskHead
from models.losses import WeightedBCE
from models.tensors import Target


def test_logits_have_no_order_unlike_those_of_horizons() -> None:
    torch.manual_seed(1)
    x = torch.randn(50, 8)
    free, ordered = TaskHead(8, 3)(x), EventHead(8, 3)(x)
    assert (ordered.diff() >= 0).all()
    assert not (free.diff() >= 0).all()


def test_a_task_whose_outcome_is_not_known_moves_nothing_of_its_own() -> None:
    torch.manual_seed(2)
    head = TaskHead(4, 2)
    weight = torch.tensor([1.0, 0.0]).expand(6, 1, 2)
    target = Target(torch.ones(6, 1, 2), weight)
    WeightedBCE()(head(torch.randn(6, 1, 4)), target).backward()
    assert head.out.weight.grad is not None
    assert (head.out.weight.grad[1] == 0).all()
    assert (head.out.weight.grad[0] != 0).any()


def test_a_row_does_not_see_its_neighbours() -> None:
    torch.manual_seed(3)
    head = TaskHead(4, 2).eval()
    x = torch.randn(9, 4)
    assert torch.allclose(head(x)[3], head(x[3:4])[0], atol=1e-7)
