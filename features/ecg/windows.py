"""ECG quality of windows: means of their segments, weighted by how long each lasts.

Not here: the quality of a segment (`features.ecg.quality`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.beat_windows import Column
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
    out = {}
    for index, values in segments.indices.items():
        known = ~np.isnan(values)
        row, seconds = segments.row[known], segments.seconds[known]
        lasted = row_sums(seconds, row, n_rows)
        total = row_sums(values[known] * seconds, row, n_rows)
        coverage = (lasted / np.maximum(window_s, 1e-9)).clip(0, 1)
        enough = coverage >= LEAST_COVERAGE
        value = np.where(enough, total / np.where(lasted > 0, lasted, 1.0), np.nan)
        reason = np.where(enough, FeatureReason.OK, FeatureReason.GAP).astype(np.uint8)
        n = np.bincount(row, minlength=n_rows)
        out[NAMES[index]] = Column(value, quality, coverage, n, reason)
    return out
