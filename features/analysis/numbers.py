"""Numbers measured now and then: device rates, intervals, saturation, temperature, skin."""

from __future__ import annotations

import numpy as np

from features import electrodermal, oximetry
from features import temperature as thermal
from features.analysis.block import (
    Analysed,
    Block,
    Found,
    Verdict,
    core_open,
    cores,
    events_of,
    run_numbers,
    without_events,
)
from features.catalog import FeatureReason
from features.runs import Bools, Floats


def with_samples(block: Block) -> Analysed:
    """The valid samples of a number a device sends, as events."""
    valid = _valid(block)
    row, column = np.nonzero(valid)
    numbers = run_numbers(valid)
    offset_us = block.offset_us[row, column]
    extra = np.empty((row.size, 0), np.float32)
    found = Found(row, offset_us, block.x[row, column], numbers[row, column], extra)
    events = events_of(found, numbers, *core_open(block, valid))
    return Analysed(events, _verdict(block, valid), np.empty((len(valid), 0), np.float32))


def saturation(block: Block) -> Analysed:
    """SpO2, a value a second."""
    return _summed_up(block, oximetry.seconds_of(cores(block), block.fs_hz))


def temperature(block: Block) -> Analysed:
    """Temperature, a value in all."""
    return _summed_up(block, thermal.segment_median(cores(block))[:, None])


def conductance(block: Block) -> Analysed:
    """Skin conductance, two values a second."""
    return _summed_up(block, electrodermal.half_seconds_of(cores(block), block.fs_hz))


def _summed_up(block: Block, numbers: Floats) -> Analysed:
    """Segments that leave numbers and no events."""
    events = without_events(len(numbers))
    return Analysed(events, _verdict(block, _valid(block)), numbers.astype(np.float32))


def _valid(block: Block) -> Bools:
    """Core samples within what can be measured."""
    return block.core & (block.x >= block.signal.lo) & (block.x <= block.signal.hi)


def _verdict(block: Block, valid: Bools) -> Verdict:
    """Any valid sample speaks for a segment: these numbers are few."""
    recorded = block.core & ~np.isnan(block.x)
    total = np.maximum(block.n_core, 1)
    any_valid = np.asarray(valid.any(axis=1))
    any_recorded = np.asarray(recorded.any(axis=1))
    reasons = [
        FeatureReason.OK if good else FeatureReason.LOW_QUALITY if something else FeatureReason.GAP
        for good, something in zip(any_valid.tolist(), any_recorded.tolist(), strict=True)
    ]
    return Verdict(valid.sum(axis=1) / total, np.where(any_valid, 1.0, 0.0), reasons)
