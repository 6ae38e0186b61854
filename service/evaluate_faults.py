"""A cohort as it would look with faulty clocks, repeated messages, lost values or drifting sensors.

Every fault is made up, the same ones every time; labels and events are never touched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.evaluate_data import Cohort, Inputs

Floats32 = NDArray[np.float32]
Bools = NDArray[np.bool_]
SEED: Final = 20_261_126
SKEWED: Final = 0.5  # of patients: their clock is an hour behind
KEPT: Final = 0.5  # of values
NOISE: Final = 0.05  # of a vital sign's own size, one standard deviation
DRIFT: Final = 0.02  # of a vital sign's own size, a day

Spoil = Callable[[Inputs, NDArray[np.int64], Bools], Floats32]  # inputs, row of the stay, chosen


def skewed(cohort: Cohort) -> Cohort:
    """Everything of half the patients is told a row later: their clock is behind."""

    def moved(inputs: Inputs, row: NDArray[np.int64], chosen: Bools) -> Floats32:
        value = inputs.value.copy()
        before = np.roll(inputs.value, 1, axis=0)
        before[row == 0] = np.nan
        value[chosen] = before[chosen]
        return value

    return _spoilt(cohort, moved, SKEWED)


def told_twice(cohort: Cohort) -> Cohort:
    """Every value is told again in the next row, where nothing newer is."""

    def repeated(inputs: Inputs, row: NDArray[np.int64], chosen: Bools) -> Floats32:
        before = np.roll(inputs.value, 1, axis=0)
        before[row == 0] = np.nan
        found: Floats32 = np.where(np.isnan(inputs.value), before, inputs.value)
        return found

    return _spoilt(cohort, repeated)


def rarer(cohort: Cohort) -> Cohort:
    """Half of all values are lost, each by itself."""
    random = np.random.default_rng(SEED)

    def lost(inputs: Inputs, row: NDArray[np.int64], chosen: Bools) -> Floats32:
        gone = random.random(inputs.value.shape) >= KEPT
        return np.where(gone, np.float32(np.nan), inputs.value)

    return _spoilt(cohort, lost)


def noisy(cohort: Cohort) -> Cohort:
    """Dense inputs with noise in proportion to their size."""
    random = np.random.default_rng(SEED)

    def shaken(inputs: Inputs, row: NDArray[np.int64], chosen: Bools) -> Floats32:
        noise = random.standard_normal(inputs.value.shape) * NOISE
        return (inputs.value * (1 + noise)).astype(np.float32)

    return _spoilt(cohort, shaken, only="vitals")


def drifting(cohort: Cohort) -> Cohort:
    """Vital signs that read higher by the day, as an ageing sensor does."""
    factor = (1 + DRIFT * cohort.time_h / 24).astype(np.float32)[:, None]

    def grown(inputs: Inputs, row: NDArray[np.int64], chosen: Bools) -> Floats32:
        found: Floats32 = inputs.value * factor
        return found

    return _spoilt(cohort, grown, only="vitals")


FAULTS: Final[dict[str, Callable[[Cohort], Cohort]]] = {
    f"clock an hour behind for {100 * SKEWED:.0f} % of patients": skewed,
    "every value told again an hour later": told_twice,
    f"{100 * (1 - KEPT):.0f} % of values lost": rarer,
    f"vital signs with {100 * NOISE:.0f} % noise": noisy,
    f"vital signs drifting up by {100 * DRIFT:.0f} % a day": drifting,
}


def _spoilt(cohort: Cohort, spoil: Spoil, share: float = 1.0, only: str = "") -> Cohort:
    """The cohort with other values of what changes with time; of `only`, where it is there."""
    row = np.arange(len(cohort.time_h)) - np.repeat(cohort.starts, cohort.lengths)
    hit = np.random.default_rng(SEED).random(len(cohort.patients)) < share
    chosen = hit[cohort.patient]
    names = [n for n, i in cohort.inputs.items() if not i.once]
    names = [only] if only in names else names
    changed = {
        n: i._replace(value=spoil(i, row, chosen)) if n in names else i
        for n, i in cohort.inputs.items()
    }
    return cohort._replace(inputs=changed)
