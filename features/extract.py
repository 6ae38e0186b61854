"""Windows over primitives become rows of features: every row of a batch at once.

Not here: analysing samples (`features.analyse`), storing primitives (`features.rings`), joining
clinical events (`features.align`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from features.align import FeatureBatch
from features.beat_windows import (
    LEAST_COVERAGE,
    Column,
    hrv_columns,
    intervals_in,
    rate_column,
)
from features.beats import ECG_REFRACTORY_S, PPG_REFRACTORY_S
from features.catalog import CATALOG, INDEX, FeatureReason
from features.gather import (
    Request,
    Rows,
    Segments,
    Support,
    events_of,
    lost_to,
    rows_of,
    segments_of,
    support_of,
)
from features.intervals import Floats, Ints, row_sums
from features.movement import AXES, movement_column
from features.respiration import WAVE_HZ, breath_rate
from features.rings import Rings
from streams.segments import SEGMENT_US
from streams.windows import Window

_RATES: Final = {
    "ecg_hr_bpm": ("ecg", round(ECG_REFRACTORY_S * 1e6)),
    "ppg_pulse_rate_bpm": ("ppg", round(PPG_REFRACTORY_S * 1e6)),
}
_MEANS: Final = {feature.name: feature.signal for feature in CATALOG if ".mean/" in feature.id}
_SHORTEST_MEAN_US: Final = 9_999_000  # 10 s, less what rounding of sample times may cost
_WAVE_STEP_US: Final = round(1e6 / WAVE_HZ)
_RANGES: Final = np.array([(feature.lo, feature.hi) for feature in CATALOG], np.float64)

_Row = tuple[Rings, Window]


def extract(rows: Sequence[_Row]) -> FeatureBatch:
    """Every catalogue feature of every window.

    Parameters
    ----------
    rows : sequence of (Rings, Window), length B
        The patient's primitives and the window. Rings may occur many times.

    Returns
    -------
    FeatureBatch
        [B, F]. A row depends on its own rings and window only, bit for bit, and only on segments
        that end by the window's end. Features of another window length are `OTHER_WINDOW`.

    Notes
    -----
    A segment that failed the quality gate counts as a gap. Never raises for what primitives
    hold; a value outside its declared range is `UNDEFINED`.
    Checked against: ``tests/features/test_extract.py``.

    Examples
    --------
    >>> batch = extract([(Rings(), Window("p", "60s", 0, 60_000_000, 0))])
    >>> FeatureReason(batch.reason[0, INDEX["ecg_hr_bpm"]]).name
    'NO_SIGNAL'
    """
    shape = (len(rows), len(CATALOG))
    batch = FeatureBatch(
        tuple(window for _, window in rows),
        np.full(shape, np.nan),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.int32),
        np.full(shape, FeatureReason.OTHER_WINDOW, np.uint8),
    )
    with np.errstate(all="ignore"):
        for name, families in (("60s", (_rates, _breathing, _means, _movement)), ("300s", (_hrv,))):
            at = np.flatnonzero([window.name == name for _, window in rows])
            chosen = [rows[i] for i in at.tolist()]
            for family in families if chosen else ():
                for feature, column in family(chosen).items():
                    _store(batch, at, INDEX[feature], column)
    return batch


def _store(batch: FeatureBatch, at: Ints, j: int, column: Column) -> None:
    """Write a column into its rows; what is outside its range or no number has no value."""
    low, high = _RANGES[j]
    given = column.reason == FeatureReason.OK
    sound = given & (column.value >= low) & (column.value <= high)
    batch.value[at, j] = np.where(sound, column.value, np.nan)
    batch.quality[at, j] = column.quality
    batch.coverage[at, j] = column.coverage
    batch.n[at, j] = column.n
    batch.reason[at, j] = np.where(given & ~sound, FeatureReason.UNDEFINED, column.reason)


def _look_up(
    rows: Sequence[_Row], signals: Sequence[str], context_us: int = 0
) -> tuple[Rows, Segments, Support]:
    """Segments of each signal in each window: all rows of the first signal, then the second..."""
    asked = [Request(rings, window, signal) for signal in signals for rings, window in rows]
    found = [
        rings.view(signal, window.start_us, window.end_us, context_us)
        for rings, window, signal in asked
    ]
    table, segments = rows_of(asked), segments_of(found)
    return table, segments, support_of(table, segments)


def _split(column: Column, names: Sequence[str]) -> dict[str, Column]:
    """The rows of each name again, in the order of `_look_up`."""
    parts = zip(*(np.split(field, len(names)) for field in column), strict=True)
    return {name: Column(*part) for name, part in zip(names, parts, strict=True)}


def _rates(rows: Sequence[_Row]) -> dict[str, Column]:
    """Heart rate from the ECG and pulse rate from the PPG."""
    table, segments, support = _look_up(rows, [s for s, _ in _RATES.values()], SEGMENT_US)
    refractory_us = np.repeat([us for _, us in _RATES.values()], len(rows))
    intervals = intervals_in(table, segments, refractory_us)
    return _split(rate_column(table, support, intervals), list(_RATES))


def _hrv(rows: Sequence[_Row]) -> dict[str, Column]:
    """Heart rate variability from the ECG."""
    table, segments, support = _look_up(rows, ["ecg"], SEGMENT_US)
    refractory_us = np.full(len(rows), _RATES["ecg_hr_bpm"][1])
    return hrv_columns(table, support, intervals_in(table, segments, refractory_us))


def _breathing(rows: Sequence[_Row]) -> dict[str, Column]:
    """Respiration rate from the chest wave, laid on the window's 4 Hz grid."""
    table, segments, support = _look_up(rows, ["resp"])
    events = events_of(segments)
    length = int((table.end_us - table.start_us).max()) // _WAVE_STEP_US
    wave = np.full((len(rows), length), np.nan)
    since_us = events.times_us - table.start_us[events.row]
    place = (since_us + _WAVE_STEP_US // 2) // _WAVE_STEP_US
    inside = (since_us >= 0) & (place < length) & (events.times_us < table.end_us[events.row])
    wave[events.row[inside], place[inside]] = events.values[inside]
    rate, regular = _breath_rates(wave, table)
    n = np.count_nonzero(~np.isnan(wave), axis=1)
    share = n / np.maximum((table.end_us - table.start_us) // _WAVE_STEP_US, 1)
    reason = lost_to(table, support, share >= LEAST_COVERAGE)
    # A wave without breaths in it: apnoea, or a belt that hangs loose.
    reason[(reason == FeatureReason.OK) & np.isnan(rate)] = FeatureReason.TOO_FEW_BEATS
    quality = np.minimum(regular, support.quality)
    return {"resp_rate_per_min": Column(rate, quality, np.minimum(share, 1.0), n, reason)}


def _breath_rates(wave: Floats, table: Rows) -> tuple[Floats, Floats]:
    """`breath_rate` of rows that hold anything, each at its own window's length."""
    rate, quality = np.full(len(wave), np.nan), np.zeros(len(wave))
    lengths = (table.end_us - table.start_us) // _WAVE_STEP_US
    filled = ~np.isnan(wave).all(axis=1)
    for length in np.unique(lengths[filled]):
        own = np.flatnonzero(filled & (lengths == length))
        rate[own], quality[own] = breath_rate(wave[own, :length], WAVE_HZ)
    return rate, quality


def _means(rows: Sequence[_Row]) -> dict[str, Column]:
    """Means of the numbers a device sends: at least 10 s of valid samples."""
    table, segments, support = _look_up(rows, list(_MEANS.values()))
    events = events_of(segments)
    inside = events.times_us >= table.start_us[events.row]
    inside &= events.times_us < table.end_us[events.row]
    row, n_rows = events.row[inside], table.start_us.size
    n = np.bincount(row, minlength=n_rows)
    total = row_sums(events.values[inside], row, n_rows)
    usable_us = support.usable * (table.end_us - table.start_us)
    reason = lost_to(table, support, (n > 0) & (usable_us >= _SHORTEST_MEAN_US))
    column = Column(total / np.maximum(n, 1), support.quality, support.usable, n, reason)
    return _split(column, list(_MEANS))


def _movement(rows: Sequence[_Row]) -> dict[str, Column]:
    """Movement from the three axes of one device."""
    groups = [rings.axes(AXES, window.start_us, window.end_us) for rings, window in rows]
    known = [
        rows_of([Request(rings, window, axis) for rings, window in rows]).first_us for axis in AXES
    ]
    table = rows_of([Request(rings, window, AXES[0]) for rings, window in rows])
    first_us = np.max(known, axis=0)
    table = table._replace(first_us=first_us, known=first_us < table.end_us)
    return {"acc_enmo_mg": movement_column(table, groups)}
