"""More of each concept than its last value: the last few, counts, and windows of hours.

For models that want "how many doses in four hours", "mean lactate of the day", "change since the
last one": several numbers per concept and question, by the rules of `features.asof`. Live it reads
the rows a store keeps; offline the rows of whole histories; both through one reduction, checked
against a walk over all events (``tests/features/test_fact_windows.py``).

A number is given only when it is whole: where a store has let go of a row inside a window (dense
charting), that window's numbers are missing, not made of what is left. Means are sums of whole
millionths, so their bits depend on no order and no neighbour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.asof import AsOf
from features.asof_join import Rows
from features.concepts import CONCEPTS
from features.facts import N_CONCEPTS, TRACKS
from features.track import Track

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

WINDOWS_H: Final = (1, 4, 6, 24)  # (t - w, t]
LAST: Final = 5  # values or doses of `FactWindows.recent`
_WINDOWS_US: Final = np.array(WINDOWS_H, np.int64) * 3_600_000_000
_MILLION: Final = 1e6  # values are rounded to 1e-6 where they enter (`features.concepts`)
_GIVEN: Final = np.array(  # of these only what was given counts, not that it was stopped
    [concept.modality == "med" for concept in CONCEPTS] + [True] * (len(TRACKS) - N_CONCEPTS)
)
_EMPTY: Final = Track()


class FactWindows(NamedTuple):
    """Answers to Q questions about K tracks; NaN = missing or not whole, 0 = no such time."""

    last: Floats  # [Q, K] as `features.asof`, whatever its age
    last_us: Ints  # [Q, K]
    previous: Floats  # [Q, K] what would be in force without the last
    previous_us: Ints  # [Q, K]
    so_far: Floats  # [Q, K] rows that stand since the beginning; of drugs, doses given
    n: Floats  # [Q, K, W] rows in the last `WINDOWS_H` hours; of drugs, doses given
    mean: Floats  # [Q, K, W] of those; NaN without one
    low: Floats  # [Q, K, W]
    high: Floats  # [Q, K, W]
    recent: Floats  # [Q, K, LAST] newest first; of drugs, doses given; NaN: no more, or let go
    recent_us: Ints  # [Q, K, LAST]

    @property
    def change(self) -> Floats:
        """[Q, K] last value less the one before."""
        return self.last - self.previous


class _Flat(NamedTuple):
    """Rows of all (question, track) pairs behind one another, ascending in time within a pair."""

    size: Ints  # [P] rows of each pair
    time_us: Ints
    known_us: Ints
    dead_us: Ints
    value: Floats
    lost_us: Ints  # [P] what lies after it is whole; -1 = everything
    gone: Ints  # [P] rows that stood and were let go


def windows_at(
    stores: Sequence[AsOf], t_us: Ints, known_us: Ints, tracks: Sequence[int]
) -> FactWindows:
    """Windows of facts for many patients at once, from their live stores.

    Parameters
    ----------
    stores : sequence of AsOf, length Q
        The store of each question's patient.
    t_us, known_us : (Q,) int64
        Event time and decision time of each question; equality counts at both.
    tracks : sequence of int, length K
        Indices of `features.facts.TRACKS`.

    Returns
    -------
    FactWindows
        (Q, K), (Q, K, 4) and (Q, K, LAST).

    Notes
    -----
    `so_far` includes rows let go; a correction of one of those is not seen any more.
    """
    kept = [store.track(number) or _EMPTY for store in stores for number in tracks]
    flat = _Flat(
        np.array([len(track.times) for track in kept], np.int64),
        np.frombuffer(b"".join([track.times for track in kept]), np.int64),
        np.frombuffer(b"".join([track.known for track in kept]), np.int64),
        np.frombuffer(b"".join([track.dead for track in kept]), np.int64),
        np.frombuffer(b"".join([track.value for track in kept]), np.float64),
        np.array([track.lost_us for track in kept], np.int64),
        np.array([track.gone for track in kept], np.int64),
    )
    return _reduced(flat, t_us, known_us, np.array(tracks, np.int64))


def windows_join(rows: Rows, t_us: Ints, known_us: Ints, tracks: Sequence[int]) -> FactWindows:
    """Windows of facts for many questions about one patient, from its whole history.

    Parameters
    ----------
    rows : Rows
        Of `features.asof_join.track_rows`: the group is the track.
    t_us, known_us : (Q,) int64
        Event time and decision time of each question.
    tracks : sequence of int, length K
        Indices of `features.facts.TRACKS`.

    Notes
    -----
    Memory is Q times the rows of the tracks asked for: ask for thousands at a time.
    """
    asked = np.array(tracks, np.int64)
    begin = np.searchsorted(rows.group, asked, side="left")
    end = np.searchsorted(rows.group, asked, side="right")
    once = np.concatenate([np.arange(a, b) for a, b in zip(begin, end, strict=True)])
    at = np.tile(once, len(t_us)).astype(np.intp)
    size = np.tile(end - begin, len(t_us))
    nothing_lost = np.full(len(size), -1, np.int64)
    columns = (rows.time_us[at], rows.known_us[at], rows.dead_us[at], rows.value[at])
    flat = _Flat(size, *columns, nothing_lost, np.zeros(len(size), np.int64))
    return _reduced(flat, t_us, known_us, asked)


def _reduced(flat: _Flat, t_us: Ints, known_us: Ints, tracks: Ints) -> FactWindows:
    """Numbers of every pair; pairs are questions times tracks, tracks innermost."""
    shape = (len(t_us), len(tracks))
    pairs = len(flat.size)
    t_pair, k_pair = np.repeat(t_us, len(tracks)), np.repeat(known_us, len(tracks))
    pair = np.repeat(np.arange(pairs), flat.size)
    age_us = t_pair[pair] - flat.time_us
    stands = (flat.known_us <= k_pair[pair]) & (flat.dead_us > k_pair[pair]) & (age_us >= 0)
    stands &= ~np.isnan(flat.value)
    place = np.flatnonzero(stands)
    last = _latest(place, pair[place], pairs)
    before = place[place != last[pair[place]]]
    previous = _latest(before, pair[before], pairs)
    given = np.tile(_GIVEN[tracks], len(t_us))
    counted = place[~given[pair[place]] | (flat.value[place] > 0)]
    count = np.bincount(pair[counted], minlength=pairs) + flat.gone
    windows = [_window(flat, counted, pair[counted], t_pair, w) for w in range(len(_WINDOWS_US))]
    n, mean, low, high = (np.stack([w[j] for w in windows], axis=1) for j in range(4))
    deep, few = (*shape, len(windows)), (*shape, LAST)
    recent = _recent(flat, counted, pair[counted])
    return FactWindows(
        _value(flat, last).reshape(shape),
        _time(flat, last).reshape(shape),
        _value(flat, previous).reshape(shape),
        _time(flat, previous).reshape(shape),
        count.astype(np.float64).reshape(shape),
        n.reshape(deep),
        mean.reshape(deep),
        low.reshape(deep),
        high.reshape(deep),
        _value(flat, recent).reshape(few),
        _time(flat, recent).reshape(few),
    )


def _latest(place: Ints, pair: Ints, pairs: int) -> Ints:
    """Last of the ascending places of each pair, -1 for none."""
    found = np.full(pairs, -1, np.int64)
    found[pair] = place  # of repeated pairs the last assignment stays
    return found


def _recent(flat: _Flat, counted: Ints, pair: Ints) -> Ints:
    """Places of the last `LAST` of each pair, newest first, -1 for none: pairs times LAST.

    One that is older than a row let go is none: what was between the two is not known.
    """
    pairs = len(flat.size)
    found = np.full((pairs, LAST), -1, np.int64)
    behind = np.cumsum(np.bincount(pair, minlength=pairs))[pair] - 1 - np.arange(len(pair))
    kept = (behind < LAST) & (flat.time_us[counted] > flat.lost_us[pair])
    found[pair[kept], behind[kept]] = counted[kept]
    return found.reshape(-1)


def _value(flat: _Flat, at: Ints) -> Floats:
    """Values at places, NaN where there is none."""
    found = np.full(len(at), np.nan)
    found[at >= 0] = flat.value[at[at >= 0]]
    return found


def _time(flat: _Flat, at: Ints) -> Ints:
    """Event times at places, 0 where there is none."""
    found = np.zeros(len(at), np.int64)
    found[at >= 0] = flat.time_us[at[at >= 0]]
    return found


def _window(
    flat: _Flat, counted: Ints, pair: Ints, t_us: Ints, which: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Rows, mean, lowest and highest of one window length, per pair."""
    length_us = int(_WINDOWS_US[which])
    inside = t_us[pair] - flat.time_us[counted] < length_us
    at, pair = counted[inside], pair[inside]
    pairs = len(t_us)
    n = np.bincount(pair, minlength=pairs).astype(np.float64)
    total = np.zeros(pairs, np.int64)
    np.add.at(total, pair, np.rint(flat.value[at] * _MILLION).astype(np.int64))
    low, high = np.full(pairs, np.inf), np.full(pairs, -np.inf)
    np.minimum.at(low, pair, flat.value[at])
    np.maximum.at(high, pair, flat.value[at])
    whole = t_us - length_us >= flat.lost_us
    some = whole & (n > 0)
    mean = np.full(pairs, np.nan)
    mean[some] = total[some] / n[some] / _MILLION
    n[~whole] = np.nan
    return n, mean, np.where(some, low, np.nan), np.where(some, high, np.nan)
