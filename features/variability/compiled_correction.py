"""Compiled form of `features.variability.correction`, row by row; the same bits.

Imported only where numba is installed (`features.variability.loops`).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import total
from features.variability.compiled import ordered_keys, ranked

_NORMAL: Final = 0  # as `correction.Kind`
_ECTOPIC: Final = 1
_MISSED: Final = 2
_EXTRA: Final = 3
_LONG_SHORT: Final = 4


@compiled
def folded(place: int, count: int) -> Any:
    """A place of a row that is reflected at its first and last value."""
    if 0 <= place < count:
        return place
    if count == 1:
        return 0
    period = 2 * (count - 1)
    place = abs(place) % period
    return min(place, period - place)


@compiled
def medians(values: Any, rank: int, size: int, out: Any) -> None:
    """Order statistic of `size` values around each of a row, (n,)."""
    n, half = values.size, size // 2
    keys, found = np.empty(n + 2 * half, np.int64), np.empty(n, np.int64)
    padded = np.empty(keys.size)
    padded[half : half + n] = values
    for k in range(half):
        padded[k] = values[folded(k - half, n)]
        padded[half + n + k] = values[folded(n + k, n)]
    ordered_keys(padded.view(np.int64), keys)
    ranked(keys, np.arange(n) + half, rank, size, found)
    ordered_keys(found, found)  # its own inverse
    out[:] = found.view(np.float64)


@compiled
def surroundings(values: Any, i: int, room: Any) -> Any:
    """The values around one of a row that is reflected at its ends: a view, or put into `room`."""
    n, half = values.size, room.size // 2
    if half <= i < n - half:
        return values[i - half : i + half + 1]
    for k in range(room.size):
        room[k] = values[folded(i - half + k, n)]
    return room


@compiled
def selected(unordered: Any, rank: int) -> Any:
    """Order statistic of some values."""
    values = unordered.copy()
    low, high = 0, values.size - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
    return values[rank]


@compiled
def steps(nn_ms: Any, joined: Any, out: Any) -> None:
    """Differences to the interval before; their mean where there is none before."""
    n = 0
    known = np.empty(nn_ms.size)
    for i in range(nn_ms.size):
        if joined[i]:
            out[i] = nn_ms[i] - nn_ms[i - 1]
            known[n] = out[i]
            n += 1
    mean = (known[0] + total(known[1:n])) / n if n else 0.0
    for i in range(nn_ms.size):
        if not joined[i]:
            out[i] = mean


@compiled
def threshold(typical: float, median: float, spec: Any) -> Any:
    """As `correction._threshold`."""
    quartiles, share = spec
    return max(quartiles * typical, max(share * abs(median), 1e-6))


@compiled
def limit_of(around: Any, rank: int, median: float, scale: Any) -> Any:
    """Threshold from the sizes around an interval.

    In a regular rhythm it is the least one, and counting tells so: no need to select.
    """
    least = threshold(0.0, median, scale)
    below = 0
    for k in range(around.size):
        below += scale[0] * around[k] <= least
    return least if below > rank else threshold(selected(around, rank), median, scale)


@compiled
def rhythm(nn_ms: Any, joined: Any, spec: Any, out: Any) -> None:
    """Steps and running median of one row; deviation in thresholds, and the threshold, of outliers.

    Of most intervals the deviation is below the least threshold, or below that which so many of
    the deviations around it would give: those are in rhythm, and their deviation is said to be 0.
    """
    near, (rank, wide), scale = spec
    step, size, median, limit, m = out
    steps(nn_ms, joined, step)
    medians(nn_ms, near[0], near[1], median)
    for i in range(nn_ms.size):
        off = nn_ms[i] - median[i]
        m[i] = 2.0 * off if off < 0 else off
        size[i] = abs(m[i])
    room = np.empty(wide)
    for i in range(nn_ms.size):
        if not size[i] > threshold(0.0, median[i], scale):
            m[i] = 0.0
            continue
        around = surroundings(size, i, room)
        below = 0
        for k in range(wide):
            below += scale[0] * around[k] < size[i]
        if below <= rank:
            m[i] = 0.0
            continue
        limit[i] = limit_of(around, rank, median[i], scale)
        m[i] /= limit[i]
    for i in range(nn_ms.size):
        size[i] = abs(step[i])


@compiled
def step_of(i: int, fit: Any, spec: Any, room: Any) -> Any:
    """Step of an interval in thresholds."""
    _, (rank, _), scale = spec
    step, size, median = fit[:3]
    return step[i] / limit_of(surroundings(size, i, room), rank, median[i], scale)


@compiled
def sides(i: int, joined: Any, fit: Any, spec: Any, room: Any) -> Any:
    """Step of an interval, smaller and larger of its neighbours' as the tree asks, alone."""
    n = joined.size
    own = step_of(i, fit, spec, room)
    if joined[i] and not abs(own) > 1:  # nothing asks about the others then
        return own, 0.0, 0.0, False
    before, after = (
        step_of(folded(i - 1, n), fit, spec, room),
        step_of(folded(i + 1, n), fit, spec, room),
    )
    second = step_of(folded(i + 2, n), fit, spec, room)
    s12 = max(before, after) if own > 0 else min(before, after)
    s22 = min(after, second) if own >= 0 else max(after, second)
    goes_on = i + 1 < n and joined[i + 1]
    alone = abs(own) > 1 if joined[i] and not goes_on else False
    alone = abs(after) > 1 if goes_on and not joined[i] else alone
    return own, s12, s22, alone


@compiled
def look(i: int, nn_ms: Any, joined: Any, told: Any, fit: Any, spec: Any) -> Any:
    """What the tree says of an interval: out of rhythm, ectopic, split, first of an extra pair."""
    own, s12, s22, alone = told
    median, limit, m = fit[2:]
    c1, c2, far_from, out_from, shortest = spec
    ectopic = own > 1 and s12 < -c1 * own - c2
    ectopic = ectopic or (own < -1 and s12 > -c1 * own + c2)
    big = not ectopic and own > 1 and s22 < -1
    small = not ectopic and own < -1 and s22 > 1
    far = abs(m[i]) > far_from
    # Two missed beats next to each other look like an ectopic beat; see the reference.
    pause = ectopic and joined[i] and m[i - 1] < -out_from
    half = nn_ms[i] / 2.0
    split = (big or (far and m[i] > 0)) and not pause and half >= shortest
    split = split and abs(half - median[i]) < limit[i]
    first = small and i + 1 < nn_ms.size and joined[i + 1]
    first = first and abs(nn_ms[i] + nn_ms[i + 1] - median[i]) < limit[i]
    return big or small or far or alone, ectopic, split, first


@compiled
def pairs(joined: Any, m: Any, out_from: float, kind: Any) -> None:
    """A short and a long interval are a premature beat and its pause, however noticed."""
    pair = np.zeros(kind.size, np.bool_)
    for i in range(kind.size - 1):
        here, after = kind[i], kind[i + 1]
        free = here in (_NORMAL, _LONG_SHORT) and after in (_NORMAL, _LONG_SHORT)
        pair[i] = free and here + after > 0 and joined[i + 1]
        pair[i] = pair[i] and m[i] < -out_from and m[i + 1] > out_from
    for i in range(kind.size - 1):
        if pair[i]:
            kind[i] = kind[i + 1] = _ECTOPIC


@compiled
def decide(nn_ms: Any, joined: Any, fit: Any, specs: Any, kind: Any) -> None:
    """The decision tree of one row, in the phases of `correction._decide`."""
    spec, rhythm_spec = specs
    m, out_from = fit[4], spec[3]
    said = np.zeros((4, nn_ms.size), np.bool_)
    room = np.empty(rhythm_spec[1][1])
    for i in range(nn_ms.size):
        if abs(m[i]) > out_from:
            told = sides(i, joined, fit, rhythm_spec, room)
            said[0, i], said[1, i], said[2, i], said[3, i] = look(i, nn_ms, joined, told, fit, spec)
    odd, ectopic, split, first = said
    for i in range(nn_ms.size):
        kind[i] = _LONG_SHORT if odd[i] else _NORMAL
        kind[i] = _MISSED if split[i] else kind[i]
    for i in range(nn_ms.size):
        if first[i]:
            kind[i] = kind[i + 1] = _EXTRA
    for i in range(nn_ms.size):
        if ectopic[i] and not split[i]:
            kind[i] = _ECTOPIC
            if joined[i]:
                kind[i - 1] = _ECTOPIC
    pairs(joined, m, out_from, kind)


@compiled
def classify(nn_ms: Any, row: Any, joined: Any, spec: Any, kind: Any) -> None:
    """Kind of each interval; see `correction.classify`."""
    rhythm_spec, tree, fewest, longest = spec
    start = 0
    while start < row.size:
        stop = start + 1
        while stop < row.size and row[stop] == row[start]:
            stop += 1
        own = nn_ms[start:stop]
        n = stop - start
        if n >= fewest:
            within = joined[start:stop].copy()
            within[0] = False
            fit = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
            rhythm(own, within, rhythm_spec, fit)
            decide(own, within, fit, (tree, rhythm_spec), kind[start:stop])
        for i in range(start, stop):
            if not tree[4] <= nn_ms[i] <= longest:
                kind[i] = _LONG_SHORT
        start = stop


@compiled
def correct(nn_ms: Any, row: Any, joined: Any, kind: Any, spec: Any, out: Any) -> None:
    """What becomes of each interval; see `correction.correct`."""
    longest, most_lost, fewest_good = spec
    clean, parts, measured = out
    n = nn_ms.size
    good = np.zeros(n, np.bool_)
    n_good = np.zeros(row[n - 1] + 1)
    odd = False  # the second of a pair, in a run of extra beats
    for i in range(n):
        clean[i], parts[i], measured[i] = nn_ms[i], 1, kind[i] == _NORMAL
        if kind[i] == _MISSED:
            clean[i], parts[i] = nn_ms[i] / 2.0, 2
        goes_on = i > 0 and kind[i] == _EXTRA and kind[i - 1] == _EXTRA and joined[i]
        odd = goes_on and not odd
        if odd and nn_ms[i - 1] + nn_ms[i] <= longest:
            clean[i], parts[i - 1], measured[i] = nn_ms[i - 1] + nn_ms[i], 0, True
    for i in range(n):
        good[i] = measured[i] or kind[i] == _MISSED
        n_good[row[i]] += good[i]
    interpolate(clean, row, joined, (good, n_good), (most_lost, fewest_good), parts)
    for i in range(n):
        if clean[i] != clean[i]:
            parts[i] = 0


@compiled
def interpolate(clean: Any, row: Any, joined: Any, good: Any, spec: Any, parts: Any) -> None:
    """Lost intervals by their good neighbours, NaN without; see `correction._interpolated`."""
    is_good, n_good = good
    most_lost, fewest_good = spec
    n = clean.size
    run = np.empty(n, np.int64)
    number = 0
    for i in range(n):
        number += not joined[i]
        run[i] = number
    i, left = 0, -1
    while i < n:
        if is_good[i] or parts[i] == 0:
            left = i if is_good[i] else left
            i += 1
            continue
        stop = i + 1  # of the lost ones that follow each other
        while stop < n and not is_good[stop] and parts[stop] > 0 and joined[stop]:
            stop += 1
        right = stop
        while right < n and not is_good[right]:
            right += 1
        has_left = left >= 0 and run[left] == run[i]
        has_right = right < n and run[right] == run[i]
        begin, end = left if has_left else right, right if has_right else left
        known = (has_left or has_right) and stop - i <= most_lost
        known = known and n_good[row[i]] >= fewest_good
        for k in range(i, stop):
            value = np.nan
            if known:
                share = min(max((k - begin) / max(end - begin, 1), 0.0), 1.0)
                value = clean[begin] + (clean[end] - clean[begin]) * share
            clean[k] = value
        i = stop
