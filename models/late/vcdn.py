"""VCDN: fusion in label space, a small network over the joint table of members' opinions.

Each member says "event", "none" or nothing; the outer product of M opinions is a table of 3^M
cells that sums to 1, and a network of one hidden layer reads it. It can learn that two opinions
together mean what neither means alone. Not here: how members came to their opinions.
"""

from __future__ import annotations

import msgspec
import numpy as np

from models.late.descent import descend
from models.late.fused import Bools, Floats, Fused, present_logits, sigmoid, softplus
from models.late.out_of_fold import StackedRows, check_out_of_fold
from models.late.shapley import shapley, subsets

OPINIONS = 3  # event, none, absent
LEAK = 0.25  # slope of LeakyReLU below 0, as in MOGONET's VCDN
_ITERATIONS = 500
_HIDDEN = 16
_SEED = 0


class Vcdn(msgspec.Struct, frozen=True, tag="vcdn"):
    """logit = out_bias + out · leaky(table · hidden + hidden_bias)."""

    hidden: tuple[tuple[float, ...], ...]  # [H][3^M]
    hidden_bias: tuple[float, ...]  # [H]
    out: tuple[float, ...]  # [H]
    out_bias: float

    def fuse(self, logit: Floats, confidence: Floats | None = None) -> Fused:
        """Fused logit; `confidence` is not used.

        Parameters
        ----------
        logit : (N, M) float64
            NaN = absent, which is an opinion of its own.
        confidence : ignored

        Returns
        -------
        Fused
            Shares are exact Shapley values over the present members; the bias is what the
            network says when nobody speaks.
        """
        value, present = present_logits(logit)
        members = value.shape[1]
        shown = [self._logit(value, present & np.array(subset)) for subset in subsets(members)]
        share = np.column_stack(shapley(shown, members))
        spoken = np.where(present.any(axis=1), shown[-1], np.nan)
        return Fused(spoken, share, shown[0], present)

    def _logit(self, value: Floats, present: Bools) -> Floats:
        """The network, one hidden unit at a time: a row's sum never depends on other rows."""
        cells = table(value, present)
        total = np.full(len(cells), self.out_bias)
        units = zip(self.hidden, self.hidden_bias, self.out, strict=True)
        for row, bias, out in units:
            unit = (cells * np.array(row)).sum(axis=1) + bias
            total += out * np.where(unit > 0.0, unit, LEAK * unit)
        return total


def table(value: Floats, present: Bools) -> Floats:
    """Joint table of opinions.

    Parameters
    ----------
    value : (N, M) float64
        Logits, finite.
    present : (N, M) bool

    Returns
    -------
    (N, 3^M) float64
        Sums to 1 in each row; the last member's opinion varies fastest.

    Examples
    --------
    >>> table(np.array([[0.0, 0.0]]), np.array([[True, False]])).tolist()
    [[0.0, 0.0, 0.5, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0]]
    """
    cells = np.ones((len(value), 1))
    event = np.where(present, sigmoid(value), 0.0)
    none = np.where(present, sigmoid(-value), 0.0)
    absent = np.where(present, 0.0, 1.0)
    opinions = np.stack([event, none, absent], axis=2)  # [N, M, 3]
    for m in range(value.shape[1]):
        cells = (cells[:, :, None] * opinions[:, m, None, :]).reshape(len(value), -1)
    return np.ascontiguousarray(cells)


def fit_vcdn(
    rows: StackedRows, target: Floats, row_weight: Floats | None = None, l2: float = 1e-3
) -> Vcdn:
    """Network of out-of-fold rows, by L-BFGS from a fixed start.

    Parameters
    ----------
    rows : StackedRows
        N rows of M members.
    target : (N,) float64
        0 or 1.
    row_weight : (N,) float64, optional
        At least 0.
    l2 : float
        Mean loss + l2/2 · Σ weight².

    Returns
    -------
    Vcdn

    Raises
    ------
    ValueError
        If a patient lies in two folds.

    Notes
    -----
    Source: Wang et al. (2021), MOGONET, Nature Communications 12:3445 (VCDN there is a network
    over the outer product of class posteriors; the opinion "absent" is added here).
    """
    check_out_of_fold(rows)
    cells = table(*present_logits(rows.logit))
    weight = np.ones(len(target)) if row_weight is None else row_weight
    weight = weight / weight.sum()
    width = cells.shape[1]
    start = np.random.default_rng(_SEED).normal(size=_HIDDEN * (width + 2) + 1)
    start[_HIDDEN * (width + 1) :] *= 1.0 / np.sqrt(_HIDDEN)

    def value_and_slope(theta: Floats) -> tuple[float, Floats]:
        hidden, hidden_bias, out, out_bias = _parts(theta, width)
        unit = cells @ hidden.T + hidden_bias  # [N, H]
        slope = np.where(unit > 0.0, 1.0, LEAK)
        z = (unit * slope) @ out + out_bias
        loss = (weight * (softplus(z) - target * z)).sum() + 0.5 * l2 * (theta * theta).sum()
        d_z = weight * (sigmoid(z) - target)
        d_unit = d_z[:, None] * out * slope
        gradient = [d_unit.T @ cells, d_unit.sum(axis=0), (unit * slope).T @ d_z, d_z.sum()]
        return float(loss), np.concatenate([np.ravel(part) for part in gradient]) + l2 * theta

    theta = descend(value_and_slope, start, iterations=_ITERATIONS)
    hidden, hidden_bias, out, out_bias = _parts(theta, width)
    return Vcdn(
        tuple(tuple(row) for row in hidden.tolist()),
        tuple(hidden_bias.tolist()),
        tuple(out.tolist()),
        out_bias,
    )


def _parts(theta: Floats, width: int) -> tuple[Floats, Floats, Floats, float]:
    """The flat vector that L-BFGS moves, as the network's parts."""
    first, second = _HIDDEN * width, _HIDDEN * (width + 1)
    hidden = theta[:first].reshape(_HIDDEN, width)
    return hidden, theta[first:second], theta[second:-1], float(theta[-1])
