"""Split-conformal prediction: sets with a coverage that holds in finite samples, and abstention.

A set holds every outcome that is not too strange for the model; one outcome is a call, both (or
none) is an abstention. Valid where calibration and later patients are exchangeable: by patient, so
one row per patient or one draw per patient must be used, and a drift between hospitals breaks it.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.late.fused import Floats, sigmoid
from models.late.out_of_fold import Rows

Bools = NDArray[np.bool_]


class Sets(NamedTuple):
    """Which outcomes are possible, per row."""

    none: Bools  # [N] no event is possible
    event: Bools  # [N]

    @property
    def abstain(self) -> Bools:
        """Rows with no single outcome."""
        undecided: Bools = self.none == self.event
        return undecided


class Conformal(msgspec.Struct, frozen=True):
    """An outcome is possible if its strangeness 1 - p(outcome) is at most `quantile`.

    One pair of quantiles per stratum (a ward, an age band): (no event, event).
    """

    coverage: float
    quantile: tuple[tuple[float, float], ...]

    def sets(self, logit: Floats, stratum: Rows | None = None) -> Sets:
        """Possible outcomes of rows.

        Parameters
        ----------
        logit : (N,) float64
            NaN = no score: everything is possible.
        stratum : (N,) int64, optional
            0 up to the number of strata; an unknown one gets the widest quantiles.

        Returns
        -------
        Sets
        """
        return self.sets_of(sigmoid(logit), stratum)

    def sets_of(self, p: Floats, stratum: Rows | None = None) -> Sets:
        """As `sets`, of probabilities."""
        table = np.array(self.quantile)
        which = np.zeros(len(p), np.int64) if stratum is None else stratum
        known = (which >= 0) & (which < len(table))
        limit = np.where(known[:, None], table[np.where(known, which, 0)], table.max(axis=0))
        unscored = np.isnan(p)
        return Sets((p <= limit[:, 0]) | unscored, (1.0 - p <= limit[:, 1]) | unscored)


def conformal_quantile(strangeness: Floats, coverage: float) -> float:
    """The ceil(coverage · (n + 1))-th smallest; infinite where there are too few.

    Examples
    --------
    >>> conformal_quantile(np.arange(1.0, 20.0), 0.9)
    18.0
    >>> conformal_quantile(np.arange(3.0), 0.9)
    inf
    """
    n = len(strangeness)
    rank = int(np.ceil(round(coverage * (n + 1), 9)))
    return float(np.sort(strangeness)[rank - 1]) if rank <= n else float("inf")


def fit_conformal(
    logit: Floats,
    target: Floats,
    coverage: float = 0.9,
    stratum: Rows | None = None,
    *,
    by_class: bool = True,
) -> Conformal:
    """Quantiles of calibration rows, one row per patient.

    Parameters
    ----------
    logit : (N,) float64
        Calibrated, finite.
    target : (N,) float64
        0 or 1.
    coverage : float
        Between 0 and 1.
    stratum : (N,) int64, optional
        0 up; each is calibrated by itself.
    by_class : bool
        Hold the coverage among events and among the rest, each (Mondrian). Without it the few
        events may pay for the many others.

    Returns
    -------
    Conformal

    Raises
    ------
    ValueError
        If `coverage` is not between 0 and 1.

    Notes
    -----
    Source: Vovk, Gammerman and Shafer (2005), Algorithmic Learning in a Random World, ch. 2, 4.
    """
    if not 0.0 < coverage < 1.0:
        raise ValueError(f"coverage lies between 0 and 1, got {coverage}")
    which = np.zeros(len(logit), np.int64) if stratum is None else stratum
    event = target > 0.5
    strange = np.where(event, sigmoid(-logit), sigmoid(logit))
    table = []
    for s in range(int(which.max()) + 1 if len(which) else 1):
        own = which == s
        if by_class:
            pair = tuple(conformal_quantile(strange[own & (event == e)], coverage) for e in (0, 1))
            table.append((pair[0], pair[1]))
        else:
            table.append((conformal_quantile(strange[own], coverage),) * 2)
    return Conformal(coverage, tuple(table))


def fit_halfwidth(logit: Floats, target: Floats, coverage: float = 0.9, bins: int = 20) -> float:
    """Half width of an interval about a calibrated logit that holds the rate seen there.

    Parameters
    ----------
    logit : (N,) float64
        Calibrated, finite; rows the calibration was not fitted on.
    target : (N,) float64
        0 or 1.
    coverage : float
        Share of the groups whose rate the interval must hold.
    bins : int
        Groups of equal size in the order of the logit.

    Returns
    -------
    float
        Logits; for `CalibrationSpec.halfwidth_logit`. Infinite where `bins` are too few for the
        coverage.
    """
    order = np.argsort(logit, kind="stable")
    off = []
    for rows in np.array_split(order, bins):
        rate = (target[rows].sum() + 0.5) / (len(rows) + 1.0)
        p = np.clip(sigmoid(logit[rows]).mean(), 1e-9, 1.0 - 1e-9)
        off.append(abs(np.log(rate / (1.0 - rate)) - np.log(p / (1.0 - p))))
    return conformal_quantile(np.array(off), coverage)
