"""What analysing a block of segments gave, as bytes for rings: all of a block at once.

The same bytes as `features.kept.kept_of` of each of its `Primitives`.
"""

from __future__ import annotations

import numpy as np

from features.analysis.block import Analysed, nothing, primitives_of
from features.kept import SEGMENT, Heights, Kept, event_type, heights_of, kept_of, row_type
from features.layout import shape_of
from features.rounding import QUALITY_BITS, rounded
from features.signals import ECG, is_lead
from features.usual_beats import ECTOPIC
from streams.segments import Segment


def packed(segments: list[Segment], analysed: Analysed) -> list[Kept]:
    """One `Kept` per segment of a block."""
    name = segments[0].signal
    shape = shape_of(name).shape
    found = analysed.events.found
    fits = analysed.stats.shape[1] == shape.n_stats
    fits &= found.extra.shape[1] == shape.n_extra or not found.row.size
    if not fits:
        made = primitives_of(segments, analysed)
        return [kept_of(p, shape, ECTOPIC) for p in made]
    n_events = np.bincount(found.row, minlength=len(segments))
    rows = _rows(segments, analysed, shape.n_stats)
    rows["segment"]["n_events"] = n_events
    start_us = rows["segment"]["start_us"]
    events = np.empty(found.row.size, event_type(shape.n_extra))
    events["times_us"] = found.offset_us + start_us[found.row]
    events["values"], events["run"] = found.values, found.run
    if found.row.size:
        events["extra"] = found.extra
    row_bytes, event_bytes = rows.tobytes(), events.tobytes()
    width, each = shape.row_bytes, shape.event_bytes
    stops = (each * np.cumsum(n_events)).tolist()
    reasons, coverage = rows["segment"]["reason"].tolist(), analysed.verdict.coverage.tolist()
    heights = _heights(segments, analysed, name)
    out, begin = [], 0
    for i, segment in enumerate(segments):
        stop = stops[i]
        kept = Kept(
            segment.device_id,
            segment.signal,
            segment.start_us,
            segment.end_us,
            coverage[i],
            reasons[i],
            row_bytes[i * width : (i + 1) * width],
            event_bytes[begin:stop],
            heights[i],
        )
        out.append(kept)
        begin = stop
    return out


def nothing_kept(segment: Segment) -> Kept:
    """What a segment without a single sample in its core leaves behind."""
    return kept_of(nothing(segment), shape_of(segment.signal).shape, ECTOPIC)


def _rows(segments: list[Segment], analysed: Analysed, n_stats: int) -> np.ndarray:
    """The segments' rows, but for how many events they have."""
    (_, open_left, open_right), verdict, stats = analysed
    rows = np.empty(len(segments), row_type(n_stats))
    own = rows["segment"]
    own["start_us"] = [segment.start_us for segment in segments]
    own["end_us"] = [segment.end_us for segment in segments]
    own["coverage"] = verdict.coverage
    own["quality"] = rounded(verdict.quality, QUALITY_BITS)
    own["reason"] = np.frombuffer(bytes(verdict.reason), np.uint8)
    own["open_left"], own["open_right"] = open_left, open_right
    rows["stats"] = stats
    assert rows.dtype.itemsize == SEGMENT.itemsize + stats.itemsize * n_stats
    return rows


def _heights(segments: list[Segment], analysed: Analysed, name: str) -> list[Heights] | list[None]:
    """Of an ECG's beats; None for every other signal."""
    if name != ECG and not is_lead(name):
        return [None] * len(segments)
    found = analysed.events.found
    return heights_of(found.row, found.values, found.extra[:, ECTOPIC], len(segments))
