"""R peaks of rows: split at gaps, looked at run by run, put back; long rows cut into segments.

Not here: what a beat looks like (`candidates`, `decision`, `localise`) and how far to trust it
(`features.ecg.quality`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from features.ecg import candidates, decision, working
from features.ecg.candidates import Block, Candidates
from features.ecg.decision import Looks
from features.ecg.localise import Place, localise
from features.ecg.usable import Usable, look, runs_of
from features.runs import Bools, Floats, Ints

MIN_FS_HZ: Final = 20.0
MAX_FS_HZ: Final = 5000.0
SHORTEST_RUN_S: Final = 2.0  # no beat-to-beat interval can be trusted in less
CUT_EDGE_S: Final = 0.25  # filters ring next to a cut
END_S: Final = 0.06  # half a QRS complex: nearer to the first or last sample none is seen whole
CORE_S: Final = 10.0
CONTEXT_S: Final = 2.0
_LONGEST_WHOLE_S: Final = 20.0  # a longer row is cut: its ends may be another rhythm
_MOST_SAMPLES: Final = 1 << 19  # looked at together; bounds memory and fits a cache
_TILE: Final = 32  # rows that compiled loops work on side by side


class EcgBeats(NamedTuple):
    """Beats of a batch, sorted by row, then position. Rows without beats are absent."""

    row: Ints
    position: Floats  # samples from the row's first
    amplitude: Floats  # of the 4-30 Hz wave at the peak, in the signal's unit, at least 0
    logit: Floats  # 0 is even odds that it is a beat


class RunBlock(NamedTuple):
    """Gap-free runs of equal length, their beats, and where they lie in their rows."""

    row: Ints  # (runs,) row of each
    start: Ints  # (runs,) its first sample there
    length: int  # samples
    fs_hz: float  # of the device
    block: Block
    beats: Candidates
    logit: Floats
    risk: Floats  # (runs,) expected wrong decisions
    place: Place

    def position(self) -> Floats:
        """Samples from the row's first, of each beat."""
        own = working.to_samples(self.place.position, self.fs_hz)
        return self.start[self.beats.row] + own


NOTHING: Final = EcgBeats(np.empty(0, np.intp), np.empty(0), np.empty(0), np.empty(0))


def is_rate(fs_hz: float) -> bool:
    """Whether beats are sought at this sampling rate."""
    return MIN_FS_HZ <= fs_hz <= MAX_FS_HZ


def in_rows(x: Floats, fs_hz: float) -> EcgBeats:
    """R peaks of rows of any length; those above 20 s are cut as a stream is.

    Parameters
    ----------
    x : (B, n_samples) float64
        NaN marks a gap.
    fs_hz : float
        Sampling rate.

    Returns
    -------
    EcgBeats

    Notes
    -----
    A segment is 10 s with 2 s on either side; a beat belongs to the one whose core holds it. Two
    beats nearer than the refractory time over a border are one: the larger, then the earlier.
    """
    if not is_rate(fs_hz) or x.size == 0:
        return NOTHING
    if x.shape[1] <= _LONGEST_WHOLE_S * fs_hz:
        return in_segments(x, fs_hz)
    return _merged(_over_grid(x, fs_hz), fs_hz)


def in_segments(x: Floats, fs_hz: float) -> EcgBeats:
    """R peaks of rows that are looked at whole; each by its own runs between gaps."""
    found = [_kept(block, x.shape[1]) for block in run_blocks(x, fs_hz)]
    return _joined([part for part in found if part.row.size])


def run_blocks(
    x: Floats, fs_hz: float, networks: Looks | None = None, view: Usable | None = None
) -> list[RunBlock]:
    """The gap-free runs of at least 2 s of rows, with their beats; nothing at impossible rates."""
    if not is_rate(fs_hz) or x.size == 0:
        return []
    out = []
    for own in runs_of(view or look(x, fs_hz), int(SHORTEST_RUN_S * fs_hz)):
        length = own.x.shape[1]
        many = _together(length)
        for first in range(0, len(own.x), many):
            some = slice(first, first + many)
            found = _look(own.x[some], fs_hz, networks)
            if found is not None:
                out.append(RunBlock(own.row[some], own.start[some], length, fs_hz, *found))
    return out


def _together(length: int) -> int:
    """Rows of a length that are looked at together: whole tiles, where there are any."""
    many = max(1, _MOST_SAMPLES // length)
    return many - many % _TILE if many > _TILE else many


def edges(block: RunBlock, n_samples: int) -> Bools:
    """Which beats of a block lie within 0.25 s of where a gap cut their run, 0.06 s of its end."""
    start = block.start[block.beats.row]
    inside = block.position() - start
    left = np.where(start > 0, CUT_EDGE_S, END_S) * block.fs_hz
    right = np.where(start + block.length < n_samples, CUT_EDGE_S, END_S) * block.fs_hz
    at_left, at_right = inside < left, inside > block.length - 1 - right
    return np.asarray(at_left | at_right, np.bool_)


def _look(
    x: Floats, fs_hz: float, networks: Looks | None
) -> tuple[Block, Candidates, Floats, Floats, Place] | None:
    """Beats of whole rows at the working rate."""
    slow, working_hz = working.at_working_rate(x, fs_hz)
    found = candidates.find(slow, working_hz)
    if found is None:
        return None
    block, possible = found
    beats, logit, risk = decision.decide(block, possible, networks)
    beats, logit, place = placed(block, beats, logit)
    return block, beats, logit, risk, place


def placed(block: Block, beats: Candidates, logit: Floats) -> tuple[Candidates, Floats, Place]:
    """Beats where they lie, at least the refractory time apart.

    Two summits may share the wave's largest excursion, or have theirs too near for two beats; the
    more believed one stays.
    """
    place = localise(block, beats)
    nearest = decision.REFRACTORY_S * block.fs_hz
    apart = decision.strongest(beats.row, place.position, logit, nearest)
    if not apart.all():
        beats, logit = candidates.select(beats, apart), logit[apart]
        place = Place(place.position[apart], place.peak[apart], place.height[apart])
    return beats, logit, place


def _kept(block: RunBlock, n_samples: int) -> EcgBeats:
    """Beats of a block in their rows, without those at a cut."""
    kept = ~edges(block, n_samples)
    return EcgBeats(
        block.row[block.beats.row][kept],
        block.position()[kept],
        np.abs(block.place.height)[kept],
        block.logit[kept],
    )


def _joined(parts: list[EcgBeats]) -> EcgBeats:
    """Parts put together and sorted by row, then position."""
    if not parts:
        return NOTHING
    found = EcgBeats(
        np.concatenate([part.row for part in parts]),
        np.concatenate([part.position for part in parts]),
        np.concatenate([part.amplitude for part in parts]),
        np.concatenate([part.logit for part in parts]),
    )
    return taken(found, np.lexsort((found.position, found.row)))


def _over_grid(x: Floats, fs_hz: float) -> EcgBeats:
    """Beats of long rows, each from the segment whose core holds it."""
    n = x.shape[1]
    starts = np.arange(0, int(np.ceil(n / (CORE_S * fs_hz)))) * CORE_S
    low = np.maximum(np.ceil((starts - CONTEXT_S) * fs_hz), 0).astype(np.intp)
    high = np.minimum(np.ceil((starts + CORE_S + CONTEXT_S) * fs_hz), n).astype(np.intp)
    parts = []
    for length in np.unique(high - low):
        alike = np.flatnonzero(high - low == length)
        of, which = (a.ravel() for a in np.meshgrid(np.arange(len(x)), alike, indexing="ij"))
        many, cuts = _together(int(length)), sliding_window_view(x, int(length), axis=1)
        for at in range(0, of.size, many):
            row, segment = of[at : at + many], which[at : at + many]
            found = in_segments(cuts[row, low[segment]], fs_hz)
            position = found.position + low[segment][found.row]
            begin = starts[segment][found.row] * fs_hz
            own = (position >= begin) & (position < begin + CORE_S * fs_hz)
            mine = row[found.row[own]]
            parts.append(EcgBeats(mine, position[own], found.amplitude[own], found.logit[own]))
    return _joined(parts)


def _merged(found: EcgBeats, fs_hz: float) -> EcgBeats:
    """Beats without those that two segments have both reported."""
    nearest = decision.REFRACTORY_S * fs_hz
    kept = decision.strongest(found.row, found.position, found.amplitude, nearest)
    return taken(found, kept)


def taken(found: EcgBeats, chosen: Bools | Ints) -> EcgBeats:
    """The chosen beats."""
    return EcgBeats(
        found.row[chosen], found.position[chosen], found.amplitude[chosen], found.logit[chosen]
    )
