"""R peaks in the cores of ECG segments, what kind of beats they are, and how far to trust them."""

from __future__ import annotations

from typing import Final

import numpy as np

from features import runs
from features.analysis.block import (
    Analysed,
    Block,
    Found,
    Numbers,
    Verdict,
    core_open,
    cores,
    events_of,
    reasons_of,
    run_numbers,
)
from features.ecg.segment import EcgSegments, analyse_ecg
from features.layout import ECG_INDICES, QRS_ODDS
from features.rounding import WAVE_BITS, rounded
from features.spectrum_specs import SPECTRA
from features.waveform_spectra import segment_bins

# As devices write them; of any other unit nothing is known of the size of a wave.
_MV_PER_UNIT: Final = {"mV": 1.0, "V": 1e3, "uV": 1e-3, "µV": 1e-3}


def analysed(block: Block) -> Analysed:
    """Beats with their numbers; quality and spectrum of each core."""
    mv_per_unit = _MV_PER_UNIT.get(block.segments[0].unit)
    found = analyse_ecg(block.x, block.fs_hz, _core(block), mv_per_unit=mv_per_unit)
    beats = found.beats
    offset_us = np.rint(block.first_us[beats.row, 0] + beats.position * (1e6 / block.fs_hz))
    length_us = block.segments[0].end_us - block.segments[0].start_us
    own = (offset_us >= 0) & (offset_us < length_us)
    row = beats.row[own]
    # A beat a fraction of a sample before the core's first sample is of that sample's run.
    sample = np.rint(beats.position[own]).astype(np.intp).clip(block.first[row], block.last[row])
    inside = found.usable & block.core
    numbers = run_numbers(inside)
    extra = np.stack(
        [beats.up[own], beats.down[own], rounded(beats.ectopic[own], WAVE_BITS)], axis=1
    )
    mine = Found(
        row,
        offset_us[own].astype(np.int64),
        rounded(beats.amplitude[own], WAVE_BITS).astype(np.float64),
        numbers[row, sample],
        extra.astype(np.float32),
    )
    events = events_of(mine, numbers, *core_open(block, found.usable))
    coverage = runs.counts(inside) / np.maximum(block.n_core, 1)
    verdict = Verdict(coverage, found.quality, reasons_of(found.reason))
    return Analysed(events, verdict, _numbers(block, found))


def _core(block: Block) -> tuple[int, int]:
    """Samples of the core, the same for every row of this rate: to a sample, and no row decides."""
    length_us = block.segments[0].end_us - block.segments[0].start_us
    n = round(length_us * 1e-6 * block.fs_hz)
    first = max(block.x.shape[1] - n, 0) // 2
    return first, first + n


def _numbers(block: Block, found: EcgSegments) -> Numbers:
    """As `features.layout.SEGMENT_NUMBERS`."""
    alone = np.stack([getattr(found, name) for name in (*ECG_INDICES, QRS_ODDS)], axis=1)
    bins = rounded(segment_bins(cores(block), block.fs_hz, SPECTRA["ecg"]))
    return np.concatenate([alone, bins], axis=1, dtype=np.float32)
