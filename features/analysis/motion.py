"""Movement in segments of three axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import numpy as np

from features import runs
from features.analysis.block import (
    MOST_ROWS,
    Analysed,
    Verdict,
    block_of,
    cores,
    nothing,
    primitives_of,
    reasons_of,
    without_events,
)
from features.analysis.packing import nothing_kept, packed
from features.axes import Triple
from features.catalog import FeatureReason
from features.kept import Kept
from features.motion.calibration import Calibration, corrected
from features.motion.epochs import epochs_of
from features.motion.windows import numbers_of
from features.primitives import Primitives
from features.rounding import MEASURED_BITS, rounded
from features.signals import MOTION
from streams.segments import Segment

_G_PER_UNIT: Final = {"g": 1.0, "mg": 1e-3, "m/s2": 1 / 9.80665, "m/s^2": 1 / 9.80665}


def analyse_motion(
    triples: Sequence[Triple], calibration: Calibration | None = None
) -> list[Primitives]:
    """Movement of each triple of axes, as the signal `acc`, in the order of the triples.

    Parameters
    ----------
    triples : sequence of Triple
        Of any patients, rates and lengths, mixed.
    calibration : Calibration, optional
        Gain and offset of each triple's axes; as measured without.

    Returns
    -------
    list of Primitives
        One per triple, without events; `stats` as `features.layout.SEGMENT_NUMBERS`. Samples
        count where all three axes have one; axes of unlike rate or length give a gap.
    """
    return _each(triples, calibration, primitives_of, nothing)


def analyse_motion_kept(
    triples: Sequence[Triple], calibration: Calibration | None = None
) -> list[Kept]:
    """The same, as the bytes that `features.rings` keeps."""
    return _each(triples, calibration, packed, nothing_kept)


_Made = TypeVar("_Made")


def _each(
    triples: Sequence[Triple],
    calibration: Calibration | None,
    many: Callable[[list[Segment], Analysed], list[_Made]],
    none: Callable[[Segment], _Made],
) -> list[_Made]:
    """What `many` makes of triples of one rate and length, and `none` of others."""
    groups: dict[tuple[str, float, int, int], list[int]] = {}
    for i, triple in enumerate(triples):
        x, y, z = triple
        n, unit, fs_hz = len(x.data), x.unit, x.fs_hz
        alike = n == len(y.data) == len(z.data) and unit == y.unit == z.unit
        if not (alike and fs_hz == y.fs_hz == z.fs_hz and runs.is_rate(fs_hz)):
            n = 0
        groups.setdefault((unit, fs_hz, n, x.end_us - x.start_us), []).append(i)
    out: dict[int, _Made] = {}
    for group in groups.values():
        for first in range(0, len(group), MOST_ROWS):
            some = group[first : first + MOST_ROWS]
            own = None if calibration is None else Calibration(*(p[some] for p in calibration))
            found = _analyse_axes([triples[i] for i in some], own)
            # The first axis stands for all three.
            moved = [_as_motion(triples[i].x) for i in some]
            made = [none(segment) for segment in moved] if found is None else many(moved, found)
            out.update(zip(some, made, strict=True))
    return [out[i] for i in range(len(triples))]


def _as_motion(x: Segment) -> Segment:
    """As `_replace`, in a third of the time."""
    patient_id, device_id, _, start_us, end_us, fs_hz, unit, first_us, data, gain = x
    return Segment(
        patient_id, device_id, MOTION, start_us, end_us, fs_hz, unit, first_us, data, gain
    )


def _analyse_axes(triples: list[Triple], calibration: Calibration | None) -> Analysed | None:
    """Movement of triples that share rate and length; None where those are impossible."""
    head = triples[0].x
    lengths = {len(axis.data) for axis in triples[0]}
    if len(lengths) > 1 or 0 in lengths or not runs.is_rate(head.fs_hz):
        return None
    block = block_of([triple[axis] for axis in range(3) for triple in triples])
    measured = cores(block)
    scaled = measured * _G_PER_UNIT.get(head.unit, 1.0)
    plausible = (scaled >= block.signal.lo) & (scaled <= block.signal.hi)
    axes = np.where(plausible, scaled, np.nan).reshape(3, len(triples), -1)
    if calibration is not None:
        axes = corrected(axes, calibration)
    found = epochs_of(axes, head.fs_hz)
    numbers = rounded(numbers_of(found), MEASURED_BITS)
    stats = np.concatenate([numbers, rounded(found.bins)], axis=1)
    some = found.n > 0
    if some.all():
        reasons = [FeatureReason.OK] * len(triples)
    else:
        recorded = ~np.isnan(measured).all(axis=1).reshape(3, -1).any(axis=0)
        lost = np.where(recorded, FeatureReason.LOW_QUALITY, FeatureReason.GAP)
        reasons = reasons_of(np.where(some, FeatureReason.OK, lost))
    verdict = Verdict(found.coverage, np.where(some, 1.0, 0.0), reasons)
    return Analysed(without_events(len(stats)), verdict, stats)
