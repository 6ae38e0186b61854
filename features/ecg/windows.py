"""ECG quality of windows: means of their segments, weighted by how long each lasts.

Not here: the quality of a segment (`features.ecg.quality`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.column import Column
from features.feature import FeatureReason
from features.intervals import row_sums
from features.runs import Floats, Ints

LEAST_COVERAGE: Final = 0.5
# Catalogue name of each index of a segment; see `features.tables.ecg_quality`.
NAMES: Final = {
    "quality": "ecg_quality",
    "bsqi": "ecg_bsqi",
    "template_corr": "ecg_template_corr",
    "ksqi": "ecg_ksqi",
    "bassqi": "ecg_bassqi",
    "flat_pct": "ecg_flat_pct",
    "clip_pct": "ecg_clip_pct",
    "gap_pct": "ecg_gap_pct",
}


_OK, _GAP = np.uint8(FeatureReason.OK), np.uint8(FeatureReason.GAP)


class SegmentRows(NamedTuple):
    """Segments of many windows, `row` ascending; one value each."""

    row: Ints  # window
    seconds: Floats  # of the segment that lie in the window
    quality: Floats
    indices: dict[str, Floats]  # by field of `EcgSegments`; NaN = not known


def quality_columns(segments: SegmentRows, window_s: Floats) -> dict[str, Column]:
    """Quality features of windows, by catalogue name.

    Parameters
    ----------
    segments : SegmentRows
    window_s : (n_rows,) float64
        Length of each window.

    Returns
    -------
    dict of Column
        Each index's mean over the segments that have it, weighted by their seconds; `GAP` where
        these are less than half of the window.
    """
    n_rows = window_s.size
    whole = row_sums(segments.seconds, segments.row, n_rows)
    believed = row_sums(segments.seconds * segments.quality, segments.row, n_rows)
    quality = believed / np.maximum(whole, 1e-9)
    table = np.stack(list(segments.indices.values()))
    known = ~np.isnan(table)
    shape = len(table), n_rows
    # Every index of every window has a place of its own: all are added in one pass.
    place = (segments.row + n_rows * np.arange(len(table))[:, None])[known]
    seconds = np.broadcast_to(segments.seconds, table.shape)[known]
    n = np.bincount(place, minlength=table.shape[0] * n_rows).reshape(shape)
    lasted = row_sums(seconds, place, n.size).reshape(shape)
    total = row_sums(table[known] * seconds, place, n.size).reshape(shape)
    coverage = (lasted / np.maximum(window_s, 1e-9)).clip(0, 1)
    enough = coverage >= LEAST_COVERAGE
    value = np.where(enough, total / np.where(lasted > 0, lasted, 1.0), np.nan)
    reason = np.where(enough, _OK, _GAP)
    return {
        NAMES[index]: Column(value[k], quality, coverage[k], n[k], reason[k])
        for k, index in enumerate(segments.indices)
    }
