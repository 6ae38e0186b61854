"""Candidates: every place of a gap-free row where a QRS complex could be.

Generous on purpose: what is not proposed here cannot be found later. Not here: which of them are
beats (`features.ecg.decision`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from scipy import ndimage

from features import filters
from features.ecg import artefacts, kernels
from features.ecg.kernels import RatioSpec, ViewSpec
from features.runs import Bools, Floats, Ints

_BEAT_HZ: Final = (8.0, 24.0)  # where QRS stands out most from T waves and from motion
_SHAPE_HZ: Final = (4.0, 30.0)  # where its shape is told
_ENVELOPE_S: Final = 0.08
_APART_S: Final = 0.1  # a wide QRS is one candidate
_PEAK_S: Final = 0.06  # from the envelope's summit to the wave's
_LEAST: Final = 0.08  # of the row's level: the smallest ectopic beats of MIT-BIH have 0.1
_LEVEL_S: Final = 1.0
# Of a second's maxima. The middle one is the row's level: at 15/min three of fourteen seconds hold
# a beat.
_LEVEL_SHARES: Final = (0.4, 0.85, 0.95)
_ROUNDING: Final = 1e-9  # of the largest sample: below it a filter's output is its own error
# Elgendi (2013), PLoS One 8:e73557: a QRS complex, a beat, and the offset.
_SHORT_S: Final = 0.097
_LONG_S: Final = 0.611
_OFFSET: Final = 0.08
_CLIP: Final = 3.0  # times the level: one artefact must not raise the bar for its neighbours
_SHOULDER_S: Final = 0.045
_LEAST_RATIO: Final = 1e-3


class Candidates(NamedTuple):
    """Possible beats of a block of rows, sorted by row, then place."""

    row: Ints
    at: Ints  # working sample of the wave's largest excursion
    summit: Ints  # working sample of the envelope's maximum
    height: Floats  # of the envelope
    margin: Floats  # (n, 3) log of short over long average energy before, at, after the summit


class Block(NamedTuple):
    """Rows as they are looked at."""

    wave: Floats  # (B, n) band-passed for shape
    slow: Floats  # (B, n) as it came
    levels: Floats  # (B, 5) of the envelope: maxima's quantiles, median minimum, mean
    blanked: Floats  # (B,) share of a row that was too large to be looked at
    spikes: Floats  # (B,) spikes left in rows that are no hearts without them
    fs_hz: float  # working rate


class Envelope(NamedTuple):
    """What candidates are found in; (B, n) but the last."""

    slow: Floats  # as it came, without spikes
    wave: Floats  # band-passed for shape
    energy: Floats  # size of the beats' band
    envelope: Floats  # its average
    floor: Floats  # (B,) below which there is only rounding


class Loops(NamedTuple):
    """Who does the loops over samples: SciPy, or compiled code with the same bits."""

    view: Callable[[Floats, Floats, Floats, ViewSpec], tuple[Floats, Floats, Floats]]
    ratios: Callable[[Floats, Floats, tuple[Ints, Ints], RatioSpec], Floats]
    summits: Callable[[Floats, int, Floats], tuple[Ints, Ints]]


def find(x: Floats, fs_hz: float) -> tuple[Block, Candidates] | None:
    """Candidates of gap-free rows.

    Parameters
    ----------
    x : (B, n) float64
        Finite, at the working rate.
    fs_hz : float
        Working rate.

    Returns
    -------
    (Block, Candidates) or None
        None where no band is left at this rate.
    """
    if filters.band_pass(1, *_BEAT_HZ, fs_hz) is None or x.shape[1] < 2:
        return None
    return _found(x, fs_hz) if kernels.worth_it(len(x)) else _step_by_step(x, fs_hz)


def _step_by_step(x: Floats, fs_hz: float) -> tuple[Block, Candidates]:
    """Candidates of rows, with what is too large for a heart left out."""
    by = loops(len(x))
    view = _view(by, x, fs_hz)
    view, blanked, spikes = _without_artefacts(by, view, fs_hz)
    levels = _levels(view.envelope, fs_hz)
    least = np.maximum(view.floor, _LEAST * levels[:, 1])
    row, summit = by.summits(view.envelope, round(_APART_S * fs_hz), least)
    found = Candidates(
        row=row,
        at=_peak_near(view.wave, row, summit, fs_hz),
        summit=summit,
        height=view.envelope[row, summit],
        margin=_margin(by, (view.energy, levels), (row, summit), fs_hz),
    )
    return Block(view.wave, view.slow, levels, blanked, spikes, fs_hz), found


def _found(x: Floats, fs_hz: float) -> tuple[Block, Candidates]:
    """The same by one loop; rows in which something is too large are taken step by step."""
    n_rows, n = x.shape
    width, whole = _seconds(n, fs_hz)
    wave, levels, odd = np.empty(x.shape), np.empty((n_rows, 5)), np.empty(n_rows, np.bool_)
    spec = (
        (min(round(fs_hz), n - 1), _ROUNDING, round(_ENVELOPE_S * fs_hz) | 1),
        (width, _level_at(whole), *artefacts.suspicion(whole)),
        whole,
        (round(_APART_S * fs_hz), _LEAST, round(_PEAK_S * fs_hz)),
        (_ratio_spec(fs_hz), _CLIP),
    )
    places, values = kernels.found(x, _both_bands(fs_hz), spec, (wave, levels, odd))
    margin = np.log(np.maximum(values[1:], _LEAST_RATIO)).T
    found = Candidates(places[0], places[1], places[2], values[0], np.ascontiguousarray(margin))
    blanked, spikes = np.zeros((2, n_rows))
    block = Block(wave, x, levels, blanked, spikes, fs_hz)
    some = np.flatnonzero(odd)
    if not some.size:
        return block, found
    return _put_back(block, found, some, _step_by_step(x[some], fs_hz))


def _put_back(
    block: Block, found: Candidates, row: Ints, own: tuple[Block, Candidates]
) -> tuple[Block, Candidates]:
    """A block and its candidates with some rows as they were found by themselves."""
    block = block._replace(slow=block.slow.copy())
    for whole, part in zip(block[:-1], own[0][:-1], strict=True):
        np.asarray(whole)[row] = part
    kept = select(found, ~np.isin(found.row, row))
    both = Candidates(
        np.concatenate((kept.row, row[own[1].row])),
        *(np.concatenate(columns) for columns in zip(kept[1:], own[1][1:], strict=True)),
    )
    return block, select(both, np.argsort(both.row, kind="stable"))


def _view(by: Loops, x: Floats, fs_hz: float) -> Envelope:
    """Both bands of rows, and the envelope of the beats'."""
    shape, beat = _both_bands(fs_hz)
    floor = _ROUNDING * np.maximum(x.max(axis=1), -x.min(axis=1))
    spec = ViewSpec(round(fs_hz), round(_ENVELOPE_S * fs_hz) | 1, floor)
    return Envelope(x, *by.view(x, shape, beat, spec), floor)


def _both_bands(fs_hz: float) -> tuple[Floats, Floats]:
    """Filters for the shape of beats and for beats; `find` asks first whether there are any."""
    shape, beat = (filters.band_pass(1, *band, fs_hz) for band in (_SHAPE_HZ, _BEAT_HZ))
    assert beat is not None
    assert shape is not None
    return shape, beat


def _without_artefacts(by: Loops, view: Envelope, fs_hz: float) -> tuple[Envelope, Floats, Floats]:
    """Rows without what is too large for a heart; the share blanked and the spikes left in each."""
    blanked, left = np.zeros((2, len(view.slow)))
    odd = np.flatnonzero(artefacts.suspected(view.envelope, fs_hz))
    if not odd.size:
        return view, blanked, left
    slow, spikes = artefacts.bridged(view.slow[odd], view.envelope[odd], fs_hz)
    own = _view(by, slow, fs_hz)
    blank, heart, doubtful = artefacts.too_large(own.envelope, spikes, fs_hz)
    own.wave[blank] = own.energy[blank] = 0.0
    own = own._replace(envelope=_average(own.energy, round(_ENVELOPE_S * fs_hz) | 1))
    blanked[odd[heart]] = blank[heart].sum(axis=1) / blank.shape[1]
    blanked[odd[doubtful]] = 1.0  # nothing is to be made of its beats
    begins = spikes[:, 1:] & ~spikes[:, :-1]
    left[odd[~heart]] = (begins.sum(axis=1) + spikes[:, 0])[~heart]
    whole = Envelope(*(values.copy() for values in view))
    for values, new in zip(whole, own, strict=True):
        values[odd[heart]] = new[heart]
    return whole, blanked, left


def loops(n_rows: int) -> Loops:
    """The loops for a batch: compiled ones where they are worth it."""
    return _COMPILED if kernels.worth_it(n_rows) else _REFERENCE


def select(found: Candidates, kept: Bools | Ints) -> Candidates:
    """The chosen candidates."""
    return Candidates(
        found.row[kept], found.at[kept], found.summit[kept], found.height[kept], found.margin[kept]
    )


def _average(x: Floats, width: int) -> Floats:
    """Centred moving average of each row; its ends are held."""
    return np.asarray(ndimage.uniform_filter1d(x, width, axis=1, mode="nearest"), np.float64)


def _bands(x: Floats, shape: Floats, beat: Floats, spec: ViewSpec) -> tuple[Floats, Floats, Floats]:
    """Wave in the band of shapes; size and its running mean in the band of beats."""
    wave = filters.zero_phase(shape, x, spec.pad)
    size = np.abs(filters.zero_phase(beat, x, spec.pad))
    size[size <= spec.floor[:, None]] = 0.0
    return wave, size, _average(size, spec.width)


def _ratios(energy: Floats, limit: Floats, at: tuple[Ints, Ints], spec: RatioSpec) -> Floats:
    """Short over long average power, limited, before, at and after places; (n, 3)."""
    power = np.minimum(energy, limit[:, None])
    power *= power
    # Summed from the left, as the compiled loop does.
    whole = np.cumsum(power, axis=1)[:, -1] / power.shape[1]
    row = at[0][:, None]
    column = at[1][:, None] + np.array([-1, 0, 1]) * spec.shoulder
    column = column.clip(0, energy.shape[1] - 1)
    bar = _average(power, spec.long)[row, column] + spec.offset * whole[row]
    short = _average(power, spec.short)[row, column]
    ratio = np.divide(short, bar, out=np.zeros(bar.shape), where=bar > 0)
    return np.asarray(ratio, np.float64)


def _summits(x: Floats, reach: int, least: Floats) -> tuple[Ints, Ints]:
    """Row and sample where a row is above `least` and nowhere higher within reach."""
    top = ndimage.maximum_filter1d(x, 2 * reach + 1, axis=1, mode="nearest")
    row, at = np.nonzero((x == top) & (x > least[:, None]))
    return row, at


_REFERENCE: Final = Loops(_bands, _ratios, _summits)
_COMPILED: Final = Loops(kernels.view, kernels.ratios, kernels.summits)


def _seconds(n: int, fs_hz: float) -> tuple[int, int]:
    """Samples of a second, and how many whole ones rows have; of shorter rows all and 1."""
    width = max(1, round(_LEVEL_S * fs_hz))
    return min(width, n), max(1, n // width)


def _level_at(whole: int) -> Ints:
    """Places of the levels among the ordered maxima of seconds."""
    return np.array([round(share * (whole - 1)) for share in _LEVEL_SHARES], np.intp)


def _levels(envelope: Floats, fs_hz: float) -> Floats:
    """What is usual in each row, by its seconds."""
    width, whole = _seconds(envelope.shape[1], fs_hz)
    at = _level_at(whole)
    cut = envelope[:, : whole * width]
    seconds = cut.reshape(len(cut), whole, -1)
    maxima = np.sort(seconds.max(axis=2), axis=1)
    minima = np.sort(seconds.min(axis=2), axis=1)
    return np.stack((*maxima[:, at].T, minima[:, whole // 2], cut.mean(axis=1)), axis=1)


def _ratio_spec(fs_hz: float) -> RatioSpec:
    """How short and long averages are compared at this rate."""
    return RatioSpec(
        short=round(_SHORT_S * fs_hz) | 1,
        long=round(_LONG_S * fs_hz) | 1,
        shoulder=round(_SHOULDER_S * fs_hz),
        offset=_OFFSET,
    )


def _margin(by: Loops, of: tuple[Floats, Floats], place: tuple[Ints, Ints], fs_hz: float) -> Floats:
    """How far the average energy of a QRS exceeds that of a beat."""
    ratio = by.ratios(of[0], _CLIP * of[1][:, 1], place, _ratio_spec(fs_hz))
    return np.asarray(np.log(np.maximum(ratio, _LEAST_RATIO)), np.float64)


def _peak_near(wave: Floats, row: Ints, summit: Ints, fs_hz: float) -> Ints:
    """Sample of the largest excursion of the wave around each summit."""
    return highest(wave, row, summit, round(_PEAK_S * fs_hz))


def highest(wave: Floats, row: Ints, centre: Ints, reach: int) -> Ints:
    """Sample of the largest size within reach of each place, the first of equals."""
    if by := kernels.for_beats(len(wave)):
        out = np.empty(row.size, np.intp)
        by.highest(wave, row, centre, reach, out)
        return out
    column = (centre[:, None] + np.arange(-reach, reach + 1)).clip(0, wave.shape[1] - 1)
    size = np.abs(wave[row[:, None], column])
    return np.asarray(column[np.arange(row.size), size.argmax(axis=1)], np.intp)
