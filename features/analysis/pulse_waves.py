"""Beats in the cores of ECG and PPG segments."""

from __future__ import annotations

from typing import Final

import numpy as np

from features import beats, quality, runs
from features.analysis.block import (
    LEAST_COVERAGE,
    Analysed,
    Block,
    Found,
    Verdict,
    absence,
    core_borders,
    core_open,
    cores,
    events_of,
    run_numbers,
)
from features.breathing.fiducials import edr_extremes, pulse_levels
from features.catalog import FeatureReason
from features.runs import Bools, Floats
from features.signals import SignalKind
from features.spectrum_specs import SPECTRA
from features.waveform_spectra import segment_bins

_JUDGED_FROM_S: Final = 5.0  # of usable signal: there, fewer than three beats are a finding
_CLIP_BLAMED: Final = 0.2
_UNJUDGED: Final = 0.5  # quality of a rest too short to judge: passes, but only just


def analysed(block: Block) -> Analysed:
    """Beats in the cores of ECG or PPG segments."""
    is_ecg = block.signal.kind is SignalKind.ECG
    found = (beats.r_peaks if is_ecg else beats.pulses)(block.x, block.fs_hz)
    bridged = runs.bridge(block.x, block.fs_hz)
    usable = ~np.isnan(bridged) & ~runs.flat(bridged, block.fs_hz)
    offset_us = np.rint(block.first_us[found.row, 0] + found.position * (1e6 / block.fs_hz))
    length_us = block.segments[0].end_us - block.segments[0].start_us
    own = (offset_us >= 0) & (offset_us < length_us)
    row = found.row[own]
    # A beat a fraction of a sample before the core's first sample is of that sample's run.
    first, last = core_borders(block)
    sample = np.rint(found.position[own]).astype(np.intp).clip(first[row], last[row])
    numbers = run_numbers(usable & block.core)
    levels = edr_extremes if is_ecg else pulse_levels
    both = levels(block.x, block.fs_hz, found.row, found.position)
    extra = np.stack([level[own] for level in both], axis=1).astype(np.float32)
    mine = Found(
        row, offset_us[own].astype(np.int64), found.amplitude[own], numbers[row, sample], extra
    )
    events = events_of(mine, numbers, *core_open(block, usable))
    likeness = quality.beat_likeness(block.x, block.fs_hz, block.signal.kind, found)
    verdict = _beat_verdict(block, usable, likeness)
    bins = segment_bins(cores(block), block.fs_hz, SPECTRA[block.signal.kind])
    return Analysed(events, verdict, bins)


def _beat_verdict(block: Block, usable: Bools, likeness: Floats) -> Verdict:
    """Coverage, quality and reason of ECG or PPG segments."""
    share = quality.shares(block.x, block.fs_hz, block.signal.kind, block.core)
    coverage = (usable & block.core).sum(axis=1) / np.maximum(block.core.sum(axis=1), 1)
    unjudged = np.isnan(likeness) & (usable.sum(axis=1) < _JUDGED_FROM_S * block.fs_hz)
    score = np.where(unjudged, _UNJUDGED, np.nan_to_num(likeness) * (1.0 - share.clip))
    score = np.where(coverage < LEAST_COVERAGE, 0.0, score)
    reasons = []
    for i in range(len(score)):
        if score[i] >= quality.GATE:
            reasons.append(FeatureReason.OK)
        elif coverage[i] < LEAST_COVERAGE:
            reasons.append(absence(share.gap[i], share.flat[i]))
        elif share.clip[i] > _CLIP_BLAMED:
            reasons.append(FeatureReason.CLIP)
        elif np.isnan(likeness[i]):
            reasons.append(FeatureReason.TOO_FEW_BEATS)
        else:
            reasons.append(FeatureReason.NOISE)
    return Verdict(coverage, score, reasons)
