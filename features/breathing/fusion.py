"""What several sources together say about the breathing rate: evidence on a grid of rates.

Not here: the sources (`series`, `spectrum`), what earlier windows said (`tracking`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from features.breathing.spectrum import (
    N_RATES,
    RATES_PER_MIN,
    STEP_PER_MIN,
    Spectra,
    around_peak,
    at_double,
    at_half,
    at_rates,
)
from features.runs import Bools, Floats, Ints

# Weights of a log-linear model of the rate, fitted by maximum likelihood to BIDMC (28 people, 60-s
# windows, also played at 0.5 to 1.9 times their speed, so that rates rare there count) and 55
# one-minute windows of CinC 2015 with a clear chest wave. One table serves every subset of
# sources. `benchmarks/bench_respiration.py` refits it with people left out.
# Of the power of all sources together: breaths are no sinusoids, so power an octave above speaks
# for a rate, and power an octave below says that this is but a harmonic.
SHARED_WEIGHTS: Final = {"rate": 1.5, "octave_above": 0.46, "octave_below": -0.34}
# Of each source's own power. A negative weight: what shows in a source that often follows other
# rhythms (vasomotion in amplitudes and intervals) counts less than what others show.
SOURCE_WEIGHTS: Final = {
    "r_peak": 0.12,
    "r_trough": 0.02,
    "rr_interval": 0.01,
    "pulse_baseline": 0.53,
    "pulse_amplitude": -0.22,
    "pulse_interval": -0.16,
}
FLOOR: Final = 0.1  # of the mean power: no source can rule a rate out
# Breathing of adults at rest and in illness, on purpose wide: half of it within 13 to 28/min, and
# what is usual must not hide what is dangerous. The centre was fitted with the weights.
USUAL_PER_MIN: Final = 19.0
PRIOR_CURVATURE: Final = 1.5
LOG_PRIOR: Final = -PRIOR_CURVATURE * np.log(RATES_PER_MIN / USUAL_PER_MIN) ** 2
NEAR_PER_MIN: Final = 2.0  # what counts as the same rate

_WAVE_SPREAD_PER_MIN: Final = 1.0
_WAVE_WEIGHT: Final = 2.0
_WAVE_FLOOR: Final = 0.02
_NEAR_BINS: Final = round(NEAR_PER_MIN / STEP_PER_MIN)


class Source(NamedTuple):
    """A source's spectra in the form the model reads, and its weight."""

    power: Floats  # (B, N_BINS)
    log_power: Floats  # (B, N_RATES) above the mean; 0 in absent rows
    present: Bools  # (B,)
    weight: float


class Rate(NamedTuple):
    """Best rate and the probability that it is right within 2/min, (B,) each."""

    per_min: Floats
    quality: Floats


def source(name: str, found: Spectra) -> Source:
    """One source of `SOURCE_WEIGHTS` for the model."""
    return sources([name], found)[0]


def sources(names: Sequence[str], found: Spectra) -> list[Source]:
    """`source` of each from spectra of all: the rows of the first, then of the next..."""
    log_power = np.where(found.present[:, None], _above_mean(at_rates(found.power)), 0.0)
    n = len(log_power) // len(names)
    own = [slice(k * n, (k + 1) * n) for k in range(len(names))]
    return [
        Source(found.power[at], log_power[at], found.present[at], SOURCE_WEIGHTS[name])
        for name, at in zip(names, own, strict=True)
    ]


def evidence(sources: Sequence[Source]) -> tuple[Floats, Ints]:
    """Log-likelihood of every rate from the sources of a row.

    Parameters
    ----------
    sources : sequence of Source
        At least one, of equal batch size.

    Returns
    -------
    log_likelihood : (B, N_RATES) float64
        Up to a constant; 0 where no source is present.
    n : (B,) int
        Sources present.

    Notes
    -----
    1.5 ln m(f) + 0.46 ln m(2f) - 0.34 ln m(f/2) + sum of w_s ln p_s(f), p_s the relative power
    of a source, m its mean over the sources present, both floored at 0.1: a rate seen by one
    clear source stands, one seen by several more so.
    """
    shared, n = shared_terms(sources)
    total = np.zeros_like(sources[0].log_power)
    for term, weight in zip(shared, SHARED_WEIGHTS.values(), strict=True):
        total += weight * term
    for one in sources:
        total += one.weight * one.log_power
    return total, n


def shared_terms(sources: Sequence[Source]) -> tuple[tuple[Floats, Floats, Floats], Ints]:
    """What `SHARED_WEIGHTS` multiply, (B, N_RATES) each, and how many sources each row has."""
    n = np.zeros(len(sources[0].present), np.intp)
    power = np.zeros_like(sources[0].power)
    for one in sources:
        n += one.present
        power += one.power
    mean = power / np.maximum(n, 1)[:, None]
    absent = (n == 0)[:, None]
    rate, above, below = (
        np.where(absent, 0.0, _above_mean(part(mean))) for part in (at_rates, at_double, at_half)
    )
    return (rate, above, below), n


def wave_evidence(rate_per_min: Floats, known: Bools) -> Floats:
    """Log-likelihood of every rate from a rate counted in the chest wave; 0 where not `known`."""
    if not known.any():
        return np.zeros((known.size, N_RATES))
    away = (RATES_PER_MIN - np.where(known, rate_per_min, 0.0)[:, None]) / _WAVE_SPREAD_PER_MIN
    near = np.exp(-0.5 * np.minimum(away * away, 1e3)) + _WAVE_FLOOR
    return np.where(known[:, None], _WAVE_WEIGHT * np.log(near), 0.0)


def normalised(log_p: Floats) -> Floats:
    """Probabilities from logarithms, each row summing to 1."""
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True), np.float64)


def best_rate(probability: Floats) -> Rate:
    """The most probable rate, between grid points, and how probable it is within 2/min."""
    probability = np.ascontiguousarray(probability)
    peak = around_peak(probability)
    rates = around_peak_rates(probability.argmax(axis=1))
    per_min = (peak * rates).sum(axis=1) / peak.sum(axis=1)
    passed = np.zeros((len(probability), N_RATES + 1))
    np.cumsum(probability, axis=1, out=passed[:, 1:])
    middle = np.rint((per_min - RATES_PER_MIN[0]) / STEP_PER_MIN).astype(np.intp)
    rows = np.arange(len(probability))
    above = passed[rows, (middle + _NEAR_BINS + 1).clip(max=N_RATES)]
    below = passed[rows, (middle - _NEAR_BINS).clip(min=0)]
    return Rate(per_min, (above - below).clip(0.0, 1.0))


def around_peak_rates(at: Ints) -> Floats:
    """Rates of the five grid points around each index, (B, 5); those outside do not matter."""
    steps = at[:, None] + np.arange(-2.0, 3.0)
    return np.asarray(RATES_PER_MIN[0] + STEP_PER_MIN * steps, np.float64)


def _above_mean(power: Floats) -> Floats:
    """Logarithm of relative power, floored; 0 at the mean."""
    return np.log((power + FLOOR) / (1.0 + FLOOR))
