"""What is far too large for a heart: spikes are bridged, what is longer is blanked.

One sample of an electrode's discharge is forty times a QRS complex, and every level of a short row
is its. Rows without one are left as they are. Not here: noise of a heart's size
(`features.ecg.decision`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from features import runs
from features.ecg import kernels
from features.runs import Bools, Floats

_BLOCK_S: Final = 1.0
_USUAL_SHARE: Final = 0.4  # of a second's maxima: an artefact over a border spoils two of four
# Times what is usual. The largest ectopic beats of MIT-BIH are four times the usual beat.
_TOO_LARGE: Final = 7.0
_SPIKE_S: Final = 0.06  # the median over it keeps edges and removes what is half as long
_FLANK: Final = 0.15  # of a spike's height: a QRS complex rises over more samples
_BLANKED_S: Final = 0.3  # on either side; filters have forgotten an edge a thousandfold
# A heart of 15/min is silent in most seconds, and its beats too large for these. What is blanked
# must leave a heart behind: peaks, not noise, and twice as many as were blanked.
_LEAST_CREST: Final = 2.3  # summits over mean of an envelope; of noise it is 1.5
_WITNESS_SHARE: Final = 0.4  # of what is usual
_PT_S: Final = (0.1, 0.35)  # before and after what is blanked, where these are no witnesses
_WITNESS_S: Final = 0.25
_WITNESSES: Final = 2.0
_WITNESSES_OF_SPIKES: Final = 1.25  # no QRS complex is as narrow
# Of the lowest that is too large: where others nearly reach it, the bar cuts through a slow heart's
# beats, and those left would be witnesses against the others.
_AS_LARGE: Final = 0.8


def suspected(envelope: Floats, fs_hz: float) -> Bools:
    """Rows in which something is too large; (B,)."""
    usual = _usual(envelope, fs_hz)
    return np.asarray((usual > 0) & (envelope.max(axis=1) > _TOO_LARGE * usual), np.bool_)


def suspicion(whole: int) -> tuple[int, float]:
    """Place of the usual among the ordered maxima of `whole` seconds; times it is too large."""
    return int(_USUAL_SHARE * (whole - 1)), _TOO_LARGE


def bridged(slow: Floats, envelope: Floats, fs_hz: float) -> tuple[Floats, Bools]:
    """Rows with straight lines for spikes of up to 0.03 s, and where these are.

    Parameters
    ----------
    slow : (B, n) float64
        Finite, at the working rate.
    envelope : (B, n) float64
        Only where it is too large is a spike sought: at 50 Hz an R wave looks like one.
    fs_hz : float
    """
    out, spikes = slow.copy(), np.zeros(slow.shape, np.bool_)
    width = round(_SPIKE_S * fs_hz) | 1
    off = np.abs(slow - ndimage.median_filter(slow, (1, width), mode="nearest"))
    high = (off > _TOO_LARGE * _usual(off, fs_hz)[:, None]) & _near_large(envelope, fs_hz)
    last = slow.shape[1] - 1
    for r, start, stop in zip(*runs.spans(high), strict=True):
        before, after = max(start - 1, 0), min(stop, last)
        flank = max(off[r, at] for at in (before, after) if not start <= at < stop)
        if stop - start <= width // 2 and flank < _FLANK * off[r, start:stop].max():
            ends = [at for at in (before, after) if not start <= at < stop]
            out[r, start:stop] = np.interp(np.arange(start, stop), ends, slow[r, ends])
            spikes[r, start:stop] = True
    return out, spikes


def too_large(envelope: Floats, spikes: Bools, fs_hz: float) -> tuple[Bools, Bools, Bools]:
    """What must be blanked, and which rows are hearts without it and their spikes.

    Parameters
    ----------
    envelope : (B, n) float64
        Of rows whose spikes were bridged.
    spikes : (B, n) bool
    fs_hz : float

    Returns
    -------
    blank : (B, n) bool
        Samples next to what is still too large for a heart.
    heart : (B,) bool
        False where most is silence or noise: there the large ones may well be the beats.
    doubtful : (B,) bool
        A slow heart if these spikes are none of its beats: then it is right, else one is lost.
    """
    usual = _usual(envelope, fs_hz)
    reach = 2 * round(_BLANKED_S * fs_hz) + 1
    blank = _near_large(envelope, fs_hz)
    blank &= _apart(envelope, blank, fs_hz)[:, None]
    near = blank | ndimage.maximum_filter1d(spikes, reach, axis=1)
    asked = np.where(blank.any(axis=1), _WITNESSES, _WITNESSES_OF_SPIKES)
    each = zip(envelope, near, usual, asked, strict=True)
    heart = np.array(
        [bool(level > 0) and _is_heart(row, own, (level, n), fs_hz) for row, own, level, n in each],
        np.bool_,
    )
    doubtful = np.zeros(len(heart), np.bool_)
    for r in np.flatnonzero(~heart & spikes.any(axis=1) & blank.any(axis=1)).tolist():
        near = ndimage.maximum_filter1d(spikes[r], reach)
        if _is_slow_heart(envelope[r], near, float(usual[r]), fs_hz):
            heart[r], blank[r], doubtful[r] = True, False, True
    return blank, heart, doubtful


def _is_slow_heart(envelope: Floats, spiked: Bools, usual: float, fs_hz: float) -> bool:
    """Whether what is still too large where no spike was are the beats.

    Of a slow heart's seconds most are silent, and silence is what seemed usual.
    """
    rest = np.where(spiked, 0.0, envelope)
    top = ndimage.maximum_filter1d(rest, 2 * round(_WITNESS_S * fs_hz) + 1)
    large = rest[(rest == top) & (rest > _TOO_LARGE * usual)]
    if not large.size:
        return False
    return _is_heart(envelope, spiked, (float(np.median(large)), _WITNESSES_OF_SPIKES), fs_hz)


def _apart(envelope: Floats, blank: Bools, fs_hz: float) -> Bools:
    """Rows in which what is too large is well above everything else."""
    top = ndimage.maximum_filter1d(envelope, 2 * round(_WITNESS_S * fs_hz) + 1, axis=1)
    large = (envelope == top) & (envelope > _TOO_LARGE * _usual(envelope, fs_hz)[:, None])
    lowest = np.where(large, envelope, np.inf).min(axis=1)
    left = np.where(blank, 0.0, envelope).max(axis=1)
    return np.asarray(left < _AS_LARGE * lowest, np.bool_)


def _near_large(envelope: Floats, fs_hz: float) -> Bools:
    """Samples next to one far above the usual."""
    top = ndimage.maximum_filter1d(envelope, 2 * round(_BLANKED_S * fs_hz) + 1, axis=1)
    return np.greater(top, _TOO_LARGE * _usual(envelope, fs_hz)[:, None])


def _is_heart(envelope: Floats, near: Bools, asked: tuple[float, float], fs_hz: float) -> bool:
    """Whether a row without what is too large still has beats enough.

    `asked` are the usual maximum of its seconds, and beats for each that was too large.
    """
    usual, witnesses = asked
    n_events = np.count_nonzero(near[1:] > near[:-1]) + int(near[0])
    rest = np.where(near, 0.0, envelope)
    mean = rest.sum() / max(np.count_nonzero(~near), 1)
    rest[_of_one_beat(near, fs_hz)] = 0.0
    top = ndimage.maximum_filter1d(rest, 2 * round(_WITNESS_S * fs_hz) + 1)
    height = rest[(rest == top) & (rest > _WITNESS_SHARE * usual)]
    many = height.size >= witnesses * n_events
    return bool(many and height.size and np.median(height) > _LEAST_CREST * mean)


def _of_one_beat(near: Bools, fs_hz: float) -> Bools:
    """Where a P or T wave would lie, were what is too large a beat."""
    before, after = (round(reach_s * fs_hz) for reach_s in _PT_S)
    count = np.cumsum(np.concatenate((np.zeros(after + 1), near, np.zeros(before))))
    return np.greater(count[before + after + 1 :], count[: near.size])


def _usual(size: Floats, fs_hz: float) -> Floats:
    """The usual maximum of a second of each row."""
    width = max(1, round(_BLOCK_S * fs_hz))
    whole = max(1, size.shape[1] // width)
    if kernels.worth_it(len(size)):
        maxima = kernels.block_maxima(size, min(width, size.shape[1]), whole)
    else:
        cut = size[:, : whole * width].reshape(len(size), whole, -1)
        maxima = np.sort(cut.max(axis=2), axis=1)
    return np.ascontiguousarray(maxima[:, int(_USUAL_SHARE * (whole - 1))])
