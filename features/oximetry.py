"""Oxygen saturation: level, time below limits, desaturations, trend.

A segment leaves one value a second; windows are dense `(B, seconds)` arrays of them, an hour is
twelve rows of additive numbers. Not here: the oximeter's pulse rate.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from features.column import Column
from features.intervals import Bools, Floats
from features.runs import is_rate
from features.segment_rows import (
    LEAST_COVERAGE,
    columns,
    divided,
    row_extreme,
    row_mean,
    row_median,
    row_slope,
    row_total,
)

# Below it an oximeter is off the finger, not on a living patient's; above 100 there is nothing.
LOWEST_PCT: Final = 50.0
HIGHEST_PCT: Final = 100.0
SEGMENT_S: Final = 10
SPOT_S: Final = 10  # a single measurement of a slow device stands for this long
_MEDIAN_S: Final = 3  # one odd second in three is taken away
_BLOCK_S: Final = 12  # of the delta index and of what counts as the level before a fall
_BASELINE_S: Final = 120
_RECOVERED_PCT: Final = 1.0  # this near to the level before, a desaturation is over
_LONGEST_EVENT_S: Final = 120  # by then the level before is forgotten
DEPTHS_PCT: Final = (3.0, 4.0)
# What a row of 300 s must see before its start: a baseline, and an event that may still go on.
LEAD_S: Final = _BASELINE_S + _LONGEST_EVENT_S
ROW_S: Final = 300
# Numbers of such a row.
ROW_NUMBERS: Final = (
    "valid_s",
    "sum_pct",
    "min_pct",
    "t90_s",
    "t88_s",
    "falls_3",
    "falls_4",
    "sum_delta_pct",
    "n_delta",
    "watched_s",  # seconds with a baseline, in which a desaturation could be seen
)


def seconds_of(x: Floats, fs_hz: float) -> Floats:
    """One value a second of each 10 s segment.

    Parameters
    ----------
    x : (B, n) float64
        The cores of B segments in percent; NaN is a gap.
    fs_hz : float
        At 1 Hz a second is its sample, above it the median of its samples; below 1 Hz a sample
        stands for the seconds until the next is due.

    Returns
    -------
    (B, 10) float64
        Percent; NaN where nothing valid was measured. Values below 50 or above 100 % are none.
    """
    out = np.full((x.shape[0], SEGMENT_S), np.nan)
    n = x.shape[1]
    if n == 0 or not is_rate(fs_hz):
        return out
    valid = np.where((x >= LOWEST_PCT) & (x <= HIGHEST_PCT), x, np.nan)
    border = np.arange(SEGMENT_S + 1) * fs_hz
    start = np.ceil(border[:-1] - 1e-9).astype(np.intp)
    stop = np.ceil(border[1:] - 1e-9).astype(np.intp)
    for second in range(SEGMENT_S):
        own = slice(start[second], min(stop[second], n))
        if own.stop > own.start:
            part = valid[:, own]
            out[:, second] = part[:, 0] if part.shape[1] == 1 else row_median(part)
        elif start[second] <= n:  # no sample in this second: the last one still stands
            out[:, second] = valid[:, min(max(start[second] - 1, 0), n - 1)]
    return out


def smoothed(seconds: Floats) -> Floats:
    """Median of each second and the two before it; NaN where the second itself is missing."""
    padded = np.full((seconds.shape[0], seconds.shape[1] + _MEDIAN_S - 1), np.nan)
    padded[:, _MEDIAN_S - 1 :] = seconds
    now, before, first = padded[:, 2:], padded[:, 1:-1], padded[:, :-2]
    low, high = np.fmin(before, now), np.fmax(before, now)
    # Median of three is max(low, min(high, third)); of two their mean; of one itself.
    three = np.maximum(low, np.minimum(high, first))
    two = np.where(np.isnan(before), first, before)
    pair = np.where(np.isnan(two), now, (now + two) / 2.0)
    return np.where(np.isnan(now), np.nan, np.where(np.isnan(before + first), pair, three))


def level_columns(seconds: Floats, length_s: int, quality: Floats) -> dict[str, Column]:
    """Saturation over windows of 60 s or more, by catalogue name.

    Parameters
    ----------
    seconds : (B, lead + length_s) float64
        One value a second; two seconds of lead are enough, without them the first two are
        smoothed over fewer.
    length_s : int
    quality : (B,) float64

    Returns
    -------
    dict of str to Column
        `spo2_mean_pct`, `spo2_min_pct`, `spo2_t90_s`, `spo2_t88_s` (seconds strictly below 90
        and 88 %) of the smoothed values. Ten seconds are enough for the first two, as some
        devices measure once a minute; the others need half of the window.
    """
    window = np.ascontiguousarray(smoothed(seconds)[:, seconds.shape[1] - length_s :])
    n = (~np.isnan(window)).sum(axis=1)
    known = np.where(n > 0, 0.0, np.nan)
    values = {
        "spo2_mean_pct": row_mean(window),
        "spo2_min_pct": row_extreme(window, largest=False),
        "spo2_t90_s": (window < 90.0).sum(axis=1) + known,
        "spo2_t88_s": (window < 88.0).sum(axis=1) + known,
    }
    made: dict[str, Column] = {}
    for least, own in (
        (SPOT_S / length_s, ("mean_pct", "min_pct")),
        (LEAST_COVERAGE, ("t90_s", "t88_s")),
    ):
        some = {f"spo2_{name}": values[f"spo2_{name}"] for name in own}
        made |= columns(some, quality, n / length_s, n, least)
    return made


def saturation_row(seconds: Floats) -> Floats:
    """Numbers of 300 s that add up over an hour.

    Parameters
    ----------
    seconds : (B, 240 + 300) float64
        One value a second, 240 of them before the row begins; NaN where missing.

    Returns
    -------
    (B, 10) float64
        In the order of `ROW_NUMBERS`; the minimum is NaN without a value.

    Notes
    -----
    A desaturation begins where the smoothed value is 3 (4) points or more below the level before,
    the highest 12 s mean that ended within the last 120 s. It ends within 1 point of that level,
    in a gap, or after 120 s; until then no other begins. Windows count beginnings inside them, so
    that twelve rows count each once.
    Checked against: ``tests/features/test_oximetry.py``.
    """
    smooth = smoothed(seconds)
    window = np.ascontiguousarray(smooth[:, LEAD_S:])
    known = ~np.isnan(window)
    blocks = _block_means(smooth)
    delta = np.abs(np.diff(blocks, axis=1))[:, LEAD_S // _BLOCK_S - 1 :]
    before = _levels(blocks)
    fall = np.repeat(before, _BLOCK_S, axis=1) - smooth
    counted = [_begun(fall, depth)[:, LEAD_S:].sum(axis=1) for depth in DEPTHS_PCT]
    watched = (~np.isnan(fall[:, LEAD_S:])).sum(axis=1)
    return np.column_stack(
        [
            known.sum(axis=1),
            row_total(window),
            row_extreme(window, largest=False),
            (window < 90.0).sum(axis=1),
            (window < 88.0).sum(axis=1),
            *counted,
            row_total(delta),
            (~np.isnan(delta)).sum(axis=1),
            watched,
        ]
    ).astype(np.float64)


def hour_columns(rows: Floats, quality: Floats) -> dict[str, Column]:
    """Saturation over the last hour by catalogue name.

    Parameters
    ----------
    rows : (B, 12, 10) float64
        `saturation_row` of twelve successive 300 s; NaN for missing ones.
    quality : (B,) float64

    Returns
    -------
    dict of str to Column
        `spo2_odi3_per_h`, `spo2_odi4_per_h`: desaturations per hour of valid, watched time.
        `spo2_delta_index_pct`: mean absolute difference of successive 12 s means (Pépin et al.
        1991, Chest 99:810). `spo2_slope_pct_per_h`: least squares over the rows' means. And
        `spo2_mean_pct`, `spo2_min_pct`, `spo2_t90_s`, `spo2_t88_s`. Half of the hour.
    """
    part = {name: rows[:, :, i] for i, name in enumerate(ROW_NUMBERS)}
    total = {name: row_total(value) for name, value in part.items()}
    valid_s = total["valid_s"]
    watched_h = total["watched_s"] / 3600.0
    middle_h = (np.arange(rows.shape[1], dtype=np.float64) + 0.5) * (ROW_S / 3600.0)
    seen = np.where(valid_s > 0, 0.0, np.nan)
    values = {
        "spo2_mean_pct": divided(total["sum_pct"], valid_s),
        "spo2_min_pct": row_extreme(part["min_pct"], largest=False),
        "spo2_t90_s": total["t90_s"] + seen,
        "spo2_t88_s": total["t88_s"] + seen,
        "spo2_odi3_per_h": divided(total["falls_3"], watched_h),
        "spo2_odi4_per_h": divided(total["falls_4"], watched_h),
        "spo2_delta_index_pct": divided(total["sum_delta_pct"], total["n_delta"]),
        "spo2_slope_pct_per_h": row_slope(middle_h, divided(part["sum_pct"], part["valid_s"])),
    }
    coverage = valid_s / (ROW_S * max(rows.shape[1], 1))
    watched = total["watched_s"] / (ROW_S * max(rows.shape[1], 1))
    falls = {name: value for name, value in values.items() if "odi" in name}
    made = columns(values, quality, coverage, valid_s)
    return made | columns(falls, quality, watched, valid_s)


def _block_means(smooth: Floats) -> Floats:
    """`(B, seconds / 12)` means; NaN with less than half of a block."""
    n_rows, n_blocks = smooth.shape[0], smooth.shape[1] // _BLOCK_S
    blocks = smooth[:, : n_blocks * _BLOCK_S].reshape(-1, _BLOCK_S)
    enough = (~np.isnan(blocks)).sum(axis=1) >= _BLOCK_S // 2
    return np.where(enough, row_mean(blocks), np.nan).reshape(n_rows, n_blocks)


def _levels(blocks: Floats) -> Floats:
    """Highest mean of the ten blocks before each; NaN where none is known."""
    n_before = _BASELINE_S // _BLOCK_S
    padded = np.full((blocks.shape[0], blocks.shape[1] + n_before), np.nan)
    padded[:, n_before:] = blocks
    level = padded[:, : blocks.shape[1]].copy()
    for i in range(1, n_before):
        np.fmax(level, padded[:, i : i + blocks.shape[1]], out=level)
    return level


def _begun(fall: Floats, depth: float) -> Bools:
    """Seconds in which a desaturation of this depth begins, `(B, seconds)`."""
    out = np.zeros(fall.shape, np.bool_)
    deep = fall >= depth
    candidates = np.flatnonzero(deep.any(axis=1))  # most people never desaturate
    if candidates.size == 0:
        return out
    deep, fall = deep[candidates].T.copy(), fall[candidates].T.copy()
    since = np.zeros(candidates.size, np.int64)
    begun = np.zeros(deep.shape, np.bool_)
    for second in range(deep.shape[0]):
        inside = since > 0
        over = inside & ((fall[second] < _RECOVERED_PCT) | np.isnan(fall[second]))
        over |= inside & (since >= _LONGEST_EVENT_S)
        starts = deep[second] & ~inside
        begun[second] = starts
        since = np.where(starts, 1, np.where(inside & ~over, since + 1, 0))
    out[candidates] = begun.T
    return out
