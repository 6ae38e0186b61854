"""Losses beyond the cross-entropy: expected utility, and order for triage.

Logits in, a scalar out; weight 0 does not count. Not here: what an hour is worth
(`models.evaluation.utility`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.losses import WeightedBCE
from models.tensors import Target

LEAST_WEIGHT: Final = 1e-3  # an hour at which an alarm is worth nothing still says a little


def utility_target(gain: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Label and weight of hours, from what an alarm there is worth more than silence.

    Parameters
    ----------
    gain : array of float64
        Utility of an alarm less that of silence; NaN = unknown.

    Returns
    -------
    label, weight : arrays of float64
        sign of the gain as 0 or 1, |gain| + 1e-3; weight 0 where the gain is unknown.

    Notes
    -----
    A cross-entropy so weighted is minimised by the logit of expected gains and losses; its sign
    is the best decision (Morrill et al. 2019, CinC; models.md, section 7).

    Examples
    --------
    >>> [x.tolist() for x in utility_target(np.array([2.0, -0.05, np.nan]))]
    [[1.0, 0.0, 0.0], [2.001, 0.051000000000000004, 0.0]]
    """
    known = np.isfinite(gain)
    worth = np.where(known, gain, 0.0)
    return (worth > 0).astype(np.float64), np.where(known, np.abs(worth) + LEAST_WEIGHT, 0.0)


class ExpectedUtility(nn.Module):
    """Minus the utility expected if an alarm were given with the model's probability.

    Takes `utility_target`'s labels and weights. Flat far from 0, so it refines a model that the
    cross-entropy has brought near; `share` mixes the two.
    """

    def __init__(self, share: float = 0.5) -> None:
        super().__init__()
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"share of expected utility: 0 to 1, got {share}")
        self.share = share
        self.bce = WeightedBCE()

    def forward(self, logit: Tensor, target: Target) -> Tensor:
        """See `models.parts.Loss`."""
        gain = target.weight * (2.0 * target.label - 1.0)
        total = target.weight.sum().clamp(min=torch.finfo(logit.dtype).tiny)
        lost = -(gain * torch.sigmoid(logit)).sum() / total
        entropy: Tensor = self.bce(logit, target)
        return self.share * lost + (1.0 - self.share) * entropy


class Ranking(nn.Module):
    """Whoever will have the event should rank above whoever will not, at the same step.

    Pairs are of different patients of a batch at one step, so that length of stay ranks nobody.
    `share` mixes it with the cross-entropy: order alone leaves the level free, and a score must
    still be calibrated.

    Notes
    -----
    Source: Burges et al. (2005), ICML (RankNet).
    """

    def __init__(self, share: float = 0.5) -> None:
        super().__init__()
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"share of the ranking: 0 to 1, got {share}")
        self.share = share
        self.bce = WeightedBCE()

    def forward(self, logit: Tensor, target: Target) -> Tensor:
        """See `models.parts.Loss`; patients along the first axis."""
        ill = target.weight * target.label
        well = target.weight * (1.0 - target.label)
        pair = ill[:, None] * well[None]  # [B, B, T, H]
        behind = nn.functional.softplus(logit[None] - logit[:, None])
        pairs = pair.sum().clamp(min=torch.finfo(logit.dtype).tiny)
        order = (pair * behind).sum() / pairs
        entropy: Tensor = self.bce(logit, target)
        return self.share * order + (1.0 - self.share) * entropy
