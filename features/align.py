"""Feature rows joined with clinical events, as known at the decision time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.asof import AsOf
from features.concepts import CONCEPTS
from streams.windows import Window

Facts = tuple[NDArray[np.float64], NDArray[np.int64]]  # values [C], times_us [C]: `AsOf.at`


class FeatureBatch(NamedTuple):
    """Rows of features, one per window; columns follow `features.catalog.CATALOG`.

    `value` is NaN exactly where `reason` is not OK. `coverage` is the share of the window's time
    that was usable, `n` the beats, breaths or samples used.
    """

    windows: tuple[Window, ...]
    value: NDArray[np.float64]  # [B, F]
    quality: NDArray[np.float32]  # [B, F] 0-1
    coverage: NDArray[np.float32]  # [B, F] 0-1
    n: NDArray[np.int32]  # [B, F]
    reason: NDArray[np.uint8]  # [B, F] FeatureReason


class AlignedBatch(NamedTuple):
    """`FeatureBatch` rows with the clinical facts valid at each row's end, known by `known_us`.

    Columns of the concept arrays follow `features.concepts.CONCEPTS`.
    """

    features: FeatureBatch
    concept_value: NDArray[np.float64]  # [B, C], NaN = missing
    concept_time_us: NDArray[np.int64]  # [B, C], 0 = missing


def align(batch: FeatureBatch, stores: Sequence[AsOf]) -> AlignedBatch:
    """Feature rows with the clinical facts in force at each window's end.

    Parameters
    ----------
    batch : FeatureBatch
        B rows; row i is decided at its window's `known_us`.
    stores : sequence of AsOf, length B
        The store of each row's patient; the same store may occur many times.

    Returns
    -------
    AlignedBatch
        Concept columns as `features.concepts.CONCEPTS`; NaN and 0 = missing.

    Raises
    ------
    ValueError
        If there is not one store per row.
    """
    pairs = zip(batch.windows, stores, strict=True)
    return attach(batch, [store.at(window.end_us, window.known_us) for window, store in pairs])


def attach(batch: FeatureBatch, facts: Sequence[Facts]) -> AlignedBatch:
    """Feature rows with facts already asked for, at the moment each window became due.

    Parameters
    ----------
    batch : FeatureBatch
        B rows.
    facts : sequence of (values, times_us), length B
        What `AsOf.at` returned for each row.

    Returns
    -------
    AlignedBatch
        Concept columns as `features.concepts.CONCEPTS`; NaN and 0 = missing.

    Raises
    ------
    ValueError
        If there is not one entry per row.
    """
    if len(facts) != len(batch.windows):
        raise ValueError(f"{len(facts)} facts for {len(batch.windows)} rows: one per row needed")
    value = np.full((len(facts), len(CONCEPTS)), np.nan)
    time_us = np.zeros((len(facts), len(CONCEPTS)), dtype=np.int64)
    for row, (values, times_us) in enumerate(facts):
        value[row] = values
        time_us[row] = times_us
    return AlignedBatch(batch, value, time_us)
