"""Event within each of several horizons, consistent: a longer one is never less likely."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EventHead(nn.Module):
    """Two layers to logits [..., H] that do not fall along the horizons.

    The first logit is free; each further one adds softplus of its own output. Horizons ascend.
    """

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
        return cumulative(self.out(self.hidden(fused)))


class LinearHead(nn.Module):
    """One layer to logits [..., H] that do not fall along the horizons."""

    def __init__(self, width: int, horizons: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, horizons)

    def forward(self, fused: Tensor) -> Tensor:
        """See `models.parts.Head`."""
        return cumulative(self.out(fused))


def cumulative(raw: Tensor) -> Tensor:
    """Free numbers [..., H] to logits that never fall along the last axis.

    Examples
    --------
    >>> bool((cumulative(torch.tensor([0.5, -9.0, 2.0])).diff() >= 0).all())
    True
    """
    if raw.shape[-1] == 1:
        return raw
    rises = nn.functional.softplus(raw[..., 1:])
    return torch.cat([raw[..., :1], rises], dim=-1).cumsum(dim=-1)
