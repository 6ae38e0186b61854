"""Losses that plug into any composed model. Logits in, a scalar out; weight 0 does not count."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.tensors import Target


class WeightedBCE(nn.Module):
    """Binary cross-entropy per step and horizon, averaged by weight."""

    def forward(self, logit: Tensor, target: Target) -> Tensor:
        """See `models.parts.Loss`."""
        each = nn.functional.binary_cross_entropy_with_logits(
            logit, target.label, weight=target.weight, reduction="sum"
        )
        return each / target.weight.sum().clamp(min=torch.finfo(each.dtype).tiny)
