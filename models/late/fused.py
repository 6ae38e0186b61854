"""What late fusion takes and gives: one logit per modality in, one logit with its parts out.

Members are independent scorers, so nothing here knows what they are made of. Not here: the rules
themselves, one file each, and what a logit means for an alert.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LOGIT_CAP = 30.0  # beyond it a float64 probability is 0 or 1 to 13 digits


class Fused(NamedTuple):
    """One logit of many. `logit == bias + share.sum(axis=1)` wherever anybody spoke."""

    logit: Floats  # [N] NaN where no modality is present
    share: Floats  # [N, M] part of the logit that each modality brought; 0 where absent
    bias: Floats  # [N] what the rule says before it hears anybody
    present: Bools  # [N, M] which modalities spoke


class LateFuser(Protocol):
    """A fitted rule. Pure, row by row: a row's bits do not depend on its neighbours."""

    def fuse(self, logit: Floats, confidence: Floats | None = None) -> Fused:
        """Fuse N rows of M member logits; NaN = that member is absent."""
        ...


def present_logits(logit: Floats) -> tuple[Floats, Bools]:
    """Logits with absent ones set to 0, and which are present.

    Parameters
    ----------
    logit : (N, M) float64
        NaN = absent. Infinite logits are certain members; they are held at `LOGIT_CAP`.

    Returns
    -------
    value : (N, M) float64
        Finite.
    present : (N, M) bool

    Raises
    ------
    ValueError
        If `logit` is not a matrix.

    Examples
    --------
    >>> value, present = present_logits(np.array([[1.5, np.nan, -np.inf]]))
    >>> value.tolist(), present.tolist()
    ([[1.5, 0.0, -30.0]], [[True, False, True]])
    """
    if logit.ndim != 2:
        raise ValueError(f"logits are rows of members, got an array of shape {logit.shape}")
    present = ~np.isnan(logit)
    value = np.clip(np.where(present, logit, 0.0), -LOGIT_CAP, LOGIT_CAP)
    return np.ascontiguousarray(value), present


def fused(share: Floats, bias: Floats | float, present: Bools) -> Fused:
    """Rows whose logit is the sum of its parts; NaN where nobody spoke."""
    start = np.broadcast_to(np.asarray(bias, dtype=np.float64), share.shape[:1]).copy()
    total = start + share.sum(axis=1)
    return Fused(np.where(present.any(axis=1), total, np.nan), share, start, present)


def weighted_mean(value: Floats, weight: Floats, present: Bools) -> Fused:
    """Weighted mean over the present members, weights scaled to sum to 1 over them.

    A row whose present members all weigh nothing takes their plain mean: a member that is there
    is better than no score at all.
    """
    heard = np.where(present, weight, 0.0)
    total = heard.sum(axis=1)
    silent = ~(total > 0.0)
    heard = np.where(silent[:, None], present.astype(np.float64), heard)
    total = np.where(silent, np.maximum(present.sum(axis=1), 1), total)
    return fused(heard / total[:, None] * value, 0.0, present)


def sigmoid(logit: Floats) -> Floats:
    """Probability of a logit, without overflow at either end.

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    small = np.exp(-np.abs(logit))
    return np.where(logit >= 0.0, 1.0 / (1.0 + small), small / (1.0 + small))


def softplus(logit: Floats) -> Floats:
    """log(1 + exp(logit)), without overflow: -log(1 - sigmoid(logit))."""
    return np.maximum(logit, 0.0) + np.log1p(np.exp(-np.abs(logit)))
