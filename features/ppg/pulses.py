"""Pulses of the PPG with their fiducial points, at sub-sample positions.

Not here: whether a stretch can be believed (`features.ppg.quality`), intervals and rates.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features import runs
from features.ecg import kernels
from features.ppg.choice import REFRACTORY_S, choose
from features.ppg.flat import mean_of_three, row_quantile, vertex
from features.ppg.likeness import likeness
from features.ppg.rises import Rises, rises
from features.ppg.wave import (
    MAX_FS_HZ,
    MIN_FS_HZ,
    Wave,
    averaged_away,
    gap_free,
    pulse_wave,
    usable_samples,
)
from features.runs import Bools, Floats, Ints
from features.unheard import joined as stretches
from features.unheard import run_beats, unheard

CORE_S: Final = 10.0
CONTEXT_S: Final = 2.0  # what the 0.5 Hz corner needs; see `detect_pulses`
CUT_EDGE_S: Final = 0.25  # filters ring next to a cut
_MOST_HIDDEN: Final = 0.5  # of the usual pulse's height
# A pulse on a baseline that falls faster than it rises is no rise at all. In none of 1,560
# segments of BIDMC and the 2015 challenge is that so for more than a tenth of the time; with a
# swing of five pulses' height in a breath it is a third, and what is left reads 58/min for 75.
_MOST_CARRIED: Final = 0.15  # of the time
_USUAL: Final = 0.6  # quantile of heights that is the usual one, as for `choose`
_MOST_ROWS: Final = 256  # at once: bounds memory


class Pulses(NamedTuple):
    """Pulses of a batch, by row, then position. Rows without pulses are absent."""

    row: Ints
    position: Floats  # of the steepest upslope, samples from the row's first
    onset: Floats  # of the foot before it
    peak: Floats  # of the systolic peak after it
    amplitude: Floats  # peak less onset, of the raw wave in its unit, at least 0
    rise_s: Floats  # from onset to peak
    baseline: Floats  # mean of onset and peak, in the wave's unit: breathing moves it
    likeness: Floats  # 0-1, to the pulses around; NaN without any
    both: Bools  # both detectors see it


class Votes(NamedTuple):
    """What each row's two detectors found, by themselves: (B,) counts of rises."""

    by_slope: Ints
    by_area: Ints
    by_both: Ints


class Found(NamedTuple):
    """Pulses of a batch and how far its detectors agree."""

    pulses: Pulses
    votes: Votes
    usable: Bools  # (B, n_samples) neither gap nor flat
    unheard: Bools  # (B,) a stretch between gaps has hardly a pulse where there must be some
    drowned: Bools  # (B,) what is faster than any pulse hides them, or falls faster than they rise


def detect_pulses(ppg: NDArray[np.generic], fs_hz: float) -> Floats | list[Floats]:
    """Positions of the steepest upslopes of the pulse wave.

    Parameters
    ----------
    ppg : (n_samples,) or (B, n_samples), any numeric type
        Pulse wave, systole upwards, in any unit; NaN or infinite marks a gap.
    fs_hz : float
        Sampling rate, 20 to 5000 Hz. At other rates nothing is found.

    Returns
    -------
    (n_pulses,) float64, or a list of B such arrays
        Samples from the first, ascending, to a fraction of a sample. Empty if there is no pulse.

    Raises
    ------
    ValueError
        If `ppg` has neither one nor two dimensions.

    Notes
    -----
    Analysed as the service does: cores of 10 s with 2 s of context on both sides, each by itself
    (`find`), joined by the refractory time. So a recording has the same pulses live and replayed.
    Two detectors after Elgendi et al. (2013), PLoS One 8:e76585; the steepest upslope is the
    fiducial with the least jitter against the R peak.
    Checked against: ``tests/features/ppg/test_pulses.py``.
    """
    rows = runs.as_rows(ppg)
    found = pulses(rows, fs_hz)
    if np.ndim(ppg) == 1:
        return found.position
    borders = np.searchsorted(found.row, np.arange(len(rows) + 1)).tolist()
    return [found.position[first:last] for first, last in pairwise(borders)]


def pulses(x: Floats, fs_hz: float) -> Pulses:
    """Pulses of recordings of any length, cut into segments.

    Parameters
    ----------
    x : (B, n_samples) float64
        NaN marks a gap.
    fs_hz : float
        Sampling rate.

    Returns
    -------
    Pulses
    """
    if x.size == 0 or not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:
        return none_found()
    n_cores = int(np.ceil(x.shape[1] / (CORE_S * fs_hz) - 1e-9))
    core: Floats = np.arange(n_cores, dtype=np.float64) * CORE_S
    first, last = _sample_at(core - CONTEXT_S, fs_hz), _sample_at(core + CORE_S + CONTEXT_S, fs_hz)
    row, place = (a.ravel() for a in np.indices((len(x), n_cores)))
    found = []
    for length in np.unique(last - first):
        alike = np.flatnonzero((last - first)[place] == length)
        for at in range(0, alike.size, _MOST_ROWS):
            some = alike[at : at + _MOST_ROWS]
            begin = first[place[some]]
            segments = find(_cut(x, row[some], begin, int(length)), fs_hz).pulses
            since = begin[segments.row] - core[place[some]][segments.row] * fs_hz
            in_core = (since + segments.position >= 0) & (
                since + segments.position < CORE_S * fs_hz
            )
            moved = _moved(segments, row[some][segments.row], begin[segments.row])
            found.append(taken(moved, in_core))
    return _without_doubles(joined(found), REFRACTORY_S * fs_hz)


def find(x: Floats, fs_hz: float) -> Found:
    """Pulses of segments: every gap-free run of at least 2 s by itself.

    Parameters
    ----------
    x : (B, n_samples) float64
        Core with its context; NaN marks a gap.
    fs_hz : float
        Sampling rate.

    Returns
    -------
    Found
        Pulses within 0.25 s of a cut are dropped. A row's bits do not depend on other rows.
    """
    nothing = np.zeros(len(x), np.intp)
    if x.size == 0 or not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:
        silent = nothing > 0
        usable = np.zeros(x.shape, np.bool_)
        return Found(none_found(), Votes(nothing, nothing, nothing), usable, silent, silent)
    bridged, usable = usable_samples(x, fs_hz)
    found, votes, heard, drowned = [], [nothing] * 3, [], nothing > 0
    edge = CUT_EDGE_S * fs_hz
    for run in gap_free(bridged, usable, fs_hz):
        n, start = run.x.shape[1], run.start
        own, seen, carried = _of_run(run.x, fs_hz)
        drowned[run.row[carried | _drowned(run.x, own, fs_hz)]] = True
        cut_left, cut_right = start[own.row] > 0, start[own.row] + n < x.shape[1]
        kept = ~(cut_left & (own.position < edge)) & ~(cut_right & (own.position > n - 1 - edge))
        moved = _moved(own, run.row[own.row], start[own.row])
        if not kept.all():
            own, moved = taken(own, kept), taken(moved, kept)
        found.append(moved)
        if n < x.shape[1]:
            of_own = own.row, own.position / fs_hz, own.amplitude
            heard.append(run_beats(run.row, n / fs_hz, of_own))
        for k, mask in enumerate((seen.by_slope, seen.by_area, seen.by_slope & seen.by_area)):
            votes[k] = votes[k] + np.bincount(run.row[seen.row[mask]], minlength=len(x))
    silent = unheard(stretches(heard), len(x), alone=True)
    return Found(joined(found), Votes(*votes), usable, silent, drowned)


def none_found() -> Pulses:
    """No pulses at all."""
    nothing = np.empty(0)
    values = [nothing] * (len(Pulses._fields) - 2)
    return Pulses._make((np.empty(0, np.intp), *values, np.empty(0, np.bool_)))


def taken(some: Pulses, which: Bools | Ints) -> Pulses:
    """Only these pulses."""
    return Pulses._make(column[which] for column in some)


def joined(parts: list[Pulses]) -> Pulses:
    """Pulses of several parts, sorted by row, then position."""
    if not parts:
        return none_found()
    if len(parts) == 1:  # of one block: in order already
        return parts[0]
    every = Pulses._make(np.concatenate(columns) for columns in zip(*parts, strict=True))
    return taken(every, np.lexsort((every.position, every.row)))


def _of_run(x: Floats, fs_hz: float) -> tuple[Pulses, Rises, Bools]:
    """Pulses of gap-free rows of equal length, all their rises, and which rows are `_carried`."""
    wave = pulse_wave(x, fs_hz)
    seen = rises(wave)
    steepest = seen.steepest + vertex(wave.slope, seen.row, seen.steepest)
    chosen = choose(seen, steepest / wave.fs_hz, wave.noise())
    own = _measured(wave, Rises._make(column[chosen] for column in seen), steepest[chosen])
    return own, seen, _carried(wave, seen)


def _carried(wave: Wave, seen: Rises) -> Bools:
    """Rows whose baseline falls faster than pulses rise for too much of the time."""
    n_rows = len(wave.raw)
    usual = row_quantile(seen.height, seen.row, n_rows, _USUAL)
    lasting = row_quantile((seen.peak - seen.onset).astype(np.float64), seen.row, n_rows, 0.5)
    n_falls, least = np.empty(n_rows, np.intp), usual / lasting
    if kernels.worth_it(n_rows):
        raw, band = np.ascontiguousarray(wave.raw), np.ascontiguousarray(wave.band)
        kernels.over_pulse_waves().falls(raw, band, least, n_falls)
    else:
        slow = wave.raw - wave.band
        n_falls[:] = (slow[:, :-1] - slow[:, 1:] > least[:, None]).sum(axis=1)
    return np.asarray(n_falls > _MOST_CARRIED * (wave.raw.shape[1] - 1), np.bool_)


def _drowned(x: Floats, own: Pulses, fs_hz: float) -> Bools:
    """Runs whose pulses are small beside what is faster than any, as what is left of hum is."""
    usual = row_quantile(own.amplitude, own.row, len(x), 0.5)
    with np.errstate(invalid="ignore"):
        return np.asarray(averaged_away(x, fs_hz) > _MOST_HIDDEN * usual, np.bool_)


def _measured(wave: Wave, rise: Rises, steepest: Floats) -> Pulses:
    """Fiducial points and values of the chosen rises."""
    onset = rise.onset + vertex(wave.band, rise.row, rise.onset)
    peak = rise.peak + vertex(wave.band, rise.row, rise.peak)
    low, high = (
        mean_of_three(wave.raw, rise.row, rise.onset),
        mean_of_three(wave.raw, rise.row, rise.peak),
    )
    return Pulses(
        rise.row,
        wave.outer(steepest),
        wave.outer(onset),
        wave.outer(peak),
        np.maximum(high - low, 0.0),
        (peak - onset) / wave.fs_hz,
        0.5 * (high + low),
        likeness(wave, rise.row, steepest),
        rise.by_slope & rise.by_area,
    )


def _moved(some: Pulses, row: Ints, by: Ints) -> Pulses:
    """The same pulses in other rows, `by` samples later."""
    return some._replace(
        row=row, position=some.position + by, onset=some.onset + by, peak=some.peak + by
    )


def _sample_at(time_s: Floats, fs_hz: float) -> Ints:
    """First sample at or after each time."""
    return np.ceil(time_s * fs_hz - 1e-9).astype(np.intp)


def _cut(x: Floats, row: Ints, first: Ints, length: int) -> Floats:
    """Rows of `length` samples from `first` on; NaN outside the recording."""
    out = np.full((row.size, length), np.nan)
    for i, (r, begin) in enumerate(zip(row.tolist(), first.tolist(), strict=True)):
        a, b = max(begin, 0), min(begin + length, x.shape[1])
        out[i, a - begin : b - begin] = x[r, a:b]
    return out


def _without_doubles(some: Pulses, nearest: float) -> Pulses:
    """Of two pulses too close over a border the larger remains, of equals the earlier."""
    close = (np.diff(some.row) == 0) & (np.diff(some.position) < nearest)
    kept = np.ones(some.row.size, np.bool_)
    for i in np.flatnonzero(close).tolist():
        if kept[i]:
            kept[i + 1 if some.amplitude[i + 1] <= some.amplitude[i] else i] = False
    return some if kept.all() else taken(some, kept)
