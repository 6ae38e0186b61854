"""Fusion in an order: what is close comes together first, the rest joins what they agreed on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.fusers.concat import beside


class Progressive(nn.Module):
    """Node i sees node i-1's vector and the modalities of stage i.

    Parameters
    ----------
    widths : dict of str to int
        Width of each modality's vector.
    width : int
        Of every node.
    order : sequence of sequences of str
        Stages; together they name every modality once.

    Raises
    ------
    ValueError
        If they do not.
    """

    def __init__(self, widths: dict[str, int], width: int, order: Sequence[Sequence[str]]) -> None:
        super().__init__()
        named = [name for stage in order for name in stage]
        if sorted(named) != sorted(widths):
            raise ValueError(f"stages {list(order)} must name each of {sorted(widths)} once")
        self.order = [tuple(stage) for stage in order]
        self.width = width
        entering = [sum(widths[name] for name in stage) + len(stage) for stage in self.order]
        before = [0, *[width] * (len(self.order) - 1)]
        self.nodes = nn.ModuleList(
            nn.Linear(a + b, width) for a, b in zip(entering, before, strict=True)
        )

    def forward(self, vectors: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
        """See `models.parts.Fuser`."""
        fused: Tensor | None = None
        for stage, node in zip(self.order, self.nodes, strict=True):
            joined = beside(stage, vectors, present)
            if fused is not None:
                joined = torch.cat([fused, joined], dim=-1)
            fused = torch.relu(node(joined))
        assert fused is not None
        return fused
