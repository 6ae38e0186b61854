"""What is usual for this person, at this hour, at rest or active; and how far from it a value is.

Pure: `update` takes a state and returns a new one; the state is 33 numbers for each of eight
features. Not here: alerts on z or CUSUM, nightly heart rate (`features.night_signal`).

Model: value = level + active * lift + a daily curve of two harmonics + scatter. The six
coefficients of a person start as the population's, with the spread between persons as their
uncertainty, and are sharpened by a robust Kalman filter: the blend of population and person is
theirs by count, hour and activity, without a rule for the first day.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.column import Column
from features.feature import FeatureReason
from features.intervals import Bools, Floats
from features.lean import number_or
from features.population import N_COEFFICIENTS, POPULATION, TRACKED, USUAL

N_TRACKED: Final = len(TRACKED)
CIRCADIAN_OF: Final = "temp_mean_c"
CIRCADIAN_RESIDUAL: Final = "temp_circ_resid_c"
_UPPER: Final = np.triu_indices(N_COEFFICIENTS)
N_COVARIANCE: Final = _UPPER[0].size
# Deviations an hour apart tell something new; a minute apart they mostly repeat themselves.
_CORRELATED_S: Final = 3600.0
# A person's level is remembered for a week: long against an illness's onset, short against a
# change of season or treatment. Drift per day in squared scatters that gives this memory.
_MEMORY_D: Final = 7.0
_DRIFT_PER_D: Final = _CORRELATED_S / 86_400.0 / _MEMORY_D**2
_LONGEST_DRIFT_D: Final = 60.0  # a longer absence teaches nothing more
_MOST_SURPRISE: Final = 2.5  # standard deviations a single value may move the level by
_HALF_NORMAL_MEDIAN: Final = 0.6744897501960817
# Robbins-Monro step for the median of |x| of a normal distribution, on the log scale.
_SCALE_STEP: Final = 2.33
_SCALE_PRIOR_H: Final = 12.0  # hours of data the population's scatter weighs
_SCALE_RANGE: Final = 8.0  # scatter stays within 1/8 to 8 times the population's
CUSUM_SLACK: Final = 0.5  # k and h of a 1 SD shift (Page 1954; Montgomery, Statistical Quality
CUSUM_LIMIT: Final = 5.0  # Control, ch. 9)
_CUSUM_MOST: Final = 2.0 * CUSUM_LIMIT  # further it need not remember
_CUSUM_FORGOTTEN_S: Final = 86_400.0
_MOST_Z: Final = 50.0
_OK, _UNDEFINED = np.uint8(FeatureReason.OK), np.uint8(FeatureReason.UNDEFINED)


class BaselineState(NamedTuple):
    """State of B patients; the arrays of one row are all that is kept of a patient."""

    coefficients: Floats  # (B, F, 6)
    covariance: Floats  # (B, F, 21) upper half
    scatter: Floats  # (B, F, 2) robust SD at rest, active
    hours: Floats  # (B, F) of independent data seen
    cusum: Floats  # (B, F, 2) up, down
    last_us: NDArray[np.int64]  # (B, F) time of the last value used; -1 for none
    frozen: Bools  # (B,)


class Moment(NamedTuple):
    """When and how the values were taken, one of each patient."""

    end_us: NDArray[np.int64]  # (B,) end of the window
    utc_offset_s: Floats  # (B,) of the patient's clock; 0 if unknown
    active: Floats  # (B,) 1 active, 0 at rest; NaN counts as rest
    frozen: Bools  # (B,) an alert is open: nothing is learnt


class Deviation(NamedTuple):
    """What the values say against the baseline as it was before them; (B, F) each."""

    z: Floats  # NaN where the value is
    centre: Floats  # expected, in the feature's unit
    cusum_up: Floats
    cusum_down: Floats
    personal: Floats  # 0 the population's baseline, 1 the person's own


def fresh(n_rows: int) -> BaselineState:
    """State of patients of whom nothing is known but that they are people."""
    shape = (n_rows, N_TRACKED)
    prior = np.zeros((N_TRACKED, N_COEFFICIENTS, N_COEFFICIENTS))
    prior[:, range(N_COEFFICIENTS), range(N_COEFFICIENTS)] = POPULATION.spread**2
    return BaselineState(
        np.tile(POPULATION.mean, (n_rows, 1, 1)),
        np.tile(prior[:, _UPPER[0], _UPPER[1]], (n_rows, 1, 1)),
        np.tile(POPULATION.scatter[:, None], (n_rows, 1, 2)),
        np.zeros(shape),
        np.zeros((*shape, 2)),
        np.full(shape, -1, np.int64),
        np.zeros(n_rows, np.bool_),
    )


def update(
    state: BaselineState, values: Floats, moment: Moment, ok: Bools
) -> tuple[BaselineState, Deviation]:
    """Judge the values against the baseline, then learn from them.

    Parameters
    ----------
    state : BaselineState
        Of B patients.
    values : (B, F) float64
        Features in the order of `TRACKED`, of the same window; NaN where missing, and
        what lies outside a feature's range is.
    moment : Moment
        Windows of one patient come in order of time.
    ok : (B, F) bool
        The value passed the quality gate. One that did not is judged but not learnt from.

    Returns
    -------
    BaselineState
        A frozen patient's level and scatter stay as they are; CUSUMs go on, and begin anew when
        the freeze ends.
    Deviation
        z = (value - centre) / sqrt(scatter² + uncertainty of the centre²). The CUSUMs add
        max(0, S ± z - 0.5) per hour of data, in proportion for shorter steps.

    Notes
    -----
    The scatter is the median of |value - centre| times 1.4826 at rest and active, followed by
    stochastic approximation and not below the feature's resolution. RMSSD is judged by its
    logarithm; its centre is given in milliseconds.
    Checked against: ``tests/features/test_baseline.py``.
    """
    seen = _scaled(np.where((values >= POPULATION.lo) & (values <= POPULATION.hi), values, np.nan))
    basis = _basis(moment)
    covariance = _full(state.covariance)
    active = number_or(moment.active) > 0.5
    scatter = np.where(active[:, None], state.scatter[:, :, 1], state.scatter[:, :, 0])
    elapsed_s = _elapsed(state, moment)
    covariance = _drifted(covariance, scatter, elapsed_s)
    centre = _dot(state.coefficients, basis[:, None, :])
    gain_to = _times(covariance, basis)
    doubt = np.maximum(_dot(gain_to, basis[:, None, :]), 0.0)
    z = np.clip((seen - centre) / np.sqrt(scatter**2 + doubt), -_MOST_Z, _MOST_Z)
    step = np.clip(elapsed_s / _CORRELATED_S, 0.0, 1.0)  # of an independent value
    cusum = _cusum(state, z, step, elapsed_s, moment.frozen)
    learn = ok & ~np.isnan(z) & ~moment.frozen[:, None] & (step > 0)
    learned = _learned(
        _Evidence(state, covariance, gain_to, doubt, scatter, z, np.where(learn, step, 0.0)), active
    )
    judged = ~np.isnan(z)
    new = learned._replace(
        cusum=cusum,
        last_us=np.where(judged, moment.end_us[:, None], state.last_us),
        frozen=moment.frozen.copy(),
    )
    prior = _dot(POPULATION.spread[None] ** 2, basis[:, None, :] ** 2)
    personal = np.clip(1.0 - doubt / prior, 0.0, 1.0)
    return new, Deviation(z, _unscaled(centre), cusum[:, :, 0], cusum[:, :, 1], personal)


def baseline_columns(
    deviation: Deviation,
    values: Floats,
    reason: NDArray[np.uint8],
    names: Collection[str] | None = None,
) -> dict[str, Column]:
    """Baseline features by catalogue name.

    Parameters
    ----------
    deviation : Deviation
    values, reason : (B, F)
        The features that went into `update` and why they may have no value.
    names : collection of str, optional
        Only tracked features whose `<stem>_z` is among these.

    Returns
    -------
    dict of str to Column
        `<stem>_z`, `<stem>_baseline_<unit>`, `<stem>_cusum_up`, `<stem>_cusum_down` of every
        tracked feature, and `temp_circ_resid_c`: temperature less its baseline. Quality is how
        personal the baseline is; the reason is the feature's own.
    """
    out = {}
    every_known = ~np.isnan(deviation.z)
    every_why = np.where(reason == _OK, _UNDEFINED, reason)
    every_why[every_known] = _OK
    every_covered, every_n = every_known.astype(np.float64), every_known.astype(np.int64)
    for i, usual in enumerate(USUAL):
        if names is not None and f"{usual.stem}_z" not in names:
            continue
        known = every_known[:, i]
        fields = {
            f"{usual.stem}_z": deviation.z[:, i],
            f"{usual.stem}_baseline_{usual.unit}": deviation.centre[:, i],
            f"{usual.stem}_cusum_up": deviation.cusum_up[:, i],
            f"{usual.stem}_cusum_down": deviation.cusum_down[:, i],
        }
        if usual.feature == CIRCADIAN_OF:
            fields[CIRCADIAN_RESIDUAL] = values[:, i] - deviation.centre[:, i]
        for name, value in fields.items():
            out[name] = Column(
                np.where(known, value, np.nan),
                deviation.personal[:, i],
                every_covered[:, i],
                every_n[:, i],
                every_why[:, i],
            )
    return out


class _Evidence(NamedTuple):
    """One step of the filter, (B, F, ...) each."""

    state: BaselineState
    covariance: Floats  # (B, F, 6, 6) before the value
    gain_to: Floats  # (B, F, 6) covariance times basis
    doubt: Floats  # variance of the centre
    scatter: Floats
    z: Floats
    step: Floats  # 0 where nothing is to be learnt


def _learned(evidence: _Evidence, active: Bools) -> BaselineState:
    """State after the values: coefficients, covariance, scatter and hours."""
    state, step = evidence.state, evidence.step
    learn = step > 0
    # A value that repeats its neighbours counts as one of so much larger variance.
    noise = evidence.scatter**2 / np.where(learn, step, 1.0)
    gain = evidence.gain_to / (evidence.doubt + noise)[:, :, None]
    surprise = np.clip(number_or(evidence.z), -_MOST_SURPRISE, _MOST_SURPRISE)
    surprise = surprise * np.sqrt(evidence.scatter**2 + evidence.doubt)
    moved = state.coefficients + gain * surprise[:, :, None]
    sharper = evidence.covariance - gain[:, :, :, None] * evidence.gain_to[:, :, None, :]
    packed = sharper[:, :, _UPPER[0], _UPPER[1]]
    return state._replace(
        coefficients=np.where(learn[:, :, None], moved, state.coefficients),
        covariance=np.where(learn[:, :, None], packed, state.covariance),
        scatter=_scatter(evidence, active),
        hours=np.minimum(state.hours + step, 24.0 * _MEMORY_D),
    )


def _scatter(evidence: _Evidence, active: Bools) -> Floats:
    """Scatter after the values: a step up when |z| is above a normal's median, down when below."""
    state = evidence.state
    far = np.abs(number_or(evidence.z)) > _HALF_NORMAL_MEDIAN
    rate = _SCALE_STEP * evidence.step / (_SCALE_PRIOR_H + state.hours)
    new = evidence.scatter * np.exp(rate * np.where(far, 0.5, -0.5))
    low = np.maximum(POPULATION.scatter / _SCALE_RANGE, POPULATION.resolution)
    new = np.clip(new, low, np.maximum(POPULATION.scatter * _SCALE_RANGE, low))
    out = state.scatter.copy()
    learn = evidence.step > 0
    for place, chosen in enumerate((~active, active)):
        mine = learn & chosen[:, None]
        out[:, :, place] = np.where(mine, new, out[:, :, place])
    return out


def _cusum(
    state: BaselineState, z: Floats, step: Floats, elapsed_s: Floats, frozen: Bools
) -> Floats:
    """CUSUMs after the values; they stay where a value is missing."""
    old = state.cusum.copy()
    old[state.frozen & ~frozen] = 0.0  # the alert is over: what led to it is dealt with
    old[elapsed_s > _CUSUM_FORGOTTEN_S] = 0.0
    size = np.where(np.isnan(z), 0.0, step)[:, :, None]
    both = np.empty((*z.shape, 2))
    both[:, :, 0] = z
    np.negative(z, out=both[:, :, 1])
    new = np.clip(old + (number_or(both) - CUSUM_SLACK) * size, 0.0, _CUSUM_MOST)
    return np.where(size > 0, new, old)


def _elapsed(state: BaselineState, moment: Moment) -> Floats:
    """Seconds since the last value of each feature; one whole step for the first; never < 0."""
    since = (moment.end_us[:, None] - state.last_us) / 1e6
    return np.where(state.last_us < 0, _CORRELATED_S, np.maximum(since, 0.0))


def _drifted(covariance: Floats, scatter: Floats, elapsed_s: Floats) -> Floats:
    """Covariance grown by what may have changed since the last value."""
    days = np.minimum(elapsed_s / 86_400.0, _LONGEST_DRIFT_D)
    grown = covariance.copy()
    diagonal = np.arange(N_COEFFICIENTS)
    grown[:, :, diagonal, diagonal] += (_DRIFT_PER_D * scatter**2 * days)[:, :, None]
    return grown


def _basis(moment: Moment) -> Floats:
    """`(B, 6)`: 1, active, and two harmonics of the hour of the day."""
    day_s = (moment.end_us // 1_000_000 + number_or(moment.utc_offset_s)) % 86_400.0
    angle = 2.0 * np.pi / 86_400.0 * day_s
    active = (number_or(moment.active) > 0.5).astype(np.float64)
    return np.column_stack(
        [np.ones(len(active)), active]
        + [wave(order * angle) for order in (1.0, 2.0) for wave in (np.cos, np.sin)]
    )


def _scaled(values: Floats) -> Floats:
    """Values on the scale on which they scatter evenly; NaN where that is impossible."""
    out = np.where(np.isfinite(values), values, np.nan)
    logarithmic = np.log(np.where(out > 0, out, np.nan))
    return np.where(POPULATION.logarithmic, logarithmic, out)


def _unscaled(centre: Floats) -> Floats:
    """Back to the feature's unit and into its range."""
    power = np.exp(np.clip(np.where(POPULATION.logarithmic, centre, 0.0), -20.0, 20.0))
    plain = np.where(POPULATION.logarithmic, power, centre)
    return np.clip(plain, POPULATION.lo, POPULATION.hi)


def _full(packed: Floats) -> Floats:
    """Symmetric `(B, F, 6, 6)` from the upper half."""
    out = np.empty((*packed.shape[:2], N_COEFFICIENTS, N_COEFFICIENTS))
    out[:, :, _UPPER[0], _UPPER[1]] = packed
    out[:, :, _UPPER[1], _UPPER[0]] = packed
    return out


def _times(matrix: Floats, vector: Floats) -> Floats:
    """`(B, F, 6)` product of symmetric matrices with one vector per row, term by term."""
    out = matrix[:, :, :, 0] * vector[:, None, None, 0]
    for i in range(1, N_COEFFICIENTS):
        out += matrix[:, :, :, i] * vector[:, None, None, i]
    return out


def _dot(a: Floats, b: Floats) -> Floats:
    """`(B, F)` sums of products over the coefficients, term by term."""
    out = a[:, :, 0] * b[:, :, 0]
    for i in range(1, N_COEFFICIENTS):
        out = out + a[:, :, i] * b[:, :, i]
    return np.asarray(out, np.float64)
