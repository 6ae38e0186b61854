"""What a beat looks like next to its row's other beats; whether it began in a ventricle.

Not here: whether it is a beat at all (`features.ecg.decision`).
"""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np

from features.ecg import judge_weights, kernels
from features.ecg.alone import TINY, neighbour
from features.ecg.candidates import Block
from features.ecg.company import USUAL_RR_S, row_totals, usual_rr_s
from features.ecg.network import Network, from_text, logits
from features.runs import Floats, Ints

_SHARP_S: Final = 0.12
_BROAD_S: Final = 0.3  # on either side, as Orphanidou et al. (2015) compare beats
_FEWEST: Final = 3  # fewer beats have no usual shape
_NEARBY: Final = 4  # beats on either side: trigeminy repeats after three
_EDR_UP_S: Final = 0.04
_EDR_DOWN_S: Final = 0.096
_N_INPUTS: Final = 15  # of the ventricular look


class BroadView(NamedTuple):
    """Surroundings of beats."""

    cut: Floats  # (n, points) samples less their line
    likeness: Floats  # correlation with the mean of the row's other beats
    kinship: Floats  # with the two most alike among the four beats on either side


class Shapes(NamedTuple):
    """Of each beat."""

    likeness: Floats  # correlation of +-0.3 s with the row's mean beat; NaN below 3 beats
    kinship: Floats  # correlation with the two most alike among the four beats on either side
    up: Floats  # highest sample within 40 ms: follows breathing, as does the next
    down: Floats  # lowest sample within 96 ms
    ectopic: Floats  # logit that the beat is ventricular


def shapes(block: Block, beats: tuple[Ints, Ints], at: Floats) -> Shapes:
    """Likeness, respiratory height and ventricular logit of each beat.

    Parameters
    ----------
    block : Block
    beats : row and nearest working sample of each, (n,) each
    at : (n,) float64
        Place in working samples.

    Notes
    -----
    Breathing turns the heart's axis: heights above and below are kept apart, because their sum
    carries other noise than their difference.
    """
    row, n_rows = beats[0], len(block.wave)
    if by := kernels.for_shapes(n_rows):
        return _compiled_shapes(by, block, beats, at)
    view = broad_view(block, beats)
    up, _ = _extremes(block.slow, beats, _EDR_UP_S, block.fs_hz)
    _, down = _extremes(block.slow, beats, _EDR_DOWN_S, block.fs_hz)
    inputs = ectopy_inputs(block, beats, at, view)
    return Shapes(
        np.where(np.bincount(row, minlength=n_rows)[row] >= _FEWEST, view.likeness, np.nan),
        view.kinship,
        up,
        down,
        logits(_ectopy(), inputs),
    )


def _compiled_shapes(by: ModuleType, block: Block, beats: tuple[Ints, Ints], at: Floats) -> Shapes:
    """The same by loops."""
    row, n_rows, fs_hz = beats[0], len(block.wave), block.fs_hz
    broad = _reach(_BROAD_S, fs_hz, 2)
    spec = (
        (broad, 2, *_line(broad + 1)),
        _reach(_SHARP_S, fs_hz),
        (_reach(_EDR_UP_S, fs_hz), _reach(_EDR_DOWN_S, fs_hz)),
        _NEARBY,
    )
    seen = np.empty((13, row.size))
    by.measured((block.wave, np.ascontiguousarray(block.slow)), beats, spec, seen)
    # Widths and sizes: of sharp cuts, then of broad ones.
    logs = np.log(seen[[5, 9, 6, 10]] + TINY)
    inputs = np.empty((_N_INPUTS, row.size))
    by.ectopic(row, at / fs_hz, (seen, logs), USUAL_RR_S, inputs)
    alike, kinship, _, up, down = seen[:5]
    known = np.bincount(row, minlength=n_rows)[row] >= _FEWEST
    return Shapes(np.where(known, alike, np.nan), kinship, up, down, logits(_ectopy(), inputs))


def broad_view(block: Block, beats: tuple[Ints, Ints]) -> BroadView:
    """What lies within 0.3 s of each beat, next to the other beats."""
    row, n_rows = beats[0], len(block.wave)
    cut = _without_line(_around(block.slow, beats, _BROAD_S, block.fs_hz, every=2))
    unit = _units(cut)
    return BroadView(cut, _likeness(unit, row, n_rows), _kinship(unit, row))


def ectopy_inputs(block: Block, beats: tuple[Ints, Ints], at: Floats, broad: BroadView) -> Floats:
    """Inputs of the ventricular look, (inputs, n): shape, size, width and prematurity."""
    row, _ = beats
    n_rows = len(block.wave)
    sharp = _around(block.wave, beats, _SHARP_S, block.fs_hz)
    wide, alike = broad.cut, broad.likeness
    of_sharp, of_wide = _measures(sharp), _measures(wide)
    width, size = (np.log(values + TINY) for values in of_sharp[:2])
    low_width, low_size = (np.log(values + TINY) for values in of_wide[:2])
    before, after = _intervals(row, at / block.fs_hz, n_rows)
    columns = [alike, _likeness(_units(sharp), row, n_rows), width, low_width]
    for values in (width, low_width, size, low_size):
        columns += [(values - _row_medians(values, row, n_rows)).clip(-3, 3)]
    columns += [before.clip(0, 2.5), after.clip(0, 2.5), (before - after).clip(-2, 2)]
    # Two usual intervals about an early beat, the pause made up; low frequencies; its own kind.
    columns += [(before + after).clip(0, 4), (low_size - size).clip(-3, 3)]
    columns += [broad.kinship, _with_most(of_sharp[2], of_sharp[3], (row, n_rows))]
    return np.stack(columns)


@lru_cache(maxsize=1)
def _ectopy() -> Network:
    return from_text(judge_weights.ECTOPY)


def _reach(reach_s: float, fs_hz: float, every: int = 1) -> int:
    """Samples on either side, a multiple of `every`."""
    return every * round(reach_s * fs_hz / every)


def _line(n: int) -> tuple[Floats, int]:
    """Places along the line through the means of a cut's first and last fifth, and that fifth."""
    fifth = max(1, n // 5)
    return (np.arange(n) - 0.5 * (fifth - 1)) / max(1, n - fifth), fifth


def _around(
    x: Floats, beats: tuple[Ints, Ints], reach_s: float, fs_hz: float, every: int = 1
) -> Floats:
    """Samples around each beat, (n, points); the row's ends are held."""
    row, peak = beats
    reach = _reach(reach_s, fs_hz, every)
    column = (peak[:, None] + np.arange(-reach, reach + 1, every)).clip(0, x.shape[1] - 1)
    return np.asarray(x[row[:, None], column], np.float64)


def _extremes(
    x: Floats, beats: tuple[Ints, Ints], reach_s: float, fs_hz: float
) -> tuple[Floats, Floats]:
    """Highest and lowest sample around each beat."""
    cut = _around(x, beats, reach_s, fs_hz)
    return np.asarray(cut.max(axis=1)), np.asarray(cut.min(axis=1))


def _without_line(cut: Floats) -> Floats:
    """Samples less the line through the means of the first and the last fifth."""
    n = cut.shape[1]
    along, fifth = _line(n)
    first, last = cut[:, :fifth].mean(axis=1), cut[:, n - fifth :].mean(axis=1)
    return np.asarray(cut - first[:, None] - (last - first)[:, None] * along, np.float64)


def _likeness(unit: Floats, row: Ints, n_rows: int) -> Floats:
    """Correlation with the mean of the row's other beats; 0 for an only one."""
    others = row_totals(unit, row, n_rows)[row] - unit
    norm = np.sqrt((others * others).sum(axis=1)) + TINY
    return np.asarray(((unit * others).sum(axis=1) / norm).clip(-1, 1), np.float64)


def _kinship(unit: Floats, row: Ints) -> Floats:
    """Mean of the two best correlations with nearby beats; every second beat may be alike."""
    n = row.size
    found = np.zeros((2 * _NEARBY, n))
    for k in range(1, min(_NEARBY, n - 1) + 1):
        same = row[k:] == row[:-k]
        alike = np.where(same, (unit[k:] * unit[:-k]).sum(axis=1), 0.0)
        found[2 * k - 2, k:] = found[2 * k - 1, : n - k] = alike
    found.sort(axis=0)
    return np.asarray((0.5 * (found[-1] + found[-2])).clip(-1, 1), np.float64)


def _units(cut: Floats) -> Floats:
    """Cuts of mean 0 and norm 1."""
    centred = cut - cut.mean(axis=1, keepdims=True)
    norm = np.sqrt((centred * centred).sum(axis=1, keepdims=True)) + TINY
    return np.asarray(centred / norm, np.float64)


def _measures(cut: Floats) -> Floats:
    """Of each cut, (4, n): width, root of the power, height, depth.

    The width is area over height: that of a box of the same area, as a share of the cut.
    """
    out = np.empty((4, len(cut)))
    size = np.abs(cut)
    out[0] = size.mean(axis=1) / (size.max(axis=1) + TINY)
    out[1] = np.sqrt((cut * cut).sum(axis=1))
    out[2], out[3] = cut.max(axis=1), -cut.min(axis=1)
    return out


def _row_medians(values: Floats, row: Ints, n_rows: int) -> Floats:
    """Lower median of each value's row."""
    order = np.lexsort((values, row))
    count = np.bincount(row, minlength=n_rows)
    middle = np.cumsum(count) - count + (count - 1).clip(0) // 2
    return np.asarray(values[order][middle[row]], np.float64)


def _with_most(up: Floats, down: Floats, of: tuple[Ints, int]) -> Floats:
    """How far a beat points where the row's beats point, -1 to 1."""
    row, n_rows = of
    lean = (up - down) / (up + down + TINY)
    count = np.maximum(np.bincount(row, minlength=n_rows), 1)
    usual = np.bincount(row, lean, n_rows) / count
    return np.asarray(lean * np.where(usual < 0, -1.0, 1.0)[row], np.float64)


def _intervals(row: Ints, at_s: Floats, n_rows: int) -> tuple[Floats, Floats]:
    """Intervals before and after each beat, in usual ones; 1 where there is none."""
    usual = usual_rr_s(row, at_s, n_rows)[row]
    out = []
    for k in (-1, 1):
        other, exists = neighbour(row, k)
        out.append(np.where(exists, np.abs(at_s[other] - at_s) / usual, 1.0))
    return out[0], out[1]
