"""Columns go into their place in a batch, and nothing outside its declared range does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from features.align import FeatureBatch
from features.catalog import CATALOG, INDEX
from features.column import Column
from features.feature import VALUED, FeatureReason
from features.intervals import Ints

_RANGES: Final = np.array([(feature.lo, feature.hi) for feature in CATALOG], np.float64)


def store(batch: FeatureBatch, at: Ints, columns: Mapping[str, Column]) -> None:
    """Write columns into some rows of a batch.

    Parameters
    ----------
    batch : FeatureBatch
    at : (n,) int
        The rows.
    columns : mapping of feature name to Column
        n values each; what is outside its range or no number becomes `UNDEFINED`.
    """
    for name, column in columns.items():
        j = INDEX[name]
        low, high = _RANGES[j]
        given = np.isin(column.reason, VALUED)
        sound = given & (column.value >= low) & (column.value <= high)
        batch.value[at, j] = np.where(sound, column.value, np.nan)
        batch.quality[at, j] = column.quality
        batch.coverage[at, j] = column.coverage
        batch.n[at, j] = column.n
        batch.reason[at, j] = np.where(given & ~sound, FeatureReason.UNDEFINED, column.reason)
