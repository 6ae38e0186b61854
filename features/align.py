"""Feature rows joined with clinical events, as known at the decision time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.asof import AsOf, FactsAt, facts_at
from features.concepts import CONCEPTS
from features.facts import N_CONCEPTS
from streams.windows import Window

_HALF_LIFE_S: Final = np.array([concept.half_life_s for concept in CONCEPTS])
_NO_EFFECTS: Final = np.empty((0, 0))
_NO_EFFECT_TIMES: Final = np.empty((0, 0), dtype=np.int64)


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

    Columns of the concept arrays follow `features.concepts.CONCEPTS`, those of the effect arrays
    `features.effects.EFFECTS`. A batch made without effects has none (0 columns).
    """

    features: FeatureBatch
    concept_value: NDArray[np.float64]  # [B, C], NaN = missing
    concept_time_us: NDArray[np.int64]  # [B, C], 0 = missing
    effect_value: NDArray[np.float64] = _NO_EFFECTS  # [B, E] above 0: given; 0: stopped
    effect_time_us: NDArray[np.int64] = _NO_EFFECT_TIMES  # [B, E] of the newest dose; 0 = none
    stores: tuple[AsOf, ...] = ()  # [B] of the rows' patients, for what only some models ask

    @property
    def concept_age_s(self) -> NDArray[np.float64]:
        """[B, C] how old each fact is at its row's end; NaN = missing."""
        end_us = np.array([window.end_us for window in self.features.windows], np.int64)
        age_s = (end_us[:, None] - self.concept_time_us) / 1e6
        return np.where(np.isnan(self.concept_value), np.nan, age_s)

    @property
    def concept_weight(self) -> NDArray[np.float64]:
        """[B, C] 1 for a fact of the row's end, half at its concept's half-life; 0 = missing."""
        weight = np.exp2(-self.concept_age_s / _HALF_LIFE_S)
        return np.where(np.isnan(weight), 0.0, weight)


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
    end_us = np.array([window.end_us for window in batch.windows], dtype=np.int64)
    known_us = np.array([window.known_us for window in batch.windows], dtype=np.int64)
    return attach(batch, facts_at(stores, end_us, known_us), stores)


def attach(batch: FeatureBatch, facts: FactsAt, stores: Sequence[AsOf] = ()) -> AlignedBatch:
    """Feature rows with facts already asked for, at the moment each window became due.

    Parameters
    ----------
    batch : FeatureBatch
        B rows.
    facts : FactsAt
        What `facts_at` returned, a row each.
    stores : sequence of AsOf, length B
        Those that were asked, for notes and histories of facts (`features.notes`).

    Returns
    -------
    AlignedBatch
        Concept columns as `features.concepts.CONCEPTS`; NaN and 0 = missing.

    Raises
    ------
    ValueError
        If there is not one row of facts per row.
    """
    if len(facts.value) != len(batch.windows):
        raise ValueError(
            f"{len(facts.value)} facts for {len(batch.windows)} rows: one per row needed"
        )
    return AlignedBatch(
        batch,
        facts.value[:, :N_CONCEPTS],
        facts.time_us[:, :N_CONCEPTS],
        facts.value[:, N_CONCEPTS:],
        facts.time_us[:, N_CONCEPTS:],
        tuple(stores),
    )
