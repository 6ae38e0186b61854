"""Compiled loops over intervals; the same bits as the NumPy and SciPy they stand for.

Only whole numbers are counted and values picked, so no order of summation matters. Imported only
where numba is installed. The references are in `entropy` and `correction`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from features.compiler import compiled

_SMALLEST: Final = -(1 << 63)
_LARGEST: Final = (1 << 63) - 1
_SIGN: Final = _LARGEST


@compiled
def alike(x: Any, rows: Any, order: Any, template: Any, out: Any) -> None:
    """Pairs of templates alike over two and over three values, of some rows; (2, rows).

    `x` are whole numbers as floats, exact; `rows` are start, length and tolerance of each. In
    `order` of size what is alike in the first value is one stretch.
    """
    start, count, tolerance = rows
    longest = 0
    for n in count:
        longest = max(longest, n)
    a, b, c = np.empty(longest), np.empty(longest), np.empty(longest)
    for r in range(start.size):
        first, limit = start[r], tolerance[r]
        n = 0
        for k in range(first, first + count[r]):
            at = first + order[k]
            if template[at]:
                a[n], b[n], c[n] = x[at], x[at + 1], x[at + 2]
                n += 1
        two = three = stop = 0
        for i in range(n):
            while stop < n and a[stop] <= a[i] + limit:
                stop += 1
            second, third = b[i], c[i]
            for j in range(i + 1, stop):
                p = abs(b[j] - second)
                q = max(p, abs(c[j] - third))
                two += 1 if p <= limit else 0
                three += 1 if q <= limit else 0
        out[0, r], out[1, r] = two, three


@compiled
def ordered_keys(values: Any, out: Any) -> None:
    """Bits of floats as whole numbers in the same order."""
    for i in range(out.size):
        out[i] = values[i] if values[i] >= 0 else values[i] ^ _SIGN


@compiled
def place_of(keys: Any, value: Any) -> Any:
    """How many keys are below a value, and how many are it."""
    below = same = 0
    for i in range(keys.size):
        below += keys[i] < value
        same += keys[i] == value
    return below, same


@compiled
def next_below(keys: Any, value: Any) -> Any:
    """Largest key below a value."""
    best = _SMALLEST
    for i in range(keys.size):
        best = max(best, keys[i] if keys[i] < value else _SMALLEST)
    return best


@compiled
def next_above(keys: Any, value: Any) -> Any:
    """Smallest key above a value."""
    best = _LARGEST
    for i in range(keys.size):
        best = min(best, keys[i] if keys[i] > value else _LARGEST)
    return best


@compiled
def ranked(keys: Any, centre: Any, rank: Any, size: Any, out: Any) -> None:
    """Place of the key of a rank among `size` ones around each centre.

    The one before is kept and moved by the few ranks that a key coming and a key going make.
    """
    half = size // 2
    below = same = value = 0
    for k in range(centre.size):
        first = centre[k] - half
        window = keys[first : first + size]
        if k == 0 or centre[k] != centre[k - 1] + 1:
            value = window[half]
            below, same = place_of(window, value)
        else:
            old, new = keys[first - 1], keys[first + size - 1]
            below += (new < value) - (old < value)
            same += (new == value) - (old == value)
        while rank < below:
            value = next_below(window, value)
            below, same = place_of(window, value)
        while rank >= below + same:
            value = next_above(window, value)
            below, same = place_of(window, value)
        out[k] = value


@compiled
def residuals(profile: Any, first: Any, line: Any, out: Any) -> None:
    """Squared distance of each box to its straight line, terms added from the left."""
    along, spread = line
    size = along.size
    for k in range(first.size):
        at = first[k]
        total = tilt = squares = 0.0
        for j in range(size):
            y = profile[at + j] - profile[at]
            total += y
            tilt += along[j] * y
            squares += y * y
        around = squares - total * total / size - tilt * tilt / spread
        out[k] = max(around, 0.0)
