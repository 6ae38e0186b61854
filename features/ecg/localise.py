"""Where a beat lies, to a fraction of a sample: its largest excursion between 4 and 30 Hz."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.ecg.candidates import Block, Candidates
from features.runs import Floats, Ints

# Annotators mark the peak of a wide beat up to a tenth of a second from its middle.
_REACH_S: Final = 0.09


class Place(NamedTuple):
    """Where beats lie among the working samples."""

    position: Floats
    peak: Ints  # the nearest working sample
    height: Floats  # of the wave there, with its sign


def localise(block: Block, beats: Candidates) -> Place:
    """Position and height of each beat.

    Parameters
    ----------
    block : Block
    beats : Candidates

    Returns
    -------
    Place
        (n,) each. The vertex of a parabola through the peak of either polarity and its two
        neighbours.

    Notes
    -----
    Tried and worse against MIT-BIH's annotations (mean deviation from a record's median offset
    2.1 ms): alignment with the row's mean beat 2.7, one polarity per row 2.2, centre of energy
    2.6. A cardiologist marks each beat's own largest peak.
    """
    reach = round(_REACH_S * block.fs_hz)
    row, last = beats.row, block.wave.shape[1] - 1
    column = (beats.summit[:, None] + np.arange(-reach, reach + 1)).clip(0, last)
    around = block.wave[row[:, None], column]
    peak = column[np.arange(row.size), np.abs(around).argmax(axis=1)]
    height = block.wave[row, peak]
    side = np.where(height < 0, -1.0, 1.0)
    inner = (peak > 0) & (peak < last)
    at = np.where(inner, peak, min(1, last))
    left, middle, right = (block.wave[row, (at + k).clip(0, last)] * side for k in (-1, 0, 1))
    curvature = left - 2 * middle + right
    inner &= curvature < 0
    offset = (0.5 * (left - right) / np.where(inner, curvature, 1.0)).clip(-0.5, 0.5)
    return Place(peak + np.where(inner, offset, 0.0), peak.astype(np.intp), height)
