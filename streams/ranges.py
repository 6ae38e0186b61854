"""Sets of integers as a few `[start, stop)` ranges: which samples a device has sent before."""

from __future__ import annotations

MAX_RANGES = 16  # the highest are kept; what is forgotten counts as never received

Ranges = list[tuple[int, int]]


def overlap(ranges: Ranges, start: int, stop: int) -> int:
    """How many integers of `[start, stop)` are in `ranges`.

    Examples
    --------
    >>> overlap([(0, 10), (20, 30)], 5, 25)
    10
    """
    return sum(max(0, min(stop, hi) - max(start, lo)) for lo, hi in ranges)


def add(ranges: Ranges, start: int, stop: int) -> Ranges:
    """`ranges` with `[start, stop)`, ascending, apart from one another, at most `MAX_RANGES`.

    Examples
    --------
    >>> add([(0, 10), (20, 30)], 10, 20)
    [(0, 30)]
    """
    if ranges and ranges[-1][0] <= start <= ranges[-1][1]:  # the common case: it goes on
        lo, hi = ranges[-1]
        return [*ranges[:-1], (lo, max(hi, stop))]
    touching = [(lo, hi) for lo, hi in ranges if hi >= start and lo <= stop]
    apart = [r for r in ranges if r not in touching]
    whole = (min([start, *(lo for lo, _ in touching)]), max([stop, *(hi for _, hi in touching)]))
    return sorted([*apart, whole])[-MAX_RANGES:]
