"""Logistic regression over member logits and over who is missing.

Learns only from `StackedRows`, which are out of fold. Not here: how those are made
(`out_of_fold`).
"""

from __future__ import annotations

import msgspec
import numpy as np

from models.late.fused import Floats, Fused, fused, present_logits
from models.late.logistic import fit_logistic
from models.late.out_of_fold import StackedRows, check_out_of_fold


class LogisticStack(msgspec.Struct, frozen=True, tag="stack"):
    """logit = bias + Σ present (coefficient · logit) + Σ absent missing."""

    coefficient: tuple[float, ...]
    missing: tuple[float, ...]  # added where the member is absent
    bias: float

    def fuse(self, logit: Floats, confidence: Floats | None = None) -> Fused:
        """Stacked logit; `confidence` is not used.

        Parameters
        ----------
        logit : (N, M) float64
            NaN = absent.
        confidence : ignored

        Returns
        -------
        Fused
            A present member's share is its term; what absences say is part of the row's bias.

        Examples
        --------
        >>> stack = LogisticStack((2.0, 1.0), (0.0, -0.5), 0.25)
        >>> stack.fuse(np.array([[1.0, -1.0], [1.0, np.nan]])).logit.tolist()
        [1.25, 1.75]
        """
        value, present = present_logits(logit)
        absent = np.where(present, 0.0, np.array(self.missing)).sum(axis=1)
        return fused(np.array(self.coefficient) * value, self.bias + absent, present)


def fit_stack(
    rows: StackedRows, target: Floats, row_weight: Floats | None = None, l2: float = 1.0
) -> LogisticStack:
    """Stacker of out-of-fold rows.

    Parameters
    ----------
    rows : StackedRows
        N rows of M members.
    target : (N,) float64
        0 or 1.
    row_weight : (N,) float64, optional
        At least 0.
    l2 : float
        Ridge; keeps flags of members that are never missing at 0.

    Returns
    -------
    LogisticStack

    Raises
    ------
    ValueError
        If a patient lies in two folds.

    Notes
    -----
    Source: Wolpert (1992), Neural Networks 5:241 (stacked generalisation).
    """
    check_out_of_fold(rows)
    value, present = present_logits(rows.logit)
    members = value.shape[1]
    line = fit_logistic(np.hstack([value, ~present]), target, row_weight, l2)
    coefficient, missing = line.coefficient[:members], line.coefficient[members:]
    return LogisticStack(tuple(coefficient.tolist()), tuple(missing.tolist()), line.bias)
