"""Plain rules: the mean logit, and the vote of k out of n.

Not here: rules with anything learned (`weighted`, `stack`, `vcdn`).
"""

from __future__ import annotations

import msgspec
import numpy as np

from models.late.fused import Floats, Fused, fused, present_logits, weighted_mean

_HALF = 0.5  # Krichevsky-Trofimov: half a vote on each side keeps a unanimous vote finite


class MeanLogit(msgspec.Struct, frozen=True, tag="mean"):
    """Every present member counts the same. Nothing is fitted, so nothing can be over-fitted."""

    def fuse(self, logit: Floats, confidence: Floats | None = None) -> Fused:
        """Mean of the present logits; `confidence` is not used.

        Parameters
        ----------
        logit : (N, M) float64
            NaN = absent.
        confidence : ignored

        Returns
        -------
        Fused
            Shares are logit / (number present); bias 0.

        Examples
        --------
        >>> MeanLogit().fuse(np.array([[2.0, -1.0], [3.0, np.nan]])).logit.tolist()
        [0.5, 3.0]
        """
        value, present = present_logits(logit)
        return weighted_mean(value, np.ones_like(value), present)


class Vote(msgspec.Struct, frozen=True, tag="vote"):
    """k of n members above their own thresholds.

    Absent members do not vote. `k` is what a full house needs; with fewer present the same share
    of them is needed, rounded up.
    """

    k: int
    threshold: tuple[float, ...]  # logit per member

    def __post_init__(self) -> None:
        if not 1 <= self.k <= len(self.threshold):
            raise ValueError(f"k = {self.k} of {len(self.threshold)} members: 1 <= k <= n")

    def fuse(self, logit: Floats, confidence: Floats | None = None) -> Fused:
        """Log odds of the vote: log((yes + 1/2) / (no + 1/2)); `confidence` is not used.

        Parameters
        ----------
        logit : (N, M) float64
            NaN = absent; M is the number of thresholds.
        confidence : ignored

        Returns
        -------
        Fused
            A member's share is its equal part of the logit, positive if it said yes; parts of a
            tied vote are 0. Whether the vote carries is `carried`.
        """
        yes, present = self._votes(logit)
        n_yes, n_all = yes.sum(axis=1), present.sum(axis=1)
        total = np.log((n_yes + _HALF) / (n_all - n_yes + _HALF))
        side = np.where(present, np.where(yes, 1.0, -1.0), 0.0)
        margin = np.abs(2 * n_yes - n_all)
        part = np.where(margin > 0, np.abs(total) / np.maximum(margin, 1), 0.0)
        return fused(side * part[:, None], 0.0, present)

    def carried(self, logit: Floats) -> np.ndarray:
        """Whether enough of the present members say yes, (N,) bool; False where none is present.

        Examples
        --------
        >>> vote = Vote(k=2, threshold=(0.0, 0.0, 0.0))
        >>> rows = np.array([[1.0, 2.0, -3.0], [1.0, -2.0, -3.0], [1.0, np.nan, np.nan]])
        >>> vote.carried(rows).tolist()
        [True, False, True]
        """
        yes, present = self._votes(logit)
        n_all = present.sum(axis=1)
        needed = -(-self.k * n_all // len(self.threshold))  # rounded up
        carried: np.ndarray = (yes.sum(axis=1) >= needed) & (n_all > 0)
        return carried

    def _votes(self, logit: Floats) -> tuple[np.ndarray, np.ndarray]:
        """Who says yes, and who is there."""
        value, present = present_logits(logit)
        return present & (value >= np.array(self.threshold)), present
