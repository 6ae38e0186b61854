"""A candidate among the beats its row is believed to have: shape, size, rhythm, rivals.

A T wave follows every beat at the same delay, noise resembles nothing, an ectopic beat is early
or large. Not here: a candidate by itself (`features.ecg.alone`).
"""

from __future__ import annotations

from types import ModuleType
from typing import Final

import numpy as np

from features.ecg import kernels
from features.ecg.alone import TINY, neighbour
from features.ecg.candidates import Block, Candidates
from features.runs import Bools, Floats, Ints

_BEFORE_S: Final = 0.12  # of the beat's shape, as much after
_LAG_S: Final = 0.02
_TAIL_S: Final = 0.6  # the T wave ends before
_RANGE_S: Final = 0.14
_DOUBT: Final = 2.5  # logit below which, either way, a candidate is doubtful
_NO_BEAT_S: Final = 3.0
USUAL_RR_S: Final = 0.8
_RIVALS_S: Final = ((0.0, 0.26), (0.26, 0.45))  # closer than beats; where T waves lie
_RIVAL_NEIGHBOURS: Final = 3
_N_COLUMNS: Final = 17  # of the second look, before those of the first


class _Weights:
    """How far each candidate is believed, and the mean over a row by it."""

    def __init__(self, logit: Floats, row: Ints, n_rows: int) -> None:
        self.each: Floats = (0.25 * (logit + 2.0)).clip(0.0, 1.0)
        self.row = row
        self.n_rows = n_rows
        self.total: Floats = np.bincount(row, self.each, n_rows).astype(np.float64, copy=False)

    def mean(self, values: Floats) -> Floats:
        """Mean of each candidate's row; 0 where nothing is believed."""
        weighted = np.bincount(self.row, weights=self.each * values, minlength=self.n_rows)
        return np.asarray((weighted / np.maximum(self.total, TINY))[self.row], np.float64)

    def compared(self, values: Floats) -> Floats:
        """Values less their row's mean, 0 where nothing is believed."""
        known = self.total[self.row] > 0
        return np.where(known, (values - self.mean(values)).clip(-3, 3), 0.0)


def together(block: Block, found: Candidates, logit: Floats, by_itself: Floats) -> Floats:
    """Inputs of the second look, (inputs, n) float64.

    Parameters
    ----------
    block : Block
    found : Candidates
        Those not ruled out by the first look.
    logit : (n,) float64
        Of the look before.
    by_itself : (k, n) float64
        Inputs of the first look, which are passed on.
    """
    row, n_rows = found.row, len(block.wave)
    if by := kernels.for_looks(n_rows):
        return _compiled_together(by, (block, found), logit, by_itself)
    weights = _Weights(logit, row, n_rows)
    believed = logit > 0
    likeness, energy = _alike(block, found, weights)
    sure = np.maximum(np.bincount(row[believed], minlength=n_rows), 1)
    doubt = np.bincount(row[np.abs(logit) < _DOUBT], minlength=n_rows) / sure
    columns = [
        logit.clip(-10, 10),
        likeness,
        energy,
        _explained(block, found, believed),
        _range(block, found, weights),
        doubt[row].clip(0, 2),
        weights.mean(likeness),
        *_rhythm(block, found, believed),
    ]
    for near_s, far_s in _RIVALS_S:
        reach = near_s * block.fs_hz, far_s * block.fs_hz
        columns += _rivals(found, logit, reach)
    return np.concatenate((np.stack(columns), by_itself))


def _compiled_together(
    by: ModuleType, of: tuple[Block, Candidates], logit: Floats, by_itself: Floats
) -> Floats:
    """The same by loops."""
    block, found = of
    fs_hz, n = block.fs_hz, logit.size
    reach, lag, tail, around = (round(s * fs_hz) for s in (_BEFORE_S, _LAG_S, _TAIL_S, _RANGE_S))
    size = np.empty((2, n))
    waves = block.wave, np.ascontiguousarray(block.slow)
    by.sizes(waves, (found.row, found.at), (reach, around), size)
    np.log(size, out=size)
    out = np.empty((_N_COLUMNS + len(by_itself), n))
    out[_N_COLUMNS:] = by_itself
    own = found.row, found.at, found.summit, logit
    rivals = tuple((near_s * fs_hz, far_s * fs_hz) for near_s, far_s in _RIVALS_S)
    limits = _DOUBT, _NO_BEAT_S, USUAL_RR_S, fs_hz
    spec = (reach, lag, tail), limits, rivals, _RIVAL_NEIGHBOURS
    by.in_company(block.wave, own, (size[0], size[1]), spec, out)
    return out


def _alike(block: Block, found: Candidates, weights: _Weights) -> tuple[Floats, Floats]:
    """Correlation with the row's other beats' mean, and size against theirs."""
    reach, lag = round(_BEFORE_S * block.fs_hz), round(_LAG_S * block.fs_hz)
    best, norm = _best_alike(block, found, weights, (reach, lag))
    has_others = weights.total[found.row] > weights.each
    return np.where(has_others, best, 0.0), weights.compared(np.log(norm))


def _best_alike(
    block: Block, found: Candidates, weights: _Weights, spec: tuple[int, int]
) -> tuple[Floats, Floats]:
    """Best correlation at any lag, and the norm of each shape."""
    row, (reach, lag) = found.row, spec
    around = np.arange(-reach - lag, reach + lag + 1)
    column = (found.at[:, None] + around).clip(0, block.wave.shape[1] - 1)
    wide = block.wave[row[:, None], column]
    shape = wide[:, lag : wide.shape[1] - lag]
    norm = np.sqrt((shape * shape).sum(axis=1)) + TINY
    # Turned to its own largest side, so that halves of opposite polarity do not cancel.
    side = np.where(block.wave[row, found.at] < 0, -1.0, 1.0)
    own = shape * (side / norm * weights.each)[:, None]
    others = row_totals(own, row, weights.n_rows)[row] - own
    others_norm = np.sqrt((others * others).sum(axis=1)) + TINY
    best = np.full(row.size, -1.0)
    size = (wide[:, : shape.shape[1]] ** 2).sum(axis=1)
    for shift in range(2 * lag + 1):
        if shift:  # one sample leaves, one comes
            size = size - wide[:, shift - 1] ** 2 + wide[:, shift + shape.shape[1] - 1] ** 2
        product = (wide[:, shift : shift + shape.shape[1]] * others).sum(axis=1)
        length = np.sqrt(np.maximum(size, 0.0)) + TINY
        best = np.maximum(best, side * product / (length * others_norm))
    return best.clip(-1.0, 1.0), norm


def row_totals(values: Floats, row: Ints, n_rows: int) -> Floats:
    """Sum of the candidates' values of each row, (n_rows, points), in their order."""
    out = np.zeros((n_rows, values.shape[1]))
    new = np.ones(row.size, np.bool_)
    new[1:] = row[1:] != row[:-1]
    start = new.nonzero()[0]
    if row.size:
        out[row[start]] = np.add.reduceat(values, start, axis=0)
    return out


def _explained(block: Block, found: Candidates, believed: Bools) -> Floats:
    """Share of a candidate's wave that follows every beat at this delay, as a T wave does."""
    row, at, last_column = found.row, found.at, block.wave.shape[1] - 1
    reach, tail = round(_BEFORE_S * block.fs_hz), round(_TAIL_S * block.fs_hz)
    out = np.zeros(row.size)
    whole = believed & (at + tail <= last_column) & (at >= reach)
    around = np.arange(-reach, tail + 1)
    waves = block.wave[row[whole][:, None], at[whole][:, None] + around]
    count = np.bincount(row[whole], minlength=len(block.wave))
    usual = row_totals(waves, row[whole], len(block.wave)) / np.maximum(count, 1)[:, None]
    last = _last_before(believed)
    delay = at - at[last.clip(0)]
    follows = (last >= 0) & (row[last] == row) & (delay <= tail - reach) & (delay > reach)
    i = np.flatnonzero(follows)
    near = np.arange(-reach, reach + 1)
    here = block.wave[row[i][:, None], (at[i][:, None] + near).clip(0, last_column)]
    left = here - usual[row[i][:, None], (delay[i] + reach)[:, None] + near]
    share = 1.0 - (left * left).sum(axis=1) / ((here * here).sum(axis=1) + TINY)
    out[i] = share.clip(-1, 1)
    return out


def _last_before(chosen: Bools) -> Ints:
    """Index of the chosen one before each, -1 where there is none."""
    at = np.maximum.accumulate(np.where(chosen, np.arange(chosen.size), -1))
    return np.concatenate(([-1], at[:-1])).astype(np.intp)[: chosen.size]


def _range(block: Block, found: Candidates, weights: _Weights) -> Floats:
    """Size against the beats' size, low frequencies included: a wide beat is tall only there."""
    reach = round(_RANGE_S * block.fs_hz)
    around = np.arange(-reach, reach + 1, 2)
    column = (found.at[:, None] + around).clip(0, block.slow.shape[1] - 1)
    raw = block.slow[found.row[:, None], column]
    return weights.compared(np.log(raw.max(axis=1) - raw.min(axis=1) + TINY))


def _rhythm(block: Block, found: Candidates, believed: Bools) -> list[Floats]:
    """Times to the believed beats before and after, in seconds and in usual intervals."""
    row, at = found.row, found.summit / block.fs_hz
    before = _since(row, at, believed)
    after = _since(row[::-1], -at[::-1], believed[::-1])[::-1]
    rr = usual_rr_s(row[believed], at[believed], len(block.wave))[row]
    columns = []
    for gap in (before, after):
        columns += [(gap / rr).clip(0, 3), gap.clip(0, 2)]
    return [*columns, ((before + after) / rr).clip(0, 4), rr.clip(0.2, 2)]


def _since(row: Ints, at_s: Floats, chosen: Bools) -> Floats:
    """Seconds from the chosen one before each, at most 3."""
    last = _last_before(chosen)
    exists = (last >= 0) & (row[last] == row)
    return np.where(exists, (at_s - at_s[last]).clip(0, _NO_BEAT_S), _NO_BEAT_S)


def usual_rr_s(row: Ints, at_s: Floats, n_rows: int) -> Floats:
    """Median interval of each row; 0.8 s where there is none."""
    same = row[1:] == row[:-1]
    rr_s, own = np.diff(at_s)[same], row[1:][same]
    out = np.full(n_rows, USUAL_RR_S)
    if by := kernels.for_beats(n_rows):
        by.middles(rr_s, own, True, out)
        return out
    order = np.lexsort((rr_s, own))
    count = np.bincount(own, minlength=n_rows)
    middle = np.cumsum(count) - count + count // 2
    out[count > 0] = rr_s[order][middle[count > 0]]
    return out


def _rivals(found: Candidates, logit: Floats, reach: tuple[float, float]) -> list[Floats]:
    """How much more others at a distance are believed, before and after; least if none."""
    near, far = reach
    columns = []
    for sign in (-1, 1):
        best = np.full(logit.size, -10.0)
        for k in range(1, _RIVAL_NEIGHBOURS + 1):
            other, exists = neighbour(found.row, sign * k)
            apart = np.abs(found.summit[other] - found.summit)
            inside = exists & (apart > near) & (apart <= far)
            best = np.where(inside, np.maximum(best, logit[other]), best)
        columns.append((best - logit).clip(-10, 10))
    return columns
