"""Hours and days, added up from what each 300-s window left behind.

A row of history holds everything an hour needs, an hour's vector everything a day needs; beats
are not kept. Not here: which rows belong to an hour, which hours to a day.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.variability.fractal import LONG_BOXES, Fluctuations, exponent
from features.variability.rows import Floats, ratio
from features.variability.turbulence import FOLLOWED, Turbulence

_TACHOGRAM: Final = tuple(f"after_pvc_{k + 1}_ms" for k in range(FOLLOWED))
_SQUARES: Final = tuple(f"dfa_{size}_ms2" for size in LONG_BOXES)

# One 300-s window. What a refused window could not say is 0, its mean NaN.
HISTORY_COLUMNS: Final[tuple[str, ...]] = (
    "clock_h",  # middle of the window, hours since midnight UTC
    "reason",  # FeatureReason of the window's time domain
    "quality",
    "covered_ms",  # in NN intervals
    "n",  # NN intervals
    "mean_ms",
    "squares_ms2",  # squared deviations from that mean, summed
    "n_steps",  # differences of adjacent NN
    "step_squares_ms2",
    "n_steps_over_50",
    "n_found",  # intervals as found, and of those
    "n_ectopic",
    "n_artefacts",
    "n_pvc",
    "onset_pct",  # turbulence onsets, summed
    *_TACHOGRAM,  # summed
    "dfa_intervals",  # of the longest gap-free run
    *_SQUARES,  # its squared residuals by box size
)
# One hour.
HOUR_COLUMNS: Final[tuple[str, ...]] = (
    "clock_h",
    "reason",
    "quality",
    "covered_ms",
    "hr_bpm",  # median of the windows' rates
    "n",
    "mean_ms",
    "squares_ms2",
    "n_windows",
    "window_mean_ms",  # mean of the windows' means
    "window_squares_ms2",  # their squared deviations from it, summed
    "window_sdnn_ms",  # the windows' SDNN, summed
    "n_pvc",
    "onset_pct",
    *_TACHOGRAM,
)
_AT: Final = {name: k for k, name in enumerate(HISTORY_COLUMNS)}
_HOUR_AT: Final = {name: k for k, name in enumerate(HOUR_COLUMNS)}


class Pooled(NamedTuple):
    """Several groups of values as one; (n_rows,) each."""

    n: Floats
    mean: Floats  # NaN without values
    squares: Floats  # squared deviations from the mean, summed


def pooled(n: Floats, mean: Floats, squares: Floats) -> Pooled:
    """Count, mean and squared deviations of groups put together.

    Parameters
    ----------
    n, mean, squares : (n_rows, n_groups) float64
        Of each group; what an empty one says is ignored.

    Notes
    -----
    Source: Chan, Golub and LeVeque (1983), Am Stat 37:242.
    """
    filled = n > 0
    n, mean = np.where(filled, n, 0.0), np.where(filled, mean, 0.0)
    total = n.sum(axis=1)
    middle = ratio((n * mean).sum(axis=1), total)
    around = np.where(filled, squares + n * (mean - middle[:, None]) ** 2, 0.0)
    return Pooled(total, middle, around.sum(axis=1))


def spread(group: Pooled) -> Floats:
    """Standard deviation, ddof 1; NaN for fewer than two values."""
    return np.asarray(np.sqrt(ratio(group.squares, group.n - 1.0)), np.float64)


def hour_values(history: Floats) -> dict[str, Floats]:
    """Features of hours by catalogue name.

    Parameters
    ----------
    history : (B, n_windows, K) float64
        Consecutive 300-s windows that do not overlap, as `HISTORY_COLUMNS`; NaN rows: none.

    Returns
    -------
    dict of str to (B,) float64
        Exactly what the NN intervals of all windows together give, but for two things: no
        difference joins two windows, and the boxes of the fluctuation analysis lie in the
        longest gap-free run of each window.
    """
    column = {name: _column(history, k) for name, k in _AT.items()}
    level = pooled(column["n"], column["mean_ms"], column["squares_ms2"])
    n_steps = column["n_steps"].sum(axis=1)
    found = column["n_found"].sum(axis=1)
    length = column["dfa_intervals"]
    boxes = [(size * (length // size)).sum(axis=1) for size in LONG_BOXES]
    squares = [column[name].sum(axis=1) for name in _SQUARES]
    long_range = Fluctuations(np.stack(squares, axis=1), np.stack(boxes, axis=1))
    return {
        "ecg_hr_bpm": 60000.0 / level.mean,
        "ecg_nn_mean_ms": level.mean,
        "ecg_sdnn_ms": spread(level),
        "ecg_rmssd_ms": np.sqrt(ratio(column["step_squares_ms2"].sum(axis=1), n_steps)),
        "ecg_pnn50_pct": 100.0 * ratio(column["n_steps_over_50"].sum(axis=1), n_steps),
        "ecg_dfa_a2": exponent(long_range, LONG_BOXES),
        "ecg_ectopic_pct": 100.0 * ratio(column["n_ectopic"].sum(axis=1), found),
        "ecg_artefact_pct": 100.0 * ratio(column["n_artefacts"].sum(axis=1), found),
    }


def hour_vectors(history: Floats) -> Floats:
    """(B, K2): what a day needs of each hour, as `HOUR_COLUMNS`; a row of NaN for an empty one."""
    column = {name: _column(history, k) for name, k in _AT.items()}
    level = pooled(column["n"], column["mean_ms"], column["squares_ms2"])
    used = (column["n"] > 1).astype(np.float64)
    means = pooled(used, column["mean_ms"], np.zeros(used.shape))
    sdnn = np.sqrt(column["squares_ms2"] / np.maximum(column["n"] - 1.0, 1.0)) * used
    rates = np.where(used > 0, 60000.0 / np.where(used > 0, column["mean_ms"], 1.0), np.nan)
    covered = column["covered_ms"].sum(axis=1)
    tachogram = [column[name].sum(axis=1) for name in _TACHOGRAM]
    vector = np.stack(
        [
            _middle_h(history[:, :, _AT["clock_h"]]),
            commonest(history[:, :, _AT["reason"]]),
            ratio((column["quality"] * column["covered_ms"]).sum(axis=1), covered),
            covered,
            _medians(rates),
            *level,
            *means,
            sdnn.sum(axis=1),
            column["n_pvc"].sum(axis=1),
            column["onset_pct"].sum(axis=1),
            *tachogram,
        ],
        axis=1,
    )
    vector[np.isnan(history[:, :, _AT["clock_h"]]).all(axis=1)] = np.nan
    return vector


def day_values(hours: Floats) -> tuple[dict[str, Floats], Turbulence, Floats, Floats]:
    """SDNN, SDANN and SDNN index of days; turbulence sums; hourly rates and their clock times.

    Parameters
    ----------
    hours : (B, n_hours, K2) float64
        As `HOUR_COLUMNS`; NaN rows: none.
    """
    column = {name: _column(hours, k) for name, k in _HOUR_AT.items()}
    level = pooled(column["n"], column["mean_ms"], column["squares_ms2"])
    means = pooled(column["n_windows"], column["window_mean_ms"], column["window_squares_ms2"])
    values = {
        "ecg_sdnn_ms": spread(level),
        "ecg_sdann_ms": spread(means),
        "ecg_sdnni_ms": ratio(column["window_sdnn_ms"].sum(axis=1), means.n),
    }
    tachogram = np.stack([column[name].sum(axis=1) for name in _TACHOGRAM], axis=1)
    after_pvc = Turbulence(column["n_pvc"].sum(axis=1), column["onset_pct"].sum(axis=1), tachogram)
    return values, after_pvc, hours[:, :, _HOUR_AT["hr_bpm"]], hours[:, :, _HOUR_AT["clock_h"]]


def commonest(reason: Floats) -> Floats:
    """The reason that most windows of each row give for being refused; 0 if none was."""
    n_rows = reason.shape[0]
    codes = np.where(np.isfinite(reason), reason, 0.0).astype(np.int64)
    kinds = int(codes.max(initial=0)) + 1
    count = np.zeros((n_rows, kinds))
    np.add.at(count, (np.arange(n_rows)[:, None], codes), 1.0)
    count[:, 0] = 0.5  # one refused window is enough to name its reason
    return np.asarray(count.argmax(axis=1), np.float64)


def _column(table: Floats, k: int) -> Floats:
    """(B, n) column k, what is missing 0."""
    return np.ascontiguousarray(np.nan_to_num(table[:, :, k], nan=0.0))


def _medians(values: Floats) -> Floats:
    """Median of what is known in each row; NaN where nothing is."""
    ordered = np.sort(values, axis=1)  # NaN last
    n = np.count_nonzero(np.isfinite(values), axis=1)
    row, last = np.arange(n.size), np.maximum(n - 1, 0)
    low, high = ordered[row, last // 2], ordered[row, (last + 1) // 2]
    return np.where(n > 0, low + (high - low) / 2.0, np.nan)


def _middle_h(clock_h: Floats) -> Floats:
    """Mean clock time of each row, over midnight if need be; NaN for an empty row."""
    known = np.isfinite(clock_h)
    at = known.argmax(axis=1)
    first = clock_h[np.arange(at.size), at]
    since = np.where(known, (clock_h - first[:, None] + 12.0) % 24.0 - 12.0, 0.0)
    middle = first + ratio(since.sum(axis=1), known.sum(axis=1).astype(np.float64))
    return np.asarray(middle % 24.0)
