"""Who trains and who is judged: folds of whole patients, sites and eras, and a check for leaks.

A fold is a number per patient; rows follow their patient (`rows_of`). Nothing here looks at values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Fold(NamedTuple):
    """Patients of one outer fold; `inner` divides those who train, -1 elsewhere."""

    number: int
    train: Bools  # [P]
    test: Bools  # [P]
    inner: Ints  # [P] 0 up to the inner folds for who trains


def patient_folds(strata: Ints, folds: int, seed: int = 0) -> Ints:
    """Fold of every patient, each stratum dealt out evenly.

    Parameters
    ----------
    strata : (P,) int64
        What every fold should hold its share of, such as the outcome.
    folds : int
        How many; at least 2.
    seed : int
        The same seed, the same folds.

    Returns
    -------
    (P,) int64
        0 up to `folds`; sizes differ by at most 1 in every stratum and in all.

    Raises
    ------
    ValueError
        If there are fewer than 2 folds or fewer patients than folds.
    """
    if folds < 2 or len(strata) < folds:
        raise ValueError(f"{len(strata)} patients cannot make {folds} folds (at least 2)")
    random = np.random.default_rng(seed)
    dealt = np.concatenate(
        [random.permutation(np.flatnonzero(strata == s)) for s in np.unique(strata)]
    )
    found = np.empty(len(strata), np.int64)
    found[dealt] = np.arange(len(strata)) % folds
    return found


def nested(strata: Ints, outer: int, inner: int, seed: int = 0) -> Iterator[Fold]:
    """Outer folds to judge by; within each the others are divided again to choose by.

    Parameters
    ----------
    strata : (P,) int64
        See `patient_folds`.
    outer, inner : int
        How many folds.
    seed : int
        The same seed, the same folds.
    """
    fold = patient_folds(strata, outer, seed)
    for number in range(outer):
        train = fold != number
        within = np.full(len(strata), -1, np.int64)
        within[train] = patient_folds(strata[train], inner, seed + 1 + number)
        yield Fold(number, train, ~train, within)


def site_folds(site: Ints, inner: int = 2, seed: int = 0) -> Iterator[Fold]:
    """Each site in turn is judged by models of the others.

    Patients of an unknown site (negative) train nothing and are not judged: they may be the
    judged site's.
    """
    for number in np.unique(site[site >= 0]).tolist():
        test = site == number
        train = (site >= 0) & ~test
        within = np.full(len(site), -1, np.int64)
        if train.sum() >= inner:
            within[train] = patient_folds(np.zeros(int(train.sum()), np.int64), inner, seed)
        yield Fold(number, train, test, within)


def era_folds(time: Ints, eras: int, inner: int = 2, seed: int = 0) -> Iterator[Fold]:
    """Each era but the first is judged by models of the eras before it.

    Parameters
    ----------
    time : (P,) int64
        When a patient came; who came at the same time is in the same era.
    eras : int
        How many of about equal size.
    inner, seed : int
        See `nested`.
    """
    edges = np.quantile(time, np.arange(1, eras) / eras)
    era = np.searchsorted(edges, time, side="right")
    for number in range(1, eras):
        train, test = era < number, era == number
        within = np.full(len(time), -1, np.int64)
        if train.sum() >= inner and test.any():
            within[train] = patient_folds(np.zeros(int(train.sum()), np.int64), inner, seed)
            yield Fold(number, train, test, within)


def shared_groups(train: Sequence[str], test: Sequence[str]) -> tuple[str, ...]:
    """Who is on both sides, in order; a clean split has nobody.

    Examples
    --------
    >>> shared_groups(["a", "b"], ["b", "c"])
    ('b',)
    """
    return tuple(sorted(set(train) & set(test)))


def require_disjoint(train: Sequence[str], test: Sequence[str]) -> None:
    """Refuse a split that shows a patient to both sides.

    Raises
    ------
    ValueError
        Naming some of who is on both sides.
    """
    both = shared_groups(train, test)
    if both:
        raise ValueError(f"{len(both)} on both sides of a split: {', '.join(both[:5])}")


def rows_of(patients: Bools, patient: Ints) -> Bools:
    """Rows of chosen patients.

    Parameters
    ----------
    patients : (P,) bool
        Who is chosen.
    patient : (N,) int64
        Patient of every row.
    """
    found: Bools = patients[patient]
    return found


def split_hash(ids: Sequence[str], fold: Ints) -> str:
    """Digest of who is in which fold, whatever the order they are listed in."""
    lines = sorted(f"{name}\t{int(number)}" for name, number in zip(ids, fold, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
