"""Beats of simultaneous leads: what one lead hides another shows.

Not here: which rows are leads of one patient at one time; the caller knows.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.ecg.segment import EcgBeatTable, EcgSegments, chosen_beats
from features.runs import Bools, Floats, Ints

_SAME_BEAT_S: Final = 0.15  # EC57: two marks of one beat
_LEAST_WEIGHT: Final = 1e-3  # a lead without quality still speaks where all others are silent
_CERTAIN: Final = 1e-6  # of a chance; keeps logits finite
# A lead that is silent where another sees a beat speaks against it, as loudly as it is good.
_SILENCE_LOGIT: Final = -4.0


class FusedLeads(NamedTuple):
    """Beats of groups of simultaneous leads; `beats.row` is the group."""

    beats: EcgBeatTable
    lead: Ints  # row each beat's place, height and kind were taken from
    best: Ints  # (n_groups,) row of the best lead, -1 for a group without rows
    quality: Floats  # (n_groups,) 0-1, of the best lead


def best_lead(quality: Floats, group: NDArray[np.integer], n_groups: int) -> Ints:
    """Row of highest quality of each group, the first of equals; -1 for an empty group."""
    out = np.full(n_groups, -1, np.intp)
    order = np.lexsort((-np.arange(quality.size), quality, group))
    last = np.flatnonzero(np.append(np.diff(group[order]) != 0, True)) if order.size else order
    out[group[order[last]]] = order[last]
    return out


def fuse_leads(segments: EcgSegments, group: NDArray[np.integer], fs_hz: float) -> FusedLeads:
    """One series of beats for each group of simultaneous rows.

    Parameters
    ----------
    segments : EcgSegments
        Rows of one rate, all beginning at the same time within a group.
    group : (B,) int
        Group of each row, 0 to n - 1.
    fs_hz : float

    Returns
    -------
    FusedLeads

    Notes
    -----
    Marks within 150 ms of each other are one beat. Its logit is the mean of the leads' logits
    weighted by their quality, a silent lead saying -4; beats below 0 are dropped. Place, height
    and kind are those of the group's best lead among the ones that saw it, so that intervals are
    not taken between leads more often than need be.
    """
    group_of: Ints = np.asarray(group, np.intp)
    n_groups = int(group.max()) + 1 if group.size else 0
    weight = np.maximum(segments.quality, _LEAST_WEIGHT)
    best = best_lead(segments.quality, group_of, n_groups)
    beats = segments.beats
    order = np.lexsort((beats.row, beats.position, group_of[beats.row]))
    table = chosen_beats(beats, order)
    own = group_of[table.row]
    cluster = _clusters(own, table, fs_hz)
    n_clusters = int(cluster[-1]) + 1 if cluster.size else 0
    keeper = _keepers(cluster, table.row, weight, best[own])
    logit = _logits(cluster, table, weight, n_clusters)
    whole = np.bincount(group_of, weights=weight, minlength=n_groups)
    spoke = np.bincount(cluster, weights=weight[table.row], minlength=n_clusters)
    silent = whole[own[keeper]] - spoke
    agreed = (logit + _SILENCE_LOGIT * silent) / whole[own[keeper]] > 0
    chosen = keeper[agreed]
    taken = chosen_beats(table, chosen)
    quality = np.where(best >= 0, segments.quality[best], 0.0) if group_of.size else np.empty(0)
    return FusedLeads(taken._replace(row=own[chosen]), table.row[chosen], best, quality)


def _clusters(own: Ints, table: EcgBeatTable, fs_hz: float) -> Ints:
    """Number of the beat each mark belongs to: marks of other leads within 150 ms of its first."""
    new = np.ones(own.size, np.bool_)
    near = _SAME_BEAT_S * fs_hz
    first, seen = 0, {int(table.row[0])} if own.size else set()
    for i in range(1, own.size):
        row = int(table.row[i])
        apart = table.position[i] - table.position[first]
        if own[i] == own[first] and apart <= near and row not in seen:
            new[i] = False
            seen.add(row)
        else:
            first, seen = i, {row}
    return np.cumsum(new) - 1


def _keepers(cluster: Ints, row: Ints, weight: Floats, best: Ints) -> Ints:
    """The mark of each cluster that is kept: of the best lead, else of the best that saw it."""
    is_best: Bools = row == best
    order = np.lexsort((-np.arange(row.size), weight[row], is_best, cluster))
    last = np.append(np.diff(cluster[order]) != 0, True) if order.size else np.empty(0, np.bool_)
    return np.asarray(order[last], np.intp)


def _logits(cluster: Ints, table: EcgBeatTable, weight: Floats, n_clusters: int) -> Floats:
    """Sum over a cluster's marks of logit times quality."""
    chance = table.confidence.clip(_CERTAIN, 1 - _CERTAIN)
    logit = np.log(chance / (1 - chance))
    summed = np.bincount(cluster, weights=logit * weight[table.row], minlength=n_clusters)
    return summed.astype(np.float64, copy=False)
