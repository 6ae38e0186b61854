"""The highest and the lowest of many numbers: in any order the same, so sought eight at a time.

Compiled; imported only where numba is installed. None of the numbers may be NaN.
"""

from __future__ import annotations

from typing import Any, Final

from features.compiler import compiled

_LANES: Final = 8


@compiled
def highest_of(a: Any) -> Any:
    """Highest of a vector that is not empty."""
    n = a.size
    most = a[0]
    last = n - n % _LANES
    if last:
        r0, r1, r2, r3, r4, r5, r6, r7 = a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
        for i in range(_LANES, last, _LANES):
            r0 = a[i] if a[i] > r0 else r0
            r1 = a[i + 1] if a[i + 1] > r1 else r1
            r2 = a[i + 2] if a[i + 2] > r2 else r2
            r3 = a[i + 3] if a[i + 3] > r3 else r3
            r4 = a[i + 4] if a[i + 4] > r4 else r4
            r5 = a[i + 5] if a[i + 5] > r5 else r5
            r6 = a[i + 6] if a[i + 6] > r6 else r6
            r7 = a[i + 7] if a[i + 7] > r7 else r7
        most = max(max(max(r0, r1), max(r2, r3)), max(max(r4, r5), max(r6, r7)))
    for i in range(last, n):
        most = a[i] if a[i] > most else most
    return most


@compiled
def lowest_of(a: Any) -> Any:
    """Lowest of a vector that is not empty."""
    n = a.size
    least = a[0]
    last = n - n % _LANES
    if last:
        r0, r1, r2, r3, r4, r5, r6, r7 = a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
        for i in range(_LANES, last, _LANES):
            r0 = a[i] if a[i] < r0 else r0
            r1 = a[i + 1] if a[i + 1] < r1 else r1
            r2 = a[i + 2] if a[i + 2] < r2 else r2
            r3 = a[i + 3] if a[i + 3] < r3 else r3
            r4 = a[i + 4] if a[i + 4] < r4 else r4
            r5 = a[i + 5] if a[i + 5] < r5 else r5
            r6 = a[i + 6] if a[i + 6] < r6 else r6
            r7 = a[i + 7] if a[i + 7] < r7 else r7
        least = min(min(min(r0, r1), min(r2, r3)), min(min(r4, r5), min(r6, r7)))
    for i in range(last, n):
        least = a[i] if a[i] < least else least
    return least


@compiled
def blocks_of(row: Any, width: Any, high: Any, low: Any) -> None:
    """Highest and lowest of each whole `width` samples of a row."""
    for k in range(high.size):
        part = row[k * width : (k + 1) * width]
        high[k], low[k] = highest_of(part), lowest_of(part)
