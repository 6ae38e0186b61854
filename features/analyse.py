"""Segments in, primitives out: each segment is analysed once, by itself, many at a time.

Stateless: nothing here depends on earlier segments, on other rows of a batch, or on a clock.
Not here: cutting segments (`streams.segments`), what windows make of primitives, the three axes
of an accelerometer (`features.analysis.motion`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from features import runs
from features.analysis import breaths, ecg, numbers, pulses
from features.analysis.block import MOST_ROWS, Analysed, Block, block_of, nothing, primitives_of
from features.analysis.packing import nothing_kept, packed
from features.kept import Kept
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
    return _each(segments, primitives_of, nothing)


def analyse_kept(segments: Sequence[Segment]) -> list[Kept]:
    """The same, as the bytes that `features.rings` keeps."""
    return _each(segments, packed, nothing_kept)


_Made = TypeVar("_Made")


def _each(
    segments: Sequence[Segment],
    many: Callable[[list[Segment], Analysed], list[_Made]],
    none: Callable[[Segment], _Made],
) -> list[_Made]:
    """What `many` makes of blocks that could be analysed, and `none` of other segments."""
    groups: dict[tuple[str, str, float, int, int], list[int]] = {}
    for i, segment in enumerate(segments):
        length_us = segment.end_us - segment.start_us
        key = (
            ECG if is_lead(segment.signal) else segment.signal,
            segment.unit,
            segment.fs_hz,
            len(segment.data),
            length_us,
        )
        groups.setdefault(key, []).append(i)
    out: dict[int, _Made] = {}
    for group in groups.values():
        for first in range(0, len(group), MOST_ROWS):
            some = group[first : first + MOST_ROWS]
            own = [segments[i] for i in some]
            found = _analysed(own)
            made = [none(segment) for segment in own] if found is None else many(own, found)
            out.update(zip(some, made, strict=True))
    return [out[i] for i in range(len(segments))]


def _analysed(segments: list[Segment]) -> Analysed | None:
    """What segments that share kind, unit, rate and length hold; None if nothing is sought."""
    block = block_of(segments)
    handler = _BY_KIND.get(block.signal.kind)  # none for one axis of three
    if handler is None or not runs.is_rate(block.fs_hz) or not block.core.any():
        return None
    return handler(block)


_BY_KIND: Final[dict[SignalKind, Callable[[Block], Analysed]]] = {
    SignalKind.ECG: ecg.analysed,
    SignalKind.PPG: pulses.analysed,
    SignalKind.RESP: breaths.analysed,
    SignalKind.RR: numbers.with_samples,
    SignalKind.SCALAR: numbers.with_samples,
    SignalKind.SPO2: numbers.saturation,
    SignalKind.TEMP: numbers.temperature,
    SignalKind.EDA: numbers.conductance,
}
