"""Discrete-time survival: the chance of the event in each interval, given none before it.

Horizons are the ends of the intervals. What the head gives is the contract's logit of "event by
the end of interval k", so scores, calibration and shares are as of any other head, and never fall
along the horizons. With one interval head and loss are logistic regression.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.tensors import Target

_LEAST = 1e-12  # of a hazard; keeps logarithms finite


class HazardHead(nn.Module):
    """Two layers to a hazard per interval, as logits [..., K] of the event by its end."""

    def __init__(
        self, width: int, horizons: int, hidden: int = 64, dropout: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Dropout(dropout[0]), nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout[1])
        )
        self.out = nn.Linear(hidden, horizons)

    def forward(self, fused: Tensor) -> Tensor:
        """See `models.parts.Head`."""
        return event_by(self.out(self.hidden(fused)))


class HazardLoss(nn.Module):
    """Log likelihood of intervals at risk.

    `Target.label` k is 1 if the event came by the end of interval k; `Target.weight` k is 0 where
    nobody knows, as after censoring. An interval after the event tells nothing and does not count.

    Notes
    -----
    Source: Singer and Willett (1993), J. Educ. Stat. 18:155. Equal to `WeightedBCE` for K = 1:
    ``tests/models/heads/test_hazard.py``.
    """

    def forward(self, logit: Tensor, target: Target) -> Tensor:
        """See `models.parts.Loss`; `logit` must not fall along the horizons."""
        free = torch.ones_like(target.label[..., :1])
        free = torch.cat([free, 1.0 - target.label[..., :-1]], dim=-1)
        weight = target.weight * free
        each = nn.functional.binary_cross_entropy_with_logits(
            hazards(logit), target.label, weight=weight, reduction="sum"
        )
        return each / weight.sum().clamp(min=torch.finfo(each.dtype).tiny)


def event_by(hazard: Tensor) -> Tensor:
    """Logits [..., K] of the event by each end, from logits of the hazards.

    Examples
    --------
    >>> event_by(torch.tensor([[-1.0]])).item()
    -1.0
    >>> torch.sigmoid(event_by(torch.zeros(3))).numpy().round(3).tolist()  # 1 - 1/2, 1/4, 1/8
    [0.5, 0.75, 0.875]
    """
    if hazard.shape[-1] == 1:
        return hazard
    spent = nn.functional.softplus(hazard).cumsum(dim=-1)  # -log survival
    first = hazard[..., :1]  # exact where nothing is added
    return torch.cat([first, _log_expm1(spent)[..., 1:]], dim=-1)


def hazards(logit: Tensor) -> Tensor:
    """Logits of the hazards, the inverse of `event_by`."""
    spent = nn.functional.softplus(logit)
    return torch.cat([logit[..., :1], _log_expm1(spent.diff(dim=-1))], dim=-1)


def _log_expm1(x: Tensor) -> Tensor:
    """log(exp(x) - 1), exact for small and large x."""
    x = x.clamp(min=_LEAST)
    return x + torch.log(-torch.expm1(-x))
