"""Many rings as a few byte strings that compress well, and back.

Arrays of all rings stand end to end, so that a patient costs a few operations whatever it wears.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.kept import SEGMENT, Arrays, Shape
from features.planes import planes, unplaned

_RECORD: Final = np.dtype((np.void, SEGMENT.itemsize))
_COLUMNS: Final = ("n_events", "coverage", "quality", "reason", "open_left", "open_right")
_EVENTS: Final = (("values", "<f4"), ("run", "<i2"))


def packed(rings: Sequence[Arrays]) -> list[Any]:
    """Rings as values MessagePack can hold."""
    if not rings:
        return []
    records = np.concatenate([ring.segments.view(_RECORD) for ring in rings])
    segments: NDArray[np.void] = records.view(SEGMENT)
    times_us = np.concatenate([ring.times_us for ring in rings])
    since_us = times_us - np.repeat(segments["start_us"], segments["n_events"])
    starts_us = segments["start_us"]
    return [
        [len(ring.segments) for ring in rings],
        planes(np.diff(starts_us, prepend=0)),
        planes((segments["end_us"] - starts_us).astype("<i4")),
        planes(since_us.astype("<i4")),
        *(planes(segments[name]) for name in _COLUMNS),
        *(planes(np.concatenate([getattr(r, name) for r in rings])) for name, _ in _EVENTS),
        planes(np.concatenate([ring.stats.reshape(-1) for ring in rings])),
        planes(np.concatenate([ring.extra.reshape(-1) for ring in rings])),
    ]


def unpacked(state: Sequence[Any], shapes: Sequence[Shape]) -> list[Arrays]:
    """What gave `packed`; ValueError if it does not fit these shapes or itself."""
    if not shapes and not state:
        return []
    lengths, starts, spans, since, *rest = state
    columns, (values, run, stats, extra) = rest[: len(_COLUMNS)], rest[len(_COLUMNS) :]
    segments = np.empty(sum(lengths), SEGMENT)
    whole = segments.size
    segments["start_us"] = np.cumsum(_exactly(whole, unplaned(starts, "<i8")))
    segments["end_us"] = segments["start_us"] + _exactly(whole, unplaned(spans, "<i4"))
    for name, column in zip(_COLUMNS, columns, strict=True):
        segments[name] = _exactly(whole, unplaned(column, SEGMENT[name]))
    counts = segments["n_events"]
    if len(lengths) != len(shapes) or (counts < 0).any():
        raise ValueError("the rings of a patient do not fit its signals")
    times_us = np.repeat(segments["start_us"], counts) + unplaned(since, "<i4")
    rows = _borders(lengths)
    events = _borders([int(counts[a:b].sum()) for a, b in rows])
    n_events = int(counts.sum())
    tables = (
        _tables(unplaned(stats, "<f4"), rows, [shape.n_stats for shape in shapes]),
        _tables(unplaned(extra, "<f4"), events, [shape.n_extra for shape in shapes]),
    )
    flat = (
        _exactly(n_events, times_us),
        _exactly(n_events, unplaned(values, "<f4")),
        _exactly(n_events, unplaned(run, "<i2")),
    )
    return [
        Arrays._make((segments[a:b], tables[0][k], *(part[c:d] for part in flat), tables[1][k]))
        for k, ((a, b), (c, d)) in enumerate(zip(rows, events, strict=True))
    ]


def _exactly(size: int, part: NDArray[Any]) -> NDArray[Any]:
    if part.size != size:
        raise ValueError("columns of a ring are of different lengths")
    return part


def _borders(lengths: Sequence[int]) -> list[tuple[int, int]]:
    ends = list(accumulate(lengths))
    return list(zip(chain((0,), ends), ends, strict=False))


def _tables(
    flat: NDArray[np.float32], rows: Sequence[tuple[int, int]], widths: Sequence[int]
) -> list[NDArray[np.float32]]:
    """A flat vector as tables of so many rows and columns; ValueError if it is of another size."""
    sizes = [(b - a) * width for (a, b), width in zip(rows, widths, strict=True)]
    if sum(sizes) != flat.size:
        raise ValueError("numbers of a ring do not fit its segments")
    return [
        flat[a:b].reshape(last - first, width)
        for (a, b), (first, last), width in zip(_borders(sizes), rows, widths, strict=True)
    ]
