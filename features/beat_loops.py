"""Compiled loops over the beats of windows; the same bits as the NumPy beside which they stand.

Imported only where numba is installed. References: `features.beat_windows`,
`features.beat_intervals`.
"""

from __future__ import annotations

from typing import Any

from features.compiler import compiled


@compiled
def rising(times_us: Any, row: Any, farthest_us: int, later: Any) -> None:
    """Events later than all before them in their row; times beyond the farthest count as it."""
    latest_us = 0
    for i in range(row.size):
        at_us = min(max(times_us[i], -farthest_us), farthest_us)
        later[i] = i == 0 or row[i] != row[i - 1] or at_us > latest_us
        latest_us = at_us if later[i] else latest_us


@compiled
def runs_and_merged(events: Any, segments: Any, refractory_us: Any, run: Any, kept: Any) -> None:
    """Gap-free run of each beat, numbered through, and the beats to keep at borders."""
    row, place, times_us, values, own_run = events
    start_us, end_us, open_left, open_right = segments
    for i in range(row.size):
        kept[i], run[i] = True, 0
    for i in range(row.size - 1):
        left, right = place[i], place[i + 1]
        broken = own_run[i + 1] != own_run[i]
        if left != right:
            same_row = row[i] == row[i + 1]
            broken = not (same_row and open_right[left] and open_left[right])
            broken = broken or end_us[left] != start_us[right]
            if same_row and times_us[i + 1] - times_us[i] < refractory_us[row[i]]:
                kept[i if values[i + 1] > values[i] else i + 1] = False
        run[i + 1] = run[i] + broken


@compiled
def between(beats: Any, length_us: Any, places: Any, lengths_ms: Any, flags: Any) -> int:
    """Intervals between adjacent beats of a run that end before their window's end; how many."""
    row, times_us, run, ectopic = beats
    (rows, ends_us), (joined, by_shape) = places, flags
    n, exists = 0, False
    for i in range(1, row.size):
        before = exists
        exists = row[i] == row[i - 1] and run[i] == run[i - 1] and times_us[i] < length_us[row[i]]
        if exists:
            rows[n], ends_us[n] = row[i], times_us[i]
            lengths_ms[n] = (times_us[i] - times_us[i - 1]) / 1000.0
            joined[n], by_shape[n] = before, ectopic[i] or ectopic[i - 1]
            n += 1
    return n
