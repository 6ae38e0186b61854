"""Intervals by drawing whole patients with replacement; differences keep the same draws.

A replicate is a row of counts, how often every patient was drawn. A statistic takes many rows at
once, so that sums over patients are products and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
REPLICATES: Final = 1000
SEED: Final = 20_260_101
_AT_ONCE: Final = 64  # replicates in memory at a time
_FEWEST: Final = 0.9  # share of replicates that must be defined, else no interval

Statistic = Callable[[Floats], Floats]  # counts [R, P] -> [R] or [R, K]


class Interval(NamedTuple):
    """A figure and its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def counts(
    n: int, replicates: int = REPLICATES, seed: int = SEED, strata: Ints | None = None
) -> Iterator[Floats]:
    """How often every patient was drawn, some replicates at a time.

    Parameters
    ----------
    n : int
        Patients.
    replicates, seed : int
        How many draws; the same seed gives the same draws.
    strata : (P,) int64, optional
        Draw within each stratum, so that its size stays.

    Yields
    ------
    (R, P) float64
        Every row sums to P.
    """
    random = np.random.default_rng(seed)
    groups = [np.arange(n)] if strata is None else [_members(strata, s) for s in np.unique(strata)]
    for start in range(0, replicates, _AT_ONCE):
        rows = min(_AT_ONCE, replicates - start)
        drawn = np.zeros((rows, n))
        for row in range(rows):
            for group in groups:
                size = len(group)
                picked = random.integers(0, size, size)
                drawn[row, group] = np.bincount(picked, minlength=size)
        yield drawn


def replicate(
    statistic: Statistic, n: int, replicates: int = REPLICATES, seed: int = SEED
) -> tuple[Floats, Floats]:
    """A statistic on all patients and on every draw of them.

    Parameters
    ----------
    statistic : callable
        Counts [R, P] to values [R] or [R, K].
    n : int
        Patients.
    replicates, seed : int
        See `counts`.

    Returns
    -------
    (K,) and (replicates, K) float64
        Values of the whole and of the draws.
    """
    whole = _columns(statistic(np.ones((1, n))))[0]
    draws = [_columns(statistic(drawn)) for drawn in counts(n, replicates, seed)]
    return whole, np.concatenate(draws) if draws else np.empty((0, len(whole)))


def interval(value: float, draws: Floats, level: float = 0.95) -> Interval:
    """Percentile interval of a figure; NaN bounds where too many draws are undefined.

    Parameters
    ----------
    value : float
        Of all patients.
    draws : (R,) float64
        Of every replicate.
    level : float
        How much the interval holds.
    """
    known = draws[np.isfinite(draws)]
    if value != value or not len(draws) or len(known) < _FEWEST * len(draws):
        return Interval(value, np.nan, np.nan)
    tail = 50 * (1 - level)
    low, high = np.percentile(known, (tail, 100 - tail))
    return Interval(value, float(low), float(high))


def bootstrap(
    statistic: Statistic, n: int, replicates: int = REPLICATES, seed: int = SEED
) -> list[Interval]:
    """Figures with intervals, one per column of the statistic.

    Arguments are those of `replicate`.

    Examples
    --------
    >>> age = np.array([60.0, 70.0, 80.0])
    >>> bootstrap(lambda drawn: (drawn * age).sum(axis=1) / 3, 3)[0].value
    70.0
    """
    whole, draws = replicate(statistic, n, replicates, seed)
    return [interval(float(v), draws[:, k]) for k, v in enumerate(whole)]


def paired(
    first: Statistic,
    second: Statistic,
    n: int,
    replicates: int = REPLICATES,
    seed: int = SEED,
) -> list[Interval]:
    """First less second, on the same patients and the same draws."""
    return bootstrap(lambda drawn: first(drawn) - second(drawn), n, replicates, seed)


def ratio(part: Floats, whole: Floats) -> Statistic:
    """Statistic: sum of `part` over sum of `whole`, both per patient; NaN where nothing is below.

    Parameters
    ----------
    part, whole : (P,) or (P, K) float64
        Sums of every patient.
    """

    def statistic(drawn: Floats) -> Floats:
        above, below = drawn @ part, drawn @ whole
        found: Floats = np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)
        return found

    return statistic


def _members(strata: Ints, stratum: int) -> Ints:
    return np.flatnonzero(strata == stratum)


def _columns(values: Floats) -> Floats:
    return values[:, None] if values.ndim == 1 else values
