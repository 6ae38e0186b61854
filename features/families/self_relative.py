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
from features.families.turns import turns_of
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
_LENGTHS: Final = ("60s", "300s")
_HERE: Final = {name: np.array([own == name for own in _WINDOW_OF]) for name in _LENGTHS}
_NAMES: Final = {name: frozenset(f.name for f in CATALOG if name in f.windows) for name in _LENGTHS}
_OK, _GAP = np.uint8(FeatureReason.OK), np.uint8(FeatureReason.GAP)
_NO_SIGNAL: Final = np.uint8(FeatureReason.NO_SIGNAL)


class Care(NamedTuple):
    """What is known of a patient besides signals, as known at the window's decision."""

    alerted: bool  # an alert on the patient's state is open: nothing is learnt meanwhile
    facts: NDArray[np.float64]  # (C,) values of the clinical concepts, NaN = none
    facts_us: NDArray[np.int64]  # (C,) when they were true


def relative(
    rows: Sequence[Row], batch: FeatureBatch, care: Sequence[Care], at: tuple[Ints, Ints]
) -> tuple[Columns, Columns]:
    """Baselines of features, and what movement and pressure say of the heart rate.

    Parameters
    ----------
    rows : sequence of Row
        Those of one patient in their order: each is judged by what those before it taught.
    batch : FeatureBatch
        Features of these rows.
    care : sequence of Care
        Of each row.
    at : two arrays of int
        Which rows are windows of 60 s, which of 300 s.

    Returns
    -------
    two of Columns
        Of the ones and of the others.
    """
    minutes = _asked(rows, batch, care, at[0], "60s")
    fives = _asked(rows, batch, care, at[1], "300s")
    bpm, quality = _heart_rate(batch, minutes.at)
    movement = batch.value[minutes.at, INDEX["acc_mad_mg"]]
    rest = np.full(minutes.at.size, np.nan)
    turns = turns_of(rows)
    turn_of = np.zeros(len(rows), np.intp)
    for number, turn in enumerate(turns):
        turn_of[turn] = number
    for number in range(len(turns)):
        now = np.flatnonzero(turn_of[minutes.at] == number)
        _judge(minutes, now)
        rest[now] = _unexplained(minutes, now, (bpm, quality, movement))
        _judge(fives, np.flatnonzero(turn_of[fives.at] == number))
    made = _deviations(minutes) | _of_the_heart(batch, minutes, (bpm, quality, rest))
    return made, _deviations(fives)


class _Asked(NamedTuple):
    """Windows of one length: what they hold, and what becomes known of them."""

    window: str
    at: Ints  # (n,) rows of the batch
    people: list[Personal]
    values: Floats  # (n, F) of the tracked features; NaN for those of another window length
    reason: NDArray[np.uint8]
    ok: Bools
    moment: baseline.Moment
    care: list[Care]
    deviation: baseline.Deviation  # filled turn by turn


def _asked(
    rows: Sequence[Row], batch: FeatureBatch, care: Sequence[Care], at: Ints, window: str
) -> _Asked:
    own = [care[i] for i in at.tolist()]
    place = at[:, None], _TRACKED
    active = batch.value[at, INDEX["acc_mad_mg"]] > MOVING_MAD_MG
    moment = baseline.Moment(
        np.array([rows[i][1].end_us for i in at.tolist()], np.int64),
        np.zeros(at.size),
        active.astype(np.float64),
        np.array([one.alerted for one in own], np.bool_),
    )
    fields = len(baseline.Deviation._fields)
    return _Asked(
        window,
        at,
        [rows[i][0].personal for i in at.tolist()],
        np.where(_HERE[window], batch.value[place], np.nan),
        batch.reason[place],
        batch.quality[place] >= _LEAST_QUALITY,
        moment,
        own,
        baseline.Deviation(*np.full((fields, at.size, _TRACKED.size), np.nan)),
    )


def _judge(asked: _Asked, now: Ints) -> None:
    """Deviation of some windows, of different patients; their baselines move on."""
    if not now.size:
        return
    people = [asked.people[i] for i in now.tolist()]
    state = gathered(people, "baseline", baseline.fresh)
    whole = asked.moment
    moment = baseline.Moment(
        whole.end_us[now], whole.utc_offset_s[now], whole.active[now], whole.frozen[now]
    )
    state, found = baseline.update(state, asked.values[now], moment, asked.ok[now])
    scattered(people, "baseline", state)
    for all_of_it, own in zip(asked.deviation, found, strict=True):
        all_of_it[now] = own


def _deviations(asked: _Asked) -> Columns:
    """What the windows say against the baselines."""
    if not asked.at.size:
        return {}
    names = _NAMES[asked.window]
    made = baseline.baseline_columns(asked.deviation, asked.values, asked.reason, names)
    for name in _TREND_ONLY:
        if name in names:
            young = (made[name].reason == _OK) & (made[name].quality < _LEAST_PERSONAL)
            made[name].reason[young] = FeatureReason.TOO_SHORT
    return {name: one for name, one in made.items() if name in names}


def _of_the_heart(
    batch: FeatureBatch, minutes: _Asked, heart: tuple[Floats, Floats, Floats]
) -> Columns:
    """Heart rate by pressure, by steps, and beyond what movement explains."""
    (bpm, quality, rest), at = heart, minutes.at
    if not at.size:
        return {}
    sbp = np.array([one.facts[CONCEPT["sbp"]] for one in minutes.care])
    sbp_us = np.array([one.facts_us[CONCEPT["sbp"]] for one in minutes.care])
    age_s = (minutes.moment.end_us - sbp_us) / 1e6
    known = ~np.isnan(rest)
    made = {
        "shock_index": derived.shock_index(bpm, quality, sbp, age_s),
        "hros": derived.heart_over_steps(bpm, batch.value[at, INDEX["acc_steps"]], 1.0, quality),
        "hr_unexplained_bpm": Column(
            rest,
            quality,
            known.astype(np.float64),
            known.astype(np.int64),
            np.where(known, _OK, _GAP),
        ),
    }
    return {name: _known(one, bpm) for name, one in made.items()}


def deficit(batch: FeatureBatch, at: Ints) -> Columns:
    """Pulse rate less heart rate."""
    pulse, heart = (
        Column(*(np.asarray(part[at, INDEX[name]]) for part in batch[1:]))
        for name in ("ppg_pulse_rate_bpm", "ecg_hr_bpm")
    )
    return {"ppg_pr_minus_hr_bpm": deficit_column(pulse, heart)}


def _heart_rate(batch: FeatureBatch, at: Ints) -> tuple[Floats, Floats]:
    """The surest heart rate of each row and its quality; NaN and 0 without any."""
    bpm, quality = np.full(at.size, np.nan), np.zeros(at.size)
    for name in reversed(_HEART_RATES):
        value = batch.value[at, INDEX[name]]
        known = ~np.isnan(value)
        bpm = np.where(known, value, bpm)
        quality = np.where(known, batch.quality[at, INDEX[name]], quality)
    return bpm, quality


def _unexplained(minutes: _Asked, now: Ints, heart: tuple[Floats, Floats, Floats]) -> Floats:
    """Heart rate that movement does not explain, of windows of different patients."""
    if not now.size:
        return np.empty(0)
    bpm, quality, movement = (part[now] for part in heart)
    people = [minutes.people[i] for i in now.tolist()]
    state = gathered(people, "motion_heart", derived.fresh)
    learn = (quality >= _LEAST_QUALITY) & ~minutes.moment.frozen[now]
    end_us = minutes.moment.end_us[now]
    state, rest, _ = derived.unexplained(state, bpm, movement, end_us, learn)
    scattered(people, "motion_heart", state)
    return rest


def _known(column: Column, bpm: Floats) -> Column:
    """Without a heart rate or its partner there is no such signal, rather than a gap in it."""
    absent = (column.reason == _GAP) | np.isnan(bpm)
    return column._replace(reason=np.where(absent, _NO_SIGNAL, column.reason))
