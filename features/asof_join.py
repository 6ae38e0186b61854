"""The as-of join over whole histories, for training: one sorted search for all questions.

Offline twin of `features.asof`, without its bound. It shares `features.facts.admit` with it and
nothing else, so that their equality is a proof (``tests/features/test_asof_join.py``).

Rows of all patients lie in order of (group, event time, log order), a group being a patient's
track. A question looks for the last row of its group at or before its event time; where that row
was not known yet, or no longer stood, it steps back until one does. Most take no step, so the
cost is that of one sorted search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.facts import MAX_AGE_US, Fact, admit
from features.track import NEVER
from streams.records import ClinicalEvent, Reason

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_MISSING: Final = -1


class Rows(NamedTuple):
    """Rows of all groups, ascending in (group, time_us) with ties in log order."""

    group: Ints  # [R] any numbers from 0: a patient, a track of a patient
    time_us: Ints  # [R] event time
    known_us: Ints  # [R] when it could be used
    dead_us: Ints  # [R] when a higher version of its event became known; NEVER
    value: Floats  # [R] NaN: a cancellation, which only takes a row away


def latest(rows: Rows, group: Ints, t_us: Ints, known_us: Ints) -> Ints:
    """Row in force for each question.

    Parameters
    ----------
    rows : Rows
        R rows in their order.
    group, t_us, known_us : (Q,) int64
        Group, event time and decision time; equality counts at both. Questions in ascending
        order of (group, t_us) are answered several times faster.

    Returns
    -------
    (Q,) int64
        Index of the row, -1 where there is none.

    Raises
    ------
    ValueError
        If the rows are not in order, or a time does not fit beside the number of groups.

    Notes
    -----
    Checked against: ``tests/features/test_asof_join.py``, row by row equal to pandas
    ``merge_asof`` where nothing is late, and to `features.asof.facts_at` everywhere.

    Examples
    --------
    >>> def ints(*numbers):
    ...     return np.array(numbers, dtype=np.int64)
    >>> rows = Rows(ints(0, 0), ints(10, 20), ints(10, 99), ints(NEVER, NEVER), np.array([1., 2.]))
    >>> latest(rows, ints(0, 0, 1), ints(20, 20, 20), ints(98, 99, 99)).tolist()
    [0, 1, -1]
    """
    found = _last_at(rows, group, t_us)
    if not len(rows.group):
        return found
    ends_us = np.where(np.isnan(rows.value), -1, rows.dead_us)  # a cancellation never stands
    own, back = _judged(rows, ends_us, found, (group, known_us))
    np.putmask(found, ~own, _MISSING)
    while back.size:  # one step back at a time for those whose row does not count
        row = found[back] - 1
        own, on = _judged(rows, ends_us, row, (group[back], known_us[back]))
        found[back] = np.where(own, row, _MISSING)
        back = back[on]
    return found


def _judged(
    rows: Rows, ends_us: Ints, row: Ints, asked: tuple[Ints, Ints]
) -> tuple[NDArray[np.bool_], Ints]:
    """Whether each question's row is of its group, and which of those rows do not count."""
    group, known_us = asked
    own = rows.group.take(row, mode="wrap") == group
    own &= row >= 0
    out = rows.known_us.take(row, mode="wrap") > known_us
    out |= ends_us.take(row, mode="wrap") <= known_us
    out &= own
    return own, np.flatnonzero(out)


def _last_at(rows: Rows, group: Ints, t_us: Ints) -> Ints:
    """Last row at or before each (group, time), of whatever group; -1 before the first."""
    keys, wanted = _keys(rows, group, t_us)
    if (keys[1:] < keys[:-1]).any():
        raise ValueError("rows are not in order of group and event time")
    return np.searchsorted(keys, wanted, side="right") - 1


def _keys(rows: Rows, group: Ints, t_us: Ints) -> tuple[Ints, Ints]:
    """One number per row and question that is in order of (group, time)."""
    row_us, asked_us = rows.time_us, t_us
    first_us = int(row_us.min(initial=NEVER))
    span = int(row_us.max(initial=first_us)) - first_us + 2
    groups = max(int(rows.group.max(initial=0)), int(group.max(initial=0))) + 1
    if groups * span > NEVER:  # times by their rank instead
        times = np.unique(row_us)
        row_us = np.searchsorted(times, row_us)
        asked_us = np.searchsorted(times, t_us, side="right") - 1
        first_us, span = 0, len(times) + 1
    if groups * span > NEVER:
        raise ValueError(f"{groups} groups of {span} times do not fit into 63 bits")
    before = np.clip(asked_us, first_us - 1, first_us + span - 2) - (first_us - 1)
    return rows.group * span + (row_us - (first_us - 1)), group * span + before


def dead_since(event: Ints, version: Ints, known_us: Ints) -> Ints:
    """When each row stops to stand: a higher version of its event becomes known.

    Parameters
    ----------
    event, version, known_us : (R,) int64
        Which event a row is of, which version of it, and when it could be used. A version of an
        event occurs once.

    Returns
    -------
    (R,) int64
        `NEVER` for the highest version.

    Examples
    --------
    >>> one = np.array([7, 7, 7])
    >>> dead_since(one, np.array([1, 3, 2]), np.array([10, 30, 90])).tolist() == [30, NEVER, 30]
    True
    """
    order = np.lexsort((version, event))
    events = event[order]
    dead = np.full(len(order), NEVER, np.int64)
    if len(order) > 1:
        again = events[1:] == events[:-1]
        dead[:-1][again] = known_us[order][1:][again]
    step = 1
    while step < len(order):  # the least of all that follow within the event, by doubling
        same = np.flatnonzero(events[step:] == events[:-step])
        if not same.size:
            break
        dead[same] = np.minimum(dead[same], dead[same + step])
        step *= 2
    result = np.empty_like(dead)
    result[order] = dead
    return result


class Joined(NamedTuple):
    """Answers to Q questions about one patient; columns as `features.facts.TRACKS`."""

    value: Floats  # [Q, N] NaN = missing
    time_us: Ints  # [Q, N] 0 = missing


def as_of_join(
    events: Sequence[ClinicalEvent], append_us: Sequence[int], t_us: Ints, known_us: Ints
) -> Joined:
    """Facts in force for many (t, k) at once, from one patient's whole history.

    Parameters
    ----------
    events : sequence of ClinicalEvent, in log order
        Refused ones are skipped, as `AsOf.insert` would.
    append_us : sequence of int
        Append time of each event's log record.
    t_us, known_us : (Q,) int64
        Event time and decision time of each question.

    Returns
    -------
    Joined
        (Q, N) as `facts_at`; NaN and 0 = missing.
    """
    rows = track_rows(events, append_us)
    value = np.full((len(t_us), len(MAX_AGE_US)), np.nan)
    time_us = np.zeros(value.shape, dtype=np.int64)
    for number in np.unique(rows.group).tolist():
        found = latest(rows, np.full(len(t_us), number, np.int64), t_us, known_us)
        fresh = (found >= 0) & (t_us - rows.time_us[found] <= MAX_AGE_US[number])
        value[fresh, number] = rows.value[found][fresh]
        time_us[fresh, number] = rows.time_us[found][fresh]
    return Joined(value, time_us)


def track_rows(events: Sequence[ClinicalEvent], append_us: Sequence[int]) -> Rows:
    """Rows of one patient's events; the group is the track of `features.facts.TRACKS`.

    Of repeated (event, version) the first copy counts; refused events are left out.
    """
    facts: dict[tuple[str, int], Fact] = {}
    for event, appended in zip(events, append_us, strict=True):
        fact = admit(event, appended)
        if not isinstance(fact, Reason):
            facts.setdefault((fact.event_id, fact.version), fact)
    kept = list(facts.values())
    names = {event_id: i for i, event_id in enumerate(dict.fromkeys(f.event_id for f in kept))}
    known_us = _ints([fact.known_us for fact in kept])
    dead_us = dead_since(
        _ints([names[fact.event_id] for fact in kept]), _ints([f.version for f in kept]), known_us
    )
    on = [
        (i, track, fact.time_us, value)
        for i, fact in enumerate(kept)
        for track, value in ((fact.track, fact.value), *fact.also)
    ]
    of, group, time_us = (_ints([row[j] for row in on]) for j in range(3))
    order = np.lexsort((of, time_us, group))
    value = np.array([row[3] for row in on], dtype=np.float64)
    of = of[order]
    return Rows(group[order], time_us[order], known_us[of], dead_us[of], value[order])


def _ints(numbers: Sequence[float]) -> Ints:
    return np.array(numbers, dtype=np.int64)
