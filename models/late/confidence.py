"""Members count by how sure they are: 1/variance weights, and Dempster-Shafer evidence.

Not here: where a confidence comes from (ensemble spread, signal quality): the caller knows.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from models.late.fused import (
    Floats,
    Fused,
    fused,
    present_logits,
    sigmoid,
    softplus,
    weighted_mean,
)

VARIANCE_FLOOR = 1e-4  # logit²: no member is surer than ±0.01


def inverse_variance(std: Floats, quality: Floats | None = None) -> Floats:
    """Confidence of each member: quality / σ².

    Parameters
    ----------
    std : (N, M) float64
        Standard deviation of the member's logit; NaN = unknown, gives confidence NaN.
    quality : (N, M) float64, optional
        Signal quality 0 to 1; NaN = unknown, counts as 1.

    Returns
    -------
    (N, M) float64
        At least 0; NaN where `std` is.

    Examples
    --------
    >>> inverse_variance(np.array([[0.5, 2.0]]), np.array([[0.5, np.nan]])).tolist()
    [[2.0, 0.25]]
    """
    confidence = 1.0 / np.maximum(np.square(std), VARIANCE_FLOOR)
    if quality is None:
        return confidence
    known: Floats = np.where(np.isnan(quality), 1.0, np.clip(quality, 0.0, 1.0))
    return confidence * known


class ConfidenceWeighted(msgspec.Struct, frozen=True, tag="confidence"):
    """Σ c·logit / Σ c over the present members, c = 1/σ², row by row."""

    def fuse(self, logit: Floats, confidence: Floats | None = None) -> Fused:
        """Confidence-weighted mean logit.

        Parameters
        ----------
        logit : (N, M) float64
            NaN = absent.
        confidence : (N, M) float64, optional
            At least 0, any scale (only ratios count). NaN = unknown: the mean confidence of the
            row's other members is taken. None = all equal, which is the mean logit.

        Returns
        -------
        Fused
            Bias 0.

        Notes
        -----
        Source: the minimum-variance mean of independent unbiased estimates (Aitken 1935).
        """
        value, present = present_logits(logit)
        if confidence is None:
            return weighted_mean(value, np.ones_like(value), present)
        known = present & np.isfinite(confidence)
        weight = np.where(known, np.maximum(confidence, 0.0), 0.0)
        usual = weight.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        usual = np.where(known.any(axis=1), usual, 1.0)
        weight = np.where(present & ~known, usual[:, None], weight)
        return weighted_mean(value, weight, present)


class Evidence(NamedTuple):
    """What Dempster's rule leaves besides the logit."""

    conflict: Floats  # [N] 0-1 mass on contradictions before normalising
    ignorance: Floats  # [N] 0-1 mass that no member committed


class DempsterShafer(msgspec.Struct, frozen=True, tag="dempster_shafer"):
    """Each member commits mass r·p to "event", r·(1-p) to "none", 1-r to "either".

    `reliability` is how much of its mass a member may commit at all, 0 to below 1; a confidence
    given with a row (0 to 1) discounts it further.
    """

    reliability: tuple[float, ...]

    def __post_init__(self) -> None:
        if not all(0.0 <= r < 1.0 for r in self.reliability):
            raise ValueError(f"reliabilities lie in [0, 1), got {self.reliability}")

    def fuse(self, logit: Floats, confidence: Floats | None = None) -> Fused:
        """Log odds of the plausibilities after Dempster's rule.

        Parameters
        ----------
        logit : (N, M) float64
            NaN = absent: commits nothing.
        confidence : (N, M) float64, optional
            0 to 1 per row and member; NaN counts as 1.

        Returns
        -------
        Fused
            Parts are exact: plausibilities multiply, so their log odds add. A member can bring
            at most log(1 / (1-r)).

        Notes
        -----
        Source: Shafer (1976), A Mathematical Theory of Evidence, ch. 3 and 11 (discounting);
        plausibility transform: Cobb and Shenoy (2006), Int. J. Approx. Reasoning 41:314.
        """
        for_event, for_none, _, present = self._masses(logit, confidence)
        share = np.where(present, np.log(for_event) - np.log(for_none), 0.0)
        return fused(share, 0.0, present)

    def evidence(self, logit: Floats, confidence: Floats | None = None) -> Evidence:
        """Conflict between the members and what they leave open, (N,) each, 0 to 1.

        Examples
        --------
        >>> agree, quarrel = [2.0, 2.0], [2.0, -2.0]
        >>> found = DempsterShafer((0.9, 0.9)).evidence(np.array([agree, quarrel]))
        >>> bool(found.conflict[0] < found.conflict[1])
        True
        """
        for_event, for_none, either, _ = self._masses(logit, confidence)
        open_mass = either.prod(axis=1)
        left = for_event.prod(axis=1) + for_none.prod(axis=1) - open_mass
        return Evidence(1.0 - left, open_mass / left)

    def _masses(
        self, logit: Floats, confidence: Floats | None
    ) -> tuple[Floats, Floats, Floats, np.ndarray]:
        """Plausibility of event and of none, and the open mass, (N, M) each; who is present."""
        value, present = present_logits(logit)
        committed = np.broadcast_to(np.array(self.reliability), value.shape)
        if confidence is not None:
            trust = np.where(np.isnan(confidence), 1.0, np.clip(confidence, 0.0, 1.0))
            committed = committed * trust
        committed = np.where(present, committed, 0.0)
        event = sigmoid(value)
        none = np.exp(-softplus(value))  # 1 - p without cancellation
        either = 1.0 - committed
        return committed * event + either, committed * none + either, either, present
