"""Members count by how well they did on validation data: one weight each, on the simplex.

Not here: weights that change from row to row (`confidence`) or may be negative (`stack`).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from models.late.fused import Floats, Fused, present_logits, weighted_mean
from models.late.logistic import fit_nonnegative

_STEPS = (0.2, 0.1, 0.05, 0.02, 0.01)  # of mass moved from one member to another
_SIMPLEX_TOLERANCE = 1e-6


class WeightedLogit(msgspec.Struct, frozen=True, tag="weighted"):
    """Σ w·logit over the present members, w ≥ 0, scaled to sum to 1 over them."""

    weight: tuple[float, ...]

    def __post_init__(self) -> None:
        off = abs(sum(self.weight) - 1.0) > _SIMPLEX_TOLERANCE
        if off or any(not w >= 0.0 for w in self.weight):
            raise ValueError(f"weights are at least 0 and sum to 1, got {self.weight}")

    def fuse(self, logit: Floats, confidence: Floats | None = None) -> Fused:
        """Weighted mean logit; `confidence` is not used.

        Parameters
        ----------
        logit : (N, M) float64
            NaN = absent; its weight goes to the others in proportion. If all that are present
            weigh nothing, they count the same.
        confidence : ignored

        Returns
        -------
        Fused
            Bias 0.

        Examples
        --------
        >>> fuser = WeightedLogit((0.75, 0.25))
        >>> fuser.fuse(np.array([[2.0, -2.0], [np.nan, -2.0]])).logit.tolist()
        [1.0, -2.0]
        """
        value, present = present_logits(logit)
        return weighted_mean(value, np.broadcast_to(np.array(self.weight), value.shape), present)


def fit_weights(logit: Floats, target: Floats, row_weight: Floats | None = None) -> WeightedLogit:
    """Weights in proportion to the non-negative logistic coefficients on validation data.

    Parameters
    ----------
    logit : (N, M) float64
        Members' logits on rows that trained none of them; NaN = absent, counts as 0.
    target : (N,) float64
        0 or 1.
    row_weight : (N,) float64, optional
        At least 0.

    Returns
    -------
    WeightedLogit
        Equal weights if no member helps.
    """
    value, _ = present_logits(logit)
    coefficient = fit_nonnegative(value, target, row_weight).coefficient
    return _on_simplex(coefficient)


def fit_weights_for(
    utility: Callable[[Floats], float], logit: Floats, start: WeightedLogit
) -> WeightedLogit:
    """Weights that maximise any figure of the fused logit: sepsis utility, AUPRC, ...

    Parameters
    ----------
    utility : callable
        (N,) fused validation logits to a number, larger is better; may be a step function.
    logit : (N, M) float64
        Members' logits on validation rows; NaN = absent.
    start : WeightedLogit
        Where to begin, e.g. `fit_weights`.

    Returns
    -------
    WeightedLogit
        At least as good on these rows as the start, the equal mean and each member alone:
        all of them are tried, then mass moves between pairs while that helps.
    """
    members = logit.shape[1]
    corners = [np.eye(members)[m] for m in range(members)]
    tried = [np.array(start.weight), np.full(members, 1.0 / members), *corners]
    figures = [_figure(utility, logit, w) for w in tried]
    first = int(np.argmax(figures))
    best, figure = tried[first], figures[first]
    for step in _STEPS:
        better = True
        while better:
            better = False
            for candidate in _neighbours(best, step):
                found = _figure(utility, logit, candidate)
                if found > figure:
                    best, figure, better = candidate, found, True
    return _on_simplex(best)


def _neighbours(weight: Floats, step: float) -> list[Floats]:
    """Weights after moving up to `step` of mass from one member to another."""
    moved = []
    for giver in range(len(weight)):
        mass = min(step, weight[giver])
        for taker in range(len(weight)):
            if taker != giver and mass > 0.0:
                candidate = weight.copy()
                candidate[giver] -= mass
                candidate[taker] += mass
                moved.append(candidate)
    return moved


def _figure(utility: Callable[[Floats], float], logit: Floats, weight: Floats) -> float:
    """Utility of one set of weights."""
    return utility(_on_simplex(weight).fuse(logit).logit)


def _on_simplex(weight: Floats) -> WeightedLogit:
    """Weights scaled to sum to 1; equal ones if there is nothing to scale."""
    held = np.maximum(weight, 0.0)
    if not held.sum() > 0.0:
        held = np.ones_like(held)
    return WeightedLogit(tuple((held / held.sum()).tolist()))
