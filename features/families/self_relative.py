"""What a value means for this patient: personal baseline, movement, pressure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features import baseline, derived
from features.align import FeatureBatch
from features.catalog import CATALOG, INDEX
from features.column import Column
from features.concepts import INDEX as CONCEPT
from features.electrodermal import MOVING_MAD_MG
from features.families.table import Columns, Row
from features.feature import FeatureReason
from features.intervals import Bools, Floats, Ints
from features.personal import Personal, gathered, scattered
from features.population import TRACKED, USUAL
from features.ppg.windows import deficit_column

# The surest heart rate first; the same order as rule scores use.
_HEART_RATES: Final = ("ecg_hr_bpm", "ppg_pulse_rate_bpm", "hr_mean_bpm", "pulse_mean_bpm")
_LEAST_QUALITY: Final = 0.5  # of a value that a baseline may learn from
# Devices add delays of their own to the pulse's arrival: a person's trend, no population's value.
_TREND_ONLY: Final = tuple(f.name for f in CATALOG if f.id.startswith("baseline.ppg_pat."))
_LEAST_PERSONAL: Final = 0.5
_TRACKED: Final = np.array([INDEX[name] for name in TRACKED])
# The window whose value the baseline follows: that of the feature's own deviation.
_WINDOW_OF: Final = [CATALOG[INDEX[f"{usual.stem}_z"]].windows[0] for usual in USUAL]


class Care(NamedTuple):
    """What is known of a patient besides signals, as known at the window's decision."""

    alerted: bool  # an alert on the patient's state is open: nothing is learnt meanwhile
    facts: NDArray[np.float64]  # (C,) values of the clinical concepts, NaN = none
    facts_us: NDArray[np.int64]  # (C,) when they were true


def minute(rows: Sequence[Row], batch: FeatureBatch, at: Ints, care: Sequence[Care]) -> Columns:
    """Baselines of 60-s features, and what movement and pressure say of the heart rate."""
    own = [care[i] for i in at.tolist()]
    people = [memory.personal for memory, _ in rows]
    end_us = np.array([window.end_us for _, window in rows], np.int64)
    bpm, quality = _heart_rate(batch, at)
    alerted = np.array([one.alerted for one in own], np.bool_)
    made = _self_relative(people, batch, at, (end_us, alerted, "60s"))
    sbp = np.array([one.facts[CONCEPT["sbp"]] for one in own])
    sbp_us = np.array([one.facts_us[CONCEPT["sbp"]] for one in own])
    made["shock_index"] = derived.shock_index(bpm, quality, sbp, (end_us - sbp_us) / 1e6)
    steps = batch.value[at, INDEX["acc_steps"]]
    made["hros"] = derived.heart_over_steps(bpm, steps, 1.0, quality)
    made["hr_unexplained_bpm"] = _unexplained(people, batch, at, (bpm, quality, end_us, alerted))
    for name in ("shock_index", "hros", "hr_unexplained_bpm"):
        made[name] = _known(made[name], bpm)
    return made


def five(rows: Sequence[Row], batch: FeatureBatch, at: Ints, care: Sequence[Care]) -> Columns:
    """Baselines of 300-s features."""
    people = [memory.personal for memory, _ in rows]
    end_us = np.array([window.end_us for _, window in rows], np.int64)
    alerted = np.array([care[i].alerted for i in at.tolist()], np.bool_)
    return _self_relative(people, batch, at, (end_us, alerted, "300s"))


def deficit(batch: FeatureBatch, at: Ints) -> Columns:
    """Pulse rate less heart rate."""
    pulse, heart = (
        Column(*(np.asarray(part[at, INDEX[name]]) for part in batch[1:]))
        for name in ("ppg_pulse_rate_bpm", "ecg_hr_bpm")
    )
    return {"ppg_pr_minus_hr_bpm": deficit_column(pulse, heart)}


def _self_relative(
    people: Sequence[Personal], batch: FeatureBatch, at: Ints, when: tuple[Ints, Bools, str]
) -> Columns:
    """Deviation of the tracked features of one window length; the others keep their state."""
    end_us, alerted, window = when
    here = np.array([own == window for own in _WINDOW_OF])
    values = np.where(here, batch.value[np.ix_(at, _TRACKED)], np.nan)
    reason = batch.reason[np.ix_(at, _TRACKED)]
    ok = batch.quality[np.ix_(at, _TRACKED)] >= _LEAST_QUALITY
    active = batch.value[at, INDEX["acc_mad_mg"]] > MOVING_MAD_MG
    moment = baseline.Moment(end_us, np.zeros(at.size), active.astype(np.float64), alerted)
    state = gathered(people, "baseline", baseline.fresh)
    state, deviation = baseline.update(state, values, moment, ok)
    scattered(people, "baseline", state)
    made = baseline.baseline_columns(deviation, values, reason)
    for name in _TREND_ONLY:
        young = (made[name].reason == FeatureReason.OK) & (made[name].quality < _LEAST_PERSONAL)
        made[name].reason[young] = FeatureReason.TOO_SHORT
    return {name: own for name, own in made.items() if window in CATALOG[INDEX[name]].windows}


def _heart_rate(batch: FeatureBatch, at: Ints) -> tuple[Floats, Floats]:
    """The surest heart rate of each row and its quality; NaN and 0 without any."""
    bpm, quality = np.full(at.size, np.nan), np.zeros(at.size)
    for name in reversed(_HEART_RATES):
        value = batch.value[at, INDEX[name]]
        known = ~np.isnan(value)
        bpm = np.where(known, value, bpm)
        quality = np.where(known, batch.quality[at, INDEX[name]], quality)
    return bpm, quality


def _unexplained(
    people: Sequence[Personal],
    batch: FeatureBatch,
    at: Ints,
    heart: tuple[Floats, Floats, Ints, Bools],
) -> Column:
    """Heart rate that movement does not explain."""
    bpm, quality, end_us, alerted = heart
    movement = batch.value[at, INDEX["acc_mad_mg"]]
    state = gathered(people, "motion_heart", derived.fresh)
    learn = (quality >= _LEAST_QUALITY) & ~alerted
    state, rest, _ = derived.unexplained(state, bpm, movement, end_us, learn)
    scattered(people, "motion_heart", state)
    known = ~np.isnan(rest)
    return Column(
        rest,
        quality,
        known.astype(np.float64),
        known.astype(np.int64),
        np.where(known, FeatureReason.OK, FeatureReason.GAP).astype(np.uint8),
    )


def _known(column: Column, bpm: Floats) -> Column:
    """Without a heart rate or its partner there is no such signal, rather than a gap in it."""
    absent = (column.reason == FeatureReason.GAP) | np.isnan(bpm)
    reason = np.where(absent, FeatureReason.NO_SIGNAL, column.reason)
    return column._replace(reason=reason.astype(np.uint8))
