"""Vectors side by side: the plainest intermediate fusion, and the start of the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Concat(nn.Module):
    """[vector of each modality, 1 where it is present]."""

    def __init__(self, widths: dict[str, int]) -> None:
        super().__init__()
        self.names = tuple(widths)
        self.width = sum(widths.values()) + len(widths)

    def forward(self, vectors: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
        """See `models.parts.Fuser`."""
        return beside(self.names, vectors, present)


def beside(names: Sequence[str], vectors: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
    """Vectors of some modalities and their flags of presence, [..., Σ width + M]."""
    flags = torch.stack([present[name] for name in names], dim=-1)
    return torch.cat([*(vectors[name] for name in names), flags], dim=-1)
