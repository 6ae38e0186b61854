"""Joint fusion with gates: every modality decides with how much of each other one is heard."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.fusers.concat import beside


class Gated(nn.Module):
    """cat * sigmoid(W cat): a number may be let through because of what another modality says."""

    def __init__(self, widths: dict[str, int]) -> None:
        super().__init__()
        self.names = tuple(widths)
        self.width = sum(widths.values()) + len(widths)
        self.gate = nn.Linear(self.width, self.width)

    def forward(self, vectors: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
        """See `models.parts.Fuser`."""
        joined = beside(self.names, vectors, present)
        return joined * torch.sigmoid(self.gate(joined))
