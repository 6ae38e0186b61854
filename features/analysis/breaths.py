"""The wave of RESP segments."""

from __future__ import annotations

from typing import Final

import numpy as np

from features import quality, respiration
from features.analysis.block import (
    LEAST_COVERAGE,
    Analysed,
    Block,
    Found,
    Verdict,
    absence,
    events_of,
    run_numbers,
)
from features.catalog import FeatureReason
from features.rounding import WAVE_BITS, rounded

_WAVE_STEP_US: Final = round(1e6 / respiration.WAVE_HZ)


def analysed(block: Block) -> Analysed:
    """The wave of RESP segments at 4 Hz on the core's own grid."""
    length_us = block.segments[0].end_us - block.segments[0].start_us
    grid_us = np.arange(0, length_us, _WAVE_STEP_US, dtype=np.int64)
    at = (grid_us - block.first_us) * (block.fs_hz / 1e6)
    wave = respiration.breath_wave(block.x, block.fs_hz, at)
    known = ~np.isnan(wave)
    row, column = np.nonzero(known)
    numbers = run_numbers(known)
    extra = np.empty((row.size, 0), np.float32)
    values = rounded(wave[row, column], WAVE_BITS).astype(np.float64)
    found = Found(row, grid_us[column], values, numbers[row, column], extra)
    coverage = known.mean(axis=1)
    events = events_of(found, numbers, known[:, 0], known[:, -1])
    share = quality.shares(block.x, block.fs_hz, block.core)
    smooth = np.nan_to_num(quality.smoothness(block.x, block.fs_hz))
    off = (coverage < LEAST_COVERAGE) | (share.flat > 1.0 - LEAST_COVERAGE)
    score = np.where(off, 0.0, smooth)
    reasons = [
        absence(share.gap[i], share.flat[i])
        if off[i]
        else FeatureReason.OK
        if score[i] >= quality.GATE
        else FeatureReason.NOISE
        for i in range(len(score))
    ]
    return Analysed(
        events, Verdict(coverage, score, reasons), np.empty((len(score), 0), np.float32)
    )
