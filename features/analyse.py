"""Segments in, primitives out: each segment is analysed once, by itself, many at a time.

Stateless: nothing here depends on earlier segments, on other rows of a batch, or on a clock.
Not here: cutting segments (`streams.segments`), what windows make of primitives, the three axes
of an accelerometer (`features.analysis.motion`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from features import runs
from features.analysis import breaths, numbers, pulse_waves, pulses
from features.analysis.block import MOST_ROWS, Analysed, Block, block_of, nothing, primitives_of
from features.primitives import Primitives
from features.signals import CONTEXT_S, ECG, SIGNALS, SignalKind, is_lead
from streams.segments import Segment

__all__ = ["CONTEXT_S", "SIGNALS", "analyse"]


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
            ECG if is_lead(segment.signal) else segment.signal,
            segment.unit,
            segment.fs_hz,
            len(segment.samples),
            length_us,
        )
        groups.setdefault(key, []).append(i)
    out: dict[int, Primitives] = {}
    for group in groups.values():
        for first in range(0, len(group), MOST_ROWS):
            some = group[first : first + MOST_ROWS]
            out.update(zip(some, _analyse_block([segments[i] for i in some]), strict=True))
    return [out[i] for i in range(len(segments))]


def _analyse_block(segments: list[Segment]) -> list[Primitives]:
    """Primitives of segments that share kind, unit, rate and length."""
    block = block_of(segments)
    handler = _BY_KIND.get(block.signal.kind)  # none for one axis of three
    if handler is None or not runs.is_rate(block.fs_hz) or not block.core.any():
        return [nothing(segment) for segment in segments]
    return primitives_of(segments, handler(block))


_BY_KIND: Final[dict[SignalKind, Callable[[Block], Analysed]]] = {
    SignalKind.ECG: pulse_waves.analysed,
    SignalKind.PPG: pulses.analysed,
    SignalKind.RESP: breaths.analysed,
    SignalKind.RR: numbers.with_samples,
    SignalKind.SCALAR: numbers.with_samples,
    SignalKind.SPO2: numbers.saturation,
    SignalKind.TEMP: numbers.temperature,
    SignalKind.EDA: numbers.conductance,
}
