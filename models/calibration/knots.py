"""A monotone line through knots: calibrated logits from raw ones.

Knots come from isotonic regression on patients that trained nothing (`fit`); between them the
line is straight and beyond them it goes on with slope 1, so that two different scores never
become equal and a threshold keeps its meaning. Source of the regression: Zadrozny and Elkan
2002, KDD, transforming classifier scores; pool adjacent violators.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.calibration.isotonic import pool_adjacent
from models.trees import halves_sum

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
LEAST_RISE: Final = 1e-3  # between knots, of calibrated per raw logit
_PRIOR_ROWS: Final = 2.0  # rows at the overall rate that every block starts with


class Line(NamedTuple):
    """Knots, rising in both."""

    raw: Floats  # [K]
    calibrated: Floats  # [K]

    def at(self, logit: Floats) -> Floats:
        """Calibrated logits, as `Knots` gives them."""
        inside = np.interp(logit, self.raw, self.calibrated)
        below = np.minimum(logit - self.raw[0], 0.0)
        above = np.maximum(logit - self.raw[-1], 0.0)
        found: Floats = inside + below + above
        return found


class Knots(nn.Module):
    """Calibration by a line through knots; the identity before `take`."""

    raw: Tensor
    calibrated: Tensor

    def __init__(self, knots: int) -> None:
        super().__init__()
        if knots < 2:
            raise ValueError("knots must be at least 2")
        self.register_buffer("raw", torch.arange(knots, dtype=torch.float32))
        self.register_buffer("calibrated", torch.arange(knots, dtype=torch.float32))

    def take(self, line: Line) -> None:
        """Take as many knots as there are here."""
        self.raw.copy_(torch.from_numpy(line.raw))
        self.calibrated.copy_(torch.from_numpy(line.calibrated))

    def forward(self, logit: Tensor) -> Tensor:
        """See `models.parts.Calibrator`."""
        low, high = self.raw[:-1], self.raw[1:]
        slope = (self.calibrated[1:] - self.calibrated[:-1]) / (high - low)
        over = torch.minimum((logit[..., None] - low).clamp(min=0.0), high - low)
        outside = logit - logit.clamp(self.raw[0], self.raw[-1])
        line: Tensor = self.calibrated[0] + halves_sum(slope * over) + outside
        return line


def fit(label: Bools, logit: Floats, knots: int) -> Line:
    """Knots for raw logits of patients that trained nothing.

    Parameters
    ----------
    label : (N,) bool
        What happened.
    logit : (N,) float64
        Raw, finite, not all equal.
    knots : int
        How many; quantiles of the logits, closer at the top where alarms are.
    """
    share = np.concatenate([np.linspace(0, 0.9, knots // 2), 1 - np.geomspace(0.1, 1e-4, knots)])
    edges = np.unique(np.quantile(logit, np.unique(share)))
    bin_of = np.searchsorted(edges, logit, side="right")
    count = np.bincount(bin_of, minlength=len(edges) + 1).astype(float)
    some = count > 0
    count, base = count[some], float(label.mean())
    events = np.bincount(bin_of, weights=label, minlength=len(some))[some]
    middle = np.bincount(bin_of, weights=logit, minlength=len(some))[some] / count
    rate = pool_adjacent((events + _PRIOR_ROWS * base) / (count + _PRIOR_ROWS), count + _PRIOR_ROWS)
    apart = np.append(True, np.diff(middle.astype(np.float32)) > 0)  # as the network keeps them
    middle, odds = middle[apart], np.log(rate / (1 - rate))[apart]
    place = np.linspace(middle[0], middle[-1], knots) if len(middle) > knots else middle
    line = np.interp(place, middle, odds)
    return _stretched(place, line, knots)


def _stretched(raw: Floats, calibrated: Floats, knots: int) -> Line:
    """Exactly `knots` knots that rise; further ones go on above with slope 1."""
    rise = np.maximum(np.diff(calibrated), LEAST_RISE * np.diff(raw))
    calibrated = calibrated[0] + np.append(0.0, np.cumsum(rise))
    more = np.arange(1, knots - len(raw) + 1)
    return Line(np.append(raw, raw[-1] + more), np.append(calibrated, calibrated[-1] + more))
