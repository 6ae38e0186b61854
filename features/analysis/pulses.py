"""Pulses in the cores of PPG segments."""

from __future__ import annotations

import numpy as np

from features import runs
from features.analysis.block import (
    Analysed,
    Block,
    Found,
    Verdict,
    core_open,
    cores,
    events_of,
    reasons_of,
    run_numbers,
)
from features.ppg.motion import segment_rates
from features.ppg.segment import PpgSegments, analyse_ppg
from features.rounding import WAVE_BITS, rounded
from features.spectrum_specs import SPECTRA
from features.waveform_spectra import segment_bins


def analysed(block: Block) -> Analysed:
    """Pulses with their numbers; rates and spectrum of each core."""
    found = analyse_ppg(block.x, block.fs_hz, within=block.core)
    offset_us = np.rint(
        block.first_us[found.pulses.row, 0] + found.pulses.position * (1e6 / block.fs_hz)
    )
    length_us = block.segments[0].end_us - block.segments[0].start_us
    own = (offset_us >= 0) & (offset_us < length_us)
    pulses = found.pulses
    row = pulses.row[own]
    sample = np.rint(pulses.position[own]).astype(np.intp).clip(block.first[row], block.last[row])
    inside = found.usable & block.core
    numbers = run_numbers(inside)
    amplitude, rise_s = (
        rounded(pulses.amplitude[own], WAVE_BITS),
        rounded(pulses.rise_s[own], WAVE_BITS),
    )
    extra = np.stack([pulses.baseline[own], amplitude, rise_s], axis=1)
    mine = Found(
        row,
        offset_us[own].astype(np.int64),
        amplitude.astype(np.float64),
        numbers[row, sample],
        extra.astype(np.float32),
    )
    events = events_of(mine, numbers, *core_open(block, found.usable))
    coverage = runs.counts(inside) / np.maximum(block.n_core, 1)
    verdict = Verdict(coverage, found.quality, reasons_of(found.reason))
    return Analysed(events, verdict, _numbers(block, found))


def _numbers(block: Block, found: PpgSegments) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """As `features.layout.SEGMENT_NUMBERS`."""
    core = cores(block)
    rates = segment_rates(core, block.fs_hz, None, 0.0)
    bins = rounded(segment_bins(core, block.fs_hz, SPECTRA["ppg"]))
    alone = np.stack([found.raw_median, found.bsqi, found.template_corr], axis=1)
    return np.concatenate([alone, rates.bpm, rates.weight, bins], axis=1, dtype=np.float32)
