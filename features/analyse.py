"""Segments in, primitives out: each segment is analysed once, by itself, many at a time.

Stateless: nothing here depends on earlier segments, on other rows of a batch, or on a clock.
Not here: cutting segments (`streams.segments`) and what windows make of primitives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features import beats, quality, respiration, runs
from features.axes import Triple
from features.catalog import FeatureReason
from features.movement import enmo_mg
from features.primitives import Primitives
from features.runs import Bools, Floats, Ints
from features.signals import CONTEXT_S, MOTION, SIGNALS, Signal, SignalKind
from streams.segments import Segment

__all__ = ["CONTEXT_S", "SIGNALS", "analyse", "analyse_motion"]

Micros = NDArray[np.int64]

_MOST_ROWS: Final = 256  # bounds memory: 256 x 12 s at 500 Hz is 12 MB of float64
_LEAST_COVERAGE: Final = 0.2  # of 10 s: the shortest run in which beats are sought
_JUDGED_FROM_S: Final = 5.0  # of usable signal: there, fewer than three beats are a finding
_CLIP_BLAMED: Final = 0.2
_UNJUDGED: Final = 0.5  # quality of a rest too short to judge: passes, but only just
_WAVE_STEP_US: Final = round(1e6 / respiration.WAVE_HZ)
_G_PER_UNIT: Final = {"g": 1.0, "mg": 1e-3, "m/s2": 1 / 9.80665, "m/s^2": 1 / 9.80665}
_UNKNOWN: Final = Signal("", SignalKind.SCALAR, "", 0.0, -np.inf, np.inf, "")


class _Block(NamedTuple):
    """Segments of one signal, rate and length, as rows."""

    segments: list[Segment]
    signal: Signal
    fs_hz: float
    x: Floats  # (B, n) NaN = gap
    first_us: Floats  # (B, 1) of sample 0, from the core's start
    offset_us: Micros  # (B, n) of every sample, from the core's start
    core: Bools  # (B, n)


class _Found(NamedTuple):
    """Events of a block, sorted by row, then time."""

    row: Ints
    offset_us: Micros
    values: Floats
    run: Ints


class _Events(NamedTuple):
    """Events, and per row whether its first and last ones go on in the neighbours."""

    found: _Found
    open_left: Bools
    open_right: Bools


class _Verdict(NamedTuple):
    """One value per row."""

    coverage: Floats
    quality: Floats
    reason: list[FeatureReason]


def analyse(segments: Sequence[Segment]) -> list[Primitives]:
    """Primitives of each segment, in the order of the segments.

    Parameters
    ----------
    segments : sequence of Segment
        Of any patients, signals, rates and lengths, mixed.

    Returns
    -------
    list of Primitives
        One per segment. Never raises for what samples hold: an unusable segment has no events
        and says why in `reason`.

    Notes
    -----
    A beat belongs to the segment whose core holds its localised time, so that of two segments
    that both see it exactly one reports it, up to the sub-sample difference the caller merges.
    Checked against: ``tests/features/test_analyse.py``.
    """
    groups: dict[tuple[str, str, float, int, int], list[int]] = {}
    for i, segment in enumerate(segments):
        length_us = segment.end_us - segment.start_us
        key = (
            segment.signal,
            segment.unit,
            segment.fs_hz,
            len(segment.samples),
            length_us,
        )
        groups.setdefault(key, []).append(i)
    out: dict[int, Primitives] = {}
    for group in groups.values():
        for first in range(0, len(group), _MOST_ROWS):
            some = group[first : first + _MOST_ROWS]
            out.update(zip(some, _analyse_block([segments[i] for i in some]), strict=True))
    return [out[i] for i in range(len(segments))]


def analyse_motion(triples: Sequence[Triple]) -> list[Primitives]:
    """Movement of each triple of axes, as the signal `acc`, in the order of the triples.

    Parameters
    ----------
    triples : sequence of Triple
        Of any patients, rates and lengths, mixed.

    Returns
    -------
    list of Primitives
        One per triple, without events; `stats` as `features.layout.SEGMENT_NUMBERS`. Samples
        count where all three axes have one; axes of unlike rate or length give a gap.
    """
    groups: dict[tuple[str, float, int, int], list[int]] = {}
    for i, triple in enumerate(triples):
        lengths = {(axis.fs_hz, len(axis.samples), axis.unit) for axis in triple}
        x = triple.x
        n = len(x.samples) if len(lengths) == 1 and runs.is_rate(x.fs_hz) else 0
        groups.setdefault((x.unit, x.fs_hz, n, x.end_us - x.start_us), []).append(i)
    out: dict[int, Primitives] = {}
    for group in groups.values():
        for first in range(0, len(group), _MOST_ROWS):
            some = group[first : first + _MOST_ROWS]
            out.update(zip(some, _analyse_axes([triples[i] for i in some]), strict=True))
    return [out[i] for i in range(len(triples))]


def _analyse_axes(triples: list[Triple]) -> list[Primitives]:
    """Movement of triples that share rate and length."""
    x = triples[0].x
    if len({len(axis.samples) for axis in triples[0]}) > 1 or not runs.is_rate(x.fs_hz):
        return [_nothing(triple.x)._replace(signal=MOTION) for triple in triples]
    blocks = [_block([triple[axis] for triple in triples]) for axis in range(3)]
    scale = _G_PER_UNIT.get(x.unit, 1.0)
    valid = np.logical_and.reduce([_plausible(block, scale) for block in blocks])
    axes = [np.where(valid, block.x * scale, np.nan) for block in blocks]
    n = valid.sum(axis=1)
    enmo = np.where(valid, np.nan_to_num(enmo_mg(*axes)), 0.0).sum(axis=1) / np.maximum(n, 1)
    coverage = n / np.maximum(blocks[0].core.sum(axis=1), 1)
    recorded = np.logical_and.reduce(
        [(block.core & ~np.isnan(block.x)).any(axis=1) for block in blocks]
    )
    out = []
    for i, triple in enumerate(triples):
        some, any_valid = bool(recorded[i]), bool(n[i])
        lost = FeatureReason.LOW_QUALITY if some else FeatureReason.GAP
        out.append(
            _nothing(triple.x)._replace(
                signal=MOTION,
                coverage=float(coverage[i]),
                quality=1.0 if any_valid else 0.0,
                reason=FeatureReason.OK if any_valid else lost,
                stats=np.array([enmo[i], n[i]], np.float32),
            )
        )
    return out


def _plausible(block: _Block, scale: float) -> Bools:
    """Core samples of an axis that are within what its sensor can measure."""
    x = block.x * scale
    return block.core & (x >= block.signal.lo) & (x <= block.signal.hi)


def _analyse_block(segments: list[Segment]) -> list[Primitives]:
    """Primitives of segments that share signal, rate and length."""
    block = _block(segments)
    handler = _BY_KIND.get(block.signal.kind)  # none for one axis of three: `analyse_motion`
    if handler is None or not runs.is_rate(block.fs_hz) or not block.core.any():
        return [_nothing(segment) for segment in segments]
    events, verdict = handler(block)
    found = events.found
    borders = np.searchsorted(found.row, np.arange(len(segments) + 1)).tolist()
    out = []
    for i, segment in enumerate(segments):
        own = slice(borders[i], borders[i + 1])
        out.append(
            Primitives(
                device_id=segment.device_id,
                signal=segment.signal,
                start_us=segment.start_us,
                end_us=segment.end_us,
                coverage=float(verdict.coverage[i]),
                quality=float(verdict.quality[i]),
                reason=verdict.reason[i],
                times_us=found.offset_us[own] + segment.start_us,
                values=found.values[own].copy(),
                run=found.run[own].astype(np.int16),
                open_left=bool(events.open_left[i]),
                open_right=bool(events.open_right[i]),
            )
        )
    return out


def _block(segments: list[Segment]) -> _Block:
    """Stack segments into rows and find their cores."""
    head = segments[0]
    x = runs.as_rows(np.stack([segment.samples for segment in segments]))
    first_us = np.array([[segment.first_us] for segment in segments], np.float64)
    period_us = 1e6 / head.fs_hz if runs.is_rate(head.fs_hz) else 0.0
    # Rounded before comparing: the core is half-open on the grid of whole microseconds.
    offset_us = np.rint(first_us + np.arange(x.shape[1]) * period_us).astype(np.int64)
    core = (offset_us >= 0) & (offset_us < head.end_us - head.start_us)
    signal = SIGNALS.get(head.signal, _UNKNOWN)
    return _Block(segments, signal, head.fs_hz, x, first_us, offset_us, core)


def _nothing(segment: Segment) -> Primitives:
    """What a segment without a single sample in its core leaves behind."""
    return Primitives(
        device_id=segment.device_id,
        signal=segment.signal,
        start_us=segment.start_us,
        end_us=segment.end_us,
        coverage=0.0,
        quality=0.0,
        reason=FeatureReason.GAP,
        times_us=np.empty(0, np.int64),
        values=np.empty(0),
        run=np.empty(0, np.int16),
        open_left=False,
        open_right=False,
    )


def _with_beats(block: _Block) -> tuple[_Events, _Verdict]:
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
    first, last = _core_borders(block)
    sample = np.rint(found.position[own]).astype(np.intp).clip(first[row], last[row])
    numbers = _run_numbers(usable & block.core)
    mine = _Found(row, offset_us[own].astype(np.int64), found.amplitude[own], numbers[row, sample])
    events = _events(mine, numbers, *_core_open(block, usable))
    likeness = quality.beat_likeness(block.x, block.fs_hz, block.signal.kind, found)
    return events, _beat_verdict(block, usable, likeness)


def _beat_verdict(block: _Block, usable: Bools, likeness: Floats) -> _Verdict:
    """Coverage, quality and reason of ECG or PPG segments."""
    share = quality.shares(block.x, block.fs_hz, block.signal.kind, block.core)
    coverage = (usable & block.core).sum(axis=1) / np.maximum(block.core.sum(axis=1), 1)
    unjudged = np.isnan(likeness) & (usable.sum(axis=1) < _JUDGED_FROM_S * block.fs_hz)
    score = np.where(unjudged, _UNJUDGED, np.nan_to_num(likeness) * (1.0 - share.clip))
    score = np.where(coverage < _LEAST_COVERAGE, 0.0, score)
    reasons = []
    for i in range(len(score)):
        if score[i] >= quality.GATE:
            reasons.append(FeatureReason.OK)
        elif coverage[i] < _LEAST_COVERAGE:
            reasons.append(_absence(share.gap[i], share.flat[i]))
        elif share.clip[i] > _CLIP_BLAMED:
            reasons.append(FeatureReason.CLIP)
        elif np.isnan(likeness[i]):
            reasons.append(FeatureReason.TOO_FEW_BEATS)
        else:
            reasons.append(FeatureReason.NOISE)
    return _Verdict(coverage, score, reasons)


def _with_breaths(block: _Block) -> tuple[_Events, _Verdict]:
    """The wave of RESP segments at 4 Hz on the core's own grid."""
    length_us = block.segments[0].end_us - block.segments[0].start_us
    grid_us = np.arange(0, length_us, _WAVE_STEP_US, dtype=np.int64)
    at = (grid_us - block.first_us) * (block.fs_hz / 1e6)
    wave = respiration.breath_wave(block.x, block.fs_hz, at)
    known = ~np.isnan(wave)
    row, column = np.nonzero(known)
    numbers = _run_numbers(known)
    found = _Found(row, grid_us[column], wave[row, column], numbers[row, column])
    coverage = known.mean(axis=1)
    events = _events(found, numbers, known[:, 0], known[:, -1])
    share = quality.shares(block.x, block.fs_hz, SignalKind.RESP, block.core)
    smooth = np.nan_to_num(quality.smoothness(block.x, block.fs_hz))
    off = (coverage < _LEAST_COVERAGE) | (share.flat > 1.0 - _LEAST_COVERAGE)
    score = np.where(off, 0.0, smooth)
    reasons = [
        _absence(share.gap[i], share.flat[i])
        if off[i]
        else FeatureReason.OK
        if score[i] >= quality.GATE
        else FeatureReason.NOISE
        for i in range(len(score))
    ]
    return events, _Verdict(coverage, score, reasons)


def _with_samples(block: _Block) -> tuple[_Events, _Verdict]:
    """The valid samples of scalars."""
    x = block.x
    recorded = block.core & ~np.isnan(x)
    valid = recorded & (x >= block.signal.lo) & (x <= block.signal.hi)
    row, column = np.nonzero(valid)
    numbers = _run_numbers(valid)
    offset_us = block.offset_us[row, column]
    found = _Found(row, offset_us, x[row, column], numbers[row, column])
    events = _events(found, numbers, *_core_open(block, valid))
    total = np.maximum(block.core.sum(axis=1), 1)
    any_valid = np.asarray(valid.any(axis=1))
    any_recorded = np.asarray(recorded.any(axis=1))
    reasons = [
        FeatureReason.OK if good else FeatureReason.LOW_QUALITY if something else FeatureReason.GAP
        for good, something in zip(any_valid.tolist(), any_recorded.tolist(), strict=True)
    ]
    score = np.where(any_valid, 1.0, 0.0)
    return events, _Verdict(valid.sum(axis=1) / total, score, reasons)


def _run_numbers(usable: Bools) -> Ints:
    """Number (0, 1, 2...) of the run each usable sample lies in; all -1 in a row without."""
    begins = usable.copy()
    begins[:, 1:] &= ~usable[:, :-1]
    numbers = np.zeros(usable.shape, np.intp)
    broken = np.count_nonzero(begins, axis=1) != 1
    numbers[broken] = np.cumsum(begins[broken], axis=1) - 1
    return numbers


def _core_borders(block: _Block) -> tuple[Ints, Ints]:
    """First and last core sample of each row; a row without a core has its first sample."""
    first = block.core.argmax(axis=1)
    return first, first + np.maximum(block.core.sum(axis=1), 1) - 1


def _core_open(block: _Block, usable: Bools) -> tuple[Bools, Bools]:
    """Whether usable samples reach over the core's start, and up to its end."""
    first, last = _core_borders(block)
    rows = np.arange(len(usable))
    before = usable[rows, np.maximum(first - 1, 0)]
    return usable[rows, first] & before, usable[rows, last]


def _events(found: _Found, numbers: Ints, starts_open: Bools, ends_open: Bools) -> _Events:
    """Close the sides on which the outermost event is not of the outermost run.

    A run too short to hold an event would otherwise be invisible to the caller, who would join
    the events on both sides of the gap.
    """
    n_rows = len(numbers)
    last_run = numbers[:, -1]
    borders = np.searchsorted(found.row, np.arange(n_rows + 1))
    empty = borders[:-1] == borders[1:]
    run = np.append(found.run, 0)
    first_event = np.where(empty, 0, run[np.minimum(borders[:-1], len(run) - 1)])
    last_event = np.where(empty, 0, run[np.maximum(borders[1:] - 1, 0)])
    single = ~empty | (starts_open & ends_open & (last_run == 0))
    return _Events(
        found,
        starts_open & single & (first_event == 0),
        ends_open & single & (last_event == last_run),
    )


def _absence(gap: float, flat: float) -> FeatureReason:
    """Which of the two kept a segment from being used."""
    return FeatureReason.FLAT if flat > gap else FeatureReason.GAP


_BY_KIND: Final[dict[SignalKind, Callable[[_Block], tuple[_Events, _Verdict]]]] = {
    SignalKind.ECG: _with_beats,
    SignalKind.PPG: _with_beats,
    SignalKind.RESP: _with_breaths,
    SignalKind.RR: _with_samples,
    SignalKind.SCALAR: _with_samples,
}
